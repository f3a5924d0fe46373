"""The request that shows whether an endpoint answers as the evaluation's model did."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import cells
import inference
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import smoke
from columns import MARKS, Column, Schema
from hypothesis import given
from hypothesis import strategies as some
from inference import Model
from pyarrow import parquet
from served import ServedModel

from tests.fuzz import bounded

_MARKS: Final = tuple(sorted(MARKS))
COLUMNS: Final = (
    Column("id", "identifier"),
    Column("amount", "number", decimal=",", thousands=".", currency=("€",), marks=_MARKS),
    Column("share", "number", percent=True, marks=_MARKS),
    Column("count", "integer", marks=_MARKS),
    Column("member", "boolean", marks=_MARKS),
    Column("plan", "category", categories=("5", "NA", "True", 'a "b", c', "gold", "x\ny", "é")),
    Column('the "note"\n', "text"),
    Column("born", "date", format="%d.%m.%Y", marks=_MARKS),
    Column("paid", "date", format="%d %B %Y"),
    Column("seen", "datetime", format="%m/%d/%Y %I:%M %p", marks=_MARKS),
    Column("sent", "datetime", format="%Y-%m-%dT%H:%M:%S.%f%z"),
    Column("typed", "datetime"),
    Column("due", "date"),
    Column("opens", "time", format="%H:%M"),
    Column("closes", "time"),
    *(Column(f"took {form}", "duration", format=form) for form in cells.DURATIONS),
    Column("took", "duration"),
)
FEATURES: Final = tuple(column for column in COLUMNS if column.trained)
SCHEMA: Final = Schema(
    label="label",
    problem="multiclass",
    classes=("a", "b, c", 'd"e'),
    positive_class=None,
    label_column=Column("label", "category"),
    columns=COLUMNS,
    rows=100,
)

SECONDS: Final = 1_000_000
texts = some.text(some.characters(blacklist_categories=["Cs"]), max_size=8)
days = some.dates(date(1, 1, 1), date(9999, 12, 31))
minutes = some.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)
moments = some.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
spans = some.integers(-(10**9) * SECONDS, 10**9 * SECONDS)
whole_spans = spans.map(lambda micros: micros // (60 * SECONDS) * 60 * SECONDS)
numbers = some.floats(allow_nan=True, allow_infinity=True)
KINDS: Final[dict[str, Any]] = {
    "amount": numbers,
    "share": numbers,
    "count": some.integers(-(2**63), 2**63 - 1).map(float),
    "member": some.booleans(),
    "plan": some.sampled_from(COLUMNS[5].categories or ()) | some.just("new") | texts,
    'the "note"\n': texts,
    "born": days,
    "paid": days,
    "seen": minutes,
    "sent": moments,
    "typed": moments,
    "due": days,
    "opens": some.times().map(lambda clock: clock.replace(second=0, microsecond=0)),
    "closes": some.times(),
    **{f"took {form}": whole_spans if form == "H:MM" else spans for form in cells.DURATIONS},
    "took": spans,
}
rows_of = some.lists(
    some.fixed_dictionaries({name: some.none() | kind for name, kind in KINDS.items()}),
    min_size=1,
    max_size=8,
)


class Predictor:
    """Chances of three classes that depend on every cell of a row, and on nothing else."""

    class_labels = (0, 1, 2)
    problem_type = "multiclass"

    def predict_proba(self, frame: pd.DataFrame, *, as_multiclass: bool, as_pandas: bool) -> Any:
        assert as_multiclass
        assert not as_pandas
        cells = frame.to_numpy(dtype=object).tolist()
        sums = [
            sum(self._number(cell) * math.pi**at for at, cell in enumerate(row)) for row in cells
        ]
        total = np.array([abs(math.sin(value)) for value in sums])
        return np.stack([total / 2, (1 - total) / 2, np.full(len(frame), 0.5)], axis=1)

    def _number(self, cell: Any) -> float:
        if isinstance(cell, str):
            return float(sum(map(ord, cell)) % 1000)
        return -1.0 if cell is None or math.isnan(cell) else math.fmod(cell, 1e3)


LOADED: Final = ServedModel(inference, Model(Predictor(), SCHEMA))


def stored(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as the test data has them."""
    return pa.table(
        {
            column.name: pa.array([row[column.name] for row in rows], cells.storage(column))
            for column in FEATURES
        }
    )


def answer(body: bytes, kind: str) -> Any:
    """What the model answers."""
    text, _ = inference.transform_fn(LOADED.model, body, kind, "application/json")
    return json.loads(text)


def in_parquet(rows: pa.Table) -> Any:
    """What the model answers to the rows in Parquet."""
    sink = io.BytesIO()
    parquet.write_table(rows, sink)
    return answer(sink.getvalue(), "application/x-parquet")


@bounded(200)
@given(rows_of)
def test_any_row_means_in_json_what_it_means_in_parquet(rows: list[dict[str, Any]]) -> None:
    table = stored(rows)
    found = smoke.request(LOADED, table)
    assert found["answer"] == answer(found["body"].encode(), found["content_type"])
    assert found["answer"] == in_parquet(table)


ROW: Final[dict[str, Any]] = {
    "amount": 1234.5,
    "share": 12.5,
    "count": float(2**63),
    "member": True,
    "plan": 'a "b", c',
    'the "note"\n': 'say "hi"\n\t\\',
    "born": date(987, 2, 3),
    "paid": date(2024, 2, 29),
    "seen": datetime(2024, 1, 2, 15, 4),
    "sent": datetime(2024, 1, 2, 15, 4, 5, 678_901),
    "typed": datetime(1600, 1, 2, 3, 4, 5, 6),
    "due": date(2024, 1, 2),
    "opens": time(7, 5),
    "closes": time(19, 5, 1, 20),
    **{f"took {form}": timedelta(days=-1, hours=3, minutes=2) for form in cells.DURATIONS},
    "took": timedelta(hours=30, microseconds=5),
}


def test_cells_are_written_as_the_table_writes_them() -> None:
    [row] = json.loads(smoke.request(LOADED, stored([ROW]))["body"])
    assert row == {
        "amount": 1234.5,
        "share": 12.5,
        "count": float(2**63),
        "member": True,
        "plan": 'a "b", c',
        'the "note"\n': 'say "hi"\n\t\\',
        "born": "03.02.0987",
        "paid": "29 February 2024",
        "seen": "01/02/2024 03:04 PM",
        "sent": "2024-01-02T15:04:05.678901+0000",
        "typed": "1600-01-02 03:04:05.000006",
        "due": "2024-01-02",
        "opens": "07:05",
        "closes": "19:05:01.000020",
        "took H:MM:SS": "-20:58:00",
        "took H:MM": "-20:58",
        "took D days HH:MM:SS": "-0 days 20:58:00",
        "took PnDTnHnMnS": "-P0DT20H58M0S",
        "took 1d 2h 3min 4s": "-0d 20h 58min 0s",
        "took": "30:00:00.000005",
    }


def test_what_json_has_no_text_for_is_null() -> None:
    far = pa.array([400_000_000_000_000_000], pa.int64()).cast(pa.timestamp("us"))
    table = stored([ROW]).drop_columns(["typed"]).append_column("typed", far)
    found = smoke.request(LOADED, table)
    assert json.loads(found["body"])[0]["typed"] is None
    assert found["answer"] == answer(found["body"].encode(), "application/json")


def test_rows_without_any_value_can_be_asked_for() -> None:
    table = stored([dict.fromkeys(ROW)])
    assert smoke.request(LOADED, table)["answer"] == in_parquet(table)


# --- Which rows ----------------------------------------------------------------------------------


def test_rows_of_every_predicted_class_are_asked_for() -> None:
    predicted = np.array([0] * 500 + [1] * 500 + [2])
    places = smoke.places(predicted, SCHEMA.classes)
    assert places[:4] == [0, 500, 1000, 1]
    assert len(places) == smoke.MOST_ROWS


def test_rows_of_a_regression_have_predictions_from_the_least_to_the_greatest() -> None:
    predicted = np.arange(100.0)[::-1]
    assert smoke.places(predicted, ())[:2] == [99, 94]
    assert smoke.places(predicted, ())[-1] == 0
    assert smoke.places(np.array([3.0]), ()) == [0]


def batches(rows: list[Any], size: int) -> Iterator[pa.Table]:
    """A column `x`, so many rows at a time."""
    for start in range(0, len(rows), size):
        yield pa.table({"x": pa.array(rows[start : start + size], pa.int64())})


def test_rows_with_missing_values_are_among_them() -> None:
    rows = [None if at in {3, 45, 46} else at for at in range(60)]
    found = smoke.chosen(batches(rows, 7), list(range(40, 60)))["x"].to_pylist()
    assert found == [40, None, 41, None, 42, None, *range(43, 45), *range(47, 59)]


def test_files_are_not_read_farther_than_needed() -> None:
    def rows() -> Iterator[pa.Table]:
        yield from batches(list(range(10)), 5)
        pytest.fail("the rest was read")

    assert smoke.chosen(rows(), [7, 2])["x"].to_pylist() == [7, 2]


# --- How large -----------------------------------------------------------------------------------


def notes(*lengths: int) -> pa.Table:
    """Rows with notes of so many characters, of two bytes each."""
    return stored([ROW | {'the "note"\n': "é" * length} for length in lengths])


def test_rows_that_are_too_long_are_left_out() -> None:
    found = smoke.request(LOADED, notes(1, 40_000, 10_000, 25_000, 2))
    assert len(json.loads(found["body"])) == 3
    assert len(found["body"].encode()) <= smoke.MOST_BYTES


def test_one_row_is_asked_for_however_long_it_is() -> None:
    found = smoke.request(LOADED, notes(60_000, 50_000))
    assert len(json.loads(found["body"])) == len(found["answer"]["predictions"]) == 1
    assert 100_000 < len(found["body"].encode()) < 110_000


def test_a_row_that_no_request_can_have_is_asked_for_without_its_values() -> None:
    found = smoke.request(LOADED, notes(4_000_000))
    assert json.loads(found["body"]) == [dict.fromkeys(ROW)]
    assert len(found["answer"]["predictions"]) == 1


def test_thousands_of_columns_make_one_row() -> None:
    names = [f"column {at}" for at in range(5_000)]
    features = tuple(Column(name, "number") for name in names)
    schema = Schema("y", "regression", (), None, Column("y", "number"), features, 100)

    class Sum:
        def predict(self, frame: pd.DataFrame, *, as_pandas: bool) -> Any:
            assert not as_pandas
            return frame.sum(axis=1).to_numpy()

    loaded = ServedModel(inference, Model(Sum(), schema))
    table = pa.table({name: [1 / 3, 2 / 3] for name in names})
    found = smoke.request(loaded, table)
    assert [one["prediction"] for one in found["answer"]["predictions"]] == [
        pytest.approx(5_000 / 3)
    ]
