"""What an update replaces, followed through references to the end, across nested stacks.

Both deployments are evaluated (``generator.cfn.evaluator``) with made-up identifiers. A resource
with a difference in a property that its type's schema calls create-only is replaced: it gets
another identifier, which changes what refers to it, and so on, until nothing changes anymore.

Which Availability Zones ``Fn::GetAZs`` chooses is not known here, nor whether a conditionally
create-only property replaces its resource. What is replaced in some of these cases, but not in all,
may be replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from generator.cfn.evaluator import KEEPS, ROOT, EvaluatedStack, ResolveError
from generator.cfn.expressions import NESTED, nested_stacks
from generator.cfn.identifiers import Identity, StackLocation, UnknownAttributeError
from generator.cfn.schemas import create_only_paths
from pipeline.types import Json, JsonView
from tabular_ml_vpc.operations.changes import Change, ChangeAction

_ATTRIBUTES: Final = ("Metadata", "DeletionPolicy", "UpdateReplacePolicy")
_ZONES: Final = ("abc", "acd", "bcd")
_CUSTOM: Final = ("Custom::", "AWS::CloudFormation::CustomResource")
_CERTAIN_IF_SET: Final = (("AWS::SageMaker::Domain", "VpcId"),)
"""Conditionally create-only properties that can be set once ("UpdateDomain"), but not changed."""
_FOLLOWS: Final = "follows"
"""Note of a resource that is replaced only because it refers to another one that is."""
_STRENGTH: Final = (ChangeAction.MODIFY, ChangeAction.MAYBE_REPLACE, ChangeAction.REPLACE)

Place = tuple[str, str]
"""The logical id of a nested stack (empty: the root), and that of a resource in it."""
Changes = Mapping[str, tuple[Change, ...]]
"""The changes in each nested stack, by its logical id."""


@dataclass(frozen=True)
class DeploymentSide:
    """A root template, those nested in it by logical id, and the root's parameters."""

    root: JsonView
    nested: Mapping[str, JsonView]
    parameters: Mapping[str, str]

    def evaluated(self, identity: Identity) -> dict[str, EvaluatedStack]:
        """Return the evaluated nested stacks, by logical id."""
        files = nested_stacks(self.root)
        templates = {files[name]: dict(body) for name, body in self.nested.items()}
        root = EvaluatedStack({ROOT: dict(self.root)} | templates, ROOT, identity, self.parameters)
        return {name: root.child(name) for name in root.present() if name in self.nested}


@dataclass(frozen=True)
class _Renewed(Identity):
    """Identifiers of one stack, in which the resources at some places have new ones."""

    path: str
    renewed: frozenset[Place]

    def digits(self, logical_id: str, length: int = 17) -> str:
        mark = " renewed" if (self.path, logical_id) in self.renewed else ""
        return super().digits(logical_id + mark, length)

    def child(self, logical_id: str) -> Identity:
        return _Renewed(self.place, self.named(logical_id), logical_id, self.renewed)


def follow(
    old: DeploymentSide,
    new: DeploymentSide,
    location: StackLocation,
    physical_ids: Mapping[Place, str],
) -> Changes | None:
    """Return all changes of an update; None if the templates cannot be evaluated."""
    try:
        worlds = [_world(old, new, replace(location, zones=zones)) for zones in _ZONES]
        if any(one.action is ChangeAction.MAYBE_REPLACE for one in worlds[0].values()):
            worlds.append(_world(old, new, location, _STRENGTH[1:]))
    except (ResolveError, UnknownAttributeError):
        return None
    places = {place: None for world in worlds for place in world}
    found: dict[str, list[Change]] = {}
    for stack, name in places:
        change = _agreed([world.get((stack, name)) for world in worlds])
        physical_id = physical_ids.get((stack, name), "")
        if change.action is not ChangeAction.ADD:
            change = replace(change, physical_id=physical_id)
        found.setdefault(stack, []).append(change)
    return {stack: tuple(changes) for stack, changes in found.items()}


def _agreed(found: list[Change | None]) -> Change:
    """Return a resource's change, given those with each choice of zones."""
    known = [change for change in found if change is not None]
    strongest = max(known, key=_strength)
    certain = len({change and change.action for change in found}) == 1
    if strongest.action is not ChangeAction.REPLACE or certain:
        return strongest
    note = "depending on what AWS chooses"
    return replace(strongest, action=ChangeAction.MAYBE_REPLACE, note=note)


def _strength(change: Change) -> int:
    return _STRENGTH.index(change.action) if change.action in _STRENGTH else len(_STRENGTH)


def _world(
    old: DeploymentSide,
    new: DeploymentSide,
    location: StackLocation,
    replacing: Sequence[ChangeAction] = (ChangeAction.REPLACE,),
) -> dict[Place, Change]:
    """Return the changes with one choice of zones, if these actions replace a resource."""
    nothing = frozenset[Place]()
    before = old.evaluated(_Renewed(location, location.stack_name, "", nothing))
    renewed, direct = nothing, None
    while True:
        after = new.evaluated(_Renewed(location, location.stack_name, "", renewed))
        changes = dict(_differences(before, after))
        replaced = frozenset(place for place, one in changes.items() if one.action in replacing)
        direct = replaced if direct is None else direct
        if replaced <= renewed:
            followed = replaced - direct
            return {
                place: replace(change, note=_FOLLOWS) if place in followed else change
                for place, change in changes.items()
            }
        renewed |= replaced


def _differences(
    before: Mapping[str, EvaluatedStack], after: Mapping[str, EvaluatedStack]
) -> Iterator[tuple[Place, Change]]:
    for stack in {**after, **before}:
        old, new = before.get(stack), after.get(stack)
        was = old.present() if old else []
        names = {**dict.fromkeys(new.present() if new else []), **dict.fromkeys(was)}
        for name in names:
            change = _difference(name, old if name in was else None, new)
            if change is not None:
                yield (stack, name), change


def _difference(name: str, old: EvaluatedStack | None, new: EvaluatedStack | None) -> Change | None:
    if new is None or name not in new.present():
        assert old is not None  # noqa: S101 - the name is of one of them
        kept = _body(old, name).get("DeletionPolicy") in KEEPS
        return Change(name, old.type_of(name), "", ChangeAction.REMOVE, kept=kept)
    if old is None:
        return Change(name, new.type_of(name), "", ChangeAction.ADD)
    kept = _body(new, name).get("UpdateReplacePolicy") in KEEPS
    if old.type_of(name) != new.type_of(name):
        replaced = Change(name, new.type_of(name), "", ChangeAction.REPLACE, ("Type",))
        return replace(replaced, kept=kept)
    changed = _changed(old, new, name)
    if not changed:
        return None
    action, note = _action(new.type_of(name), old.properties(name), new.properties(name))
    return Change(name, new.type_of(name), "", action, tuple(sorted(changed)), note, kept)


def _changed(old: EvaluatedStack, new: EvaluatedStack, name: str) -> set[str]:
    """Return the names of the properties and attributes that differ."""
    before, after = old.properties(name), new.properties(name)
    properties = {key for key in {**before, **after} if before.get(key) != after.get(key)}
    attributes = {key for key in _ATTRIBUTES if _value(old, name, key) != _value(new, name, key)}
    return properties | attributes


def _value(stack: EvaluatedStack, name: str, attribute: str) -> Any:
    return stack.value(_body(stack, name).get(attribute))


def _body(stack: EvaluatedStack, name: str) -> Json:
    body: Json = stack.template["Resources"][name]
    return body


def _action(kind: str, old: Json, new: Json) -> tuple[ChangeAction, str]:
    """Return what a difference in properties does; our functions' physical ids never change."""
    if kind.startswith(_CUSTOM) or kind == NESTED:
        return ChangeAction.MODIFY, ""
    if _differ(old, new, create_only_paths(kind)):
        return ChangeAction.REPLACE, ""
    certain = any(kind == one and old.get(name) for one, name in _CERTAIN_IF_SET)
    conditional = _differ(old, new, create_only_paths(kind, conditional=True))
    if conditional and certain:
        return ChangeAction.REPLACE, ""
    if conditional:
        return ChangeAction.MAYBE_REPLACE, "depending on the value"
    return ChangeAction.MODIFY, ""


def _differ(old: Json, new: Json, paths: frozenset[tuple[str, ...]]) -> bool:
    return any(_at(old, path) != _at(new, path) for path in paths)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path, in each item of a list for ``*``; None if there is none."""
    if not path:
        return value
    if path[0] == "*":
        return [_at(item, path[1:]) for item in value] if isinstance(value, list) else None
    return _at(value.get(path[0]), path[1:]) if isinstance(value, Mapping) else None


def combine(
    told: tuple[Change, ...], predicted: tuple[Change, ...], complete: bool
) -> tuple[Change, ...]:
    """Return CloudFormation's changes, and what follows from them by the templates.

    ``complete`` says that CloudFormation has told about nested stacks; then only replacements are
    added to what it told.
    """
    expected = {change.logical_id: change for change in predicted}
    known = {change.logical_id for change in told}
    merged = [_merged(change, expected.get(change.logical_id), complete) for change in told]
    for change in predicted:
        if change.logical_id not in known:
            merged += _added(change, complete)
    return tuple(merged)


def _merged(told: Change, predicted: Change | None, complete: bool) -> Change:
    if predicted is None:
        return told
    if told.type == NESTED:
        return replace(told, children=combine(told.children, predicted.children, complete))
    if told.action not in _STRENGTH or _strength(predicted) <= _strength(told):
        return told
    properties = tuple(sorted({*told.properties, *predicted.properties}))
    return replace(told, action=predicted.action, properties=properties, note=predicted.note)


def _added(change: Change, complete: bool) -> list[Change]:
    if not complete:
        return [change]
    children = tuple(one for child in change.children for one in _added(child, complete))
    replaces = change.action in {ChangeAction.REPLACE, ChangeAction.MAYBE_REPLACE}
    return [replace(change, children=children)] if children or replaces else []
