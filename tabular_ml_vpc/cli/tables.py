"""Tables that fit the terminal: nothing is broken or cut off, and what is left out is said.

A table drops columns, the least important first, until it fits. What does not fit even so is shown
as one block for each row. Without a terminal, everything is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP: Final = 2
_PROSE: Final = 24
"""Columns that a text needs to be legible when it is wrapped."""


@dataclass(frozen=True)
class Column:
    """A column; ``importance`` None means that it is never dropped, 1 is dropped first.

    A value is never broken unless ``wraps``.
    """

    heading: str
    importance: int | None = None
    justify: Literal["left", "right"] = "left"
    wraps: bool = False
    style: str = ""


def show_table(out: Console, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows of texts; empty columns that can be dropped are left out."""
    cells = [[_text(value) for value in row] for row in rows]
    shown, hidden = _chosen(out, columns, cells)
    if out.is_terminal and _least(shown, columns, cells) > out.width:
        _show_blocks(out, columns, cells)
        return
    table = _table([columns[n] for n in shown], [[row[n] for n in shown] for row in cells])
    if out.is_terminal:
        out.print(table)
    else:
        _print_whole(out, table, _natural(shown, columns, cells))
    if hidden:
        names = ", ".join(columns[number].heading for number in hidden)
        out.print(f"columns hidden: {names}; --json has all", style="dim", markup=False)


def _print_whole(out: Console, table: Table, width: int) -> None:
    """Print a table on a console that is no terminal, as wide as it is."""
    before = out.width
    out.width = max(before, width)
    out.print(table)
    out.width = before


def _text(value: object) -> Text:
    return value if isinstance(value, Text) else Text(str(value))


def _chosen(
    out: Console, columns: Sequence[Column], cells: Sequence[Sequence[Text]]
) -> tuple[list[int], list[int]]:
    """Return the numbers of the columns to show, and of those that do not fit."""
    shown = [
        number
        for number, column in enumerate(columns)
        if column.importance is None or any(row[number].plain for row in cells)
    ]
    hidden: list[int] = []
    while out.is_terminal and _least(shown, columns, cells) > out.width:
        optional = [number for number in shown if columns[number].importance is not None]
        if not optional:
            return list(range(len(columns))), []
        worst = min(optional, key=lambda number: (columns[number].importance or 0, -number))
        shown.remove(worst)
        hidden.append(worst)
    return shown, sorted(hidden)


def _least(shown: Sequence[int], columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> int:
    """Return the width that the columns need, if texts that may be wrapped are."""
    return _GAP * (len(shown) - 1) + sum(
        min(_width(columns[number], [row[number] for row in cells]), _PROSE)
        if columns[number].wraps
        else _width(columns[number], [row[number] for row in cells])
        for number in shown
    )


def _natural(
    shown: Sequence[int], columns: Sequence[Column], cells: Sequence[Sequence[Text]]
) -> int:
    """Return the width that the columns need if nothing is wrapped."""
    return _GAP * (len(shown) - 1) + sum(
        _width(columns[number], [row[number] for row in cells]) for number in shown
    )


def _width(column: Column, cells: Iterable[Text]) -> int:
    lines = (line for cell in cells for line in cell.plain.splitlines())
    return max(map(cell_len, (column.heading, *lines)))


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column.heading,
            justify=column.justify,
            style=column.style,
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _show_blocks(out: Console, columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> None:
    """Print each row as a block: its first value, then a line for each of the others."""
    labels = max(cell_len(column.heading) for column in columns[1:])
    for row in cells:
        out.print(Text.assemble(row[0], style="bold"), soft_wrap=True)
        for column, cell in zip(columns[1:], row[1:], strict=True):
            for number, line in enumerate(cell.split("\n") if cell.plain else ()):
                label = "" if number else column.heading
                text = Text(f"  {label:<{labels}}  ", style="dim") if labels else Text("  ")
                out.print(Text.assemble(text, line), soft_wrap=True, style=column.style)
