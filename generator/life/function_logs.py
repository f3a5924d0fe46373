"""The log lines of functions: of one behind a custom resource, or of all of a stack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from generator.life import stacks
from generator.life.target import code_of, is_denied

if TYPE_CHECKING:
    from generator.life.operation import Cause
    from generator.life.target import Target

_NOISE: Final = re.compile(r"^(START|END|INIT_START|REPORT) (?!.*Status: )")
"""Lines of the Lambda service; a REPORT with a Status tells of a timeout or a crash."""
_EARLIER: Final = timedelta(minutes=16)
"""A little more than a function may run."""
_LATER: Final = timedelta(seconds=2)
"""What comes after it belongs to the rollback."""
_ABSENT: Final = frozenset({"ResourceNotFoundException", "ValidationError", "404"})


@dataclass(frozen=True)
class Line:
    """One line of a log; ``source`` says whose, such as ``SeedDataFunction``."""

    time: datetime
    source: str
    text: str


def behind(target: Target, cause: Cause, limit: int) -> list[str]:
    """Return the last lines that the function behind a failed custom resource wrote.

    Nothing if the resource has no function, or its log is gone with the rollback already.
    """
    try:
        function = _function_of(target, cause)
        if function is None:
            return []
        since = cause.time - _EARLIER
        group = log_group(target, function)
        lines = [
            line.text
            for line in read(target, group, cause.logical_id, since)
            if line.time <= cause.time + _LATER
        ]
    except ClientError as error:
        if code_of(error) in _ABSENT or is_denied(error):
            return []
        raise
    return lines[-limit:]


def _function_of(target: Target, cause: Cause) -> str | None:
    """Return the name of the function that serves a custom resource."""
    body = stacks.template(target, cause.stack_id)["Resources"].get(cause.logical_id, {})
    token = body.get("Properties", {}).get("ServiceToken")
    if not isinstance(token, Mapping) or "Fn::GetAtt" not in token:
        return None
    logical_id = token["Fn::GetAtt"][0]
    for resource in stacks.resources_of(target, cause.stack_id):
        if resource.logical_id == logical_id and resource.physical_id:
            return resource.physical_id
    return None


def log_group(target: Target, function: str) -> str:
    """Return the log group of a function."""
    found = target.client("lambda").get_function_configuration(FunctionName=function)
    return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def read(
    target: Target, group: str, source: str, since: datetime, **filters: Any
) -> Iterator[Line]:
    """Yield the lines of a log group since a time, without those of the Lambda service.

    ``filters`` are further arguments of FilterLogEvents.
    """
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(since.timestamp() * 1000), **filters)
    )
    for page in pages:
        for event in page.get("events", []):
            text = str(event["message"]).rstrip()
            if text and not _NOISE.match(text):
                when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                yield Line(when, source, text)
