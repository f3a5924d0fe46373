"""What the table was taken for: problem, split, columns, and what its owner should look at."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from pipeline.table_schema import ColumnView, TableView, chosen
from pipeline.types import Json
from tabular_ml_vpc.local.runs import Run
from tabular_ml_vpc.reports.run_report import charts, markup

_MOST_CLASSES: Final = 20
_MOST_COLUMNS: Final = 60
_MOST_VALUES: Final = 5
_CELL_CHARACTERS: Final = 24


def alerts(run: Run) -> str:
    """What should be looked at before the figures are believed: warnings, suspected leakage."""
    view = run.table
    items = [f"<li>{escape(text)}</li>" for text in view.warnings]
    parts = [f"<ul>{''.join(items)}</ul>"] if items else []
    if view.leakage:
        parts.append(_leakage(view))
    if not parts:
        return ""
    return f'<aside class="alert"><h2>Look at this first</h2>{"".join(parts)}</aside>'


def _leakage(view: TableView) -> str:
    bars = [(name, score, f"{score:.4f}") for name, score in view.leakage[:_MOST_CLASSES]]
    return (
        "<h3>Suspected leakage</h3><p>Each of these columns predicts the label almost perfectly by "
        "itself. If its value is known only after the fact, leave it out (ExcludeColumns).</p>"
        f"{charts.bars(bars)}"
    )


def cards(run: Run) -> Iterator[str]:
    """How the table was read, the label, the columns, and those the model does not learn from."""
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


def _reading(profile: Json, view: TableView) -> str:
    """The decisions of preprocessing about the whole table."""
    split = profile.get("split", {})
    sides = [split.get(side) for side in ("train", "test")]
    rows = f"{profile['rows']:,} rows"
    if None not in sides:
        rows += f": {sides[0]:,} to train with, {sides[1]:,} to test with"
    reason = f"{view.problem_name}: {view.problem_reason}".strip(": ")
    lines = [("Rows", rows), ("Problem", reason), ("Split", view.split)]
    body = [markup.row(line, numbers=False) for line in lines if line[1]]
    return markup.card(
        "How the table was read",
        "Decided once, by preprocessing; training and the endpoint follow it",
        markup.table(("Question", "Decision"), body),
        wide=True,
    )


def _label(profile: Json) -> Iterator[str]:
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
        yield markup.card(f"Classes of {label['column']}", note, charts.bars(classes), wide=True)
    elif "min" in label:
        yield markup.card(f"Values of {label['column']}", values(label), "", wide=True)


def _columns(view: TableView) -> str:
    trained = [column for column in view.columns if not column.ignored]
    shown = chosen(trained, _MOST_COLUMNS)
    body = [_column(column) for column in shown]
    more = len(trained) - len(shown)
    note = f"{len(trained)} columns" + (f", {len(shown)} shown" if more > 0 else "")
    heads = ("Column", "Taken for", "*Missing", "*Distinct", "Values", "Odd cells and remarks")
    return markup.card("Columns", note, markup.table(heads, body, "columns"), wide=True)


def _column(column: ColumnView) -> str:
    about = column.about
    tag = ' <span class="tag">label</span>' if column.is_label else ""
    written = f"<br><small>{escape(column.written)}</small>" if column.written else ""
    share = column.missing_share
    marks = f"<br><small>{escape(column.marks)}</small>" if column.marks else ""
    return (
        f"<tr><td>{escape(column.name)}{tag}</td><td>{escape(column.kind)}{written}</td>"
        f'<td class="number">{_meter(share) if share else "0%"}{marks}</td>'
        f'<td class="number">{_distinct(about)}</td><td>{escape(values(about))}</td>'
        f"<td>{_remarks(column)}</td></tr>"
    )


def _remarks(column: ColumnView) -> str:
    parts = [
        f"<b>{column.odd_cells:,} odd</b>, taken as missing: {escape(column.odd)}"
        if column.odd_cells
        else "",
        f"count as values: {escape(column.candidates)}" if column.candidates else "",
        *(escape(note) for note in column.notes),
    ]
    return "<br>".join(part for part in parts if part)


def _ignored(view: TableView) -> Iterator[str]:
    ignored = [column for column in view.columns if column.ignored]
    if not ignored:
        return
    body = [
        markup.row((column.name, column.kind, " ".join((column.ignored, *column.notes))), False)
        for column in ignored[:_MOST_COLUMNS]
    ]
    more = len(ignored) - len(body)
    note = "Requests may carry them, and need not" + (f"; {more:,} more" if more > 0 else "")
    yield markup.card(
        "Not trained on", note, markup.table(("Column", "Taken for", "Reason"), body), wide=True
    )


def _profiled(columns: list[Json]) -> str:
    """The columns of a run before there was a schema."""
    body = [
        f"<tr><td>{escape(column['name'])}</td><td>{escape(str(column['type']))}</td>"
        f'<td class="number">{_meter(column["missing_share"])}</td>'
        f'<td class="number">{_distinct(column)}</td><td>{escape(values(column))}</td></tr>'
        for column in columns[:_MOST_COLUMNS]
    ]
    more = len(columns) - len(body)
    note = f"{len(columns)} columns" + (f", the first {len(body)} shown" if more > 0 else "")
    heads = ("Column", "Type", "*Missing", "*Distinct", "Values")
    return markup.card("Columns", note, markup.table(heads, body, "columns"), wide=True)


def _meter(share: float) -> str:
    return f'<span class="meter"><i style="width:{share:.1%}"></i></span>{share:.1%}'


def _distinct(about: Json) -> str:
    if not about:
        return markup.NOTHING
    distinct = about.get("distinct")
    return "over 1,000" if distinct is None else f"{distinct:,}"


def values(about: Json) -> str:
    """The range of numbers, or the most frequent values."""
    if about.get("min") is not None:
        least, most = markup.short(about["min"]), markup.short(about["max"])
        if about.get("mean") is None:
            return f"{least} to {most}"
        mean, deviation = markup.short(about["mean"]), markup.short(about["std"])
        return f"{least} to {most}, mean {mean}, sd {deviation}"
    shown = [str(item["value"])[:_CELL_CHARACTERS] for item in about.get("top", [])[:_MOST_VALUES]]
    more = (about.get("distinct") or len(shown) + 1) - len(shown)
    return ", ".join(shown) + (", …" if shown and more > 0 else "")
