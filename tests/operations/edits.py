"""Edits of the emitted templates, for tests of what loosens: how templates are made and changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment, resolve_templates
from generator.cfn.identifiers import Identity, StackLocation
from generator.emit import as_dict
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.types import Json
from tabular_ml_vpc.operations.placeholders import StackPlaceholders
from tests.iam.account import Request

BOUNDARY: Final = "arn:aws:iam::123456789012:policy/boundary"
BASES: Final[Mapping[str, tuple[Mode, Json]]] = {
    "dev": (Mode.DEV, {}),
    "prod": (Mode.PROD, {}),
    "packages": (Mode.DEV, {"packages": {"source": "pypi", "internal_names": ["acme"]}}),
    "bounded": (Mode.DEV, {"security": {"permissions_boundary": BOUNDARY}}),
    "locked": (
        Mode.PROD,
        {
            "storage": {
                "object_lock_days": 30,
                "replica_bucket": "arn:aws:s3:::replica",
                "replica_key": "arn:aws:kms:eu-central-1:123456789012:key/"
                "11111111-2222-3333-4444-555555555555",
            }
        },
    ),
}
"""Settings from which templates are made."""

Templates = dict[str, Json]
Change = Callable[[Templates], None]


@dataclass(frozen=True)
class Edit:
    """A change of templates or of parameters.

    ``probe`` is a request that policies refuse before and allow after a loosening; in its texts
    ``{bucket}`` and the like stand for what `tests.iam.names.placeholders` says.
    """

    name: str
    change: Change | None = None
    base: str = "dev"
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    probe: Request | None = None
    stricter: bool = False
    """Policies refuse more than before."""

    def __str__(self) -> str:
        return self.name

    def deployments(self, plain: bool = False) -> tuple[ResolvedDeployment, ResolvedDeployment]:
        """Return what is deployed before and after the edit; ``plain``: with AWS's own names."""
        new = made(self.base)
        if self.change:
            self.change(new)
        identity = Identity if plain else StackPlaceholders
        old = _before(self.base, tuple(self.before.items()), plain)
        return old, resolve_templates(new, self.after, StackLocation(), identity)


_Parameters = tuple[tuple[str, str], ...]


@cache
def _before(base: str, parameters: _Parameters, plain: bool) -> ResolvedDeployment:
    identity = Identity if plain else StackPlaceholders
    return resolve_templates(made(base), dict(parameters), StackLocation(), identity)


def made(base: str) -> Templates:
    """Return the templates of a base, which may be changed."""
    templates: Templates = json.loads(_text(base))
    return templates


@cache
def _text(base: str) -> str:
    mode, settings = BASES[base]
    built = root.build(Settings.model_validate(settings), mode)
    return json.dumps({name: as_dict(template) for name, template in built.items()})


def body(templates: Templates, place: str) -> Json:
    """Return a resource such as ``storage/DataBucket``."""
    stack, _, logical_id = place.partition("/")
    found: Json = templates[stack]["Resources"][logical_id]
    return found


def properties(templates: Templates, place: str) -> Json:
    """Return the properties of a resource."""
    found: Json = body(templates, place).setdefault("Properties", {})
    return found


def put(place: str, path: str, value: Any) -> Change:
    """Return the change that sets a property, by its path with dots; None removes it."""

    def change(templates: Templates) -> None:
        *above, last = path.split(".")
        at: Any = properties(templates, place)
        for name in above:
            at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
        if value is None:
            del at[last]
        else:
            at[last] = value

    return change


def attribute(place: str, **values: str) -> Change:
    """Return the change of attributes such as ``DeletionPolicy``."""
    return lambda templates: body(templates, place).update(values)


def add(place: str, kind: str, **content: Any) -> Change:
    """Return the change that adds a resource."""

    def change(templates: Templates) -> None:
        stack, _, logical_id = place.partition("/")
        templates[stack]["Resources"][logical_id] = {"Type": kind, "Properties": content}

    return change


def remove(place: str) -> Change:
    """Return the change that removes a resource, and what waits for it."""

    def change(templates: Templates) -> None:
        stack, _, logical_id = place.partition("/")
        resources = templates[stack]["Resources"]
        del resources[logical_id]
        for other in resources.values():
            if logical_id in (waits := other.get("DependsOn", [])):
                other["DependsOn"] = [one for one in waits if one != logical_id]

    return change


def every(kind: str, change: Callable[[Json], object]) -> Change:
    """Return the change of the properties of every resource of a type."""

    def changed(templates: Templates) -> None:
        for template in templates.values():
            for resource in template["Resources"].values():
                if resource["Type"] == kind:
                    change(resource["Properties"])

    return changed


def document(templates: Templates, place: str) -> Json:
    """Return the policy in a resource."""
    known = ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")
    found = properties(templates, place)
    (name,) = [name for name in known if name in found]
    policy: Json = found[name]
    return policy


def statement(templates: Templates, place: str, sid: str) -> Json:
    """Return a statement by its Sid; the only one if it has none."""
    statements = document(templates, place)["Statement"]
    (found,) = [one for one in statements if one.get("Sid", "") == sid]
    result: Json = found
    return result


def say(place: str, sid: str, **parts: Any) -> Change:
    """Return the change that sets parts of a statement; None removes one."""

    def change(templates: Templates) -> None:
        found = statement(templates, place, sid)
        for name, value in parts.items():
            if value is None:
                del found[name]
            else:
                found[name] = value

    return change


def unsay(place: str, sid: str) -> Change:
    """Return the change that removes a statement."""

    def change(templates: Templates) -> None:
        found = statement(templates, place, sid)
        document(templates, place)["Statement"].remove(found)

    return change


def append(place: str, **new: Any) -> Change:
    """Return the change that adds a statement."""
    return lambda templates: document(templates, place)["Statement"].append(new)


def also(*changes: Change) -> Change:
    """Return the changes as one."""

    def change(templates: Templates) -> None:
        for one in changes:
            one(templates)

    return change


def every_policy(change: Callable[[Json], object]) -> Change:
    """Return the change of every policy of the templates."""

    def changed(templates: Templates) -> None:
        for template in templates.values():
            for resource in template["Resources"].values():
                for value in resource.get("Properties", {}).values():
                    if isinstance(value, dict) and "Statement" in value:
                        change(value)

    return changed


def every_statement(change: Callable[[Json], object]) -> Change:
    """Return the change of every statement of the templates."""

    def changed(policy: Json) -> None:
        for one in policy["Statement"]:
            change(one)

    return every_policy(changed)
