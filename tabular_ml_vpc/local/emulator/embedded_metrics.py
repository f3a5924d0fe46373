"""Metrics that functions embed in their logs: CloudWatch extracts them, and alarms see them.

Source: Amazon CloudWatch user guide, "Specification: Embedded metric format". A document that does
not follow it is a line like any other. Ministack's alarms disregard dimensions, single periods and
missing data; here, those for which missing data do not breach judge period by period, by their own
data ("Configuring how CloudWatch alarms treat missing data"), and a state that somebody set stays
until there are data. Alarms are judged when a function has ended, not each minute. All are for
values above a threshold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from tabular_ml_vpc.local.emulator.types import Fields

_CROSSED = "Threshold Crossed"
"""How the reason of a state begins that data led to."""
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


def breaching(alarm: Fields) -> bool | None:
    """Tell whether as many periods of an alarm's own metric breach as it takes; None without data.

    A period without data does not breach.
    """
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    key = (alarm.get("Namespace"), alarm.get("MetricName"), dimensions)
    now, period = time.time(), alarm.get("Period", 60)
    periods: list[list[Fields]] = [[] for _ in range(alarm.get("EvaluationPeriods", 1))]
    for point in cloudwatch._metrics.get(key) or []:
        at = int((now - point["Timestamp"]) // period)
        if 0 <= at < len(periods):
            periods[at].append(point)
    if not any(periods):
        return None
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    values = [
        cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
        for points in periods
        if points
    ]
    needed: int = alarm.get("DatapointsToAlarm") or len(periods)
    return len([value for value in values if value > alarm["Threshold"]]) >= needed


def register() -> None:
    """Store the metrics in what functions print, and have alarms look at their own data only."""
    stock, judge = lambda_svc._emit_lambda_logs, cloudwatch._evaluate_alarm

    def evaluate(alarm: Fields) -> None:
        breaches = breaching(alarm)
        if alarm.get("TreatMissingData") != "notBreaching":
            if breaches is not None:
                judge(alarm)
            return
        reason, was = str(alarm.get("StateReason", "")), alarm["StateValue"]
        state = "ALARM" if breaches else "OK"
        if state != was and (breaches is not None or reason.startswith(_CROSSED)):
            change = {"StateValue": state, "StateReason": f"{_CROSSED}: {breaches}"}
            cloudwatch._set_alarm_state(
                {}, {"AlarmName": alarm["AlarmName"], **change}, is_cbor=False, is_json=True
            )

    def emit(func: Fields, request_id: str, log_text: str, *args: Any, **options: Any) -> None:
        stock(func, request_id, log_text, *args, **options)
        found = [datum for line in (log_text or "").splitlines() for datum in data(line)]
        for namespace, name, dimensions, when, unit, value in found:
            cloudwatch._store_datum(
                namespace, name, dimensions, when, unit, value, None, None, None
            )
        cloudwatch._evaluate_all_alarms()

    lambda_svc._emit_lambda_logs, cloudwatch._evaluate_alarm = emit, evaluate
