"""Properties of preprocessing: any table goes through, or is refused with one clear sentence."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz import bounded
from tests.scripts.cases import Case
from tests.scripts.jobs_run import Jobs

SETTINGS = bounded(120)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
MARKS = st.sampled_from(["", " ", "?", "-", "--", ".", "NA", "n/a", "None", "null", "\\N", "nan"])
NUMBERS = st.one_of(
    st.integers(-10_000, 10_000).map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:,.2f}"),
    st.floats(-1e3, 1e3).map(lambda value: f"{value:.2f}".replace(".", ",")),
    st.integers(0, 100).map(lambda value: f"{value} %"),
    st.integers(0, 100).map(lambda value: f"${value}.99"),
)
MOMENTS = st.one_of(
    st.dates().map(str),
    st.dates().map(lambda day: f"{day.day:02}.{day.month:02}.{day.year}"),
    st.dates().map(lambda day: f"{day.month}/{day.day}/{day.year}"),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.times().map(str),
    st.timedeltas().map(str),
)
FLAGS = st.sampled_from(["true", "false", "True", "FALSE", "yes", "no", "0", "1", "t", "f"])
FEW = st.sampled_from(["a", "b", "A", "a ", "1.2.3", "0", "0.0", "1", "None"])
KINDS = (NUMBERS, MOMENTS, FLAGS, FEW, TEXTS, MARKS, st.just("same"))

Rows = list[list[str]]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> list[str]:
    """A column's cells: of one kind, with some marks or anything else among them."""
    kind = draw(st.sampled_from(KINDS))
    stranger = draw(st.sampled_from((kind, MARKS, TEXTS)))
    share = draw(st.sampled_from((0, 1, 5)))
    cells = draw(st.lists(kind, min_size=rows, max_size=rows))
    for at in range(0, rows, 20):
        for place in range(at, min(at + share, rows)):
            cells[place] = draw(stranger)
    return cells


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], Rows]:
    """A header and rows: few distinct ones, repeated, or all as drawn."""
    header = draw(st.lists(st.one_of(st.sampled_from(["x", "y", "label"]), TEXTS), max_size=4))
    drawn = draw(st.integers(0, 40))
    found = [draw(columns(drawn)) for _ in header]
    rows = [list(row) for row in zip(*found, strict=True)]
    return header, rows * draw(st.sampled_from((1, 1, 3)))


def written(header: Sequence[str], rows: Rows, delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue()


def outcome(folder: str, files: dict[str, str | bytes], label: str, *arguments: str) -> Jobs:
    """What came of it: a whole result, or one sentence and nothing else."""
    case = Case(files, label, arguments)
    jobs = Jobs(Path(folder), case).prepare()
    assert jobs.code in {0, 2}, jobs.reason
    results = [
        path
        for name in ("train", "test", "schema", "profile")
        for path in (jobs.folder / name).rglob("*")
        if path.is_file()
    ]
    if jobs.code:
        assert results == []
        assert len(jobs.reason) > 20
        assert "Error" not in jobs.reason
    else:
        assert jobs.reason == ""
    return jobs


@SETTINGS
@given(tables(), st.sampled_from([",", ";", "\t", "|"]))
@example((["x", "label"], [["1", "a"], ["2", "b"]] * 20), ",")
@example((["x", "label"], [[str(at), "ab"[at % 2]] for at in range(40)]), ",")
@example((["x\0", "label"], [["1", "a"], ["2", "b"]] * 20), ",")
def test_any_table_is_split_whole_or_refused_with_a_sentence(
    table: tuple[list[str], Rows], delimiter: str
) -> None:
    header, rows = table
    label = header[-1] if header and header[-1].strip() else "label"
    with tempfile.TemporaryDirectory() as folder:
        jobs = outcome(folder, {"data.csv": written(header, rows, delimiter)}, label)
        if jobs.code:
            return
        schema = jobs.schema
        assert schema.rows == len(jobs.side("train")) + len(jobs.side("test"))
        assert jobs.profile["rows"] == schema.rows
        named = [column.name for column in (*schema.columns, schema.label_column)]
        expected = [name.strip() for name in header]
        expected[0] = expected[0] or "Unnamed: 0"  # as pandas calls the index that it wrote
        assert sorted(named) == sorted(expected)
        for row in [*jobs.side("train"), *jobs.side("test")]:
            assert set(row) == {*(column.name for column in schema.features), schema.label}
            assert row[schema.label] is not None
            if schema.classes:
                assert row[schema.label] in schema.classes


@SETTINGS
@given(
    st.one_of(st.binary(max_size=300), TEXTS.map(str.encode)), st.sampled_from(["csv", "parquet"])
)
def test_any_file_is_read_or_refused_with_a_sentence(content: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcome(folder, {f"data.{ending}": content}, "label")


@SETTINGS
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=10), st.data())
def test_any_characters_survive_in_label_and_classes(name: str, data: st.DataObject) -> None:
    classes = data.draw(st.lists(TEXTS, min_size=2, max_size=2))
    rows = [[str(at), classes[at % 2]] for at in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        jobs = outcome(folder, {"data.csv": written(["x", name], rows)}, name)
        if jobs.code == 0 and jobs.schema.classes:
            assert jobs.schema.label == name.strip()
            assert len(jobs.schema.classes) == 2


@st.composite
def learnable(draw: st.DrawFn) -> tuple[list[str], Rows]:
    """A table of some columns with two classes, enough rows for both sides."""
    rows = draw(st.integers(20, 60))
    found = [draw(columns(rows)) for _ in range(draw(st.integers(1, 3)))]
    found.append(
        [draw(st.sampled_from(["no", "yes"])) for _ in range(rows - 8)] + ["no", "yes"] * 4
    )
    header = [f"column {at}" for at in range(len(found) - 1)]
    return [*header, "label"], [list(row) for row in zip(*found, strict=True)]


@SETTINGS
@given(learnable(), st.randoms(use_true_random=False), st.integers(0, 60))
def test_the_order_of_rows_and_files_changes_nothing(
    table: tuple[list[str], Rows], turn: Random, cut: int
) -> None:
    header, rows = table
    shuffled = list(rows)
    turn.shuffle(shuffled)
    parts = {"a.csv": shuffled[:cut], "b.csv": shuffled[cut:]}
    files: dict[str, str | bytes] = {
        name: written(header, part) for name, part in parts.items() if part
    }
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first = outcome(one, {"data.csv": written(header, rows)}, "label")
        second = outcome(other, files, "label")
        assert first.code == second.code
        if first.code == 0:
            assert first.schema == second.schema
            for side in ("train", "test"):
                assert sorted(map(repr, first.side(side))) == sorted(map(repr, second.side(side)))
