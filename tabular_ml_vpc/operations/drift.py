"""Changes made outside CloudFormation: the drift of a stack and of its nested stacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target, in_words

_RUNNING: Final = "DETECTION_IN_PROGRESS"
_DRIFTED: Final = frozenset({"MODIFIED", "DELETED"})


@dataclass(frozen=True)
class PropertyDifference:
    """One property that differs from the template; values are plain JSON."""

    path: str
    kind: str
    expected: str
    actual: str


@dataclass(frozen=True)
class Drifted:
    """One resource that differs from the template."""

    place: str
    type: str
    physical_id: str
    status: str
    differences: tuple[PropertyDifference, ...]


@dataclass(frozen=True)
class StackDrift:
    """The drift of one stack; ``problem`` says why CloudFormation could not check it all."""

    title: str
    status: str
    drifted: tuple[Drifted, ...]
    checked: int
    unchecked: int
    problem: str = ""


def detect(target: Target, node: StackNode, sleep: Callable[[float], None]) -> Iterator[StackDrift]:
    """Yield the drift of each stack of the tree.

    Drift detection of a stack does not include its nested stacks (CloudFormation user guide,
    "Detect unmanaged configuration changes to stacks and resources with drift detection"), so it is
    started for each of them, all at once.
    """
    client = target.client("cloudformation")
    started: list[tuple[StackNode, str, str]] = []
    for nested in node.walk():
        try:
            answer = client.detect_stack_drift(StackName=nested.stack.id)
            started.append((nested, answer["StackDriftDetectionId"], ""))
        except ClientError as error:
            started.append((nested, "", in_words(error)))
    for nested, detection, problem in started:
        if problem:
            yield StackDrift(nested.title, "UNKNOWN", (), 0, len(nested.resources), problem)
            continue
        ended = _wait(target, detection, sleep)
        yield _result(target, nested, ended)


def _wait(target: Target, detection: str, sleep: Callable[[float], None]) -> Mapping[str, Any]:
    client = target.client("cloudformation")
    while True:
        found: Mapping[str, Any] = client.describe_stack_drift_detection_status(
            StackDriftDetectionId=detection
        )
        if found["DetectionStatus"] != _RUNNING:
            return found
        sleep(target.poll_seconds)


def _result(target: Target, node: StackNode, ended: Mapping[str, Any]) -> StackDrift:
    found = list(_resources(target, node.stack.id))
    drifted = tuple(
        _drifted(node, resource)
        for resource in found
        if resource["StackResourceDriftStatus"] in _DRIFTED
    )
    checked = sum(resource["StackResourceDriftStatus"] != "NOT_CHECKED" for resource in found)
    failed = ended["DetectionStatus"] == "DETECTION_FAILED"
    return StackDrift(
        title=node.title,
        status=ended.get("StackDriftStatus", "UNKNOWN"),
        drifted=drifted,
        checked=checked,
        unchecked=len(node.resources) - checked,
        problem=ended.get("DetectionStatusReason", "") if failed else "",
    )


def _resources(target: Target, stack_id: str) -> Iterator[Mapping[str, Any]]:
    client = target.client("cloudformation")
    token: dict[str, str] = {}
    while True:
        page = client.describe_stack_resource_drifts(StackName=stack_id, **token)
        yield from page["StackResourceDrifts"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _drifted(node: StackNode, found: Mapping[str, Any]) -> Drifted:
    return Drifted(
        place=f"{node.title}/{found['LogicalResourceId']}",
        type=found["ResourceType"],
        physical_id=found.get("PhysicalResourceId", ""),
        status=found["StackResourceDriftStatus"],
        differences=tuple(
            PropertyDifference(
                difference["PropertyPath"],
                difference["DifferenceType"],
                _plain(difference.get("ExpectedValue", "")),
                _plain(difference.get("ActualValue", "")),
            )
            for difference in found.get("PropertyDifferences", [])
        ),
    )


def _plain(value: str) -> str:
    """Return a value without the quotes of a JSON string."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, str) else value
