"""The dashboard of one pipeline: what its endpoint does, its alarms, and the commands to run.

The body's structure is in the CloudWatch API reference, "Dashboard Body Structure and Syntax", the
metrics in the SageMaker developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch", and
in the SQS developer guide, "Available CloudWatch metrics for Amazon SQS".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troposphere import GetAtt, Sub, Template, cloudwatch

from generator.policies.jobs import ENDPOINT_LOGS
from generator.watching import INSTANCES, MICROSECONDS, REQUESTS, VARIANT
from generator.wiring import QueueName, Text, UniqueName, add

Widget = dict[str, Any]
"""A widget, as JSON has it."""

_START: Final = "-P1D"
_PERIOD: Final = 300
_WIDTH, _HEIGHT = 12, 6
"""Of every widget, in units of the grid, which has 24 columns."""
_NAME: Final = "${Name}"
_LOG: Final = f"{ENDPOINT_LOGS}/".replace("/", "$252F") + _NAME
"""The endpoint's log group as CloudWatch's console writes it in addresses. A link that begins with
``#`` stays in the console, whatever its region and partition."""
_MADE: Final = (
    "CloudFormation made this dashboard: the next deployment that changes it undoes what you "
    "change here."
)
_COMMANDS: Final[Mapping[str, str]] = {
    "status": "which model the endpoint serves, and the last run",
    "history": "the runs, with their metrics",
    "logs --source endpoint": f"the endpoint's log ([in this console](#logsV2:log-groups/log-group/"
    f"{_LOG}))",
    "endpoint pause": "end the endpoint's bill; `endpoint resume` creates it again",
    "endpoint repair": "delete an endpoint that failed; the next run creates it again",
}
"""What to run, without `python build.py`, and what for."""


@dataclass(frozen=True)
class Context:
    """One pipeline, as its dashboard sees it."""

    name: UniqueName
    """The name of the pipeline and its endpoint."""
    queue_name: QueueName
    """The dead-letter queue, which all pipelines share."""
    entry: Text | None = None
    """The pipeline's name in the settings, if commands need it."""
    latency_milliseconds: int = 0
    """The limit of the latency alarm; 0 if there is none."""
    asynchronous: bool = False
    """Whether the endpoint takes its requests from S3."""


def add_dashboard(
    template: Template, context: Context, alarms: Sequence[cloudwatch.Alarm]
) -> cloudwatch.Dashboard:
    """Add the dashboard, which has the pipeline's name: dashboards belong to no region."""
    values: dict[str, Any] = {
        "Name": context.name,
        "Queue": context.queue_name,
        **({"Entry": context.entry} if context.entry else {}),
        **{_arn_of(alarm): GetAtt(alarm, "Arn") for alarm in alarms},
    }
    body = json.dumps({"start": _START, "widgets": _widgets(context, alarms)})
    return add(
        template,
        cloudwatch.Dashboard(
            "Dashboard", DashboardBody=Sub(body, values), DashboardName=context.name
        ),
    )


def _arn_of(alarm: cloudwatch.Alarm) -> str:
    """Return the name that an alarm's ARN has in the body."""
    return f"{alarm.title}Arn"


def _widgets(context: Context, alarms: Sequence[cloudwatch.Alarm]) -> list[Widget]:
    """Return the widgets: two in a row, none above another one."""
    found = [
        _text(context),
        _alarm_states(alarms),
        _backlog() if context.asynchronous else _requests(),
        _latency(context.latency_milliseconds),
        _instances(),
        _dead_letters(),
    ]
    columns = 24 // _WIDTH
    return [
        {
            "type": widget["type"],
            "x": number % columns * _WIDTH,
            "y": number // columns * _HEIGHT,
            "width": _WIDTH,
            "height": _HEIGHT,
            "properties": widget["properties"],
        }
        for number, widget in enumerate(found)
    ]


def _text(context: Context) -> Widget:
    """Return what made the dashboard (as PutDashboard's documentation advises), and commands."""
    option = " --pipeline ${Entry}" if context.entry else ""
    lines = [
        f"- `python build.py {command}{option}`: {purpose}"
        for command, purpose in _COMMANDS.items()
    ]
    return {
        "type": "text",
        "properties": {"markdown": "\n".join((f"## {_NAME}", "", _MADE, "", *lines))},
    }


def _alarm_states(alarms: Sequence[cloudwatch.Alarm]) -> Widget:
    arns = [f"${{{_arn_of(alarm)}}}" for alarm in alarms]
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}}


def _requests() -> Widget:
    return _metrics(
        "Requests",
        [
            _of_endpoint(REQUESTS, "Invocations", "Sum", "requests"),
            _of_endpoint(REQUESTS, "Invocation4XXErrors", "Sum", "client errors (4xx)"),
            _of_endpoint(REQUESTS, "Invocation5XXErrors", "Sum", "server errors (5xx)"),
        ],
        "Count",
    )


def _backlog() -> Widget:
    """Return the requests to an asynchronous endpoint, which has few of the other's metrics.

    Source: "Alarms and logs for tracking metrics from asynchronous endpoints", SageMaker developer
    guide.
    """
    endpoint = {"EndpointName": _NAME}
    return _metrics(
        "Requests",
        [
            _metric(REQUESTS, "ApproximateBacklogSize", endpoint, "Maximum", "waiting"),
            _of_endpoint(REQUESTS, "InvocationFailures", "Sum", "failed"),
            _of_endpoint(REQUESTS, "Invocation5XXErrors", "Sum", "server errors (5xx)"),
        ],
        "Count",
    )


def _latency(milliseconds: int) -> Widget:
    """Return the latencies, and the alarm's limit as a line if there is an alarm."""
    widget = _metrics(
        "Latency",
        [
            _of_endpoint(REQUESTS, "ModelLatency", "p50", "model, p50"),
            _of_endpoint(REQUESTS, "ModelLatency", "p99", "model, p99"),
            _of_endpoint(REQUESTS, "OverheadLatency", "p99", "SageMaker's overhead, p99"),
        ],
        "Microseconds",
    )
    if milliseconds:
        limit = {"label": "latency alarm", "value": milliseconds * MICROSECONDS}
        widget["properties"]["annotations"] = {"horizontal": [limit]}
    return widget


def _instances() -> Widget:
    return _metrics(
        "Instances (100% CPU is one core)",
        [
            _of_endpoint(INSTANCES, "CPUUtilization", "Average", "CPU"),
            _of_endpoint(INSTANCES, "MemoryUtilization", "Average", "memory"),
            _of_endpoint(INSTANCES, "DiskUtilization", "Average", "disk"),
        ],
        "Percent",
    )


def _dead_letters() -> Widget:
    waiting = _metric(
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        {"QueueName": "${Queue}"},
        *("Maximum", "undeliverable events"),
    )
    return _metrics("Dead-letter queue of all pipelines", [waiting], "Count")


def _of_endpoint(namespace: str, metric: str, statistic: str, label: str) -> list[Any]:
    endpoint = {"EndpointName": _NAME, "VariantName": VARIANT}
    return _metric(namespace, metric, endpoint, statistic, label)


def _metric(
    namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str, label: str
) -> list[Any]:
    """Return a metric as a widget has it: namespace, name, dimensions, how it is shown."""
    pairs = [part for pair in dimensions.items() for part in pair]
    return [namespace, metric, *pairs, {"stat": statistic, "label": label}]


def _metrics(title: str, metrics: list[list[Any]], unit: str) -> Widget:
    """Return a graph over time; the axis begins at 0 and has the unit's name."""
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": "${AWS::Region}",
            "view": "timeSeries",
            "period": _PERIOD,
            "metrics": metrics,
            "yAxis": {"left": {"label": unit, "min": 0, "showUnits": False}},
        },
    }
