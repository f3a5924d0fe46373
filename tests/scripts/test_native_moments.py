"""Columns that Parquet brought have no format: texts of CSV and JSON are read all the same."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import cells
import pyarrow as pa
import pytest
from columns import Column


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("date", "2024-01-02", date(2024, 1, 2)),
        ("datetime", "2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("datetime", "2024-01-02T03:04:05.25Z", datetime(2024, 1, 2, 3, 4, 5, 250_000)),
        ("datetime", "2024-01-02", datetime(2024, 1, 2)),
        ("time", "03:04:05", time(3, 4, 5)),
        ("duration", "0:01:02", timedelta(seconds=62)),
        ("duration", "1d 2h", timedelta(days=1, hours=2)),
    ],
)
def test_a_text_means_what_the_native_value_means(kind: str, text: str, value: Any) -> None:
    column = Column("at", kind)
    native = cells.read(column, pa.array([value, None], cells.storage(column)))
    assert cells.read(column, pa.array([text, ""])).equals(native)
