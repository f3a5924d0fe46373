"""Rows by the value of a column, in files of tables, and in what a run prepared of them."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.errors import CommandError
from generator.files import REPOSITORY
from tabular_ml_vpc.local.searching import TableSearch, searching

ENVIRONMENT = REPOSITORY / ".venv-local"
PYTHON = ENVIRONMENT / "bin/python"
LARGE = 9_007_199_254_740_993
"""No float: its nearest is one less."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table"


@pytest.fixture(scope="module")
def numbers() -> Iterator[TableSearch]:
    with searching(ENVIRONMENT, "id", ["7", str(LARGE), "-0.50", "C-1", "1e3"]) as search:
        yield search


def found(search: TableSearch, file: Path) -> dict[tuple[int, str], int]:
    answer = search.table(file, keep=False)
    assert "problem" not in answer, answer
    return {(one["value"], one["kind"]): one["rows"] for one in answer["found"]}


def python(code: str, *arguments: Path) -> None:
    subprocess.run([str(PYTHON), "-c", code, *map(str, arguments)], check=True)


def write_parquet(file: Path, columns: str) -> None:
    imports = "import sys, datetime, decimal, pyarrow as pa\nfrom pyarrow import parquet\n"
    python(f"{imports}parquet.write_table(pa.table({columns}), sys.argv[1])", file)


def test_text_counts_before_numbers_and_both_are_told_apart(
    file: Path, numbers: TableSearch
) -> None:
    cells = ["7", " 7 ", "007", "7.0", "+7", "7e0", "70", "C-1", "c-1", "-.5", "1000", "x", ""]
    file.write_text("\n".join(["id,a", *(f"{cell},1" for cell in cells)]) + "\n")

    assert found(numbers, file) == {
        (0, "exact"): 2,
        (0, "number"): 4,
        (2, "number"): 1,
        (3, "exact"): 1,
        (4, "number"): 1,
    }


def test_a_large_number_is_not_its_neighbor(file: Path, numbers: TableSearch) -> None:
    file.write_text(f"id\n{LARGE}\n{LARGE - 1}\n0{LARGE}\n0{LARGE - 1}\n")

    assert found(numbers, file) == {(1, "exact"): 1, (1, "number"): 1}


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a;ID\n1;7\n", 1),
        (b"\xef\xbb\xbfid\t a\n7\t1\n7\t2\n", 2),
        (b"sep=|\na|id\n1|7\n", 1),
        (b'a,id\n"several\nlines, and 7",7\n', 1),
        (gzip.compress(b"a,id\n1,7\n", mtime=0), 1),
    ],
)
def test_it_reads_what_jobs_read(
    content: bytes, rows: int, file: Path, numbers: TableSearch
) -> None:
    file.write_bytes(content)

    assert found(numbers, file) == {(0, "exact"): rows}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("pa.array([7, 70, None])", {(0, "exact"): 1}),
        ("pa.array([7.0, 70.5, float('nan'), None])", {(0, "exact"): 1}),
        ("pa.array([-0.5])", {(2, "number"): 1}),
        (f"pa.array([{LARGE}, {LARGE - 1}])", {(1, "exact"): 1}),
        ("pa.array([decimal.Decimal('7.00')])", {(0, "number"): 1}),
        ("pa.array(['7', '007', 'C-1']).dictionary_encode()", None),
        ("pa.array(['7', '007', 'C-1'], pa.large_string())", None),
        ("pa.array([b'7', b'007', b'C-1'])", None),
    ],
)
def test_typed_cells_are_compared_as_they_are_written(
    values: str, expected: dict[tuple[int, str], int] | None, file: Path, numbers: TableSearch
) -> None:
    write_parquet(file, f"{{'id': {values}}}")

    texts = {(0, "exact"): 1, (0, "number"): 1, (3, "exact"): 1}
    assert found(numbers, file) == (texts if expected is None else expected)


def test_a_date_is_found_as_it_is_written(file: Path) -> None:
    write_parquet(file, "{'born': pa.array([datetime.date(1990, 1, 31)])}")

    with searching(ENVIRONMENT, "born", ["1990-01-31"]) as search:
        assert found(search, file) == {(0, "exact"): 1}


def test_a_table_without_the_column_says_which_it_has(file: Path, numbers: TableSearch) -> None:
    file.write_text("a,b\n7,7\n")

    answer = numbers.table(file, keep=False)

    assert (answer["found"], answer["columns"]) == (None, ["a", "b"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04...", "table is a zip archive or an Excel file"),
        (b"id,a\n7\n", "table, line 2: 1 cells, but the header has 2 columns"),
        (b"PAR1", "table is not a readable Parquet file"),
        (gzip.compress(b"id,a\n7,1\n", mtime=0)[:-9], "not a complete gzip file"),
        (b"id,a\nM\xfcller,1\n", "is not UTF-8"),
    ],
)
def test_what_is_no_table_is_a_problem_and_the_search_continues(
    content: bytes, problem: str, file: Path, numbers: TableSearch
) -> None:
    file.write_bytes(content)
    assert problem in numbers.table(file, keep=False)["problem"]

    file.write_bytes(b"id\n7\n")
    assert found(numbers, file) == {(0, "exact"): 1}


PEOPLE = """\
id,age,plan,joined,income,label
C-1,40,basic,31.1.2024,"1.234,50",yes
C-2,41,basic,1.2.2024,"1.234,50",no
C-3,,premium,2.2.2024,,no
"""
MORE = "".join(f'D-{n},{n % 60},basic,{n % 28 + 1}.3.2024,"{n},5",{n % 2}\n' for n in range(100))


def prepared(folder: Path, table: Path, *arguments: str) -> dict[str, Path]:
    """Prepare a table as a run does; return the files."""
    names = {"train": "train.parquet", "test": "test.parquet", "schema": "schema.json"}
    outputs = [f"--{name}={folder / name}" for name in (*names, "profile")]
    command = [str(PYTHON), str(REPOSITORY / "pipeline/scripts/preprocess.py")]
    data = [f"--data={table.parent}", f"--input-uri=s3://b/{table.name}", "--label=label"]
    subprocess.run([*command, *data, *outputs, *arguments], check=True, capture_output=True)
    return {name: folder / name / file for name, file in names.items()}


def test_prepared_rows_are_found_by_the_rows_of_the_table(tmp_path: Path) -> None:
    """The identifier is not among the prepared columns; dates and numbers are typed."""
    table = tmp_path / "people.csv"
    rows = (PEOPLE + MORE).replace(",yes\n", ",1\n").replace(",no\n", ",0\n")
    table.write_text(rows)
    files = prepared(tmp_path / "out", table)
    schema = json.loads(files["schema"].read_text())
    assert "identifier" in {column["kind"] for column in schema["columns"]}

    with searching(ENVIRONMENT, "id", ["C-1", "C-3", "nobody"]) as search:
        assert search.table(files["train"], keep=False)["found"] is None
        before = search.prepared(files["train"], files["schema"])
        search.table(table, keep=True)
        sides = [search.prepared(files[side], files["schema"]) for side in ("train", "test")]

    assert (before["found"], before["compared"]) == ([], 0)
    assert sum(side["rows"] for side in sides) == 103
    together = sorted(
        (one["value"], one["kind"], one["rows"]) for side in sides for one in side["found"]
    )
    assert together == [(0, "row", 1), (1, "row", 1)]


def test_rows_of_another_table_are_not_compared(tmp_path: Path) -> None:
    table, other = tmp_path / "people.csv", tmp_path / "other.csv"
    table.write_text((PEOPLE + MORE).replace(",yes\n", ",1\n").replace(",no\n", ",0\n"))
    other.write_text("id,age\nC-1,40\n")
    files = prepared(tmp_path / "out", table)

    with searching(ENVIRONMENT, "id", ["C-1"]) as search:
        search.table(other, keep=True)
        answer = search.prepared(files["train"], files["schema"])

    assert (answer["found"], answer["compared"]) == ([], 0)


def test_a_missing_environment_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(CommandError, match=r"run `python build\.py setup local`"),
        searching(tmp_path / "none", "id", ["1"]),
    ):
        pass


def test_the_end_of_the_process_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text("#!/bin/sh\nread first\nread second\necho 'out of memory' >&2\nexit 9\n")
    python.chmod(0o755)

    with (
        searching(tmp_path, "id", ["1"]) as search,
        pytest.raises(CommandError, match="ended unexpectedly: out of memory"),
    ):
        search.table(tmp_path, keep=False)
