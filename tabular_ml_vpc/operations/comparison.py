"""What a deployment would change: resources, from a change set, and what it loosens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from generator.cfn.evaluator import (
    KEEPS,
    ROOT,
    ResolvedDeployment,
    ResolvedResource,
    ResolveError,
    resolve_templates,
)
from generator.cfn.expressions import NESTED, nested_stacks
from generator.cfn.identifiers import UnknownAttributeError
from generator.errors import CommandError
from tabular_ml_vpc.operations import (
    cascade,
    changes,
    forecast,
    pipeline_changes,
    preflight,
    stacks,
)
from tabular_ml_vpc.operations.cascade import DeploymentSide
from tabular_ml_vpc.operations.changes import (
    Change,
    ChangeAction,
    ChangeSet,
    ChangeSets,
    NoChangesError,
)
from tabular_ml_vpc.operations.dropped import DroppedSetting
from tabular_ml_vpc.operations.forecast import Side
from tabular_ml_vpc.operations.inventory import Leftover
from tabular_ml_vpc.operations.loosening import comparison as loosening
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening
from tabular_ml_vpc.operations.pipeline_changes import RemovedPipeline
from tabular_ml_vpc.operations.placeholders import StackPlaceholders
from tabular_ml_vpc.operations.release import Release
from tabular_ml_vpc.operations.source import SourceOptions, our_tree
from tabular_ml_vpc.operations.stack_requests import blocked
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.validation import ValidationEvent

_SUFFIX: Final = "Stack"
"""End of the logical ids of nested stacks."""


@dataclass(frozen=True)
class StackDifference:
    """What would change; ``note`` says why changes are a forecast from the templates."""

    exists: bool
    changes: tuple[Change, ...] = ()
    loosenings: Sequence[Loosening] = ()
    tightenings: Sequence[Loosening] = ()
    """What the opposite change would loosen: ``new`` is what is deployed."""
    note: str = ""
    dropped: Sequence[DroppedSetting] = ()
    validation: Sequence[ValidationEvent] = ()
    """Warnings of CloudFormation's validation."""
    added_pipelines: Sequence[str] = ()
    """Names of pipelines that are added to a stack that exists."""
    removed_pipelines: Sequence[RemovedPipeline] = ()
    removes_manager: bool = False
    """Whether what would delete the removed pipelines is removed, too."""
    in_the_way: Sequence[Leftover] = ()
    """What earlier pipelines of the added ones' names left: the update would fail."""
    planned: ResolvedDeployment | None = None
    """What the new templates create, if pipelines are added and the templates are understood."""

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "exists": self.exists,
            "changes": [change.as_json() for change in self.changes],
            "loosenings": [one.as_json() for one in self.loosenings],
            "tightenings": [one.reversed().as_json() for one in self.tightenings],
            "note": self.note,
            "dropped_settings": [setting.as_json() for setting in self.dropped],
            "validation": [event.as_json() for event in self.validation],
            "added_pipelines": list(self.added_pipelines),
            "removed_pipelines": [one.as_json() for one in self.removed_pipelines],
            "removes_manager": self.removes_manager,
            "in_the_way": [one.as_json() for one in self.in_the_way],
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
            return difference_of_creation(release)
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


def difference_of_creation(release: Release) -> StackDifference:
    """Return everything that a first deployment creates."""
    package, nested = release.package, release.package.nested()
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
    return StackDifference(False, created, *_access(release, lambda: None))


def difference_of_update(
    release: Release, node: StackNode, change_set: ChangeSet
) -> StackDifference:
    """Return what a change set would do, and what it loosens.

    Raises:
        NoChangesError: nothing changes.

    """
    deployed = _DeployedTemplates(release, node)
    told = ChangeSets(release.target).read(change_set, deployed.forecast)
    combined = cascade.combine(told, deployed.predicted, change_set.nested)
    removed = pipeline_changes.removed(release.target, node, combined)
    known = {one.setting for one in removed}
    added = pipeline_changes.added(release.package.root_template, combined)
    return StackDifference(
        True,
        combined,
        *_access(release, deployed.resolved),
        "" if change_set.nested else change_set.note,
        [one for one in release.dropped() if one.name not in known],
        change_set.validation,
        added,
        removed,
        pipeline_changes.removes_manager(combined),
        pipeline_changes.in_the_way(release.target, node, added),
        _planned(release) if added else None,
    )


def _access(
    release: Release, deployed: Callable[[], ResolvedDeployment | None]
) -> tuple[list[Loosening], list[Loosening]]:
    """Return what a release loosens and tightens; templates that are not understood count as one.

    ``tightenings`` are the opposite change's loosenings, but for what is not provably either.
    """
    package = release.package
    try:
        old = deployed()
        new = _resolved(release, package.root_template, package.nested(), release.values)
    except (ResolveError, UnknownAttributeError) as error:
        why = f"the templates could not be compared: {error}"
        return [Loosening(Kind.SETTING, release.target.stack, "templates", None, None, why)], []
    looser = loosening.compare(old, new)
    known = {(one.place, one.what) for one in looser}
    opposite = loosening.compare(new, old) if old else []
    return looser, [one for one in opposite if (one.place, one.what) not in known]


def _planned(release: Release) -> ResolvedDeployment | None:
    package = release.package
    try:
        return _resolved(release, package.root_template, package.nested(), release.values)
    except (ResolveError, UnknownAttributeError):
        return None  # the loosenings say so


def _resolved(
    release: Release,
    root: Mapping[str, Any],
    nested: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, str],
) -> ResolvedDeployment:
    """Resolve templates; nested stacks are named by their logical ids, resources by placeholders.

    Raises:
        ResolveError: a template is missing, or refers to something that does not exist.
        UnknownAttributeError: it uses an attribute that is not known here.

    """
    resources = dict(root["Resources"])
    for name in nested_stacks(root):
        if name not in nested:
            raise ResolveError(f"the nested stack {name} has no template")
        properties = resources[name]["Properties"] | {"TemplateURL": f"{name}.yaml"}
        resources[name] = resources[name] | {"Properties": properties}
    target = release.target
    made = resolve_templates(
        {ROOT: {**root, "Resources": resources}} | {name: dict(nested[name]) for name in nested},
        parameters,
        target.location(target.stack),
        StackPlaceholders,
    )
    return replace(made, stacks=dict(map(_titled, made.stacks.items())))


def _titled(
    stack: tuple[str, Mapping[str, ResolvedResource]],
) -> tuple[str, Mapping[str, ResolvedResource]]:
    """Return a nested stack under its logical id, which the evaluation shortens."""
    name, resources = stack
    title = name if name == ROOT or name.endswith(_SUFFIX) else f"{name}{_SUFFIX}"
    return title, {key: replace(one, stack=title) for key, one in resources.items()}


@dataclass(frozen=True)
class _DeployedTemplates:
    """The deployed templates beside a release's, for what change sets do not say."""

    release: Release
    node: StackNode

    def resolved(self) -> ResolvedDeployment:
        """Return what the deployed templates created; raises what ``_resolved`` does."""
        nested = {child.title: self._template(child) for child in self.node.children}
        parameters = self.node.stack.parameters
        return _resolved(self.release, self._template(self.node), nested, parameters)

    @cached_property
    def predicted(self) -> tuple[Change, ...]:
        """Return what changes in all nested stacks, by the templates; empty if they do not say."""
        return tuple(
            Change(title, NESTED, node.stack.id, ChangeAction.MODIFY, children=found)
            for title, node in self._children.items()
            if (found := (self._followed or {}).get(title))
        )

    @cached_property
    def _followed(self) -> cascade.Changes | None:
        package, target = self.release.package, self.release.target
        nested = {title: self._template(node) for title, node in self._children.items()}
        ids = {
            (title, resource.logical_id): resource.physical_id
            for title, node in self._children.items()
            for resource in node.resources
        }
        return cascade.follow(
            DeploymentSide(self._template(self.node), nested, self.node.stack.parameters),
            DeploymentSide(package.root_template, package.nested(), self.release.values),
            target.location(self.node.stack.name),
            ids,
        )

    @property
    def _children(self) -> dict[str, StackNode]:
        return {child.title: child for child in self.node.children}

    def forecast(self, resource: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return what changes in a nested stack, by its templates."""
        name = resource["LogicalResourceId"]
        new = self.release.package.nested().get(name)
        child = next((child for child in self.node.children if child.title == name), None)
        if new is None or child is None:
            if new:
                return _all_of(new, ChangeAction.ADD)
            return removal_of(child, self._template(child)) if child else ()
        old_root, new_root = self._template(self.node), self.release.package.root_template
        if self._followed is not None:
            found = self._followed.get(name, ())
            return (*found, *_retagged(old_root, new_root, name, child))
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


def removal_of(child: StackNode, template: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the removal of everything in a nested stack; some of it is kept by its policy."""
    bodies = template.get("Resources", {})
    return tuple(
        Change(
            resource.logical_id,
            resource.type,
            resource.physical_id,
            ChangeAction.REMOVE,
            kept=bodies.get(resource.logical_id, {}).get("DeletionPolicy") in KEEPS,
        )
        for resource in child.resources
        if resource.exists
    )
