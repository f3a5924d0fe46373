"""Policies as single rights, and which of them are not covered by others.

A right is one action on one resource for one principal. Policies grant no more than before if each
right to allow is covered by an old one, and each old one to deny by a new one. What ``NotAction``,
``NotResource`` and ``NotPrincipal`` say is covered by the same, or by a longer list.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from generator.cfn.expressions import alternatives
from pipeline.types import Json, JsonView
from tabular_ml_vpc.operations.loosening import conditions
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening
from tabular_ml_vpc.operations.loosening.patterns import arn_matches, matches

_ANYBODY: Final = "*"
_UNDENIED: Final = "a Deny that held no longer holds"


class Scope(NamedTuple):
    """What a part of a statement names: one pattern or, inverse, all but some patterns."""

    patterns: tuple[str, ...]
    inverse: bool = False

    def __str__(self) -> str:
        text = ", ".join(self.patterns)
        return f"all but {text}" if self.inverse else text


class Right(NamedTuple):
    """One action on one resource for one principal; ``condition`` is canonical."""

    effect: str
    principal: Scope
    action: Scope
    resource: Scope
    condition: str


Rights = Mapping[Right, str]
"""Rights, with the place of the policy that each one is in."""


def of_document(document: Any, holder: str, itself: str) -> Iterator[Right]:
    """Yield the rights in a policy.

    ``holder`` is the principal where statements name none, ``itself`` the resource.
    """
    readable = json.loads(document) if isinstance(document, str) else document
    for statement in alternatives(readable.get("Statement", [])):
        yield from _of_statement(statement, holder, itself)


def _of_statement(statement: JsonView, holder: str, itself: str) -> Iterator[Right]:
    condition = conditions.canonical(statement.get("Condition", {}))
    for principal in _scopes(statement, "Principal") or [Scope((holder,))]:
        for action in _scopes(statement, "Action"):
            for resource in _scopes(statement, "Resource") or [Scope((itself,))]:
                yield Right(
                    str(statement.get("Effect", "Allow")), principal, action, resource, condition
                )


def _scopes(statement: JsonView, part: str) -> list[Scope]:
    if f"Not{part}" in statement:
        return [Scope(tuple(sorted(_names(statement[f"Not{part}"]))), inverse=True)]
    return [Scope((name,)) for name in _names(statement.get(part, []))]


def _names(value: Any) -> Iterator[str]:
    """Yield patterns; of principals the account's root and its number are the same."""
    if isinstance(value, Mapping):
        for kind, names in value.items():
            for name in map(str, alternatives(names)):
                root = name.split(":")[4] if name.endswith(":root") else name
                yield root if kind == "AWS" else name
    else:
        yield from map(str, alternatives(value))


def loosenings(kind: Kind, old: Rights, new: Rights, why: str) -> Iterator[Loosening]:
    """Yield what is allowed and was not, and what was denied and is denied no longer."""
    for group in _groups(_uncovered(new, old, "Allow"), new, old):
        what = f"Allow for {group.who}"
        yield Loosening(kind, group.place, what, group.closest, group.statement, why)
    for group in _groups(_uncovered(old, new, "Deny"), old, new):
        what = f"Deny for {group.who}"
        yield Loosening(kind, group.place, what, group.statement, group.closest, _UNDENIED)


def _uncovered(rights: Rights, others: Rights, effect: str) -> list[Right]:
    candidates = [other for other in others if other.effect == effect]
    return [
        right
        for right in rights
        if right.effect == effect
        and right not in others
        and not any(_covers(other, right) for other in candidates)
    ]


def _covers(wide: Right, narrow: Right) -> bool:
    return (
        _contains(wide.action, narrow.action, _same_action)
        and _contains(wide.resource, narrow.resource, arn_matches)
        and _contains(wide.principal, narrow.principal, _same_principal)
        and conditions.implies(narrow.condition, wide.condition)
    )


def _contains(wide: Scope, narrow: Scope, match: Callable[[str, str], bool]) -> bool:
    if wide.inverse and narrow.inverse:
        return all(any(match(one, other) for one in narrow.patterns) for other in wide.patterns)
    if wide.inverse or narrow.inverse:
        return wide.patterns == ("*",) and not wide.inverse
    return match(wide.patterns[0], narrow.patterns[0])


def _same_action(wide: str, narrow: str) -> bool:
    return matches(wide.lower(), narrow.lower())


def _same_principal(wide: str, narrow: str) -> bool:
    """Return whether a principal is the same; that everybody includes services is not proven."""
    service = "." in narrow and not narrow.startswith("arn:")
    return wide == narrow or (wide == _ANYBODY and not service)


@dataclass(frozen=True)
class _Group:
    """Rights that differ in actions and resources only; ``other`` is the other side's condition."""

    place: str
    effect: str
    principal: Scope
    condition: str
    other: str | None
    actions: tuple[Scope, ...]
    resources: tuple[Scope, ...]

    @property
    def who(self) -> str:
        """Return the principal for people."""
        return "everyone" if self.principal == Scope((_ANYBODY,)) else str(self.principal)

    @property
    def statement(self) -> Json:
        """Return the rights as a statement of a policy."""
        return self._with(self.condition)

    @property
    def closest(self) -> Json | None:
        """Return what the other side says of the same rights, if anything."""
        return None if self.other is None else self._with(self.other)

    def _with(self, condition: str) -> Json:
        return {
            "Effect": self.effect,
            "Principal": str(self.principal),
            "Action": [str(action) for action in self.actions],
            "Resource": [str(resource) for resource in self.resources],
            **({"Condition": json.loads(condition)} if condition else {}),
        }


def _groups(found: Iterable[Right], side: Rights, others: Rights) -> Iterator[_Group]:
    """Join the actions that share resources, then the resources that share actions.

    What the other side says instead is a right that this side does not have.
    """
    known = {right[:-1]: right.condition for right in sorted(others.keys() - side.keys())}
    actions: dict[tuple[Any, ...], list[Scope]] = defaultdict(list)
    for right in sorted(found):
        shared = (side[right], right.effect, right.principal, right.condition)
        actions[*shared, known.get(right[:-1]), right.resource].append(right.action)
    resources: dict[tuple[Any, ...], list[Scope]] = defaultdict(list)
    for (*key, resource), names in actions.items():
        resources[*key, tuple(names)].append(resource)
    for (place, effect, principal, condition, other, names), on in resources.items():
        yield _Group(place, effect, principal, condition, other, names, tuple(on))
