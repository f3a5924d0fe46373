"""What an update would change, by comparing the old and new templates.

Used where CloudFormation provides no change set for a nested stack. It cannot tell whether a
computed value changes; it reports such changes as possible.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.expressions import is_computed, references
from generator.cfn.schemas import create_only
from pipeline.types import JsonView
from tabular_ml_vpc.operations.changes import Change, ChangeAction

_CUSTOM: Final = ("Custom::", "AWS::CloudFormation::CustomResource")
_KEEPS: Final = frozenset({"Retain", "RetainExceptOnCreate"})


@dataclass(frozen=True)
class Side:
    """A template with the known values of its parameters."""

    template: JsonView
    parameters: Mapping[str, Any]


def compare(old: Side, new: Side, physical_ids: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the changes from one to the other, in the order of the new template."""
    moved = moved_names(old, new)
    before, after = old.template.get("Resources", {}), new.template.get("Resources", {})
    names = [*after, *(name for name in before if name not in after)]
    found = (
        _compared(name, before.get(name), after.get(name), moved, physical_ids.get(name, ""))
        for name in names
    )
    return tuple(change for change in found if change is not None)


def moved_names(old: Side, new: Side) -> frozenset[str]:
    """Return the parameters whose values differ, and the conditions that depend on them."""
    moved = {
        name for name, value in new.parameters.items() if old.parameters.get(name, value) != value
    }
    conditions = new.template.get("Conditions", {})
    for _ in conditions:
        moved |= {name for name, body in conditions.items() if mentions(body, moved)}
    return frozenset(moved)


def mentions(value: object, names: Collection[str]) -> bool:
    """Return whether a value refers to one of the names, as a parameter or a condition."""
    return any(name in names for name in references(value))


def _compared(
    name: str, old: JsonView | None, new: JsonView | None, moved: frozenset[str], physical_id: str
) -> Change | None:
    if old is None:
        assert new is not None  # noqa: S101 - the name is of one of them
        return Change(name, new["Type"], "", ChangeAction.ADD)
    if new is None:
        kept = old.get("DeletionPolicy") in _KEEPS
        return Change(name, old["Type"], physical_id, ChangeAction.REMOVE, kept=kept)
    if old["Type"] != new["Type"]:
        return Change(name, new["Type"], physical_id, ChangeAction.REPLACE, ("Type",))
    changed = dict(_changed(old, new, moved))
    if not changed:
        return None
    action, note = _action(new["Type"], changed)
    kept = new.get("UpdateReplacePolicy") in _KEEPS
    return Change(name, new["Type"], physical_id, action, tuple(sorted(changed)), note, kept)


def _changed(old: JsonView, new: JsonView, moved: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Yield each property or attribute that differs, and whether the difference is certain."""
    before, after = old.get("Properties", {}), new.get("Properties", {})
    for name in {**before, **after}:
        left, right = before.get(name), after.get(name)
        if left != right:
            yield name, not (is_computed(left) or is_computed(right))
        elif mentions(right, moved):
            yield name, False
    for attribute in ("Metadata", "DeletionPolicy", "UpdateReplacePolicy", "Condition"):
        if old.get(attribute) != new.get(attribute):
            yield attribute, True


def _action(kind: str, changed: Mapping[str, bool]) -> tuple[ChangeAction, str]:
    if kind.startswith(_CUSTOM):
        return ChangeAction.MODIFY, ""
    forcing = {name: sure for name, sure in changed.items() if name in create_only(kind)}
    if not forcing:
        return ChangeAction.MODIFY, ""
    if any(forcing.values()):
        return ChangeAction.REPLACE, ""
    return ChangeAction.MAYBE_REPLACE, "if the computed value changes"
