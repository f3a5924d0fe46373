"""Permissions, read from templates, so that a deployment can show how they change.

A permission is one action on one resource for one principal. Computed parts (``!Sub``, ``!Ref``)
are compared as text: if the text does not change, the permission does not change.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from generator.cfn.expressions import alternatives, as_text, call_of
from pipeline.types import JsonView

_DOCUMENTS: Final = ("PolicyDocument", "KeyPolicy", "ResourcePolicy")
_ROLE: Final = "AWS::IAM::Role"
_PERMISSION: Final = "AWS::Lambda::Permission"
_HOLDERS: Final = ("RoleName", "Roles", "UserName", "Users", "GroupName", "Groups")
_NOISE: Final = re.compile(r"\$\{AWS::(Partition|Region|AccountId)\}")
_ITSELF: Final = "(itself)"


class Right(NamedTuple):
    """One action on one resource for one principal; ``condition`` is empty, or JSON."""

    place: str
    principal: str
    effect: str
    action: str
    resource: str
    condition: str


@dataclass(frozen=True)
class RightsChange:
    """Permissions that are added or removed together."""

    comes: bool
    place: str
    principal: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str

    @property
    def widens(self) -> bool:
        """Return whether it grants more access: an added Allow, or a removed Deny."""
        return self.comes == (self.effect == "Allow")

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "change": "add" if self.comes else "remove",
            "widens": self.widens,
            "place": self.place,
            "principal": self.principal,
            "effect": self.effect,
            "actions": list(self.actions),
            "resources": list(self.resources),
            "condition": json.loads(self.condition) if self.condition else None,
        }


def compare(old: Iterable[Right], new: Iterable[Right]) -> list[RightsChange]:
    """Return the added and removed permissions in groups, those that grant more access first."""
    before, after = set(old), set(new)
    found = [*_grouped(after - before, True), *_grouped(before - after, False)]
    return sorted(
        found,
        key=lambda change: (not change.widens, change.place, not change.comes, change.actions),
    )


def _grouped(rights: set[Right], comes: bool) -> Iterator[RightsChange]:
    """Join the actions that share resources, then the resources that share actions."""
    actions: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for right in rights:
        actions[right.place, right.principal, right.effect, right.condition, right.resource].add(
            right.action
        )
    resources: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for (place, principal, effect, condition, resource), names in actions.items():
        key = (place, principal, effect, condition, tuple(sorted(names)))
        resources[key].add(resource)
    for (place, principal, effect, condition, names), on in resources.items():
        yield RightsChange(comes, place, principal, effect, names, tuple(sorted(on)), condition)


def of_template(template: JsonView, path: str = "") -> Iterator[Right]:
    """Yield every permission that a template allows or denies; ``path`` is the nested stack."""
    for name, body in template.get("Resources", {}).items():
        place = f"{path}/{name}" if path else name
        yield from _of_resource(place, name, body["Type"], body.get("Properties", {}))


def _of_resource(place: str, name: str, kind: str, properties: JsonView) -> Iterator[Right]:
    holders = [_render(item) for key in _HOLDERS for item in alternatives(properties.get(key, []))]
    holder = ", ".join(holders) or _ITSELF
    for key in _DOCUMENTS:
        if key in properties:
            yield from _of_document(place, properties[key], holder, f"${{{name}}}")
    if kind == _ROLE:
        yield from _of_role(place, name, properties)
    if kind == _PERMISSION:
        yield Right(
            place,
            _render(properties.get("Principal", "")),
            "Allow",
            _render(properties.get("Action", "")),
            _render(properties.get("FunctionName", "")),
            _condition({k: properties[k] for k in ("SourceArn",) if k in properties}),
        )


def _of_role(place: str, name: str, properties: JsonView) -> Iterator[Right]:
    role = f"${{{name}}}"
    trust = properties.get("AssumeRolePolicyDocument", {})
    yield from _of_document(place, trust, _ITSELF, role)
    for policy in alternatives(properties.get("Policies", [])):
        yield from _of_document(place, policy.get("PolicyDocument", {}), role, "*")
    for arn in alternatives(properties.get("ManagedPolicyArns", [])):
        yield Right(place, role, "Allow", "everything in the managed policy", _render(arn), "")


def _of_document(place: str, document: JsonView, holder: str, itself: str) -> Iterator[Right]:
    for statement in alternatives(document.get("Statement", [])):
        if not isinstance(statement, Mapping):
            continue
        principals = _principals(statement) or [holder]
        actions = _texts(statement, "Action", "NotAction")
        resources = _texts(statement, "Resource", "NotResource") or [itself]
        condition = _condition(statement.get("Condition", {}))
        effect = str(statement.get("Effect", "Allow"))
        for principal in principals:
            for action in actions:
                for resource in resources:
                    yield Right(place, principal, effect, action, resource, condition)


def _texts(statement: JsonView, plain: str, inverse: str) -> list[str]:
    if inverse in statement:
        return [f"all but {_render(item)}" for item in alternatives(statement[inverse])]
    return [_render(item) for item in alternatives(statement.get(plain, []))]


def _principals(statement: JsonView) -> list[str]:
    found = statement.get("Principal", statement.get("NotPrincipal"))
    if found is None:
        return []
    if isinstance(found, Mapping) and not call_of(found)[0]:
        return [_render(item) for values in found.values() for item in alternatives(values)]
    return ["everyone" if found == "*" else _render(found)]


def _condition(value: Any) -> str:
    return json.dumps(_readable(value), sort_keys=True) if value else ""


def _readable(value: Any) -> Any:
    """Return a condition with readable computed values."""
    if isinstance(value, Mapping) and not call_of(value)[0]:
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return _render(value) if isinstance(value, Mapping) else value


def _render(value: Any) -> str:
    """Return an expression as readable text, without the parts that are the same in all ARNs."""
    text = as_text(value)
    return text if _NOISE.fullmatch(text) else _NOISE.sub("", text).replace("arn::", "arn:")
