"""Small tables as CSV files, and the jobs run on them."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from columns import Column, Schema
from pyarrow import parquet

Rows = list[list[str]]

COLUMNS = ["age", "plan", "label"]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """The table as CSV, quoted where it must be."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def read_rows(folder: Path) -> list[list[Any]]:
    """The rows of all Parquet files that a job wrote to a folder, typed."""
    found = [parquet.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [list(row.values()) for table in found for row in table.to_pylist()]


def customers(rows: int, seed: int = 0) -> Rows:
    """Rows of `COLUMNS`; no two are equal, and the label is `yes` for three in ten."""
    draw = random.Random(seed)  # noqa: S311 - of a test
    return [
        [
            f"{18 + at}.{at % 7}",
            draw.choice(["basic", "gold, plus"]),
            "no" if at % 10 > 2 else "yes",
        ]
        for at in range(rows)
    ]


@dataclass(frozen=True)
class Result:
    """What a preprocess job left in its folders."""

    folder: Path
    code: int

    @property
    def reason(self) -> str:
        """The text of the job's failure file, or "" if there is none."""
        path = self.folder / "opt/output/message"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def train(self) -> list[list[Any]]:
        """The rows to train with."""
        return read_rows(self.folder / "train")

    @property
    def test(self) -> list[list[Any]]:
        """The rows to test with."""
        return read_rows(self.folder / "test")

    @property
    def schema(self) -> Schema:
        """What the table means."""
        return Schema.load(self.folder / "schema/schema.json")

    def column(self, name: str) -> Column:
        """What one column is."""
        return next(column for column in self.schema.columns if column.name == name)

    @property
    def profile(self) -> Any:
        """The profile."""
        return json.loads((self.folder / "profile/profile.json").read_text(encoding="utf-8"))

    @property
    def left(self) -> list[str]:
        """All files in the folders of the results."""
        folders = (self.folder / name for name in ("train", "test", "schema", "profile"))
        return [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]


def as_bytes(content: str | bytes) -> bytes:
    """`content` as it lies in a file."""
    return content.encode() if isinstance(content, str) else content
