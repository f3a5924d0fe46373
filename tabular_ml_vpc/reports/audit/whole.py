"""The nested stacks merged into one template: what a deployment with the defaults creates.

Most checkers read one template and stop at its parameters: a log group whose key comes from
another stack looks unencrypted to them. So parameters are replaced by the values that the root
stack passes, outputs by their values, and conditions by the results of the root's defaults.
References to resources remain references: a checker needs to see that a log group has *our* key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from generator.cfn.evaluator import ROOT, ResolveError, evaluate
from generator.cfn.expressions import (
    PLACEHOLDER,
    call_of,
    nested_stacks,
    stack_name,
    text_and_values,
)
from pipeline.types import Json, JsonView

Stacks = Mapping[str, Json]
"""The templates as CloudFormation reads them, in long form, by stack; the root is ``root``."""


@dataclass(frozen=True)
class CombinedTemplate:
    """One template of all resources, and the stack that each of them is in, by logical id."""

    template: JsonView
    stack_of: Mapping[str, str]
    same_as: Mapping[str, str] = field(default_factory=dict)
    """The logical id that a resource has in its own stack, if another stack has it, too.

    ``stack_of`` is that other stack: what is true of a resource of the pipeline ``main`` is true of
    the same resource of any other pipeline.
    """

    def resource(self, title: str) -> str:
        """Return ``stack.LogicalId``, as exemptions name a resource."""
        return f"{self.stack_of[title]}.{self.same_as.get(title, title)}"


def whole(stacks: Stacks) -> CombinedTemplate:
    """Return the stacks as one template; equal logical ids of nested stacks get the stack's name.

    Raises:
        ResolveError: the root and a stack use the same logical id, or a condition depends on more
            than parameters.

    """
    stacks, same_as = _apart(stacks)
    resources: Json = {}
    stack_of: dict[str, str] = {}
    mappings: Json = {}
    for stack in evaluate(stacks):
        first = same_as.get(stack.name, {})
        made = [title for title in stack.present() if title not in stack.nested]
        for title in made:
            if title in resources:
                raise ResolveError(f"{title} is in both {stack_of[title]} and {stack.name}")
            body = _without_absent(stack.template["Resources"][title], made)
            resources[title] = stack.value(body)
            stack_of[title] = stack_of.get(first.get(title, ""), stack.name)
        mappings |= stack.template.get("Mappings", {})
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        **({"Mappings": mappings} if mappings else {}),
        "Resources": resources,
    }
    titles = {new: old for renamed in same_as.values() for new, old in renamed.items()}
    return CombinedTemplate(template, stack_of, titles)


def _apart(stacks: Stacks) -> tuple[Stacks, dict[str, dict[str, str]]]:
    """Return the stacks with logical ids of their own, and by stack the old ids by the new ones.

    Several stacks can have one template; each then gets a template of its own. A stack is renamed
    if an earlier one has one of its logical ids.
    """
    root = deepcopy(dict(stacks[ROOT]))
    found: dict[str, Json] = {ROOT: root}
    renamed: dict[str, dict[str, str]] = {}
    taken: set[str] = set()
    for logical_id, file in nested_stacks(root).items():
        name, template = stack_name(logical_id, file), stacks[file]
        ids = set(template["Resources"])
        if taken & ids:
            prefix = name[:1].upper() + name[1:]
            template = _prefixed(template, ids, prefix)
            renamed[name] = {f"{prefix}{one}": one for one in ids}
        taken |= set(template["Resources"])
        root["Resources"][logical_id]["Properties"]["TemplateURL"] = f"./{name}.yaml"
        found[name] = template
    return found, renamed


def _prefixed(value: Any, ids: Collection[str], prefix: str) -> Any:
    """Return a template with ``prefix`` before the logical ids ``ids``, wherever they stand."""
    if isinstance(value, list):
        return [_prefixed(one, ids, prefix) for one in value]
    if not isinstance(value, dict):
        return value
    name, argument = call_of(value)
    if name in ("Ref", "Fn::GetAtt", "Fn::Sub"):
        return {name: _prefixed_call(name, argument, ids, prefix)}
    found = {key: _prefixed(one, ids, prefix) for key, one in value.items()}
    if "Resources" in value and "AWSTemplateFormatVersion" in value:
        resources = found["Resources"].items()
        found["Resources"] = {_named(title, ids, prefix): one for title, one in resources}
    if "DependsOn" in value:
        needed = value["DependsOn"]
        titles = [needed] if isinstance(needed, str) else needed
        found["DependsOn"] = [_named(title, ids, prefix) for title in titles]
    return found


def _prefixed_call(name: str, argument: Any, ids: Collection[str], prefix: str) -> Any:
    """Return the argument of a function that names resources, with their new names."""
    if name == "Ref":
        return _named(argument, ids, prefix)
    if name == "Fn::GetAtt":
        return [_named(argument[0], ids, prefix), *argument[1:]]
    text, own = text_and_values(argument)
    theirs = set(ids) - own.keys()
    text = PLACEHOLDER.sub(lambda one: f"${{{one[1]}{_named(one[2], theirs, prefix)}}}", text)
    return [text, _prefixed(own, ids, prefix)] if own else text


def _named(title: str, ids: Collection[str], prefix: str) -> str:
    """Return the new name of a resource, or of its attribute after a dot."""
    return f"{prefix}{title}" if title.partition(".")[0] in ids else title


def _without_absent(resource: Json, made: list[str]) -> Json:
    """Return a resource without its condition, which is true, and without absent dependencies."""
    kept = {key: value for key, value in resource.items() if key != "Condition"}
    if "DependsOn" in kept:
        needed = kept["DependsOn"]
        titles = [needed] if isinstance(needed, str) else needed
        kept["DependsOn"] = [title for title in titles if title in made]
    return kept
