"""The logs of a stack's functions, its pipeline's jobs and its endpoint, merged by time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import UsageError
from tabular_ml_vpc.operations import function_logs
from tabular_ml_vpc.operations.function_logs import LogLine
from tabular_ml_vpc.operations.log_noise import noise
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target, code_of
from tabular_ml_vpc.operations.workload import Workload

SOURCES: Final = ("functions", "jobs", "endpoint")
_SPAN: Final = re.compile(r"(\d+)\s*(s|min|m|h|d)")
_UNITS: Final = {"s": "seconds", "min": "minutes", "m": "minutes", "h": "hours", "d": "days"}
_GROUPS: Final = {"ProcessingJob": "ProcessingJobs", "TrainingJob": "TrainingJobs"}
"""Log groups of SageMaker jobs, under ``/aws/sagemaker/``."""
_EXECUTIONS: Final = 10
_ABSENT: Final = "ResourceNotFoundException"


@dataclass(frozen=True)
class LogSource:
    """A log group, or those of its streams that start with ``prefix``."""

    name: str
    group: str
    prefix: str = ""


def since(text: str, now: datetime) -> datetime:
    """Return the time of a duration ago, such as ``30min``, or of an ISO 8601 time.

    Raises:
        UsageError: the text is neither.

    """
    span = _SPAN.fullmatch(text.strip())
    if span:
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since: {text!r} is neither a duration such as 30min, 2h or 1d, nor a time such as "
            "2026-11-24T18:00"
        ) from None
    return found if found.tzinfo else found.astimezone()


def sources(
    target: Target,
    node: StackNode,
    workloads: list[Workload],
    kinds: tuple[str, ...],
    since: datetime,
) -> list[LogSource]:
    """Return the logs of the requested kinds: those of all functions, and of these pipelines."""
    found: list[LogSource] = []
    if "functions" in kinds:
        found += _functions(target, node)
    for workload in workloads:
        of_which = f"{workload.name}/" if workload.several else ""
        if "jobs" in kinds:
            found += _jobs(workload, since, of_which)
        if "endpoint" in kinds and workload.endpoint:
            group = f"/aws/sagemaker/Endpoints/{workload.endpoint}"
            found.append(LogSource(f"{of_which}endpoint", group))
    return found


def _functions(target: Target, node: StackNode) -> Iterator[LogSource]:
    """Yield the logs of functions, with the stack's name where two have the same name."""
    found = [(stack, one) for stack, one in node.holding("AWS::Lambda::Function") if one.exists]
    names = Counter(one.logical_id for _, one in found)
    for stack, one in found:
        several = names[one.logical_id] > 1
        name = f"{stack.title}/{one.logical_id}" if several else one.logical_id
        yield LogSource(name, function_logs.log_group(target, one.physical_id))


def _jobs(workload: Workload, since: datetime, of_which: str) -> Iterator[LogSource]:
    """Yield the job logs of the newest executions that run or ended after a time."""
    for execution in workload.executions(_EXECUTIONS):
        if execution.get("LastModifiedTime", since) < since and not _is_running(execution):
            continue
        for step in workload.steps(execution["PipelineExecutionArn"]):
            for kind, group in _GROUPS.items():
                arn = step.get("Metadata", {}).get(kind, {}).get("Arn")
                if arn:
                    job = arn.rpartition("/")[2]
                    name = f"{of_which}{step['StepName']}"
                    yield LogSource(name, f"/aws/sagemaker/{group}", f"{job}/")


def _is_running(execution: Any) -> bool:
    return execution["PipelineExecutionStatus"] in {"Executing", "Stopping"}


def start_of_last_run(workloads: list[Workload]) -> datetime | None:
    """Return when the newest execution of these pipelines started; None if there is none."""
    newest = [run["StartTime"] for workload in workloads for run in workload.executions(1)]
    return max(newest, default=None)


def read(
    target: Target, found: list[LogSource], since: datetime, containing: str, everything: bool
) -> list[LogLine]:
    """Return the lines since a time, oldest first; a log group may not exist yet.

    Unless ``everything``, without the lines that only say that a service or a toolkit is at work.
    """
    lines = [
        line
        for source in found
        for line in _lines(target, source, since, everything)
        if containing.lower() in line.text.lower()
    ]
    return sorted(lines, key=lambda line: line.time)


def _lines(
    target: Target, source: LogSource, since: datetime, everything: bool
) -> Iterator[LogLine]:
    is_noise = noise()
    try:
        for line in function_logs.read(
            target, source.group, source.name, since, source.prefix, keep_noise=everything
        ):
            if everything or not is_noise(line.text):
                yield line
    except ClientError as error:
        if code_of(error) != _ABSENT:
            raise


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)
