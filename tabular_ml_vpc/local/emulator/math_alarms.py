"""Alarms on metric math expressions, which ministack's CloudFormation refuses, and alarms' ARNs.

They are checked as PutMetricAlarm documents, kept and described, but never evaluated: their state
stays ``INSUFFICIENT_DATA``. Source: CloudWatch API reference, "PutMetricAlarm" and
"MetricDataQuery". DeleteAlarms is checked on the alarm that it names, and not on `*`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.core import iam_actions
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.types import Fields

_HOUR = 3600
_LONGEST_WINDOW, _LONGEST_WINDOW_OF_SHORT_PERIODS = 604_800, 86_400
"""Seconds; the second one with periods of less than an hour."""
_INSTEAD_OF_METRICS = frozenset({"Dimensions", "MetricName", "Namespace", "Period", "Statistic"})
_MOST_METRICS = 10
_STAND_IN = {"MetricName": "-", "Namespace": "-"}
_NAME = re.compile(r"[a-z]\w*")
"""An id; functions are in upper case."""


def problem(alarm: Fields) -> str:
    """Return why CloudWatch would refuse an alarm on an expression; empty if it would not."""
    queries = alarm["Metrics"]
    measured = [one["MetricStat"] for one in queries if "MetricStat" in one]
    returned = [one for one in queries if str(one.get("ReturnData", "true")).lower() == "true"]
    periods = {int(one["Period"]) for one in measured}
    if both := _INSTEAD_OF_METRICS & alarm.keys():
        return f"{', '.join(sorted(both))} together with Metrics"
    if len(returned) != 1 or "Expression" not in returned[0]:
        return "exactly one expression must have ReturnData"
    if len(measured) > _MOST_METRICS or len(periods) != 1:
        return f"an expression needs 1 to {_MOST_METRICS} metrics, all of the same period"
    if unknown := set(_NAME.findall(returned[0]["Expression"])) - {one["Id"] for one in queries}:
        return f"the expression names {', '.join(sorted(unknown))}, which is no Id"
    (period,) = periods
    longest = _LONGEST_WINDOW if period >= _HOUR else _LONGEST_WINDOW_OF_SHORT_PERIODS
    if period * int(alarm["EvaluationPeriods"]) > longest:
        return f"Period times EvaluationPeriods is more than {longest} seconds"
    return ""


def register() -> None:
    """Keep alarms on expressions that CloudWatch would accept."""
    stock = provisioners._cw_metric_alarm_record

    def record(name: str, properties: Fields) -> Any:
        if not properties.get("Metrics"):
            return stock(name, properties)
        if reason := problem(properties):
            raise ValueError(f"AWS::CloudWatch::Alarm: {reason}")
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        kept = stock(name, plain | _STAND_IN)
        nothing = dict.fromkeys(_STAND_IN, "")  # ministack evaluates no alarm without a metric
        return kept | nothing | {"Metrics": properties["Metrics"]}

    provisioners._cw_metric_alarm_record = record
    _check_each_alarm()


def _check_each_alarm() -> None:
    stock = iam_actions._param

    def param(body: bytes, query: Fields, *names: str) -> str:
        found: str = stock(body, query, *names)
        if found or names != ("AlarmName",):
            return found
        try:
            return str(json.loads(body)["AlarmNames"][0])
        except (ValueError, LookupError, TypeError):
            return str(iam_actions._query_param(query, "AlarmNames.member.1") or "")

    iam_actions._param = param
