"""Whether the endpoint serves what a run deployed, and how a failed endpoint is repaired.

Sources: "API_DescribeEndpoint": a failed endpoint can only be deleted; after an update that failed
the endpoint is `InService` again with the configuration that it had, and a `FailureReason`
(terraform-provider-aws#39099, sagemaker-controller#7).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from generator.errors import CommandError
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.workload import Workload

FAILED: Final = "Failed"
_LOOKS: Final = 900


def problem(pipeline: DeployedPipeline, execution: Execution) -> str:
    """Say why the endpoint does not serve the model of a run that has ended.

    Empty if it does, if the run did not come as far, and if a later run may have deployed since.
    """
    asked = execution.made("EndpointConfig")
    newest = pipeline.newest(1)
    if asked is None or not newest or newest[0].arn != execution.arn:
        return ""
    found = pipeline.workload.endpoint_status()
    if found is None:
        return ""
    if found["EndpointStatus"] == FAILED:
        return failed(pipeline.workload, found)
    serves = str(found["EndpointConfigName"])
    if serves.lower() == asked.made_name.lower():
        return ""
    return (
        f"the endpoint {found['EndpointName']} serves {serves}, not this run's "
        f"{asked.made_name}: the update was refused or rolled back{_reason(found)}"
    )


def failed(workload: Workload, found: Mapping[str, Any]) -> str:
    """Say what to do about an endpoint that failed."""
    command = f"python build.py endpoint repair{workload.target.options()}"
    return (
        f"the endpoint {found['EndpointName']} is Failed{_reason(found)}; it can only be deleted: "
        f"`{command}` deletes it, and the next run creates it"
    )


def _reason(found: Mapping[str, Any]) -> str:
    reason = " ".join(str(found.get("FailureReason", "")).split())
    return f" ({reason})" if reason else ""


def repair(workload: Workload, sleep: Callable[[float], None] = time.sleep) -> str:
    """Delete the stack's endpoint if it has failed, and wait until it is gone; say what was done.

    Raises:
        CommandError: it is not ours, or it is not deleted in time.

    """
    found = workload.endpoint_status()
    if found is None:
        return f"there is no endpoint {workload.endpoint or ''} to repair"
    name, status = found["EndpointName"], found["EndpointStatus"]
    if status != FAILED:
        return f"the endpoint {name} is {status}: there is nothing to repair"
    if not workload.is_ours(found["EndpointArn"]):
        raise CommandError(
            f"the endpoint {name} has failed, but it was not made by this stack's pipeline (tag "
            f"{OWNER_TAG}): it was not deleted"
        )
    workload.sagemaker.delete_endpoint(EndpointName=name)
    for _ in range(_LOOKS):
        if workload.endpoint_status() is None:
            return f"deleted the failed endpoint {name}; the next run creates it"
        sleep(workload.target.poll_seconds)
    raise CommandError(f"the endpoint {name} is still being deleted; run the command again")
