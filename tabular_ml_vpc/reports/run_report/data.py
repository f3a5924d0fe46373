"""How the table was read: problem, split, columns, and what its owner should check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.table_schema import ColumnView, TableView, chosen
from pipeline.types import Json
from tabular_ml_vpc.local.runs import Run
from tabular_ml_vpc.reports.run_report import charts
from tabular_ml_vpc.reports.run_report.cards import NOTHING, Card, CardTable, short

_MOST_CLASSES: Final = 20
_MOST_COLUMNS: Final = 60
_MOST_VALUES: Final = 5
_CELL_CHARACTERS: Final = 24


def leakage(view: TableView) -> list[tuple[str, float, str]]:
    """Bars for columns that predict the label almost perfectly by themselves."""
    return [(name, score, f"{score:.4f}") for name, score in view.leakage[:_MOST_CLASSES]]


def cards(run: Run) -> Iterator[Card]:
    """How the table was read, the label, the columns, and those that are not used."""
    profile, view = run.profile, run.table
    if not profile:
        return
    yield _reading(profile, view)
    yield from _label(profile)
    if view.columns:
        yield _columns(view)
        yield from _ignored(view)
    else:
        yield _profiled(profile["columns"])


def _reading(profile: Json, view: TableView) -> Card:
    """Preprocessing's decisions about the whole table."""
    split = profile.get("split", {})
    sides = [split.get(side) for side in ("train", "test")]
    rows = f"{profile['rows']:,} rows"
    if None not in sides:
        rows += f": {sides[0]:,} for training, {sides[1]:,} for testing"
    reason = f"{view.problem_name}: {view.problem_reason}".strip(": ")
    lines = [("Rows", rows), ("Problem", reason), ("Split", view.split)]
    table = CardTable(("Question", "Decision"), [line for line in lines if line[1]])
    note = "Preprocessing decides once; training and the endpoint follow"
    return Card("How the table was read", note, "table", table, wide=True)


def _label(profile: Json) -> Iterator[Card]:
    label = profile["label"]
    if label.get("classes"):
        classes = [
            (str(item["value"]), item["rows"], f"{item['rows']:,} · {item['share']:.1%}")
            for item in label["classes"][:_MOST_CLASSES]
        ]
        more = len(label["classes"]) - len(classes)
        note = f"{len(label['classes'])} classes" + (
            f", the first {len(classes)} shown" if more else ""
        )
        yield Card(f"Classes of {label['column']}", note, "chart", charts.bars(classes), wide=True)
    elif "min" in label:
        yield Card(f"Values of {label['column']}", values(label), "text", "", wide=True)


def _columns(view: TableView) -> Card:
    trained = [column for column in view.columns if not column.ignored]
    shown = chosen(trained, _MOST_COLUMNS)
    more = len(trained) - len(shown)
    note = f"{len(trained)} columns" + (f", {len(shown)} shown" if more > 0 else "")
    return Card("Columns", note, "columns", shown, wide=True)


def _ignored(view: TableView) -> Iterator[Card]:
    ignored = [column for column in view.columns if column.ignored]
    if not ignored:
        return
    rows = [
        (column.name, column.kind, " ".join((column.ignored, *column.notes)))
        for column in ignored[:_MOST_COLUMNS]
    ]
    more = len(ignored) - len(rows)
    note = "Requests can include or omit them" + (f"; {more:,} more" if more > 0 else "")
    table = CardTable(("Column", "Read as", "Reason"), rows)
    yield Card("Not trained on", note, "table", table, wide=True)


def _profiled(columns: list[Json]) -> Card:
    """The columns of an older run, without a schema."""
    shown = columns[:_MOST_COLUMNS]
    more = len(columns) - len(shown)
    note = f"{len(columns)} columns" + (f", the first {len(shown)} shown" if more > 0 else "")
    return Card("Columns", note, "profiled", shown, wide=True)


def remarks(column: ColumnView) -> Iterator[tuple[str, str]]:
    """What to check in a column: the bold part, and the rest."""
    if column.odd_cells:
        yield f"{column.odd_cells:,} odd", f", read as missing: {column.odd}"
    if column.candidates:
        yield "", f"read as values: {column.candidates}"
    yield from (("", note) for note in column.notes if note)


def distinct(about: Json) -> str:
    """The number of distinct values of a column."""
    if not about:
        return NOTHING
    found = about.get("distinct")
    return "over 1,000" if found is None else f"{found:,}"


def values(about: Json) -> str:
    """The range of numbers, or the most frequent values."""
    if about.get("min") is not None:
        least, most = short(about["min"]), short(about["max"])
        if about.get("mean") is None:
            return f"{least} to {most}"
        mean, deviation = short(about["mean"]), short(about["std"])
        return f"{least} to {most}, mean {mean}, sd {deviation}"
    shown = [_cell(str(item["value"])) for item in about.get("top", [])[:_MOST_VALUES]]
    more = (about.get("distinct") or len(shown) + 1) - len(shown)
    return ", ".join([*shown, *(["and others"] if shown and more > 0 else [])])


def _cell(value: str) -> str:
    """The beginning of a value, in quotes where it could not be seen otherwise."""
    value = value if value and value.strip() == value else repr(value)
    return value if len(value) <= _CELL_CHARACTERS else f"{value[: _CELL_CHARACTERS - 1]}…"
