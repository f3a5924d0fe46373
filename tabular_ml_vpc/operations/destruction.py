"""Delete a stack: what goes and what stays, the deletion itself, and what keeps it from ending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.inventory import PlannedDeletion
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target, code_of
from tabular_ml_vpc.operations.workload import PIPELINE, Workload

KEEPS: Final = frozenset({"Retain", "RetainExceptOnCreate", "Snapshot"})
_INTERFACE_LOOKS: Final = 1800
"""With looks two seconds apart, an hour: Lambda takes 20 to 40 minutes to let interfaces go."""


@dataclass(frozen=True)
class DeletionPlan:
    """What the deletion does to each resource, by the deployed templates."""

    goes: tuple[PlannedDeletion, ...]
    stays: tuple[PlannedDeletion, ...]

    def first(self, kind: str) -> PlannedDeletion | None:
        """Return the first resource of a type that goes."""
        return next((one for one in self.goes if one.type == kind), None)

    def vpc(self) -> str | None:
        """Return the id of the VPC that goes."""
        found = self.first("AWS::EC2::VPC")
        return found.physical_id if found else None


def fate(target: Target, node: StackNode, workload: Workload) -> DeletionPlan:
    """Return what goes and what stays."""
    found = list(_resources(target, node, ""))
    made = [PlannedDeletion("made by runs", kind, name) for kind, name in workload.made_by_runs()]
    made += [
        PlannedDeletion(one.place, "pipeline", workload.pipeline)
        for one, _ in found
        if one.type == PIPELINE and workload.pipeline
    ]
    return DeletionPlan(
        tuple(doomed for doomed, keeps in found if not keeps) + tuple(made),
        tuple(doomed for doomed, keeps in found if keeps),
    )


def _resources(
    target: Target, node: StackNode, path: str
) -> Iterator[tuple[PlannedDeletion, bool]]:
    there = [one for one in node.resources if one.exists and one.type != NESTED]
    bodies = stacks.template(target, node.stack.id).get("Resources", {}) if there else {}
    for resource in there:
        policy = bodies.get(resource.logical_id, {}).get("DeletionPolicy", "Delete")
        place = f"{path}/{resource.logical_id}" if path else resource.logical_id
        yield PlannedDeletion(place, resource.type, resource.physical_id), policy in KEEPS
    for child in node.children:
        yield from _resources(target, child, f"{path}/{child.title}" if path else child.title)


def interfaces(target: Target, vpc: str) -> list[Mapping[str, Any]]:
    """Return the network interfaces in a VPC."""
    pages = target.client("ec2").get_paginator("describe_network_interfaces")
    found = pages.paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    return [one for page in found for one in page["NetworkInterfaces"]]


def wait_for_interfaces(
    target: Target, vpc: str, told: Callable[[str], None], sleep: Callable[[float], None]
) -> list[Mapping[str, Any]]:
    """Wait until the VPC's interfaces are gone; return those that are left after an hour.

    Those that Lambda has let go of (``available``, and named as Lambda's) are deleted.
    """
    spoken = -1
    for _ in range(_INTERFACE_LOOKS):
        found = interfaces(target, vpc)
        if not found:
            return []
        if len(found) != spoken:
            spoken = len(found)
            told(f"waiting for network interfaces to go: {', '.join(map(_described, found))}")
        for one in found:
            if one["Status"] == "available" and _is_lambda_s(one):
                _delete_interface(target, one["NetworkInterfaceId"])
        sleep(target.poll_seconds)
    return interfaces(target, vpc)


def _described(interface: Mapping[str, Any]) -> str:
    what = interface.get("Description") or interface.get("InterfaceType", "interface")
    return f"{interface['NetworkInterfaceId']} ({what})"


def _is_lambda_s(interface: Mapping[str, Any]) -> bool:
    return str(interface.get("Description", "")).startswith("AWS Lambda VPC ENI")


def _delete_interface(target: Target, name: str) -> None:
    try:
        target.client("ec2").delete_network_interface(NetworkInterfaceId=name)
    except ClientError as error:  # it may be gone, or in use again
        if code_of(error) not in {
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidParameterValue",
            "InvalidNetworkInterface.InUse",
            "OperationNotPermitted",
        }:
            raise
