"""Delete a stack and what its pipeline created, and list what remains.

A ``Destruction`` yields what happens as events; nothing here prints or prompts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.evaluator import KEEPS
from generator.cfn.expressions import NESTED
from generator.errors import CommandError
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.artifacts import ArtifactBucket
from tabular_ml_vpc.operations.events import Event, Events, Question, ask
from tabular_ml_vpc.operations.inventory import Leftover, PlannedDeletion, left_of
from tabular_ml_vpc.operations.operation import (
    Cause,
    StackOperation,
    first_cause,
)
from tabular_ml_vpc.operations.pipelines import stack_title
from tabular_ml_vpc.operations.source import our_tree
from tabular_ml_vpc.operations.spaces import DOMAIN, StudioSpaces
from tabular_ml_vpc.operations.stack_requests import StackRequests
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target, code_of
from tabular_ml_vpc.operations.workload import PIPELINE, Workload

CREATED_BY_RUNS: Final = "created by runs"
"""Place of what the pipeline's runs created."""
_TRIES: Final = 3
_NOT_DELETABLE: Final = frozenset(
    {
        "ROLLBACK_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    }
)
InterfaceFilter = Mapping[str, str | Sequence[str]]
"""A filter of DescribeNetworkInterfaces: ``Name`` and ``Values``."""
_INTERFACE_POLLS: Final = 1800
"""With polls two seconds apart, an hour: Lambda takes 20 to 40 minutes to release interfaces."""


@dataclass(frozen=True)
class DeletionPlan:
    """What the deletion does to each resource, by the deployed templates."""

    deleted: tuple[PlannedDeletion, ...]
    kept: tuple[PlannedDeletion, ...]

    @classmethod
    def of(cls, target: Target, node: StackNode, workloads: Sequence[Workload]) -> DeletionPlan:
        """Return the plan for a stack's tree and what its pipelines created."""
        resources = list(_resources(target, node, ""))
        others = [
            PlannedDeletion(CREATED_BY_RUNS, kind, name)
            for workload in workloads
            for kind, name in workload.made_by_runs()
        ]
        places = {
            resource.place.rpartition("/")[0]: resource.place
            for resource, _ in resources
            if resource.type == PIPELINE
        }
        others += [
            PlannedDeletion(places[title], "pipeline", workload.pipeline)
            for workload in workloads
            if workload.pipeline and (title := stack_title(workload.name)) in places
        ]
        return cls(
            tuple(resource for resource, keeps in resources if not keeps) + tuple(others),
            tuple(resource for resource, keeps in resources if keeps),
        )

    def first(self, kind: str) -> PlannedDeletion | None:
        """Return the first resource of a type that is deleted."""
        return next((resource for resource in self.deleted if resource.type == kind), None)

    def network(self) -> InterfaceFilter | None:
        """Return where interfaces can block the deletion: in the VPC, or in our security groups.

        Other interfaces in an existing VPC are those of its owner's workloads.
        """
        if vpc := self.first("AWS::EC2::VPC"):
            return {"Name": "vpc-id", "Values": [vpc.physical_id]}
        groups = [one.physical_id for one in self.deleted if one.type == "AWS::EC2::SecurityGroup"]
        return {"Name": "group-id", "Values": groups} if groups else None

    def totals(self, node: StackNode) -> dict[str, int]:
        """Return the number of resources by nested stack's logical id; the root's is ``""``."""
        totals = Counter(resource.place.rpartition("/")[0] for resource in self.deleted + self.kept)
        return dict(totals) | {"": len(node.children)}


def _resources(
    target: Target, node: StackNode, path: str
) -> Iterator[tuple[PlannedDeletion, bool]]:
    """Yield each resource in a tree, and whether its template keeps it."""
    existing = [item for item in node.resources if item.exists and item.type != NESTED]
    bodies = stacks.template(target, node.stack.id).get("Resources", {}) if existing else {}
    for resource in existing:
        policy = bodies.get(resource.logical_id, {}).get("DeletionPolicy", "Delete")
        place = f"{path}/{resource.logical_id}" if path else resource.logical_id
        yield PlannedDeletion(place, resource.type, resource.physical_id), policy in KEEPS
    for child in node.children:
        yield from _resources(target, child, f"{path}/{child.title}" if path else child.title)


@dataclass(frozen=True)
class DestructionOptions:
    """What was requested."""

    delete_spaces: bool = False
    delete_artifacts: bool = False


@dataclass
class DeletionPlanned(Question):
    """What will be deleted and kept; ``unseen`` are operations without permission."""

    target: Target
    plan: DeletionPlan
    running: int
    unseen: Sequence[str]
    home: str | None
    """The id of Studio's home file system, which outlives its domain."""
    artifact_bucket: str


@dataclass
class SpacesAffected(Question):
    """There are spaces with people's files, and their deletion was not requested."""

    spaces: Sequence[str]


@dataclass(frozen=True)
class DeletingSpaces(Event):
    """Studio's apps and spaces are being deleted."""


@dataclass(frozen=True)
class WaitingForInterfaces(Event):
    """Network interfaces block the deletion of the network."""

    interfaces: Sequence[str]


@dataclass(frozen=True)
class Destroyed(Event):
    """What exists after the deletion: ``left`` against the plan, ``kept`` by it.

    ``status`` is None if the stack did not exist; what could not be checked is in ``unseen``.
    """

    stack: str
    status: str | None
    left: Sequence[Leftover] = ()
    kept: Sequence[Leftover] = ()
    unseen: Sequence[PlannedDeletion] = ()
    cause: Cause | None = None

    @property
    def deleted(self) -> bool:
        """Return whether the stack no longer exists."""
        return self.status in {None, "DELETE_COMPLETE"}

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        cause = self.cause
        return {
            "stack": self.stack,
            "status": self.status,
            "left": [leftover.as_json() for leftover in self.left],
            "kept": [leftover.as_json() for leftover in self.kept],
            "unseen": [resource.place for resource in self.unseen],
            "cause": cause and {"place": cause.place, "reason": cause.reason},
        }


@dataclass
class BucketDeletionPlanned(Question):
    """The artifact bucket will be deleted."""

    bucket: str


@dataclass(frozen=True)
class BucketDeleted(Event):
    """The artifact bucket was deleted, or did not exist (``existed``)."""

    bucket: str
    existed: bool


@dataclass(frozen=True)
class Destruction:
    """The deletion of the stack of a target."""

    target: Target
    options: DestructionOptions
    sleep: Callable[[float], None] = time.sleep

    def events(self) -> Events:
        """Delete the stack, and yield what happens; unanswered questions end it.

        ``Destroyed`` is yielded once; the artifact bucket is deleted only if nothing is left.

        Raises:
            CommandError: a question was not approved, or the stack is protected.

        """
        node = yield from self._settled(our_tree(self.target))
        if node is None:
            destroyed = Destroyed(self.target.stack, None)
        else:
            destroyed = yield from self._destroy(node)
        yield destroyed
        if self.options.delete_artifacts and destroyed.deleted and not destroyed.left:
            yield from self._delete_artifacts()

    def _settled(self, node: StackNode | None) -> Generator[Event, None, StackNode | None]:
        """Wait for an update or a rollback, during which a stack cannot be deleted."""
        if node is None or node.stack.status not in _NOT_DELETABLE:
            return node
        operation = StackOperation.after_now(self.target, node)
        yield from operation.follow(node.stack.id, {})
        return our_tree(self.target)

    def _destroy(self, node: StackNode) -> Generator[Event, None, Destroyed]:
        self._require_unprotected(node.stack)
        workloads, studio = Workload.each(self.target, node), StudioSpaces.of(self.target, node)
        plan = DeletionPlan.of(self.target, node, workloads)
        home = (studio.domain_status() or {}).get("HomeEfsFileSystemId")
        spaces = [str(space["SpaceName"]) for space in studio.spaces()]
        bucket = ArtifactBucket(self.target).name
        running = sum(len(workload.running()) for workload in workloads)
        unseen = sorted(studio.unseen.union(*(workload.unseen for workload in workloads)))
        yield from ask(DeletionPlanned(self.target, plan, running, unseen, home, bucket))
        if spaces and not self.options.delete_spaces:
            yield from ask(SpacesAffected(spaces))
        if spaces:
            yield DeletingSpaces()
            studio.delete(self.sleep)
        cause, stack = yield from self._delete(node, plan)
        return self._check(plan, home, stack, cause)

    def _require_unprotected(self, stack: Stack) -> None:
        if stack.protected:
            raise CommandError(
                f"{stack.name} has termination protection; to remove it, run `aws cloudformation "
                f"update-termination-protection --no-enable-termination-protection --stack-name "
                f"{stack.name} --region {self.target.region}`"
            )

    def _delete(
        self, node: StackNode, plan: DeletionPlan
    ) -> Generator[Event, None, tuple[Cause | None, Stack]]:
        """Delete until it is done, or until another try does not help."""
        network = plan.network()
        for _ in range(_TRIES):
            operation = StackOperation.after_now(self.target, node)
            if node.stack.status != "DELETE_IN_PROGRESS":
                StackRequests(self.target).delete(node.stack)
            stack = yield from operation.follow(node.stack.id, plan.totals(node))
            if stack.status == "DELETE_COMPLETE":
                return None, stack
            cause = first_cause(operation.events)
            if network is None or not interfaces(self.target, network):
                break
            if (yield from wait_for_interfaces(self.target, network, self.sleep)):
                break
            node = stacks.tree(self.target, stack)
        return cause, stack

    def _check(
        self, plan: DeletionPlan, home: str | None, stack: Stack, cause: Cause | None
    ) -> Destroyed:
        """Look for everything that should be deleted, and for what should be kept."""
        unseen: list[PlannedDeletion] = []
        left = left_of(self.target, plan.deleted, _reasons(cause), unseen)
        domain = plan.first(DOMAIN)
        if home and domain and stack.status == "DELETE_COMPLETE":
            left.append(self._home(domain.place, home))
        kept = left_of(self.target, plan.kept, self._keeping_reason, unseen)
        return Destroyed(stack.name, stack.status, left, kept, unseen, cause)

    def _keeping_reason(self, resource: PlannedDeletion) -> str:
        """Return why a resource is kept; of a key its ARN too, since its alias is deleted."""
        if resource.type != "AWS::KMS::Key":
            return "its DeletionPolicy keeps it"
        place = f"{self.target.partition}:kms:{self.target.region}:{self.target.account}"
        arn = f"arn:{place}:key/{resource.physical_id}"
        return f"its DeletionPolicy keeps it, without its alias: {arn}"

    def _home(self, place: str, file_system: str) -> Leftover:
        region = self.target.region
        return Leftover(
            place,
            "home file system",
            file_system,
            "it outlives the domain; delete its mount targets first",
            f"aws efs delete-file-system --file-system-id {file_system} --region {region}",
        )

    def _delete_artifacts(self) -> Iterator[Event]:
        bucket = ArtifactBucket(self.target)
        existed = bucket.is_ours()
        if existed:
            yield from ask(BucketDeletionPlanned(bucket.name))
            bucket.delete()
        yield BucketDeleted(bucket.name, existed)


def _reasons(cause: Cause | None) -> Callable[[PlannedDeletion], str]:
    def reason(resource: PlannedDeletion) -> str:
        if cause is None:
            return "CloudFormation reported that it was deleted"
        if resource.physical_id == cause.physical_id:
            return cause.reason
        return f"the deletion stopped at {cause.place}"

    return reason


def interfaces(target: Target, where: InterfaceFilter) -> list[Mapping[str, Any]]:
    """Return the network interfaces in a VPC or in security groups."""
    pages = target.client("ec2").get_paginator("describe_network_interfaces")
    answers = pages.paginate(Filters=[where])
    return [interface for page in answers for interface in page["NetworkInterfaces"]]


def wait_for_interfaces(
    target: Target, where: InterfaceFilter, sleep: Callable[[float], None]
) -> Generator[WaitingForInterfaces, None, bool]:
    """Wait until there are no interfaces; return whether some are left after an hour.

    Those that Lambda has released (``available``, and named as Lambda's) are deleted.
    """
    count = 0
    for _ in range(_INTERFACE_POLLS):
        left = interfaces(target, where)
        if not left:
            return False
        if len(left) != count:
            count = len(left)
            yield WaitingForInterfaces([_described(interface) for interface in left])
        for interface in left:
            if interface["Status"] == "available" and _is_lambda_s(interface):
                _delete_interface(target, interface["NetworkInterfaceId"])
        sleep(target.poll_seconds)
    return bool(interfaces(target, where))


def _described(interface: Mapping[str, Any]) -> str:
    what = interface.get("Description") or interface.get("InterfaceType", "interface")
    return f"{interface['NetworkInterfaceId']} ({what})"


def _is_lambda_s(interface: Mapping[str, Any]) -> bool:
    return str(interface.get("Description", "")).startswith("AWS Lambda VPC ENI")


def _delete_interface(target: Target, name: str) -> None:
    try:
        target.client("ec2").delete_network_interface(NetworkInterfaceId=name)
    except ClientError as error:  # it may be deleted, or in use again
        if code_of(error) not in {
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidParameterValue",
            "InvalidNetworkInterface.InUse",
            "OperationNotPermitted",
        }:
            raise
