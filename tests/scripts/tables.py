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

Rows = list[list[str]]

COLUMNS = ["age", "plan", "label"]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """The table as CSV, quoted where it must be."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def read_csv(path: Path) -> tuple[list[str], Rows]:
    """The header and the rows of a file that a job wrote."""
    with path.open(encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text)
    return header, rows


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
    def train(self) -> Rows:
        """The rows to train with."""
        return read_csv(self.folder / "train/train.csv")[1]

    @property
    def test(self) -> Rows:
        """The rows to test with."""
        return read_csv(self.folder / "test/test.csv")[1]

    @property
    def profile(self) -> Any:
        """The profile."""
        return json.loads((self.folder / "profile/profile.json").read_text(encoding="utf-8"))

    @property
    def left(self) -> list[str]:
        """All files in the folders of the results."""
        folders = (self.folder / name for name in ("train", "test", "profile"))
        return [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]


def as_bytes(content: str | bytes) -> bytes:
    """`content` as it lies in a file."""
    return content.encode() if isinstance(content, str) else content
