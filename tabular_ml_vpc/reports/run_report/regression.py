"""How far the predictions of a regression are from the true values: three charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.types import Json
from tabular_ml_vpc.reports.run_report import charts
from tabular_ml_vpc.reports.run_report.cards import Card, CardTable, short

_MOST_DOTS: Final = 1_500


def cards(curves: Json) -> Iterator[Card]:
    """The charts; none for a classification."""
    if curves.get("predicted_vs_true"):
        yield _scatter(curves["predicted_vs_true"])
    if curves.get("residuals"):
        yield _residuals(curves["residuals"])
    if curves.get("error_by_quantile"):
        yield _by_quantile(curves["error_by_quantile"])


def _scatter(pairs: Sequence[Sequence[float]]) -> Card:
    shown = [(pair[0], pair[1]) for pair in pairs[:: -(-len(pairs) // _MOST_DOTS)]]
    both = charts.spread([value for point in shown for value in point])
    axes = charts.Axes("True value", "Predicted value", both, both)
    ideal = [(both[0], both[0]), (both[1], both[1])]
    note = f"{len(shown):,} rows of test data; on the dashed line, predictions are exact"
    chart = charts.scatter("Predicted against true", axes, shown, ideal)
    return Card("Predicted against true", note, "chart", chart)


def _residuals(bins: Sequence[Json]) -> Card:
    columns = [charts.TableColumn(item["from"], item["to"], item["rows"]) for item in bins]
    marks = [("exact", 0.0)] if columns[0].start <= 0 <= columns[-1].end else []
    chart = charts.columns("Residuals", ("Predicted minus true", "Rows"), columns, marks)
    note = "Prediction errors in the label's unit; predictions that are too high are on the right"
    return Card("Residuals", note, "chart", chart)


def _by_quantile(parts: Sequence[Json]) -> Card:
    groups = [
        charts.BarGroup(item["from"], item["to"], item["mae"], item["bias"], item["rows"])
        for item in parts
    ]
    chart = charts.groups("Error by quantile", ("True value", "Error"), groups)
    note = f"The test data in {len(groups)} groups by true value: mean absolute error and bias"
    rows = [
        (
            f"{short(float(item['from']))} to {short(float(item['to']))}",
            f"{item['rows']:,}",
            short(float(item["mae"])),
            short(float(item["bias"])),
        )
        for item in parts
    ]
    table = CardTable(("*True value", "*Rows", "*MAE", "*Bias"), rows, numbers=True)
    return Card("Error by quantile", note, "chart_and_table", (chart, table), wide=True)
