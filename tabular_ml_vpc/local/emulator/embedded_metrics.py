"""Metrics that functions embed in their logs: CloudWatch extracts them, and alarms see them.

Source: Amazon CloudWatch user guide, "Specification: Embedded metric format". A document that does
not follow it is a line like any other. Ministack's alarms disregard dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from tabular_ml_vpc.local.emulator.types import Fields

Datum = tuple[str, str, dict[str, str], float, str, float]
"""Namespace, name, dimensions, time in seconds, unit and value."""


def data(line: str) -> Iterator[Datum]:
    """Yield the metrics in a line of a log."""
    try:
        root = json.loads(line)
        metadata = root["_aws"]
        for directive in metadata["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: str(root[name]) for name in names}
                for metric in directive["Metrics"]:
                    yield (
                        directive["Namespace"],
                        metric["Name"],
                        dimensions,
                        metadata["Timestamp"] / 1000,
                        metric.get("Unit", "None"),
                        float(root[metric["Name"]]),
                    )
    except (ValueError, KeyError, TypeError):
        return


def register() -> None:
    """Store the metrics in what functions print."""
    stock = lambda_svc._emit_lambda_logs

    def emit(func: Fields, request_id: str, log_text: str, *args: Any, **options: Any) -> None:
        stock(func, request_id, log_text, *args, **options)
        found = [datum for line in (log_text or "").splitlines() for datum in data(line)]
        for namespace, name, dimensions, when, unit, value in found:
            cloudwatch._store_datum(
                namespace, name, dimensions, when, unit, value, None, None, None
            )
        if found:
            cloudwatch._evaluate_all_alarms()

    lambda_svc._emit_lambda_logs = emit
