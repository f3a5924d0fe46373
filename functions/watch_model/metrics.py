"""Metrics of a drift check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from functions.shared import metrics
from functions.watch_model.properties import DRIFTED_COLUMNS, LARGEST_PSI_RATIO, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_UNITS: Final = {DRIFTED_COLUMNS: "Count", LARGEST_PSI_RATIO: "None", ROWS: "Count"}


def of_report(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a ``drift.json`` by name; none if it says nothing about drift."""
    if report["drifted"] is None:
        return {}
    ratios = [column["psi"] / column["psi_limit"] for column in report["columns"]]
    return {
        DRIFTED_COLUMNS: len(report["drifted"]),
        LARGEST_PSI_RATIO: max(ratios, default=0.0),
        ROWS: report["rows"],
    }


def line(pipeline: str, values: Mapping[str, float], now: datetime) -> str:
    """Return the line of the log that has the metrics."""
    return metrics.line(pipeline, values, _UNITS, now)


def outcome(report: Mapping[str, Any]) -> str:
    """Return what a check found, as its description says it (``state.Execution``)."""
    if report["drifted"] is None:
        return f"Drift is unknown: {report.get('reason', 'no reason given')}"
    drifted, columns = report["drifted"], report["columns"]
    names = f" ({', '.join(drifted)})" if drifted else ""
    return f"Drifted columns: {len(drifted)} of {len(columns)}, rows: {report['rows']}{names}"
