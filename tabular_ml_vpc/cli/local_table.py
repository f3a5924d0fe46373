"""How ``python build.py local`` shows how the table's columns were read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.table_schema import ColumnView, TableView, chosen
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted

_MOST_COLUMNS: Final = 40
_MOST_WARNINGS: Final = 20
_PERCENT: Final = 0.0005
_COLUMNS: Final = (
    Column("column", wraps=True),
    Column("read as"),
    Column("format", importance=1, wraps=True),
    Column("missing", importance=3, justify="right"),
    Column("odd, read as missing", importance=2, wraps=True),
    Column("remarks", importance=4, wraps=True),
)


def show(out: Console, view: TableView) -> None:
    """Show problem, split, columns and warnings; nothing if no schema was written."""
    if not view.columns:
        return
    out.print()
    for name, text in (
        ("Problem", ": ".join(filter(None, (view.problem_name, view.problem_reason)))),
        ("Split", view.split),
    ):
        if text:
            out.print(f"{name}: {text}", markup=False, soft_wrap=True)
    shown = chosen(view.columns, _MOST_COLUMNS)
    show_table(out, _COLUMNS, map(_row, shown))
    if len(shown) < len(view.columns):
        more = counted(len(view.columns) - len(shown), "more column")
        out.print(f"{more}: see the report", style="dim")
    for warning in view.warnings[:_MOST_WARNINGS]:
        out.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    if len(view.warnings) > _MOST_WARNINGS:
        more = counted(len(view.warnings) - _MOST_WARNINGS, "more warning")
        out.print(f"{more}: see the report")
    out.print()


def _row(column: ColumnView) -> tuple[Text, ...]:
    style = "dim" if column.ignored else "bold" if column.is_label else ""
    cells = (
        column.name,
        f"{column.kind} (label)" if column.is_label else column.kind,
        column.written,
        missing(column),
        column.odd,
        "; ".join(remarks(column)),
    )
    return tuple(Text(cell, style=style) for cell in cells)


def missing(column: ColumnView) -> str:
    """The number of cells without a value, and their share."""
    if not column.missing:
        return ""
    share = column.missing_share
    return f"{column.missing:,} ({share:.1%})" if share >= _PERCENT else f"{column.missing:,}"


def remarks(column: ColumnView) -> Iterator[str]:
    """Short remarks about a column."""
    if column.ignored:
        yield f"not used: {column.ignored}"
    if column.marks:
        yield f"{column.marks}: read as missing"
    if column.candidates:
        yield f"{column.candidates}: read as values"
    yield from column.notes
