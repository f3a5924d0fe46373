"""The nested stacks as one template: what a deployment with the defaults makes.

Most checkers read one template and stop at its parameters: to them a log group whose key comes from
another stack might as well have none. So parameters are replaced by what the root hands over,
outputs by what they stand for, conditions by what the root's defaults decide. References to
resources stay references (``generator.cfn.evaluator`` makes up their values instead): a checker
needs to see that a log group has *our* key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Any
Stacks = Mapping[str, Mapping[str, Json]]
"""The templates as CloudFormation reads them, in long form, by stack; the root is ``root``."""

ROOT: Final = "root"
_NESTED: Final = "AWS::CloudFormation::Stack"
_NOTHING: Final = {"Ref": "AWS::NoValue"}
_OUTPUTS: Final = "Outputs."


class UnresolvedError(ValueError):
    """The stacks hold what this module does not understand; the text says what and where."""


@dataclass(frozen=True)
class CombinedTemplate:
    """One template of all resources, and the stack that each of them is in, by logical id."""

    template: Mapping[str, Json]
    stack_of: Mapping[str, str]


def whole(stacks: Stacks) -> CombinedTemplate:
    """Return the stacks as one template.

    Raises:
        UnresolvedError: two stacks name a resource alike, or a condition depends on more than
            parameters.

    """
    scopes = _scopes(stacks)
    resources: dict[str, Json] = {}
    stack_of: dict[str, str] = {}
    mappings: dict[str, Json] = {}
    for name, scope in scopes.items():
        for title, resource in scope.resources().items():
            if title in resources:
                raise UnresolvedError(f"{title} is in both {stack_of[title]} and {name}")
            resources[title], stack_of[title] = resource, name
        mappings |= scope.template.get("Mappings", {})
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        **({"Mappings": mappings} if mappings else {}),
        "Resources": resources,
    }
    return CombinedTemplate(template, stack_of)


def _scopes(stacks: Stacks) -> dict[str, _Scope]:
    """Return a scope for each stack: the root's parameters have defaults, the others' the root."""
    root = _Scope(
        ROOT,
        stacks[ROOT],
        {name: spec["Default"] for name, spec in stacks[ROOT]["Parameters"].items()},
    )
    scopes = {ROOT: root}
    root.others = scopes
    for title, resource in stacks[ROOT]["Resources"].items():
        if resource["Type"] == _NESTED:
            name = _stack_behind(resource)
            given = root.resolve(resource["Properties"].get("Parameters", {}))
            scopes[name] = _Scope(name, stacks[name], given, scopes)
            root.nested[title] = name
    return scopes


def _stack_behind(resource: Mapping[str, Json]) -> str:
    """Return the name of a nested stack, which is that of its file."""
    url: str = resource["Properties"]["TemplateURL"]
    return url.rpartition("/")[2].partition(".")[0]


class _Scope:
    """One stack, with values for its parameters."""

    def __init__(
        self,
        name: str,
        template: Mapping[str, Json],
        parameters: Mapping[str, Json],
        others: dict[str, _Scope] | None = None,
    ) -> None:
        self.name = name
        self.template = template
        self.parameters = parameters
        self.others = others or {}
        self.nested: dict[str, str] = {}

    def resources(self) -> dict[str, Json]:
        """Return the resources that are made, nested stacks left out."""
        made = {
            title: resource
            for title, resource in self.template["Resources"].items()
            if resource["Type"] != _NESTED and self._is_made(resource)
        }
        return {title: self._resource(resource, made) for title, resource in made.items()}

    def _is_made(self, resource: Mapping[str, Json]) -> bool:
        return "Condition" not in resource or self._holds({"Condition": resource["Condition"]})

    def _resource(self, resource: Mapping[str, Json], made: Mapping[str, Json]) -> Json:
        kept = {key: value for key, value in resource.items() if key != "Condition"}
        if "DependsOn" in kept:
            needed = kept["DependsOn"]
            titles = [needed] if isinstance(needed, str) else needed
            kept["DependsOn"] = [title for title in titles if title in made]
        return self.resolve(kept)

    def resolve(self, value: Json) -> Json:
        """Return ``value`` with parameters, outputs of other stacks and conditions resolved."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item != _NOTHING]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            function, argument = next(iter(value.items()))
            if (resolver := _FUNCTIONS.get(function)) is not None:
                return resolver(self, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item != _NOTHING}

    def ref(self, name: str) -> Json:
        """Return what ``Ref`` of ``name`` stands for; a list crosses from stack to stack joined."""
        if name not in self.parameters:
            return {"Ref": name}
        value = self.parameters[name]
        is_list = "List<" in self.template["Parameters"][name]["Type"]
        return _unjoined(",", value) if is_list else value

    def get_att(self, argument: Json) -> Json:
        """Return what ``Fn::GetAtt`` stands for, through the outputs of nested stacks."""
        title, attribute = argument
        if title not in self.nested:
            return {"Fn::GetAtt": [title, attribute]}
        other = self.others[self.nested[title]]
        output = other.template["Outputs"][attribute.removeprefix(_OUTPUTS)]
        return other.resolve(output["Value"])

    def choose(self, argument: Json) -> Json:
        """Return the side of ``Fn::If`` that is taken."""
        condition, yes, no = argument
        return self.resolve(yes if self._holds({"Condition": condition}) else no)

    def split(self, argument: Json) -> Json:
        """Return the list again, where one was joined."""
        return _unjoined(argument[0], self.resolve(argument[1]))

    def substitute(self, argument: Json) -> Json:
        """Return ``Fn::Sub`` with its values resolved; parameters in its text become values."""
        text, values = (argument, {}) if isinstance(argument, str) else argument
        inside = {n: v for n, v in self.parameters.items() if f"${{{n}}}" in text}
        values = {**inside, **self.resolve(values)}
        for name in [name for name, value in values.items() if isinstance(value, str)]:
            text = text.replace(f"${{{name}}}", values.pop(name))
        return {"Fn::Sub": [text, values] if values else text}

    def _holds(self, condition: Json) -> bool:
        function, argument = next(iter(condition.items()))
        if function == "Condition":
            return self._holds(self.template["Conditions"][argument])
        if function == "Fn::Equals":
            left, right = map(self.resolve, argument)
            if isinstance(left, Mapping) or isinstance(right, Mapping):
                raise UnresolvedError(f"{self.name}: {condition} depends on the deployment")
            return str(left) == str(right)
        results = [self._holds(part) for part in argument]
        return {"Fn::Not": not results[0], "Fn::And": all(results), "Fn::Or": any(results)}[
            function
        ]


def _unjoined(separator: str, text: Json) -> Json:
    if isinstance(text, str):
        return text.split(separator)
    if "Fn::Join" in text and text["Fn::Join"][0] == separator:
        return text["Fn::Join"][1]
    return {"Fn::Split": [separator, text]}


_FUNCTIONS: Final = {
    "Ref": _Scope.ref,
    "Fn::GetAtt": _Scope.get_att,
    "Fn::If": _Scope.choose,
    "Fn::Split": _Scope.split,
    "Fn::Sub": _Scope.substitute,
}
