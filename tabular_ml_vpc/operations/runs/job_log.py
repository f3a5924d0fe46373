"""The end of the log of a step's job or endpoint in CloudWatch Logs.

Source: "Log Groups and Streams that Amazon SageMaker AI Sends to Amazon CloudWatch Logs",
SageMaker developer guide.
"""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.runs.executions import StepProgress
from tabular_ml_vpc.operations.target import Target, code_of, is_denied

_GROUPS: Final = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
}
_ENDPOINTS: Final = "/aws/sagemaker/Endpoints/"
_ABSENT: Final = "ResourceNotFoundException"


def place(step: StepProgress) -> str:
    """The place of a step's log, for people; empty if it has none."""
    if step.job:
        return f"{_GROUPS[step.kind]}/{step.job}"
    return f"{_ENDPOINTS}{step.made_name}" if step.kind == "Endpoint" else ""


def end(target: Target, step: StepProgress, lines: int) -> list[str]:
    """The last lines of a step's log; empty if it has none, or if it cannot be read."""
    if not place(step):
        return []
    try:
        return _end(target, step, lines)
    except ClientError as error:
        if code_of(error) == _ABSENT or is_denied(error):
            return []
        raise


def _end(target: Target, step: StepProgress, lines: int) -> list[str]:
    logs = target.client("logs")
    group = _GROUPS.get(step.kind) or f"{_ENDPOINTS}{step.made_name}"
    chosen: dict[str, Any] = (
        {"logStreamNamePrefix": f"{step.job}/"}
        if step.job
        else {"orderBy": "LastEventTime", "descending": True}
    )
    streams = logs.describe_log_streams(logGroupName=group, limit=1, **chosen)["logStreams"]
    if not streams:
        return []
    found = logs.get_log_events(
        logGroupName=group,
        logStreamName=streams[0]["logStreamName"],
        limit=lines,
        startFromHead=False,
    )
    return [str(event["message"]).rstrip() for event in found["events"]]
