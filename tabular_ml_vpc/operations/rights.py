"""Who may do what, read from templates, so that a deployment shows what it changes about it.

A right is one action on one resource for one principal. Computed parts (``!Sub``, ``!Ref``) are
compared as they are written: a right whose text stays the same is the same right.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipeline.types import JsonView

_DOCUMENTS: Final = ("PolicyDocument", "KeyPolicy", "ResourcePolicy")
_ROLE: Final = "AWS::IAM::Role"
_PERMISSION: Final = "AWS::Lambda::Permission"
_HOLDERS: Final = ("RoleName", "Roles", "UserName", "Users", "GroupName", "Groups")
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
    """Rights that come or go together; ``widens`` tells whether more becomes possible."""

    comes: bool
    place: str
    principal: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str

    @property
    def widens(self) -> bool:
        """Tell whether more becomes possible: an Allow that comes, a Deny that goes."""
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
    """Return what comes and goes, grouped for reading, what widens first."""
    before, after = set(old), set(new)
    found = [*_grouped(after - before, True), *_grouped(before - after, False)]
    return sorted(found, key=lambda one: (not one.widens, one.place, not one.comes, one.actions))


def _grouped(rights: set[Right], comes: bool) -> Iterator[RightsChange]:
    """Join the actions that share resources, then the resources that share actions."""
    actions: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in rights:
        actions[one.place, one.principal, one.effect, one.condition, one.resource].add(one.action)
    resources: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for (place, principal, effect, condition, resource), names in actions.items():
        key = (place, principal, effect, condition, tuple(sorted(names)))
        resources[key].add(resource)
    for (place, principal, effect, condition, names), on in resources.items():
        yield RightsChange(comes, place, principal, effect, names, tuple(sorted(on)), condition)


def of_template(template: JsonView, path: str = "") -> Iterator[Right]:
    """Yield every right that a template gives or takes; ``path`` is the nested stack's name."""
    for name, body in template.get("Resources", {}).items():
        place = f"{path}/{name}" if path else name
        yield from _of_resource(place, name, body["Type"], body.get("Properties", {}))


def _of_resource(place: str, name: str, kind: str, properties: JsonView) -> Iterator[Right]:
    held = [_render(one) for key in _HOLDERS for one in _flat(properties.get(key, []))]
    holder = ", ".join(held) or _ITSELF
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
    for policy in _flat(properties.get("Policies", [])):
        yield from _of_document(place, policy.get("PolicyDocument", {}), role, "*")
    for arn in _flat(properties.get("ManagedPolicyArns", [])):
        yield Right(place, role, "Allow", "everything in the managed policy", _render(arn), "")


def _of_document(place: str, document: JsonView, holder: str, itself: str) -> Iterator[Right]:
    for statement in _flat(document.get("Statement", [])):
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
        return [f"all but {_render(one)}" for one in _flat(statement[inverse])]
    return [_render(one) for one in _flat(statement.get(plain, []))]


def _principals(statement: JsonView) -> list[str]:
    found = statement.get("Principal", statement.get("NotPrincipal"))
    if found is None:
        return []
    if isinstance(found, Mapping) and not _is_function(found):
        return [_render(one) for values in found.values() for one in _flat(values)]
    return ["everybody" if found == "*" else _render(found)]


def _flat(value: Any) -> list[Any]:
    """Return a list of what is there, both sides of every ``Fn::If``."""
    if isinstance(value, list):
        return [one for each in value for one in _flat(each)]
    if isinstance(value, Mapping) and "Fn::If" in value:
        return [one for each in value["Fn::If"][1:] for one in _flat(each)]
    if isinstance(value, Mapping) and value.get("Ref") == "AWS::NoValue":
        return []
    return [value]


def _condition(value: Any) -> str:
    return json.dumps(_readable(value), sort_keys=True) if value else ""


def _readable(value: Any) -> Any:
    """Return a condition with its computed values written for people."""
    if isinstance(value, Mapping):
        if _is_function(value):
            return _render(value)
        return {key: _readable(one) for key, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list) else value


def _is_function(value: JsonView) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


def _render(value: Any) -> str:
    """Write an expression for people: ``arn:aws:s3:::${DataBucket}/raw/*``."""
    if isinstance(value, str):
        return _without_noise(value)
    if isinstance(value, Mapping) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name == "Ref":
            return f"${{{argument}}}"
        if name == "Fn::GetAtt":
            return f"${{{'.'.join(argument)}}}"
        if name == "Fn::Sub":
            return _substituted(argument)
        if name == "Fn::Join" and isinstance(argument[1], list):
            return str(argument[0]).join(map(_render, argument[1]))
    return json.dumps(value, sort_keys=True)


def _substituted(argument: Any) -> str:
    if isinstance(argument, str):
        return _without_noise(argument)
    text, values = argument
    shown = {f"${{{name}}}": _render(value) for name, value in values.items()}
    for name, value in shown.items():
        text = text.replace(name, value)
    return _without_noise(text)


def _without_noise(text: str) -> str:
    """Shorten the parts of ARNs that are the same everywhere."""
    return re.sub(r"\$\{AWS::(Partition|Region|AccountId)\}", "", text).replace("arn::", "arn:")
