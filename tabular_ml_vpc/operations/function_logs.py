"""The log lines of functions: the one behind a custom resource, or all in a stack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import references
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.operation import Cause, StackEvent
from tabular_ml_vpc.operations.target import Target, code_of, is_denied

_NOISE: Final = re.compile(r"^(START|END|INIT_START|REPORT) (?!.*Status: )")
"""Lines of the Lambda service; a REPORT with a Status reports a timeout or a crash."""
_TRACEBACK: Final = (
    "Traceback (most recent call last)",
    "During handling of the above",
    "The above",
)
_START: Final = "START RequestId:"
_ANSWERED_FAILED: Final = "answered CloudFormation: FAILED"
"""The last line of our functions when they fail (functions/shared/custom_resource.py)."""
_EARLIER: Final = timedelta(minutes=16)
"""A little longer than a function can run."""
_LATER: Final = timedelta(seconds=2)
"""Anything later belongs to the rollback."""
_ABSENT: Final = frozenset({"ResourceNotFoundException", "ValidationError", "404"})


@dataclass(frozen=True)
class LogLine:
    """One log line; ``source`` is its origin, such as ``SeedDataFunction``."""

    time: datetime
    source: str
    text: str


def behind(
    target: Target,
    cause: Cause,
    events: Iterable[StackEvent],
    template: Mapping[str, Any],
    limit: int,
) -> list[str]:
    """Return the last log lines of the function behind a failed custom resource.

    ``template`` is that of the resource's stack; ``events`` contain the function's name. Empty if
    the resource has no function, or if the rollback has already deleted the log.
    """
    function = _function_of(target, cause, events, template)
    if function is None:
        return []
    try:
        lines = list(_until(target, log_group(target, function), cause))
    except ClientError as error:
        if code_of(error) in _ABSENT or is_denied(error):
            return []
        raise
    return _failed_invocation(lines)[-limit:]


def without_frames(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a log that are not the frames of a traceback.

    A line of CloudWatch Logs can have several lines; those of a frame are indented.
    """
    for text in lines:
        for line in text.splitlines():
            if line.strip() and not line.startswith("  ") and not line.startswith(_TRACEBACK):
                yield line


def _until(target: Target, group: str, cause: Cause) -> Iterator[str]:
    """Yield a function's log lines up to the failure, including those of the Lambda service."""
    since = cause.time - _EARLIER
    for line in read(target, group, cause.logical_id, since, keep_noise=True):
        if line.time <= cause.time + _LATER:
            yield line.text


def _failed_invocation(lines: Iterable[str]) -> list[str]:
    """Return the lines of the last failed invocation or, if none failed, of the last one.

    The Delete request of the rollback follows soon after the failure.
    """
    invocations: list[list[str]] = [[]]
    for line in lines:
        if line.startswith(_START):
            invocations.append([])
        if not _NOISE.match(line):
            invocations[-1].append(line)
    logged = [lines for lines in invocations if lines]
    failed = [lines for lines in logged if any(_ANSWERED_FAILED in line for line in lines)]
    return next(reversed(failed or logged), [])


def _function_of(
    target: Target, cause: Cause, events: Iterable[StackEvent], template: Mapping[str, Any]
) -> str | None:
    """Return the name of the function that serves a custom resource."""
    body = template.get("Resources", {}).get(cause.logical_id, {})
    token = body.get("Properties", {}).get("ServiceToken")
    logical_id = next(references(token), None)
    if logical_id is None:
        return None
    if logical_id in template.get("Parameters", {}):
        return _given(target, cause.stack_id, logical_id)
    named = [
        event.physical_id
        for event in events
        if (event.stack_id, event.logical_id) == (cause.stack_id, logical_id) and event.physical_id
    ]
    if named:
        return named[-1]
    resources = stacks.resources_of(target, cause.stack_id)  # from an earlier deployment
    return next((item.physical_id for item in resources if item.logical_id == logical_id), None)


def _given(target: Target, stack_id: str, parameter: str) -> str | None:
    """Return the name of a function of another stack, whose ARN is a parameter of this one."""
    stack = stacks.find(target, stack_id)
    arn = stack.parameters.get(parameter, "") if stack else ""
    return arn.rpartition(":")[2] or None


def log_group(target: Target, function: str) -> str:
    """Return the log group of a function."""
    found = target.client("lambda").get_function_configuration(FunctionName=function)
    return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def read(
    target: Target,
    group: str,
    source: str,
    since: datetime,
    prefix: str = "",
    keep_noise: bool = False,
) -> Iterator[LogLine]:
    """Yield a log group's lines since a time, by default without those of the Lambda service.

    ``prefix`` selects the streams whose names start with it.
    """
    streams = {"logStreamNamePrefix": prefix} if prefix else {}
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(since.timestamp() * 1000), **streams)
    )
    for page in pages:
        for event in page.get("events", []):
            text = str(event["message"]).rstrip()
            if text and (keep_noise or not _NOISE.match(text)):
                when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                yield LogLine(when, source, text)
