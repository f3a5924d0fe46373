"""What CloudFormation would make of the templates: the values of their intrinsic functions.

``evaluate`` applies the conditions to the given parameters, and passes parameters on to nested
stacks as the root does. For one account and region every value is concrete: nothing is deployed,
identifiers that AWS would choose are made up (``generator.cfn.identifiers``), the same ones each
time. Without a location, references to resources and to the account are kept: values are symbolic.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from generator.cfn.expressions import (
    NO_VALUE,
    PLACEHOLDER,
    attribute_of,
    call_of,
    is_computed,
    nested_stacks,
    stack_name,
    text_and_values,
)
from generator.cfn.identifiers import Identity, StackLocation, attribute, reference
from pipeline.types import Json

ROOT: Final = "root"
RETENTION: Final = ("DeletionPolicy", "UpdateReplacePolicy")
KEEPS: Final = frozenset({"Retain", "RetainExceptOnCreate", "Snapshot"})
"""Values of these attributes with which data outlives its resource."""


class ResolveError(ValueError):
    """The templates name something that does not exist, or use a function not known here."""


@dataclass(frozen=True)
class ResolvedResource:
    """One resource that would be made: where it stands, and its properties, resolved."""

    stack: str
    logical_id: str
    type: str
    reference: str
    """What ``Ref`` gives: a name, an id or an ARN, as the type has it."""
    properties: Mapping[str, Any]
    kept: Mapping[str, str] = field(default_factory=dict)
    """Its ``DeletionPolicy`` and ``UpdateReplacePolicy``, if it has them."""

    def __str__(self) -> str:
        return f"{self.stack}/{self.logical_id}"


@dataclass(frozen=True)
class ResolvedDeployment:
    """All resources of one deployment, by stack (``root``, ``network``, ...) and logical id."""

    place: StackLocation
    stacks: Mapping[str, Mapping[str, ResolvedResource]]
    parameters: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    stack_ids: Mapping[str, str]
    """What ``AWS::StackId`` is in each stack."""

    def __iter__(self) -> Iterator[ResolvedResource]:
        for resources in self.stacks.values():
            yield from resources.values()

    def get(self, stack: str, logical_id: str) -> ResolvedResource:
        """Return one resource.

        Raises:
            KeyError: there is none of that name, or its condition keeps it away.

        """
        return self.stacks[stack][logical_id]

    def of_type(self, kind: str) -> list[ResolvedResource]:
        """Return the resources of a CloudFormation type, in the templates' order."""
        return [resource for resource in self if resource.type == kind]


def resolve_templates(
    templates: Mapping[str, Json],
    parameters: Mapping[str, str] | None = None,
    place: StackLocation | None = None,
    identity: type[Identity] = Identity,
) -> ResolvedDeployment:
    """Return what a deployment of these templates, by name, would create; ``identity`` names it.

    Raises:
        ResolveError: a parameter is unknown, or a template refers to something that does not exist.

    """
    where = place or StackLocation()
    stacks = evaluate(templates, parameters, where, identity)
    return ResolvedDeployment(
        place=where,
        stacks={stack.name: stack.resources() for stack in stacks},
        parameters={stack.name: stack.given for stack in stacks},
        outputs={stack.name: stack.outputs() for stack in stacks},
        stack_ids={stack.name: stack.value({"Ref": "AWS::StackId"}) for stack in stacks},
    )


def evaluate(
    templates: Mapping[str, Json],
    parameters: Mapping[str, str] | None = None,
    place: StackLocation | None = None,
    identity: type[Identity] = Identity,
) -> list[EvaluatedStack]:
    """Return the root and the stacks nested in it; symbolic if they have no place.

    Raises:
        ResolveError: a parameter is unknown, or has no value.

    """
    names = identity(place, place.stack_name) if place else None
    root = EvaluatedStack(templates, ROOT, names, parameters or {})
    return [root, *(root.child(one) for one in root.present() if one in root.nested)]


class _Nothing:
    """``AWS::NoValue``."""


_NOTHING: Final = _Nothing()


@dataclass
class EvaluatedStack:
    """One stack; those nested in it are evaluated when something asks for them."""

    templates: Mapping[str, Json]
    name: str
    identity: Identity | None
    """What names its resources; None keeps references to them."""
    parameters: Mapping[str, Any]
    file: str = ""
    """Its template's name, if that is not its own."""
    children: dict[str, EvaluatedStack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the parameters, and complete them with the defaults."""
        self.template = self.templates[self.file or self.name]
        self.nested = nested_stacks(self.template)
        declared = self.template.get("Parameters", {})
        if unknown := sorted(self.parameters.keys() - declared.keys()):
            raise ResolveError(f"{self.name}: no parameter {', '.join(unknown)}")
        self.given = {
            name: self._argument(name, declaration) for name, declaration in declared.items()
        }

    def _argument(self, name: str, declaration: Json) -> object:
        if name not in self.parameters and "Default" not in declaration:
            raise ResolveError(f"{self.name}: parameter {name} has no value")
        value = self.parameters.get(name, declaration.get("Default"))
        kind = declaration["Type"]
        if kind.startswith("List<") or "Delimited" in kind:
            return _split(",", value)
        return value if is_computed(value) else str(value)

    def present(self) -> list[str]:
        """Return the logical ids whose conditions hold."""
        return [
            name
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        ]

    def child(self, logical_id: str) -> EvaluatedStack:
        """Return a nested stack, with what this one passes to it."""
        if logical_id not in self.children:
            given = self.properties(logical_id).get("Parameters", {})
            identity = self.identity.child(logical_id) if self.identity else None
            file = self.nested[logical_id]
            name = stack_name(logical_id, file)
            self.children[logical_id] = EvaluatedStack(self.templates, name, identity, given, file)
        return self.children[logical_id]

    def resources(self) -> dict[str, ResolvedResource]:
        """Return the resources whose conditions hold, by logical id."""
        return {name: self._resource(name) for name in self.present()}

    def _resource(self, logical_id: str) -> ResolvedResource:
        ref, properties = self.value({"Ref": logical_id}), self.properties(logical_id)
        body = self.template["Resources"][logical_id]
        kept = {name: body[name] for name in RETENTION if name in body}
        kind = self.type_of(logical_id)
        return ResolvedResource(self.name, logical_id, kind, ref, properties, kept)

    def properties(self, logical_id: str) -> Json:
        """Return the properties of a resource, evaluated."""
        properties: Json = self.value(self.template["Resources"][logical_id].get("Properties", {}))
        return properties

    def outputs(self) -> Json:
        """Return the outputs whose conditions hold."""
        return {
            name: self.value(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def condition(self, name: str) -> bool:
        """Tell whether a condition holds.

        Raises:
            ResolveError: it depends on the account or on a resource, but no location is given.

        """
        return bool(self.value(self.template["Conditions"][name]))

    def value(self, value: Any) -> Any:
        """Return ``value`` with its intrinsic functions evaluated, as far as that is possible."""
        if isinstance(value, list):
            return [item for item in map(self.value, value) if item is not _NOTHING]
        if not isinstance(value, dict):
            return value
        name, argument = call_of(value)
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](self, argument)
        if name:
            raise ResolveError(f"{self.name}: {name} is not known here")
        items = {key: self.value(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}

    def _ref(self, name: str) -> Any:
        if name == NO_VALUE:
            return _NOTHING
        if name in self.given:
            return self.given[name]
        if self.identity is None:
            return {"Ref": name}
        if name.startswith("AWS::"):
            return self.identity.pseudo(name)
        return reference(self.type_of(name), name, self.identity, lambda: self.properties(name))

    def type_of(self, logical_id: str) -> str:
        """Return a resource's type.

        Raises:
            ResolveError: there is no such resource.

        """
        if logical_id not in self.template["Resources"]:
            raise ResolveError(f"{self.name}: unknown resource {logical_id}")
        return str(self.template["Resources"][logical_id]["Type"])

    def _get_att(self, argument: Any) -> Any:
        logical_id, name = attribute_of(argument)
        if logical_id in self.nested:
            child, output = self.child(logical_id), name.removeprefix("Outputs.")
            if output not in child.template.get("Outputs", {}):
                raise ResolveError(f"{child.name}: no output {output}")
            return child.value(child.template["Outputs"][output]["Value"])
        if self.identity is None:
            return {"Fn::GetAtt": [logical_id, name]}
        kind = self.type_of(logical_id)
        return attribute(kind, logical_id, name, self.identity, lambda: self.properties(logical_id))

    def _sub(self, argument: Any) -> Any:
        """Evaluate ``Fn::Sub``; ``${!name}`` becomes ``${name}`` for IAM's own variables."""
        text, own = text_and_values(argument)
        own = self.value(own)
        names = [name for escaped, name in PLACEHOLDER.findall(text) if not escaped]
        values = {name: self._sub_value(name, own) for name in names}
        kept = {name: value for name, value in values.items() if is_computed(value)}

        def known(found: re.Match[str]) -> str:
            if found[1]:
                return found[0] if kept else f"${{{found[2]}}}"
            return found[0] if found[2] in kept else str(values[found[2]])

        text = PLACEHOLDER.sub(known, text)
        moved = {name: value for name, value in kept.items() if not _is_plain(name, value)}
        return {"Fn::Sub": [text, moved] if moved else text} if kept else text

    def _sub_value(self, name: str, own: Mapping[str, Any]) -> Any:
        if name in own:
            return own[name]
        return self._get_att(name) if "." in name else self._ref(name)

    def _join(self, argument: Any) -> Any:
        separator, values = argument[0], self.value(argument[1])
        if is_computed(values):
            return {"Fn::Join": [separator, values]}
        return str(separator).join(map(str, values))

    def _select(self, argument: Any) -> Any:
        index, values = self.value(argument)
        if is_computed(index) or not isinstance(values, list):
            return {"Fn::Select": [index, values]}
        return values[int(index)]

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.condition(condition) else no)

    def _find(self, argument: Any) -> Any:
        keys = self.value(argument)
        if is_computed(keys):
            return {"Fn::FindInMap": keys}
        mapping, first, second = keys
        try:
            return self.template["Mappings"][mapping][first][second]
        except KeyError as error:
            raise ResolveError(f"{self.name}: {mapping} has no {first}, {second}") from error

    def _equals(self, argument: Any) -> bool:
        left, right = self.value(argument)
        if is_computed([left, right]):
            raise ResolveError(f"{self.name}: {argument} depends on the deployment")
        return str(left) == str(right)

    def _zones(self, argument: Any) -> Any:
        region = self.value(argument)
        if self.identity is None:
            return {"Fn::GetAZs": region}
        place = self.identity.place
        return [f"{region or place.region}{letter}" for letter in place.zones]


def _split(separator: str, text: Any) -> Any:
    """Return the list that was joined to a text."""
    match call_of(text):
        case "", known:
            return str(known).split(separator)
        case "Fn::Join", [used, parts] if used == separator:
            return parts
    return {"Fn::Split": [separator, text]}


def _is_plain(name: str, value: Any) -> bool:
    """Tell whether a value is what its name in a text would stand for anyway."""
    return value in ({"Ref": name}, {"Fn::GetAtt": name.split(".", 1)})


def _base64(text: Any) -> Any:
    if is_computed(text):
        return {"Fn::Base64": text}
    return base64.b64encode(str(text).encode()).decode()


_FUNCTIONS: Final[Mapping[str, Callable[[EvaluatedStack, Any], Any]]] = {
    "Ref": EvaluatedStack._ref,
    "Condition": EvaluatedStack.condition,
    "Fn::And": lambda stack, argument: all(stack.value(argument)),
    "Fn::Base64": lambda stack, argument: _base64(stack.value(argument)),
    "Fn::Equals": EvaluatedStack._equals,
    "Fn::FindInMap": EvaluatedStack._find,
    "Fn::GetAZs": EvaluatedStack._zones,
    "Fn::GetAtt": EvaluatedStack._get_att,
    "Fn::If": EvaluatedStack._if,
    "Fn::Join": EvaluatedStack._join,
    "Fn::Not": lambda stack, argument: not stack.value(argument)[0],
    "Fn::Or": lambda stack, argument: any(stack.value(argument)),
    "Fn::Select": EvaluatedStack._select,
    "Fn::Split": lambda stack, argument: _split(argument[0], stack.value(argument[1])),
    "Fn::Sub": EvaluatedStack._sub,
}
