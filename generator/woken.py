"""Functions that rules wake: what lets them, and what a rule tells the function of its pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping

from troposphere import Sub, awslambda

from functions.shared.properties import field_names, optional_names, property_name
from generator.wiring import Expression


def let_rules_invoke(function: awslambda.Function, rules: Sub) -> awslambda.Permission:
    """Let EventBridge invoke a function for rules whose ARN matches, in this account."""
    return awslambda.Permission(
        f"{str(function.title).removesuffix('Function')}Permission",
        Action="lambda:InvokeFunction",
        FunctionName=function.ref(),
        Principal="events.amazonaws.com",
        SourceAccount=Sub("${AWS::AccountId}"),
        SourceArn=rules,
    )


def rule_input(properties: type[object], values: Mapping[str, Expression]) -> Sub:
    """Return a function's properties as JSON text; ``values`` have the names of their fields.

    Raises:
        TypeError: a required field has no value, or a value has no field.

    """
    unknown = values.keys() ^ set(field_names(properties))
    if wrong := sorted(unknown - optional_names(properties)):
        raise TypeError(
            f"{', '.join(wrong)} missing from, or unknown to, the function's properties"
        )
    names = {
        property_name(field): values[field] for field in field_names(properties) if field in values
    }
    fixed = {name: value for name, value in names.items() if isinstance(value, str)}
    open_ones = {name: value for name, value in names.items() if name not in fixed}
    content = fixed | {name: f"${{{name}}}" for name in open_ones}
    return Sub(json.dumps(content, separators=(",", ":")), open_ones)
