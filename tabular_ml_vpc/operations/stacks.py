"""Stacks and their nested stacks, as CloudFormation describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from generator.cfn.yaml_text import from_yaml
from generator.errors import CommandError
from generator.record import MODE_OUTPUT
from generator.stacks import root
from pipeline.types import JsonView
from tabular_ml_vpc.operations.target import Target, code_of, message_of

_ROOT: Final = re.compile(
    rf"(?P<project>[^:]+): {re.escape(root.PURPOSE)}; (?P<what>.+)", re.DOTALL
)
"""The description of the root template."""
_MODES: Final = {text: str(mode) for mode, text in root.DESCRIPTIONS.items()}
_AT_ONCE: Final = 4
"""How many nested stacks are read at the same time."""
_DELETED: Final = "DELETE_COMPLETE"
UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
"""Statuses of a stack that can be updated (CloudFormation user guide, "Stack status codes")."""


@dataclass(frozen=True)
class Stack:
    """One stack; its times have a time zone."""

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
        """Return whether an operation is in progress; a stack in review waits for a person."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class ListedStack:
    """A root stack of this project, as CloudFormation lists it; its time has a time zone."""

    name: str
    id: str
    status: str
    changed: datetime
    mode: str
    project: str


@dataclass(frozen=True)
class StackResource:
    """One resource of a stack, in the state that CloudFormation last recorded."""

    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str

    @property
    def exists(self) -> bool:
        """Return whether the resource may exist: it was created, and not deleted."""
        return bool(self.physical_id) and self.status != "DELETE_COMPLETE"


@dataclass(frozen=True)
class StackNode:
    """A stack in the tree: ``title`` is its logical id in its parent, or the root's name."""

    title: str
    stack: Stack
    resources: tuple[StackResource, ...]
    children: tuple[StackNode, ...]

    def holding(self, kind: str) -> Iterator[tuple[StackNode, StackResource]]:
        """Yield the resources of a type in this stack and those below, each with its stack."""
        for node in self.walk():
            yield from ((node, one) for one in node.resources if one.type == kind)

    def walk(self) -> Iterator[StackNode]:
        """Yield this node and all nodes below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def find(target: Target, name: str | None = None) -> Stack | None:
    """Return a stack by its name or, even after its deletion, by its id; None if not found.

    Raises:
        CommandError: CloudFormation answered with another stack.

    """
    client, asked = target.client("cloudformation"), target.stack if name is None else name
    try:
        stacks = client.describe_stacks(StackName=asked)["Stacks"]
    except ClientError as error:
        if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
            return None
        raise
    stack = _stack(stacks[0]) if len(stacks) == 1 else None
    if stack is None or asked not in {stack.name, stack.id}:
        answered = ", ".join(one["StackName"] for one in stacks) or "no stack"
        raise CommandError(
            f"CloudFormation was asked for the stack {asked!r} and answered with {answered}: "
            "nothing was changed"
        )
    return stack


def listed(target: Target) -> Iterator[ListedStack]:
    """Yield the root stacks in the region that were created from these templates."""
    pages = target.client("cloudformation").get_paginator("list_stacks").paginate()
    for page in pages:
        for summary in page["StackSummaries"]:
            described = _ROOT.fullmatch(summary.get("TemplateDescription", ""))
            if described and summary["StackStatus"] != _DELETED:
                yield ListedStack(
                    name=summary["StackName"],
                    id=summary["StackId"],
                    status=summary["StackStatus"],
                    changed=summary.get("LastUpdatedTime") or summary["CreationTime"],
                    mode=_MODES.get(described["what"], ""),
                    project=described["project"],
                )


def need(target: Target) -> Stack:
    """Return the target's stack.

    Raises:
        CommandError: it does not exist in that account and region.

    """
    stack = find(target)
    if stack is None or stack.status == _DELETED:
        raise CommandError(
            f"the stack {target.stack} does not exist in {target.region} of account "
            f"{target.account}; `python build.py deploy{target.options()}` creates it"
        )
    return stack


def tree(target: Target, stack: Stack, title: str = "") -> StackNode:
    """Return the stack with its resources and nested stacks."""
    resources = tuple(resources_of(target, stack.id))
    nested = [one for one in resources if one.type == NESTED and one.exists]

    def child(resource: StackResource) -> StackNode | None:
        found = find(target, resource.physical_id)
        return None if found is None else tree(target, found, resource.logical_id)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        children = [node for node in pool.map(child, nested) if node is not None]
    return StackNode(title or stack.name, stack, resources, tuple(children))


def resources_of(target: Target, stack: str) -> Iterator[StackResource]:
    """Yield the resources of the stack with this id; a deleted stack keeps them for 90 days."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for summary in page["StackResourceSummaries"]:
            yield StackResource(
                logical_id=summary["LogicalResourceId"],
                physical_id=summary.get("PhysicalResourceId", ""),
                type=summary["ResourceType"],
                status=summary["ResourceStatus"],
                reason=summary.get("ResourceStatusReason", ""),
            )


def template(target: Target, stack: str) -> dict[str, Any]:
    """Return the template that was last deployed, with intrinsic functions in long form."""
    body = target.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    return dict(body) if isinstance(body, Mapping) else from_yaml(body)


def mode_of(target: Target, node: StackNode) -> str | None:
    """Return the mode in which a stack was deployed, or None if it does not say.

    It is an output. A stack from before that, or whose creation failed, has it only in the metadata
    of resources that hold data (generator/retention.py).
    """
    if mode := node.stack.outputs.get(MODE_OUTPUT):
        return mode
    for child in node.children:
        for body in template(target, child.stack.id).get("Resources", {}).values():
            if mode := body.get("Metadata", {}).get("Mode"):
                return str(mode)
    return None


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
        outputs={item["OutputKey"]: item["OutputValue"] for item in outputs},
        descriptions={item["OutputKey"]: item.get("Description", "") for item in outputs},
        parameters={
            item["ParameterKey"]: item.get("ParameterValue", "")
            for item in found.get("Parameters", [])
        },
    )
