"""Stacks and the stacks nested in them, as CloudFormation knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from generator.cfn.yaml_text import from_yaml
from generator.errors import CommandError, UsageError
from pipeline.types import JsonView
from tabular_ml_vpc.operations.target import Target, code_of, message_of

_OURS: Final = frozenset({"NetworkStack", "PipelineStack", "StorageStack", "StudioStack"})
"""Nested stacks by which a stack is known as one of ours (generator/stacks/root.py)."""

UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
"""Statuses of a stack that takes an update (CloudFormation user guide, "Stack status codes")."""


@dataclass(frozen=True)
class Stack:
    """One stack; times are aware of their zone."""

    name: str
    id: str
    status: str
    reason: str
    created: datetime
    updated: datetime | None
    parent: str | None
    protected: bool
    outputs: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Tell whether an operation runs; a stack under review waits for a person."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class StackResource:
    """One resource of a stack, as CloudFormation last saw it."""

    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str

    @property
    def exists(self) -> bool:
        """Tell whether there may be something: it was made, and not deleted."""
        return bool(self.physical_id) and self.status != "DELETE_COMPLETE"


@dataclass(frozen=True)
class StackNode:
    """A stack in its tree: ``title`` is the logical id in its parent, the root's is its name."""

    title: str
    stack: Stack
    resources: tuple[StackResource, ...]
    children: tuple[StackNode, ...]

    def walk(self) -> Iterator[StackNode]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def find(target: Target, name: str | None = None) -> Stack | None:
    """Return the stack by name, or by id also after its deletion; None if there is none."""
    client = target.client("cloudformation")
    try:
        stacks = client.describe_stacks(StackName=name or target.stack)["Stacks"]
    except ClientError as error:
        if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
            return None
        raise
    return _stack(stacks[0])


def need(target: Target) -> Stack:
    """Return the target's stack.

    Raises:
        CommandError: there is none in that account and region.

    """
    stack = find(target)
    if stack is None or stack.status == "DELETE_COMPLETE":
        raise CommandError(
            f"there is no stack {target.stack} in {target.region} of account {target.account}; "
            f"`python build.py deploy{target.options()}` makes one"
        )
    return stack


def tree(target: Target, stack: Stack, title: str = "") -> StackNode:
    """Return the stack with its resources and everything nested in it."""
    resources = tuple(resources_of(target, stack.id))
    children = [
        tree(target, child, resource.logical_id)
        for resource in resources
        if resource.type == NESTED and resource.exists
        if (child := find(target, resource.physical_id)) is not None
    ]
    return StackNode(title or stack.name, stack, resources, tuple(children))


def resources_of(target: Target, stack: str) -> Iterator[StackResource]:
    """Yield the resources of one stack, named by its id: a deleted one's, too, for 90 days."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for one in page["StackResourceSummaries"]:
            yield StackResource(
                logical_id=one["LogicalResourceId"],
                physical_id=one.get("PhysicalResourceId", ""),
                type=one["ResourceType"],
                status=one["ResourceStatus"],
                reason=one.get("ResourceStatusReason", ""),
            )


def template(target: Target, stack: str) -> dict[str, Any]:
    """Return the template that was last deployed, in long form."""
    body = target.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    return dict(body) if isinstance(body, Mapping) else from_yaml(body)


def mode_of(target: Target, node: StackNode) -> str | None:
    """Return the mode in which a stack was deployed, by what its templates note; None if none do.

    The resources that hold data carry it in their metadata (generator/retention.py).
    """
    for child in node.children:
        for body in template(target, child.stack.id).get("Resources", {}).values():
            if mode := body.get("Metadata", {}).get("Mode"):
                return str(mode)
    return None


def refuse_strangers(stack: Stack, node: StackNode) -> None:
    """Refuse a stack that this project did not make.

    Raises:
        UsageError: the stack is nested in another, or is none of ours.

    """
    if stack.parent:
        raise UsageError(
            f"--stack-name: got {stack.name!r}: this stack is part of {_name_of(stack.parent)}; "
            "name that one"
        )
    nested = {resource.logical_id for resource in node.resources if resource.type == NESTED}
    if stack.status != "REVIEW_IN_PROGRESS" and not nested & _OURS and node.resources:
        raise UsageError(
            f"--stack-name: got {stack.name!r}: this stack was not made from our templates "
            f"(no {', '.join(sorted(_OURS))} in it); it is left alone"
        )


def _name_of(arn: str) -> str:
    return arn.split("/")[1] if "/" in arn else arn


def _stack(found: JsonView) -> Stack:
    outputs = found.get("Outputs", [])
    return Stack(
        name=found["StackName"],
        id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        created=found["CreationTime"],
        updated=found.get("LastUpdatedTime"),
        parent=found.get("ParentId") or None,
        protected=bool(found.get("EnableTerminationProtection")),
        outputs={one["OutputKey"]: one["OutputValue"] for one in outputs},
        descriptions={one["OutputKey"]: one.get("Description", "") for one in outputs},
        parameters={
            one["ParameterKey"]: one.get("ParameterValue", "")
            for one in found.get("Parameters", [])
        },
    )
