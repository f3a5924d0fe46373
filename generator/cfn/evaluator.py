"""What CloudFormation would make of the templates: every property as plain, concrete values.

``resolve_templates`` evaluates the intrinsic functions of the root and its nested stacks for one
account and region. It applies the conditions to the given parameters, and passes parameters on to
nested stacks as the root does. Nothing is deployed: identifiers that AWS would choose are made up
(``generator.cfn.identifiers``), the same ones each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from generator.cfn.identifiers import Identity, StackLocation, attribute, reference
from pipeline.types import Json

ROOT: Final = "root"
NESTED: Final = "AWS::CloudFormation::Stack"


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
) -> ResolvedDeployment:
    """Return what a deployment of these templates, by name, would create.

    Raises:
        ResolveError: a parameter is unknown, or a template refers to something that does not exist.

    """
    where = place or StackLocation()
    world = _World(templates, where)
    root = _Stack(world, ROOT, where.stack_name, dict(parameters or {}))
    stacks = [root, *(root.child(one) for one in root.present() if root.is_nested(one))]
    return ResolvedDeployment(
        place=where,
        stacks={stack.name: stack.resources() for stack in stacks},
        parameters={stack.name: stack.given for stack in stacks},
        outputs={stack.name: stack.outputs() for stack in stacks},
        stack_ids={stack.name: stack.identity.pseudo("AWS::StackId") for stack in stacks},
    )


@dataclass(frozen=True)
class _World:
    templates: Mapping[str, Json]
    place: StackLocation


class _Nothing:
    """``AWS::NoValue``."""


_NOTHING: Final = _Nothing()


@dataclass
class _Stack:
    """One stack while it is evaluated; children are evaluated when something asks for them."""

    world: _World
    name: str
    stack_name: str
    parameters: Mapping[str, Any]
    children: dict[str, _Stack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.template = self.world.templates[self.name]
        declared = self.template.get("Parameters", {})
        if unknown := sorted(self.parameters.keys() - declared.keys()):
            raise ResolveError(f"{self.name}: no parameter {', '.join(unknown)}")
        self.given = {
            name: self._argument(name, declaration) for name, declaration in declared.items()
        }
        self.identity = Identity(self.world.place, self.stack_name)

    def _argument(self, name: str, declaration: Json) -> object:
        if name not in self.parameters and "Default" not in declaration:
            raise ResolveError(f"{self.name}: parameter {name} has no value")
        value = str(self.parameters.get(name, declaration.get("Default")))
        kind = declaration["Type"]
        return value.split(",") if kind.startswith("List<") or "Delimited" in kind else value

    def present(self) -> list[str]:
        """Return the logical ids whose conditions hold."""
        return [
            name
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        ]

    def is_nested(self, logical_id: str) -> bool:
        return str(self.template["Resources"][logical_id]["Type"]) == NESTED

    def child(self, logical_id: str) -> _Stack:
        if logical_id not in self.children:
            properties = self.template["Resources"][logical_id]["Properties"]
            name = properties["TemplateURL"].removeprefix("./").removesuffix(".yaml")
            given = self.value(properties.get("Parameters", {}))
            stack_name = self.identity.named(logical_id)
            self.children[logical_id] = _Stack(self.world, name, stack_name, given)
        return self.children[logical_id]

    def resources(self) -> dict[str, ResolvedResource]:
        return {name: self._resource(name) for name in self.present()}

    def _resource(self, logical_id: str) -> ResolvedResource:
        kind = self.template["Resources"][logical_id]["Type"]
        return ResolvedResource(
            self.name, logical_id, kind, str(self._ref(logical_id)), self.properties(logical_id)
        )

    def properties(self, logical_id: str) -> Json:
        properties: Json = self.value(self.template["Resources"][logical_id].get("Properties", {}))
        return properties

    def outputs(self) -> Json:
        return {
            name: self.value(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def condition(self, name: str) -> bool:
        return bool(self.value(self.template["Conditions"][name]))

    def value(self, value: Any) -> Any:
        """Return ``value`` with its intrinsic functions evaluated."""
        if isinstance(value, list):
            listed = [self.value(item) for item in value]
            return [item for item in listed if item is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in _FUNCTIONS and not (name == "Condition" and isinstance(argument, dict)):
                return _FUNCTIONS[name](self, argument)
            if name.startswith("Fn::"):
                raise ResolveError(f"{self.name}: {name} is not known here")
        items = {key: self.value(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name.startswith("AWS::"):
            return self.identity.pseudo(name)
        if name in self.given:
            return self.given[name]
        return reference(self._kind(name), name, self.identity, lambda: self.properties(name))

    def _kind(self, logical_id: str) -> str:
        if logical_id not in self.template["Resources"]:
            raise ResolveError(f"{self.name}: there is no {logical_id}")
        return str(self.template["Resources"][logical_id]["Type"])

    def _get_att(self, argument: Any) -> Any:
        logical_id, name = argument.split(".", 1) if isinstance(argument, str) else argument
        if self._kind(logical_id) == NESTED:
            child, output = self.child(logical_id), str(name).removeprefix("Outputs.")
            if output not in child.template.get("Outputs", {}):
                raise ResolveError(f"{child.name}: no output {output}")
            return child.value(child.template["Outputs"][output]["Value"])
        return attribute(
            self._kind(logical_id),
            logical_id,
            name,
            self.identity,
            lambda: self.properties(logical_id),
        )

    def _sub(self, argument: Any) -> str:
        """Evaluate ``Fn::Sub``; ``${!name}`` stays as ``${name}`` for IAM's own variables."""
        text, values = argument if isinstance(argument, list) else (argument, {})
        given = {name: self.value(value) for name, value in values.items()}
        parts = str(text).split("${")
        result = parts[0]
        for part in parts[1:]:
            name, _, rest = part.partition("}")
            result += f"{self._sub_value(name, given)}{rest}"
        return result

    def _sub_value(self, name: str, given: Mapping[str, Any]) -> object:
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        if name in given:
            return given[name]
        return self._get_att(name) if "." in name else self._ref(name)

    def _join(self, argument: Any) -> str:
        separator, values = argument
        return str(separator).join(map(str, self.value(values)))

    def _select(self, argument: Any) -> Any:
        index, values = argument
        return self.value(values)[int(self.value(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.condition(condition) else no)

    def _find(self, argument: Any) -> Any:
        mapping, first, second = (self.value(part) for part in argument)
        try:
            return self.template["Mappings"][mapping][first][second]
        except KeyError as error:
            raise ResolveError(f"{self.name}: {mapping} has no {first}, {second}") from error

    def _equals(self, argument: Any) -> bool:
        left, right = self.value(argument)
        return str(left) == str(right)

    def _zones(self, argument: Any) -> list[str]:
        region = self.value(argument) or self.world.place.region
        return [f"{region}{letter}" for letter in "abc"]


_FUNCTIONS: Final[Mapping[str, Callable[[_Stack, Any], Any]]] = {
    "Ref": _Stack._ref,
    "Condition": _Stack.condition,
    "Fn::And": lambda stack, argument: all(stack.value(argument)),
    "Fn::Equals": _Stack._equals,
    "Fn::FindInMap": _Stack._find,
    "Fn::GetAZs": _Stack._zones,
    "Fn::GetAtt": _Stack._get_att,
    "Fn::If": _Stack._if,
    "Fn::Join": _Stack._join,
    "Fn::Not": lambda stack, argument: not stack.value(argument)[0],
    "Fn::Or": lambda stack, argument: any(stack.value(argument)),
    "Fn::Select": _Stack._select,
    "Fn::Split": _Stack._split,
    "Fn::Sub": _Stack._sub,
}
