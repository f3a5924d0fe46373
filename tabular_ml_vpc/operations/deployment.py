"""Bring a stack to what the templates say: decide what has to be done, and ask CloudFormation.

Nothing here asks people or prints; ``tabular_ml_vpc.cli.deploy`` does.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.expressions import NESTED
from tabular_ml_vpc.operations import changes, destruction, forecast, rights, stacks
from tabular_ml_vpc.operations.artifacts import Package, url_of
from tabular_ml_vpc.operations.changes import CAPABILITIES, Change, ChangeSet, DeployRequest
from tabular_ml_vpc.operations.forecast import Side
from tabular_ml_vpc.operations.inventory import PlannedDeletion
from tabular_ml_vpc.operations.operation import StackEvent, path_of
from tabular_ml_vpc.operations.rights import Right, RightsChange
from tabular_ml_vpc.operations.stacks import UPDATABLE, Stack, StackNode
from tabular_ml_vpc.operations.target import Target

DELETE_AND_CREATE: Final = "delete it and create it anew"
CONTINUE: Final = "continue the rollback"
_WAIT: Final = ""

_BLOCKED: Final[Mapping[str, tuple[str, str]]] = {
    "ROLLBACK_COMPLETE": (
        "its creation failed and was rolled back: nothing of it is left, and CloudFormation takes "
        "no update of it",
        DELETE_AND_CREATE,
    ),
    "ROLLBACK_FAILED": (
        "its creation failed, and some of what it had made could not be removed",
        DELETE_AND_CREATE,
    ),
    "CREATE_FAILED": (
        "its creation failed and was not rolled back",
        DELETE_AND_CREATE,
    ),
    "DELETE_FAILED": (
        "its deletion stopped half-way: some of it is left",
        DELETE_AND_CREATE,
    ),
    "REVIEW_IN_PROGRESS": (
        "it is a name without resources: a change set was made for it and never executed",
        DELETE_AND_CREATE,
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "an update failed, and so did its rollback; once the reason is gone, it can continue",
        CONTINUE,
    ),
    "UPDATE_FAILED": (
        "an update failed and was left as it was, without a rollback",
        CONTINUE,
    ),
}
"""Why a status takes no update, and what mends it (CloudFormation user guide, "Stack status codes"
and "Continue rolling back an update")."""


@dataclass(frozen=True)
class Blocked:
    """Why a stack takes no update, and what would mend it (empty: only waiting)."""

    status: str
    reason: str
    mend: str


def blocked(stack: Stack) -> Blocked | None:
    """Return why the stack takes no update, or None."""
    if stack.status in UPDATABLE:
        return None
    if stack.busy:
        return Blocked(stack.status, "an operation runs already", _WAIT)
    reason, mend = _BLOCKED.get(stack.status, ("CloudFormation takes no update of it", _WAIT))
    return Blocked(stack.status, reason, mend)


def start_deletion(target: Target, stack: Stack) -> None:
    """Ask for the deletion of a stack."""
    target.client("cloudformation").delete_stack(
        StackName=stack.id, ClientRequestToken=_token("delete")
    )


def continue_rollback(target: Target, stack: Stack) -> None:
    """Ask for the rollback to go on that an update needs before there can be another."""
    client = target.client("cloudformation")
    if stack.status == "UPDATE_FAILED":
        client.rollback_stack(StackName=stack.id, ClientRequestToken=_token("rollback"))
    else:
        client.continue_update_rollback(StackName=stack.id, ClientRequestToken=_token("continue"))


def create(target: Target, wanted: DeployRequest) -> str:
    """Ask for the creation of the stack; return its id."""
    answer = target.client("cloudformation").create_stack(
        StackName=target.stack,
        TemplateURL=wanted.template_url,
        Parameters=wanted.parameters,
        Capabilities=list(CAPABILITIES),
        ClientRequestToken=_token("create"),
        **wanted.service_role(),
    )
    return str(answer["StackId"])


def execute(target: Target, change_set: ChangeSet) -> None:
    """Ask for the execution of a change set."""
    target.client("cloudformation").execute_change_set(
        ChangeSetName=change_set.id,
        StackName=change_set.stack_id,
        ClientRequestToken=_token("execute"),
    )


def wanted(
    target: Target,
    bucket: str,
    package: Package,
    parameters: list[Any],
    role: str | None = None,
) -> DeployRequest:
    """Return what to ask CloudFormation for."""
    return DeployRequest(url_of(target, bucket, package.root), parameters, role)


def open_change_set(target: Target, request: DeployRequest) -> AbstractContextManager[ChangeSet]:
    """Give a change set with a name of its own; see ``changes.change_set``."""
    name = f"build-py-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    return changes.change_set(target, request, name)


def _token(purpose: str) -> str:
    return f"build-py-{purpose}-{uuid.uuid4()}"


@dataclass(frozen=True)
class Comparison:
    """The deployed tree beside a package, for what change sets do not tell."""

    target: Target
    node: StackNode
    package: Package
    values: Mapping[str, str]

    def changes(self, change_set: ChangeSet) -> tuple[Change, ...]:
        """Return what the change set would do.

        Raises:
            NoChangesError: nothing.

        """
        return changes.read(self.target, change_set, self._forecast)

    def rights(self) -> list[RightsChange]:
        """Return which rights come and go."""
        return rights.compare(self._old_rights(), package_rights(self.package))

    def _old_rights(self) -> list[Right]:
        found = list(rights.of_template(self._old(self.node)))
        for child in self.node.children:
            found += rights.of_template(self._old(child), child.title)
        return found

    def _old(self, node: StackNode) -> dict[str, Any]:
        return stacks.template(self.target, node.stack.id)

    def _forecast(self, resource: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return what changes in a nested stack, by its templates."""
        name = resource["LogicalResourceId"]
        new = self.package.nested().get(name)
        child = next((one for one in self.node.children if one.title == name), None)
        if new is None or child is None:
            return _all_of(new, changes.ChangeAction.ADD) if new else _all_in(child)
        old_root, new_root = self._old(self.node), self.package.root_template
        moved = forecast.moved_names(
            Side(old_root, self.node.stack.parameters), Side(new_root, self.values)
        )
        before, after = _handed(old_root, name), _handed(new_root, name)
        handed = {
            key: {"moved": value} if forecast.mentions(value, moved) else value
            for key, value in after.items()
        }
        found = forecast.compare(
            Side(self._old(child), before),
            Side(new, handed),
            {one.logical_id: one.physical_id for one in child.resources},
        )
        return (*found, *_retagged(old_root, new_root, name, child))


def _retagged(
    old_root: Mapping[str, Any], new_root: Mapping[str, Any], name: str, child: StackNode
) -> tuple[Change, ...]:
    """Return the change of a nested stack's tags: everything in it that takes tags gets them."""
    before, after = (
        root["Resources"].get(name, {}).get("Properties", {}).get(changes.TAGS)
        for root in (old_root, new_root)
    )
    if before == after:
        return ()
    return (
        Change(
            name,
            NESTED,
            child.stack.id,
            changes.ChangeAction.MODIFY,
            properties=(changes.TAGS,),
            note="of everything in it that takes tags",
        ),
    )


def _handed(root: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the expressions that a root template hands to one nested stack."""
    properties = root["Resources"].get(name, {}).get("Properties", {})
    found: Mapping[str, Any] = properties.get("Parameters", {})
    return found


def _all_of(template: Mapping[str, Any], action: changes.ChangeAction) -> tuple[Change, ...]:
    return tuple(
        Change(name, body["Type"], "", action) for name, body in template["Resources"].items()
    )


def _all_in(child: StackNode | None) -> tuple[Change, ...]:
    """Return the removal of everything in a nested stack that goes."""
    if child is None:
        return ()
    return tuple(
        Change(one.logical_id, one.type, one.physical_id, changes.ChangeAction.REMOVE)
        for one in child.resources
        if one.exists
    )


def creation(package: Package) -> tuple[Change, ...]:
    """Return what a first deployment makes."""
    nested = package.nested()
    return tuple(
        Change(
            name,
            body["Type"],
            "",
            changes.ChangeAction.ADD,
            children=_all_of(nested[name], changes.ChangeAction.ADD) if name in nested else (),
        )
        for name, body in package.root_template["Resources"].items()
    )


def package_rights(package: Package) -> list[Right]:
    """Return every right in a package."""
    found = list(rights.of_template(package.root_template))
    for name, body in package.nested().items():
        found += rights.of_template(body, name)
    return found


def perhaps_left(package: Package, events: Sequence[StackEvent]) -> list[PlannedDeletion]:
    """Return what a failed creation had made and its templates would keep after a deletion.

    ``RetainExceptOnCreate`` deletes what a failed creation made; whether that holds for what was
    complete in a nested stack when the root's creation rolled back, no document says.
    """
    bodies = {"": package.root_template["Resources"]} | {
        name: body["Resources"] for name, body in package.nested().items()
    }
    found = {}
    for event in events:
        path = path_of(events, event.stack_id)
        body = bodies.get("/".join(path), {}).get(event.logical_id, {})
        if event.status == "CREATE_COMPLETE" and body.get("DeletionPolicy") in destruction.KEEPS:
            place = "/".join((*path, event.logical_id))
            found[place] = PlannedDeletion(place, event.type, event.physical_id)
    return list(found.values())


def totals(package: Package) -> dict[str, int]:
    """Return how many resources each nested stack has, by logical id; the root's is ``""``."""
    nested = {name: len(body["Resources"]) for name, body in package.nested().items()}
    return nested | {"": len(package.root_template["Resources"])}
