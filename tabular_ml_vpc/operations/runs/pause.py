"""Ends the bill of an endpoint, and has it serve the same model again.

A paused endpoint is deleted; its configuration and its model, which cost nothing, stay, and a tag
on the configuration says which one served. Sources: "API_DeleteEndpoint", "API_CreateEndpoint".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from functions.shared.names import SERVED_TAG
from functions.shared.pausing import DELETING, FAILED, IN_SERVICE, PAUSED_TAG, stamp
from generator.errors import CommandError
from pipeline.definition import OWNER_TAG
from pipeline.types import JsonView
from tabular_ml_vpc.operations.runs.deployed import Sleep, failed, wait_for_endpoint
from tabular_ml_vpc.operations.runs.serving import version_in
from tabular_ml_vpc.operations.workload import Workload


def pause(workload: Workload, sleep: Sleep = time.sleep) -> str:
    """Delete the endpoint and wait; return what was done.

    Raises:
        CommandError: it, or its configuration, is not ours; it is changing; or a run that would
            create it is in progress.

    """
    found = workload.endpoint_status()
    workload.check_seen()
    if found is None:
        return f"nothing to pause: the endpoint {workload.endpoint or ''} does not exist"
    name = str(found["EndpointName"])
    _check_can_be_deleted(workload, found)
    config = workload.described(
        "describe_endpoint_config", EndpointConfigName=found["EndpointConfigName"]
    )
    workload.check_seen()
    if config is None:
        raise CommandError(
            f"the configuration {found['EndpointConfigName']} of the endpoint {name} cannot be "
            "read, so that it could not serve again: it was not deleted"
        )
    is_ours = workload.is_ours(config["EndpointConfigArn"])
    workload.check_seen()
    if not is_ours:
        raise CommandError(
            f"the configuration {found['EndpointConfigName']} of the endpoint {name} was not "
            f"created by this stack's pipeline (tag {OWNER_TAG}), so that `resume` would not find "
            "it: it was not deleted"
        )
    tags = [{"Key": PAUSED_TAG, "Value": stamp(datetime.now(UTC))}]
    workload.sagemaker.add_tags(ResourceArn=config["EndpointConfigArn"], Tags=tags)
    workload.sagemaker.delete_endpoint(EndpointName=name)
    wait_for_endpoint(workload, lambda status: status is None, sleep)
    others = "" if workload.on_approval else ", or the next run,"
    return (
        f"paused the endpoint {name}: it is deleted and no longer billed; "
        f"`python build.py endpoint resume{workload.options()}`{others} creates it again"
        f"{_undone('resumes', workload.resumes)}"
    )


def _undone(what: str, when: str) -> str:
    """Return a line about the schedule that will undo what was done, if there is one."""
    return f"\nthe schedule {what} it at {when} (UTC)" if when else ""


def _check_can_be_deleted(workload: Workload, found: JsonView) -> None:
    name, status, options = found["EndpointName"], found["EndpointStatus"], workload.options()
    is_ours, running = workload.is_ours(found["EndpointArn"]), workload.running()
    workload.check_seen()
    if not is_ours:
        raise CommandError(
            f"the endpoint {name} was not created by this stack's pipeline (tag {OWNER_TAG}): it "
            "was not deleted"
        )
    if status == FAILED:
        raise CommandError(
            f"the endpoint {name} has failed: `python build.py endpoint repair{options}` deletes it"
        )
    if status != IN_SERVICE:
        raise CommandError(f"the endpoint {name} is {status}: try again when it is {IN_SERVICE}")
    if running:
        identity = str(running[0]["PipelineExecutionArn"]).rpartition("/")[2]
        raise CommandError(
            f"execution {identity} is in progress and may deploy to {name}: stop it "
            f"(`python build.py stop {identity}{options}`) or wait until it has ended"
        )


def resume(workload: Workload, sleep: Sleep = time.sleep) -> str:
    """Create the endpoint again as it was paused and wait; return what was done.

    Raises:
        CommandError: no configuration was paused, or the endpoint cannot or does not serve.

    """
    found = workload.endpoint_status()
    workload.check_seen()
    if found is not None:
        return _already_there(workload, found)
    name, options = workload.endpoint, workload.options()
    paused = max(_paused(workload), default=None) or _newest_served(workload)
    workload.check_seen()
    if name is None or paused is None:
        raise CommandError(f"the endpoint {name or ''} was not paused: {workload.creation}")
    _, config, arn = paused
    workload.sagemaker.create_endpoint(
        EndpointName=name,
        EndpointConfigName=config,
        Tags=[{"Key": OWNER_TAG, "Value": workload.owner}],
    )
    status = wait_for_endpoint(workload, lambda status: status in {IN_SERVICE, FAILED}, sleep)
    if status != IN_SERVICE:
        raise CommandError(
            f"the endpoint {name} failed to serve {config} again: `python build.py logs{options} "
            f"--source endpoint` shows why, `python build.py endpoint repair{options}` deletes it"
        )
    workload.sagemaker.delete_tags(ResourceArn=arn, TagKeys=[PAUSED_TAG])
    undone = _undone("pauses", workload.pauses)
    return f"the endpoint {name} serves {config} again{undone}"


def _already_there(workload: Workload, found: JsonView) -> str:
    name, status = found["EndpointName"], found["EndpointStatus"]
    if status == FAILED:
        raise CommandError(failed(workload, found))
    if status == DELETING:
        raise CommandError(f"the endpoint {name} is still being deleted; run the command again")
    return f"nothing to resume: the endpoint {name} is {status}"


def is_paused(workload: Workload) -> bool:
    """Return whether a configuration of ours waits to be resumed, as far as it can be seen."""
    return any(_paused(workload))


def _paused(workload: Workload) -> Iterator[tuple[str, str, str]]:
    """Yield when each paused configuration of ours was paused, its name and its ARN."""
    return _tagged(workload, PAUSED_TAG)


def _newest_served(workload: Workload) -> tuple[str, str, str] | None:
    """Return the configuration of the newest version that served, if it is ours.

    Its endpoint was deleted without a pause, by a person or as one that failed. What deploys on
    approval leaves such an endpoint alone, and a run deploys none.
    """
    if not workload.on_approval or workload.endpoint is None:
        return None
    numbered = (
        (version_in(one[1], workload.endpoint) or 0, one) for one in _tagged(workload, SERVED_TAG)
    )
    return max(numbered, default=(0, None))[1]


def _tagged(workload: Workload, key: str) -> Iterator[tuple[str, str, str]]:
    """Yield the value of a tag, the name and the ARN of each configuration of ours that has it."""
    for one in workload.listed(
        "list_endpoint_configs", "EndpointConfigs", NameContains=workload.endpoint
    ):
        arn = one["EndpointConfigArn"]
        tags = {
            tag["Key"]: tag["Value"]
            for tag in workload.listed("list_tags", "Tags", ResourceArn=arn)
        }
        if tags.get(OWNER_TAG) == workload.owner and key in tags:
            yield tags[key], one["EndpointConfigName"], arn
