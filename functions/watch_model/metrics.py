"""Metrics of a drift or quality check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.shared import metrics
from functions.watch_model.properties import (
    DRIFT_REPORT,
    DRIFTED_COLUMNS,
    LABELED_ROWS,
    LARGEST_PSI_RATIO,
    QUALITY,
    QUALITY_REPORT,
    ROWS,
)

if TYPE_CHECKING:
    from datetime import datetime

_UNITS: Final = {
    DRIFTED_COLUMNS: "Count",
    LARGEST_PSI_RATIO: "None",
    ROWS: "Count",
    QUALITY: "None",
    LABELED_ROWS: "Count",
}


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


def of_quality(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a ``quality.json`` by name: labeled rows also if nothing is known.

    A mistake in the labels, or in the requests' identifiers, is seen in their number alone.
    """
    found = {} if report["value"] is None else {QUALITY: report["value"]}
    return {**found, LABELED_ROWS: report.get("labeled", 0)}


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


def quality_outcome(report: Mapping[str, Any]) -> str:
    """Return what a quality check found, and what it counted and left out, without any label."""
    if report["value"] is None:
        found = f"Quality is unknown: {report.get('reason', 'no reason given')}"
    else:
        rows = f"{report['labeled']} of {report['rows']} captured rows"
        found = f"Quality: {report['metric']} {report['value']:.6g} of {rows}"
    counts = {
        "identifiers with different labels": report.get("conflicting", 0),
        "unknown labels": report.get("unknown", {}).get("labels", 0),
        "rows without identifier": report.get("unidentified", 0),
        "rows whose identifier had come before": report.get("repeated", 0),
        "requests without an answer of this model": report.get("refused", 0),
        "labels of other rows": report.get("unmatched", 0),
    }
    return "; ".join([found, *(f"{count} {name}" for name, count in counts.items() if count)])


@dataclass(frozen=True)
class Kind:
    """How to read and tell what one kind of check found."""

    file: str
    """Its report, in the folder of its execution."""
    finding: str
    """The report's field that is null if it found out nothing."""
    values: Callable[[Mapping[str, Any]], dict[str, float]]
    outcome: Callable[[Mapping[str, Any]], str]


DRIFT_CHECK: Final = Kind(DRIFT_REPORT, "drifted", of_report, outcome)
QUALITY_CHECK: Final = Kind(QUALITY_REPORT, "value", of_quality, quality_outcome)
