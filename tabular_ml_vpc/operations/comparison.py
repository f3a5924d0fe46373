"""What a deployment would change: resources, from a change set, and permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.cfn.expressions import NESTED
from generator.errors import CommandError
from tabular_ml_vpc.operations import changes, forecast, preflight, rights, stacks
from tabular_ml_vpc.operations.artifacts import Package
from tabular_ml_vpc.operations.changes import (
    Change,
    ChangeAction,
    ChangeSet,
    ChangeSets,
    NoChangesError,
)
from tabular_ml_vpc.operations.forecast import Side
from tabular_ml_vpc.operations.release import Release
from tabular_ml_vpc.operations.rights import Right, RightsChange
from tabular_ml_vpc.operations.source import SourceOptions, our_tree
from tabular_ml_vpc.operations.stack_requests import blocked
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target


@dataclass(frozen=True)
class StackDifference:
    """What would change; ``note`` says why changes are a forecast from the templates."""

    exists: bool
    changes: tuple[Change, ...] = ()
    rights: Sequence[RightsChange] = ()
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "exists": self.exists,
            "changes": [change.as_json() for change in self.changes],
            "rights": [change.as_json() for change in self.rights],
            "note": self.note,
        }


@dataclass(frozen=True)
class StackComparison:
    """Compares a stack with what would be deployed, without changing it."""

    target: Target
    options: SourceOptions

    def difference(self) -> StackDifference:
        """Return the difference; the change set for it is deleted again.

        Raises:
            CommandError: the stack cannot be updated, or CloudFormation rejected the change set.

        """
        preflight.check(self.target.stack, self.options)
        release = Release.prepare(self.target, self._node(), self.options)
        if release.node is None:
            return difference_of_creation(release.package)
        release.bucket.ensure()
        release.bucket.upload(release.package)
        try:
            with release.change_set() as change_set:
                return difference_of_update(release, release.node, change_set)
        except NoChangesError:
            return StackDifference(True)

    def _node(self) -> StackNode | None:
        """Return the tree of the stack, or None if it has no resources yet."""
        node = our_tree(self.target)
        if node is None or node.stack.status == "REVIEW_IN_PROGRESS":
            return None
        problem = blocked(node.stack)
        if problem is not None:
            raise CommandError(
                f"{node.stack.name} is in {problem.status}: {problem.reason}; "
                f"`python build.py status{self.target.options()}` shows details"
            )
        return node


def difference_of_creation(package: Package) -> StackDifference:
    """Return everything that a first deployment creates."""
    nested = package.nested()
    created = tuple(
        Change(
            name,
            body["Type"],
            "",
            ChangeAction.ADD,
            children=_all_of(nested[name], ChangeAction.ADD) if name in nested else (),
        )
        for name, body in package.root_template["Resources"].items()
    )
    return StackDifference(False, created, rights.compare((), _rights_in(package)))


def difference_of_update(
    release: Release, node: StackNode, change_set: ChangeSet
) -> StackDifference:
    """Return what a change set would do, and which permissions change.

    Raises:
        NoChangesError: nothing changes.

    """
    deployed = _DeployedTemplates(release, node)
    return StackDifference(
        True,
        ChangeSets(release.target).read(change_set, deployed.forecast),
        rights.compare(deployed.rights(), _rights_in(release.package)),
        "" if change_set.nested else change_set.note,
    )


def _rights_in(package: Package) -> list[Right]:
    """Return every permission in a package."""
    templates = {"": package.root_template} | package.nested()
    return [right for name, body in templates.items() for right in rights.of_template(body, name)]


@dataclass(frozen=True)
class _DeployedTemplates:
    """The deployed templates beside a release's, for what change sets do not say."""

    release: Release
    node: StackNode

    def rights(self) -> list[Right]:
        """Return every permission in the deployed templates."""
        nodes = {"": self.node} | {child.title: child for child in self.node.children}
        return [
            right
            for name, node in nodes.items()
            for right in rights.of_template(self._template(node), name)
        ]

    def forecast(self, resource: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return what changes in a nested stack, by its templates."""
        name = resource["LogicalResourceId"]
        new = self.release.package.nested().get(name)
        child = next((child for child in self.node.children if child.title == name), None)
        if new is None or child is None:
            return _all_of(new, ChangeAction.ADD) if new else _all_in(child)
        old_root, new_root = self._template(self.node), self.release.package.root_template
        changing = forecast.moved_names(
            Side(old_root, self.node.stack.parameters), Side(new_root, self.release.values)
        )
        before, after = _arguments(old_root, name), _arguments(new_root, name)
        arguments = {
            key: {"moved": value} if forecast.mentions(value, changing) else value
            for key, value in after.items()
        }
        changed = forecast.compare(
            Side(self._template(child), before),
            Side(new, arguments),
            {resource.logical_id: resource.physical_id for resource in child.resources},
        )
        return (*changed, *_retagged(old_root, new_root, name, child))

    def _template(self, node: StackNode) -> dict[str, Any]:
        return stacks.template(self.release.target, node.stack.id)


def _retagged(
    old_root: Mapping[str, Any], new_root: Mapping[str, Any], name: str, child: StackNode
) -> tuple[Change, ...]:
    """Return the change of a nested stack's tags: everything in it that can have tags gets them."""
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
            ChangeAction.MODIFY,
            properties=(changes.TAGS,),
            note="of everything in it that can have tags",
        ),
    )


def _arguments(root: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the expressions that a root template passes to a nested stack."""
    properties = root["Resources"].get(name, {}).get("Properties", {})
    arguments: Mapping[str, Any] = properties.get("Parameters", {})
    return arguments


def _all_of(template: Mapping[str, Any], action: ChangeAction) -> tuple[Change, ...]:
    return tuple(
        Change(name, body["Type"], "", action) for name, body in template["Resources"].items()
    )


def _all_in(child: StackNode | None) -> tuple[Change, ...]:
    """Return the removal of everything in a nested stack."""
    if child is None:
        return ()
    return tuple(
        Change(resource.logical_id, resource.type, resource.physical_id, ChangeAction.REMOVE)
        for resource in child.resources
        if resource.exists
    )
