"""Metrics of a drift check, as a line of the function's log.

CloudWatch extracts them from the log, so that the function needs neither a way to CloudWatch's API
out of its VPC nor the right to call it. Source: Amazon CloudWatch user guide, "Specification:
Embedded metric format"; on Lambda, JSON on standard output is enough.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from functions.watch_model.properties import (
    DIMENSION,
    DRIFTED_COLUMNS,
    LARGEST_PSI_RATIO,
    NAMESPACE,
    ROWS,
)

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
    """Return the line that CloudWatch extracts the metrics from; its time is in milliseconds."""
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": [{"Name": name, "Unit": _UNITS[name]} for name in values],
    }
    metadata = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": metadata, DIMENSION: pipeline, **values}, allow_nan=False)


def outcome(report: Mapping[str, Any]) -> str:
    """Return what a check found, as its description says it (``state.Execution``)."""
    if report["drifted"] is None:
        return f"Drift is unknown: {report.get('reason', 'no reason given')}"
    drifted, columns = report["drifted"], report["columns"]
    names = f" ({', '.join(drifted)})" if drifted else ""
    return f"Drifted columns: {len(drifted)} of {len(columns)}, rows: {report['rows']}{names}"
