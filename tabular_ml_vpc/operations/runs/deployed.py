"""Whether the endpoint serves what a run deployed, and how to repair a failed endpoint.

Sources: "API_DescribeEndpoint": a failed endpoint can only be deleted; after a failed update, the
endpoint is `InService` again with its previous configuration and a `FailureReason`
(terraform-provider-aws#39099, sagemaker-controller#7).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from generator.errors import CommandError
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.runs.serving import version_in
from tabular_ml_vpc.operations.workload import Workload

FAILED: Final = "Failed"
Sleep = Callable[[float], None]
_POLLS: Final = 900


def problem(pipeline: DeployedPipeline, execution: Execution) -> str:
    """Return why the endpoint does not serve the model of a run that has ended.

    Empty if it does, if the run did not get that far, or if a later run may have deployed since.
    """
    requested = execution.made("EndpointConfig")
    newest = pipeline.newest(1)
    if requested is None or not newest or newest[0].arn != execution.arn:
        return ""
    found = pipeline.workload.endpoint_status()
    if found is None:
        return ""
    if found["EndpointStatus"] == FAILED:
        return failed(pipeline.workload, found)
    serves, name = str(found["EndpointConfigName"]), str(found["EndpointName"])
    if serves.lower() == requested.made_name.lower() or version_in(serves, name) is not None:
        return ""  # this run's, or a version that was approved since
    return (
        f"the endpoint {name} serves {serves}, not this run's "
        f"{requested.made_name}: the update was rejected or rolled back{_reason(found)}"
    )


def failed(workload: Workload, found: Mapping[str, Any]) -> str:
    """Return what to do about a failed endpoint."""
    command = f"python build.py endpoint repair{workload.options()}"
    return (
        f"the endpoint {found['EndpointName']} has failed{_reason(found)} and can only be deleted: "
        f"`{command}` deletes it, and {_recreated(workload)}"
    )


def _recreated(workload: Workload) -> str:
    """Say what recreates a failed endpoint that was deleted."""
    if workload.on_approval:
        return f"approving a version recreates it (`python build.py approve{workload.options()}`)"
    return "the next run recreates it"


def _reason(found: Mapping[str, Any]) -> str:
    reason = " ".join(str(found.get("FailureReason", "")).split())
    return f" ({reason})" if reason else ""


def repair(workload: Workload, sleep: Sleep = time.sleep) -> str:
    """Delete the stack's endpoint if it has failed, and wait; return what was done.

    Raises:
        CommandError: the endpoint is not ours, or is not deleted in time.

    """
    found = workload.endpoint_status()
    workload.check_seen()
    if found is None:
        return f"nothing to repair: the endpoint {workload.endpoint or ''} does not exist"
    name, status = found["EndpointName"], found["EndpointStatus"]
    if status != FAILED:
        return f"nothing to repair: the endpoint {name} is {status}"
    is_ours = workload.is_ours(found["EndpointArn"])
    workload.check_seen()
    if not is_ours:
        raise CommandError(
            f"the endpoint {name} has failed, but this stack's pipeline did not create it (tag "
            f"{OWNER_TAG}): it was not deleted"
        )
    workload.sagemaker.delete_endpoint(EndpointName=name)
    wait_for_endpoint(workload, lambda status: status is None, sleep)
    return f"deleted the failed endpoint {name}; {_recreated(workload)}"


def wait_for_endpoint(
    workload: Workload, done: Callable[[str | None], bool], sleep: Sleep
) -> str | None:
    """Poll until the endpoint's status is as wanted, None if it does not exist; return it.

    Raises:
        CommandError: it is not in time, or cannot be seen.

    """
    for _ in range(_POLLS):
        found = workload.endpoint_status()
        workload.check_seen()
        status = found["EndpointStatus"] if found else None
        if done(status):
            return status
        sleep(workload.target.poll_seconds)
    doing = "being deleted" if status == "Deleting" else "changing"
    raise CommandError(f"the endpoint {workload.endpoint} is still {doing}; run the command again")
