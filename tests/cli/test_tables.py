"""Tables on terminals of any width, and in files."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tabular_ml_vpc.cli.tables import Column, show_table

WIDTHS = (60, 80, 120, 200)
COLUMNS = (
    Column("run"),
    Column("started", importance=3),
    Column("accuracy", importance=1, justify="right"),
    Column("f1", importance=1, justify="right"),
    Column("status", importance=2),
    Column("outcome", wraps=True),
)
ROWS = [
    (f"{number:x}" * 12, "2026-11-27 08:49", "0.8706", "0.61", "Succeeded", "roc_auc is low " * 9)
    for number in range(1, 4)
]


def shown(width: int, columns: tuple[Column, ...], *rows: tuple[str, ...]) -> str:
    out = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    show_table(out, columns, rows)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def hidden(text: str) -> list[str]:
    (note,) = [line for line in text.splitlines() if line.startswith("columns hidden: ")] or [""]
    return note.removeprefix("columns hidden: ").partition(";")[0].split(", ")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_fits_and_says_what_it_leaves_out(width: int) -> None:
    text = shown(width, COLUMNS, *ROWS)
    header = text.splitlines()[0].split()
    assert max(map(len, text.splitlines())) <= width
    assert [c.heading for c in COLUMNS if c.heading not in (*header, *hidden(text))] == []
    assert text.split().count("roc_auc") == 9 * len(ROWS), "wrapped, not cut off"
    assert "…" not in text


def test_the_least_important_column_is_dropped_first_from_the_right() -> None:
    dropped = [hidden(shown(width, COLUMNS, *ROWS)) for width in (83, 80, 70, 62, 56)]
    assert dropped == [
        [""],
        ["f1"],
        ["accuracy", "f1"],
        ["accuracy", "f1", "status"],
        ["accuracy", "f1", "status"],
    ]


def test_a_column_without_values_is_left_out() -> None:
    row = ("a", "", "", "", "Failed", "no")
    assert shown(80, COLUMNS, row).splitlines()[0].split() == ["run", "status", "outcome"]


@pytest.mark.parametrize("width", WIDTHS)
def test_values_that_do_not_fit_are_shown_whole_one_below_the_other(width: int) -> None:
    value = "arn:aws:iam::123456789012:role/" + "x" * 120
    text = shown(width, (Column("name"), Column("value")), ("Role", value), ("Empty", ""))
    assert value in text
    assert ("Role\n" in text) == (width < len(value))


def test_a_file_gets_everything_on_one_line_each() -> None:
    out = Console(file=io.StringIO(), width=200)
    row = ("run", "now", "1", "1", "ok", "word " * 100)
    show_table(out, COLUMNS, [row])
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].split() == " ".join(row).split()
