"""How far the predictions of a regression are from the truth: three charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from generator.local.report import charts, markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]

_MOST_DOTS: Final = 1_500


def cards(curves: Json) -> Iterator[str]:
    """The charts; none for a classification."""
    found = curves.get("regression")
    if found:
        yield _scatter(found["points"])
        yield _residuals(found["residuals"])
        yield _by_quantile(found["deciles"])


def _scatter(found: Mapping[str, Sequence[float]]) -> str:
    points = list(zip(found["true"], found["predicted"], strict=True))
    shown = points[:: -(-len(points) // _MOST_DOTS)]
    both = charts.spread([value for point in shown for value in point])
    axes = charts.Axes("True value", "Predicted value", both, both)
    ideal = [(both[0], both[0]), (both[1], both[1])]
    note = f"{len(shown):,} rows of test data; on the dashed line, predictions are exact"
    chart = charts.scatter("Predicted against true", axes, shown, ideal)
    return markup.card("Predicted against true", note, chart)


def _residuals(found: Mapping[str, Sequence[float]]) -> str:
    edges, rows = found["edges"], found["rows"]
    columns = [
        charts.Column(start, end, int(count))
        for start, end, count in zip(edges, edges[1:], rows, strict=False)
    ]
    marks = [("exact", 0.0)] if edges[0] <= 0 <= edges[-1] else []
    chart = charts.columns("Residuals", ("True minus predicted", "Rows"), columns, marks)
    note = "How far predictions are off, in the label's unit; those that are too low to the right"
    return markup.card("Residuals", note, chart)


def _by_quantile(parts: Sequence[Json]) -> str:
    groups = [
        charts.Group(
            item["from"], item["to"], item["mean_absolute_error"], item["bias"], item["rows"]
        )
        for item in parts
    ]
    chart = charts.groups("Error by quantile", ("True value", "Error"), groups)
    note = f"The test data in {len(groups)} parts by true value: mean absolute error and bias"
    rows = [
        markup.row(
            [
                f"{markup.short(float(item['from']))} to {markup.short(float(item['to']))}",
                f"{item['rows']:,}",
                markup.short(float(item["mean_absolute_error"])),
                markup.short(float(item["bias"])),
            ]
        )
        for item in parts
    ]
    table = markup.table(("*True value", "*Rows", "*MAE", "*Bias"), rows)
    return markup.card(
        "Error by quantile", note, f'<div class="beside"><div>{chart}</div>{table}</div>', True
    )
