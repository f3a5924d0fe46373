"""Both engines give the same schema, the same profile, and the same side to every row."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import preprocess
import preprocess_spark
import pyarrow as pa
import pytest
from jobs import JobError
from pyarrow import parquet
from pyspark.sql import SparkSession

from tests.scripts.cases import CASES
from tests.scripts.tables import COLUMNS, Result, as_bytes, csv_text, customers

Files = Mapping[str, str | bytes]
FOLDERS = ("train", "test", "schema", "profile")
PARTS = 3


@dataclass(frozen=True)
class Both:
    """What the two engines made of one table: a result, or the reason why there is none."""

    one: Result | str
    many: Result | str

    def agree(self) -> None:
        """Hold the results against each other."""
        if isinstance(self.one, str) or isinstance(self.many, str):
            assert self.many == self.one
            return
        assert self.many.schema == self.one.schema
        assert self.many.profile == nearly(self.one.profile)
        for side in ("train", "test"):
            assert rows_of(self.many, side) == rows_of(self.one, side)
            assert types_of(self.many, side) == types_of(self.one, side)


def rows_of(result: Result, side: str) -> Counter[tuple[str, ...]]:
    found: list[list[Any]] = getattr(result, side)
    return Counter(tuple(map(repr, row)) for row in found)


def types_of(result: Result, side: str) -> set[str]:
    return {str(parquet.read_schema(path)) for path in (result.folder / side).glob("*.parquet")}


def nearly(value: Any) -> Any:
    """The same, with numbers as sums in another order give them."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-9)
    if isinstance(value, dict):
        return {name: nearly(one) for name, one in value.items()}
    return [nearly(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def both(tmp_path: Path, spark: SparkSession) -> Callable[..., Both]:
    """Run both engines on files given by name."""

    def run(files: Files, *arguments: str, label: str = "label") -> Both:
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_bytes(content))

        def result(engine: str, job: Callable[[list[str]], None]) -> Result | str:
            folder = tmp_path / engine
            places = [f"--{name}={folder / name}" for name in FOLDERS]
            try:
                job([f"--data={tmp_path / 'data'}", *places, f"--label={label}", *arguments])
            except JobError as error:
                assert [path for path in folder.rglob("*") if path.is_file()] == []
                return str(error)
            return Result(folder, 0)

        return Both(
            result("one", preprocess.preprocess),
            result("many", lambda argv: preprocess_spark.preprocess_spark(argv, spark)),
        )

    return run


def in_parts(files: Files) -> Files:
    """A single file of CSV as several, each with the header; anything else as it is."""
    if len(files) > 1:
        return files
    ((name, content),) = files.items()
    text = as_bytes(content).decode()
    delimiter = ";" if text.count(";") > text.count(",") else ","
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return {f"{at}-{name}": csv_text(header, rows[at::PARTS], delimiter) for at in range(PARTS)}


@pytest.mark.parametrize("name", CASES)
def test_a_table_that_people_have_means_the_same_on_many_machines(
    both: Callable[..., Both], name: str
) -> None:
    case = CASES[name]()
    both(in_parts(case.files), *case.arguments, label=case.label).agree()


TABLE = in_parts({"data.csv": csv_text(COLUMNS, customers(600))})


@pytest.mark.parametrize(
    "arguments",
    [("--group-column=plan",), ("--time-column=age",), ("--training-rows=100",), ("--seed=7",)],
)
def test_every_way_to_split_gives_the_same_sides(
    both: Callable[..., Both], arguments: tuple[str, ...]
) -> None:
    both(TABLE, *arguments).agree()


def test_files_may_be_zipped_empty_ordered_otherwise_or_in_folders(
    both: Callable[..., Both],
) -> None:
    rows = customers(300)
    swapped = [[plan, label, age] for age, plan, label in rows[200:]]
    both(
        {
            "a.csv.gz": gzip.compress(csv_text(COLUMNS, rows[:100]).encode()),
            "b.csv": csv_text(COLUMNS, []),
            "deep/c.csv": csv_text(COLUMNS, rows[100:200], ";"),
            "deep/d.csv": csv_text(["plan", "label", "age"], swapped),
            "_about.txt": "no data",
        }
    ).agree()


def test_parquet_is_read_as_on_one_machine(both: Callable[..., Both]) -> None:
    def part(at: int) -> bytes:
        rows = customers(300)[at::2]
        sink = io.BytesIO()
        columns = [pa.array(values) for values in zip(*rows, strict=True)]
        columns[0] = columns[0].cast(pa.float32())
        parquet.write_table(pa.table(columns, COLUMNS), sink)
        return sink.getvalue()

    both({f"{at}.parquet": part(at) for at in (0, 1)}).agree()


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        (TABLE, ("--group-column=region",)),
        ({"a.csv": csv_text(["x", "label"], [])}, ()),
        ({"a.csv": "x,label\n1,a\n", "b.csv": "y,label\n1,a\n"}, ()),
        ({"a.csv": "x,label\n1,a\n2,b\n", "b.csv": "x,label\n1,a,b\n"}, ()),
        ({"a.csv": b"x,label\n1,\xe4\n"}, ()),
        ({"a.csv": csv_text(["x", "label"], [[at, "ab"[at % 2]] for at in range(12)])}, ()),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_same_words(
    both: Callable[..., Both], files: Files, arguments: tuple[str, ...]
) -> None:
    found = both(files, *arguments)
    assert isinstance(found.one, str) or files == {
        "a.csv": csv_text(["x", "label"], [[at, "ab"[at % 2]] for at in range(12)])
    }
    found.agree()
