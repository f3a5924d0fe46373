"""The nested stacks merged into one template: what a deployment with the defaults creates.

Most checkers read one template and stop at its parameters: a log group whose key comes from
another stack looks unencrypted to them. So parameters are replaced by the values that the root
stack passes, outputs by their values, and conditions by the results of the root's defaults.
References to resources remain references: a checker needs to see that a log group has *our* key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from generator.cfn.evaluator import ResolveError, evaluate
from pipeline.types import Json, JsonView

Stacks = Mapping[str, Json]
"""The templates as CloudFormation reads them, in long form, by stack; the root is ``root``."""


@dataclass(frozen=True)
class CombinedTemplate:
    """One template of all resources, and the stack that each of them is in, by logical id."""

    template: JsonView
    stack_of: Mapping[str, str]


def whole(stacks: Stacks) -> CombinedTemplate:
    """Return the stacks as one template.

    Raises:
        ResolveError: two stacks use the same logical id, or a condition depends on more than
            parameters.

    """
    resources: Json = {}
    stack_of: dict[str, str] = {}
    mappings: Json = {}
    for stack in evaluate(stacks):
        made = [title for title in stack.present() if title not in stack.nested]
        for title in made:
            if title in resources:
                raise ResolveError(f"{title} is in both {stack_of[title]} and {stack.name}")
            body = _without_absent(stack.template["Resources"][title], made)
            resources[title], stack_of[title] = stack.value(body), stack.name
        mappings |= stack.template.get("Mappings", {})
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        **({"Mappings": mappings} if mappings else {}),
        "Resources": resources,
    }
    return CombinedTemplate(template, stack_of)


def _without_absent(resource: Json, made: list[str]) -> Json:
    """Return a resource without its condition, which is true, and without absent dependencies."""
    kept = {key: value for key, value in resource.items() if key != "Condition"}
    if "DependsOn" in kept:
        needed = kept["DependsOn"]
        titles = [needed] if isinstance(needed, str) else needed
        kept["DependsOn"] = [title for title in titles if title in made]
    return kept
