"""The split, the profile, and what no table can be made of."""

from __future__ import annotations

import gzip
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import preprocess
import pytest

from functions.seed_data.table import blocks
from tests.scripts.tables import COLUMNS, Result, as_bytes, csv_text, customers

RANDOM = random.Random

Split = Callable[..., Result]


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    """Run the job on files given by name; each call has folders of its own."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "opt"))
    calls = 0

    def run(files: dict[str, str | bytes], *arguments: str, label: str = "label") -> Result:
        nonlocal calls
        calls += 1
        folder = tmp_path / f"run{calls}"
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder / "opt"))
        (folder / "data").mkdir(parents=True)
        for name, content in files.items():
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_bytes(content))
        folders = ("data", "train", "test", "schema", "profile")
        places = [(f"--{name}", str(folder / name)) for name in folders]
        argv = [text for pair in places for text in pair]
        return Result(folder, preprocess.main([*argv, "--label", label, *arguments]))

    return run


def counted(rows: Sequence[Sequence[object]]) -> Counter[tuple[object, ...]]:
    """How often each row occurs; numbers are compared as such, however they are written."""
    return Counter(tuple(_value(cell) for cell in row) for row in rows)


def _value(cell: object) -> object:
    try:
        return float(str(cell))
    except ValueError:
        return cell or None


# --- The split -------------------------------------------------------------------------------


def test_every_row_is_on_one_side(split: Split) -> None:
    rows = customers(500)
    result = split({"data.csv": csv_text(COLUMNS, rows)})
    assert result.code == 0
    assert counted(result.train) + counted(result.test) == counted(rows)
    assert len(result.test) == 100


def test_duplicates_are_never_on_both_sides(split: Split) -> None:
    rows = customers(300) * 3
    RANDOM(1).shuffle(rows)
    result = split({"data.csv": csv_text(COLUMNS, rows)})
    assert len(result.train) + len(result.test) == 900
    assert not counted(result.train) & counted(result.test)


def test_a_duplicate_is_found_whatever_its_quotes(split: Split) -> None:
    rows = [f"{age},basic,{label}" for age in range(30) for label in ("a", "b")]
    quoted = [f'"{age}","basic",{label}' for age in range(30) for label in ("a", "b")]
    result = split({"data.csv": "\n".join(["age,plan,label", *rows, *quoted])})
    assert not counted(result.train) & counted(result.test)


def test_the_split_depends_on_the_rows_alone(split: Split) -> None:
    rows = customers(300)
    one = split({"data.csv": csv_text(COLUMNS, rows)})
    shuffled = RANDOM(2).sample(rows, len(rows))
    turned = [[label, age, plan] for age, plan, label in shuffled[200:]]
    two = split(
        {
            "part-1/data.csv": csv_text(COLUMNS, shuffled[:200]),
            "part-2/data.csv.gz": gzip.compress(
                csv_text(["label", "age", "plan"], turned).encode()
            ),
        }
    )
    assert two.code == 0
    assert counted(one.test) == counted(two.test)
    assert counted(one.train) == counted(two.train)


def test_the_same_seed_gives_the_same_files_and_another_one_another_split(split: Split) -> None:
    files = {"data.csv": csv_text(COLUMNS, customers(200))}
    one, same, other = split(files), split(files, "--seed", "0"), split(files, "--seed", "7")
    assert one.test == same.test
    assert one.profile == same.profile
    assert counted(one.test) != counted(other.test)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_each_class_has_the_wanted_share(split: Split, fraction: float) -> None:
    rows = customers(1000)
    result = split({"data.csv": csv_text(COLUMNS, rows)}, "--test-fraction", str(fraction))
    tested = Counter(row[2] for row in result.test)
    assert tested == {"no": 700 * fraction, "yes": 300 * fraction}


def test_a_large_class_has_the_wanted_share_too(split: Split) -> None:
    rows = [[f"{at}.5", "x", "ab"[at % 2]] for at in range(40_000)]
    result = split({"data.csv": csv_text(COLUMNS, rows)})
    tested = Counter(row[-1] for row in result.test)
    assert tested == pytest.approx({"a": 4000, "b": 4000}, abs=10)


def test_a_class_of_two_rows_is_on_both_sides(split: Split) -> None:
    rows = [*customers(100), ["1", "basic", "rare"], ["2", "basic", "rare"]]
    result = split({"data.csv": csv_text(COLUMNS, rows)})
    assert [row[2] for row in result.train].count("rare") == 1
    assert [row[2] for row in result.test].count("rare") == 1


def test_a_group_is_on_one_side_and_is_not_trained_on(split: Split) -> None:
    rows = [[f"customer {at % 50}", f"{at}.5", "ab"[at % 2]] for at in range(500)]
    result = split({"data.csv": csv_text(["who", "x", "label"], rows)}, "--group-column", "who")
    assert [column.name for column in result.schema.features] == ["x"]
    groups = [
        {int(float(row[0]) - 0.5) % 50 for row in side} for side in (result.train, result.test)
    ]
    assert not groups[0] & groups[1]
    assert (len(groups[1]), result.profile["split"]["way"]) == (10, "group")


@pytest.mark.parametrize("form", ["{}", "2024-01-01T{0:02}:00:00"])
def test_the_newest_rows_are_the_test(split: Split, form: str) -> None:
    rows = [[form.format(at % 24), f"{at}.5", "ab"[at % 3 % 2]] for at in range(240)]
    if form == "{}":
        rows = [[str(at), *rest] for at, (_, *rest) in enumerate(rows)]
    files = {"data.csv": csv_text(["when", "x", "label"], RANDOM(4).sample(rows, len(rows)))}
    result = split(files, "--time-column", "when", "--test-fraction", "0.25")
    assert result.profile["split"]["way"] == "time"
    assert [column.name for column in result.schema.features] == ["x"]
    newest = {at for at in range(240) if (at >= 180 if form == "{}" else at % 24 >= 18)}
    assert {int(float(row[0])) for row in result.test} == newest


def test_what_cannot_order_or_group_rows_is_refused(split: Split) -> None:
    files = {"data.csv": csv_text(COLUMNS, customers(50))}
    refused = split(files, "--time-column", "plan")
    assert refused.reason.startswith("time column 'plan' is a category: it must be a date, a")
    both = split(files, "--time-column", "age", "--group-column", "plan")
    assert both.reason.startswith("group column and time column: set only one of them")
    absent = split(files, "--exclude-columns", "x, age")
    assert absent.reason.startswith("excluded columns: 'x' is not in the table")
    nothing = split(files, "--exclude-columns", "age,plan")
    assert nothing.reason.startswith("no column except the label 'label' can be used for training")


def peak_memory(folder: Path, rows: int) -> int:
    """The kilobytes that the job takes for a synthetic table."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/data.csv").write_bytes(b"".join(blocks(rows, seed=1)))
    names = ("data", "train", "test", "schema", "profile")
    places = [text for name in names for text in (f"--{name}", str(folder / name))]
    measured = (
        "import sys, preprocess\n"
        "assert preprocess.main(sys.argv[1:]) == 0\n"
        "print(open('/proc/self/status').read())"
    )
    command = [sys.executable, "-c", measured, "--label", "label", *places]
    scripts = Path(preprocess.__file__).parent
    done = subprocess.run(command, cwd=scripts, check=True, capture_output=True, text=True)
    return int(done.stdout.partition("VmHWM:")[2].split()[0])


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = peak_memory(tmp_path / "few", 400_000), peak_memory(tmp_path / "many", 1_600_000)
    assert many < few + 100_000  # as text, the table's cells alone are 600,000 larger


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(split: Split, delimiter: str) -> None:
    rows = customers(50)
    result = split({"data.csv": csv_text(COLUMNS, rows, delimiter)})
    assert counted(result.train) + counted(result.test) == counted(rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text + "\n\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("age,plan", " age , plan"),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["crlf", "bom", "blank lines", "no last newline", "spaces in the header", "gzip"],
)
def test_csv_comes_in_many_forms(split: Split, change: Callable[[str], str | bytes]) -> None:
    rows = customers(50)
    result = split({"data": change(csv_text(COLUMNS, rows))})
    assert counted(result.train) + counted(result.test) == counted(rows)


AWKWARD = ['a "b"', "c,d", "e\nf", "g\rh", "i\r\nj", " k ", "l\x1fm", "\U0001f40d"]


def test_cells_can_hold_lines_quotes_and_delimiters(split: Split) -> None:
    rows = [[f"{at}", cell, "xy"[at % 2]] for at, cell in enumerate(AWKWARD * 5)]
    quoted = ['"{}","{}",{}'.format(at, cell.replace('"', '""'), y) for at, cell, y in rows]
    result = split({"data.csv": "\n".join([",".join(COLUMNS), *quoted])})
    stripped = [[age, cell.strip(), label] for age, cell, label in rows]
    assert counted(result.train) + counted(result.test) == counted(stripped)


def test_a_great_many_blank_lines_are_passed_over(split: Split) -> None:
    rows = customers(50)
    text = csv_text(COLUMNS, rows).replace("\n", "\n" * 2_000)
    result = split({"data.csv": text})
    assert counted(result.train) + counted(result.test) == counted(rows)


def test_files_that_are_no_data_are_passed_over(split: Split) -> None:
    files: dict[str, str | bytes] = {"data.csv": csv_text(COLUMNS, customers(50))}
    result = split(files | {"_SUCCESS": b"", ".data.csv.crc": b"\xff", "_temporary/0": b"x"})
    assert result.profile["files"] == [{"name": "data.csv", "rows": 50}]


def test_a_file_without_rows_among_others_is_no_mistake(split: Split) -> None:
    files = {"a.csv": csv_text(COLUMNS, []), "b.csv": csv_text(COLUMNS, customers(50))}
    assert split(files).profile["rows"] == 50


# --- The profile -----------------------------------------------------------------------------


def profiled(split: Split, cells: list[str]) -> dict[str, object]:
    """The profile of one column with `cells`, three times over: a few rows are refused."""
    rows = [[cell, str(at), "ab"[at % 2]] for at, cell in enumerate(cells * 3)]
    result = split({"data.csv": csv_text(["x", "id", "label"], rows)})
    found: dict[str, object] = result.profile["columns"][0]
    return found


def test_numbers_are_described_by_their_moments(split: Split) -> None:
    found = profiled(split, ["1", "2", "", "3", "4", "NA"])
    assert found["type"] == "integer"
    assert (found["missing"], found["missing_share"]) == (6, pytest.approx(1 / 3))
    assert (found["min"], found["max"], found["mean"]) == (1, 4, 2.5)
    assert found["std"] == pytest.approx(1.25**0.5)


def test_moments_are_right_across_chunks(split: Split) -> None:
    draw = RANDOM(3)
    values = [draw.gauss(5, 2) for _ in range(25_001)]
    found = profiled(split, [repr(value) for value in values])
    assert found["mean"] == pytest.approx(statistics.fmean(values), rel=1e-9)
    assert found["std"] == pytest.approx(statistics.pstdev(values), rel=1e-9)
    assert (found["type"], found["distinct"]) == ("number", None)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "3", "4"], "number"),
        (["1e3", "2", "3", "4"], "integer"),
        (["1", "x", "3", "4"], "category"),
        (["1_000", "2", "3", "4"], "category"),
        (["", "NA", "null", ""], "empty"),
        (["inf", "-inf", "nan", "inf"], "empty"),
        (["1e300", "-1e300", "1e300", "2"], "category"),
    ],
)
def test_a_column_has_the_type_that_all_its_values_have(
    split: Split, cells: list[str], kind: str
) -> None:
    assert profiled(split, cells)["type"] == kind


def test_the_commonest_values_are_counted(split: Split) -> None:
    found = profiled(split, ["b", "a", "b", "", "c", "a"])
    assert (found["distinct"], found["constant"]) == (3, False)
    assert found["top"] == [
        {"value": "a", "rows": 6},
        {"value": "b", "rows": 6},
        {"value": "c", "rows": 3},
    ]


def test_the_profile_describes_label_and_split(split: Split) -> None:
    result = split({"data.csv": csv_text(COLUMNS, customers(100))})
    profile = result.profile
    assert profile["label"] == {
        "column": "label",
        "positive_class": "yes",
        "classes": [
            {"value": "no", "rows": 70, "share": 0.7, "train": 56, "test": 14},
            {"value": "yes", "rows": 30, "share": 0.3, "train": 24, "test": 6},
        ],
    }
    assert profile["split"] == {
        "way": "features",
        "train": 80,
        "test": 20,
        "left_out": 0,
        "test_fraction": 0.2,
        "seed": 0,
    }
    assert [column["name"] for column in profile["columns"]] == ["age", "plan"]


# --- Bad input -------------------------------------------------------------------------------

GOOD = csv_text(COLUMNS, customers(20))


def with_labels(labels: list[str]) -> str:
    """A table with these labels."""
    return csv_text(COLUMNS, [[str(at), "x", label] for at, label in enumerate(labels)])


BAD: dict[str, tuple[dict[str, str | bytes], str]] = {
    "no file": ({}, "there is no CSV or Parquet file in"),
    "no file but hidden ones": ({"_SUCCESS": ""}, "there is no CSV or Parquet file in"),
    "an empty file": ({"data.csv": ""}, "data.csv is empty: it must begin with a header line"),
    "an empty file among others": ({"a.csv": GOOD, "b.csv": ""}, "b.csv is empty"),
    "a blank file": ({"data.csv": "\n\n"}, "data.csv is empty: it must begin with a header line"),
    "a header only": ({"data.csv": "age,plan,label\n"}, "no rows below the header in 'data.csv'"),
    "no label column": (
        {"data.csv": "age,plan\n1,x\n"},
        "label column: 'label' is not in the table, whose columns are 'age', 'plan'",
    ),
    "nothing but the label": ({"data.csv": "label\na\nb\n"}, "the table has no column except the"),
    "one class": (
        {"data.csv": with_labels(["a"] * 9)},
        "label column 'label' has the value 'a' in all rows",
    ),
    "one row of a class": (
        {"data.csv": with_labels(["a"] * 9 + ["b"])},
        "label column 'label': each class needs two rows, one for training and one for testing, "
        "but there is only one of 'b'",
    ),
    "one row of each class": (
        {"data.csv": with_labels(list("abcdef"))},
        "label column 'label': each class needs two",
    ),
    "a class of duplicates": (
        {"data.csv": with_labels(["a"] * 40) + "99,x,b\n" * 5},
        "label column 'label': all rows of 'b' have the same features",
    ),
    "a quantity for a label": (
        {"data.csv": with_labels([f"customer {at}" for at in range(2000)])},
        "label column 'label' has more than 1000 different values, too many to be classes",
    ),
    "rows without a label": (
        {"a.csv": GOOD, "b.csv": with_labels(["yes", "", "NaN"])},
        "label column 'label' has no value in 2 of 23 rows ('NaN' means missing there)",
    ),
    "no UTF-8": (
        {"data.csv": GOOD.replace("basic", "b\xe4sic").encode("latin-1")},
        "data.csv, line 4: byte 0xe4 is not UTF-8; the file is probably Latin-1",
    ),
    "UTF-16": ({"data.csv": GOOD.encode("utf-16")}, "data.csv is UTF-16 and not UTF-8"),
    "a row too short": (
        {"data.csv": GOOD + "1,x\n"},
        "data.csv, line 22: 2 cells, but the header",
    ),
    "a row too long": ({"data.csv": GOOD + "\n\n1,x,y,z\n"}, "data.csv, line 24: 4 cells"),
    "a row too short after a cell of two lines": (
        {"data.csv": 'age,plan,label\n1,"x\ny",no\n1,x\n'},
        "data.csv, line 4: 2 cells, but the header has 3 columns",
    ),
    "a quote that never ends": (
        {"data.csv": GOOD + '1,"x,no\n'},
        "data.csv, line 22: unexpected end",
    ),
    "a column name twice": (
        {"data.csv": GOOD.replace("plan", "age")},
        "data.csv: more than one column is named 'age'",
    ),
    "names alike but for spaces": (
        {"data.csv": GOOD.replace("plan", "age ", 1)},
        "data.csv: more than one column is named 'age'",
    ),
    "a blank column name": (
        {"data.csv": GOOD.replace("plan", " ", 1)},
        "data.csv: the name of column 2 is blank",
    ),
    "other columns in the second file": (
        {"a.csv": GOOD, "b.csv": "age,label\n1,no\n"},
        "b.csv has different columns from a.csv: 'age', 'label' and not 'age', 'plan', 'label'",
    ),
    "columns that never vary": (
        {"data.csv": "age,plan,label\n" + "1,x,no\n" * 5 + "1,x,yes\n" * 5},
        "no column except the label 'label' can be used for training: 'age' is constant, 'plan' is",
    ),
    "too few rows": ({"data.csv": with_labels(list("ababab"))}, "4 rows for training are too few"),
    "half a gzip file": (
        {"data.csv": gzip.compress(GOOD.encode())[:-20]},
        "data.csv is not a complete gzip file",
    ),
    "a broken gzip file": (
        {"data.csv": gzip.compress(GOOD.encode())[:30] + b"x" * 30},
        "data.csv is not a complete gzip file",
    ),
    "a Parquet file": ({"data.parquet": b"PAR1\x15\x04"}, "data.parquet is not a readable Par"),
    "an Excel file": ({"data.xlsx": b"PK\x03\x04\x14"}, "data.xlsx is a zip archive or an Excel"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_is_of_no_use_is_refused(split: Split, name: str) -> None:
    files, message = BAD[name]
    result = split(files)
    assert result.code == 2
    assert result.reason.startswith(message)
    assert result.left == []


BAD_ARGUMENTS = {
    "argument --test-fraction: '0' is not a number between 0 and 1": ["--test-fraction", "0"],
    "argument --test-fraction: '1' is not a number between": ["--test-fraction", "1"],
    "argument --test-fraction: 'nan' is not a number between": ["--test-fraction", "nan"],
    "argument --test-fraction: 'a fifth' is not a number": ["--test-fraction", "a fifth"],
    "argument --seed: invalid int value: 'x'": ["--seed", "x"],
    "positive class: 'maybe' does not occur; the classes are 'no', 'yes'": [
        "--positive-class",
        "maybe",
    ],
    "unrecognized arguments: --colour=red": ["--colour", "red"],
}


@pytest.mark.parametrize("message", BAD_ARGUMENTS)
def test_an_argument_out_of_range_is_refused(split: Split, message: str) -> None:
    result = split({"data.csv": GOOD}, *BAD_ARGUMENTS[message])
    assert result.code == 2
    assert result.reason.startswith(message)
    assert result.left == []
