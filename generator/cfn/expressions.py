"""Intrinsic functions as they stand in a template: what they refer to, and how people read them.

``generator.cfn.evaluator`` says what they come to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from posixpath import basename
from typing import Any, Final

from pipeline.types import JsonView

NESTED: Final = "AWS::CloudFormation::Stack"
NO_VALUE: Final = "AWS::NoValue"
PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^}]*)\}")
"""A name in the text of ``Fn::Sub``; one after ``!`` is IAM's own."""


def call_of(value: Any) -> tuple[str, Any]:
    """Return the intrinsic function that a value calls, and its argument; no name if none."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or name.startswith("Fn::"):
            return name, argument
        if name == "Condition" and isinstance(argument, str):
            return name, argument
    return "", value


def is_computed(value: Any) -> bool:
    """Tell whether an intrinsic function is anywhere in a value."""
    return bool(call_of(value)[0]) or any(map(is_computed, _parts(value)))


def references(value: Any) -> Iterator[str]:
    """Yield the names of parameters, resources and conditions that a value refers to."""
    name, argument = call_of(value)
    if name in ("Ref", "Condition"):
        yield argument
    elif name == "Fn::GetAtt":
        yield attribute_of(argument)[0]
    elif name == "Fn::Sub":
        text, values = text_and_values(argument)
        names = (name for escaped, name in PLACEHOLDER.findall(text) if not escaped)
        yield from (name.partition(".")[0] for name in names if name not in values)
        yield from references(values)
    else:
        if name == "Fn::If":
            yield argument[0]
        for part in _parts(argument):
            yield from references(part)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def attribute_of(argument: Any) -> tuple[str, str]:
    """Return the logical id and the attribute in the argument of ``Fn::GetAtt``."""
    logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return logical_id, attribute


def text_and_values(argument: Any) -> tuple[str, dict[str, Any]]:
    """Return the text in the argument of ``Fn::Sub``, and the values of its own names."""
    text, values = argument if isinstance(argument, list) else (argument, {})
    return text, values


def alternatives(value: Any) -> list[Any]:
    """Return the items of a list, or the one item, with both sides of every ``Fn::If``."""
    name, argument = call_of(value)
    if (name, argument) == ("Ref", NO_VALUE):
        return []
    inner = argument[1:] if name == "Fn::If" else value
    if not isinstance(inner, list):
        return [value]
    return [one for each in inner for one in alternatives(each)]


def as_text(value: Any) -> str:
    """Write an expression for people: ``arn:aws:s3:::${DataBucket}/raw/*``."""
    match call_of(value):
        case "", str(text):
            return text
        case "Ref", name:
            return f"${{{name}}}"
        case "Fn::GetAtt", argument:
            return f"${{{'.'.join(attribute_of(argument))}}}"
        case "Fn::Sub", argument:
            text, values = text_and_values(argument)
            return PLACEHOLDER.sub(
                lambda found: as_text(values[found[2]]) if found[2] in values else found[0], text
            )
        case "Fn::Join", [separator, [*parts]]:
            return str(separator).join(map(as_text, parts))
    return json.dumps(value, sort_keys=True)


def nested_stacks(template: JsonView) -> dict[str, str]:
    """Return the stacks that a template nests: the name of each one's file, by logical id."""
    return {
        logical_id: basename(resource["Properties"]["TemplateURL"]).removesuffix(".yaml")
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == NESTED
    }


def stack_name(logical_id: str, file: str) -> str:
    """Return a name for a nested stack: its file's, unless several stacks have that file.

    By convention, the only stack of ``network.yaml`` is ``NetworkStack``; one of several has
    another logical id, which without ``Stack`` is its name.
    """
    words = "".join(word.capitalize() for word in re.split("[-_]", file))
    return file if logical_id == f"{words}Stack" else logical_id.removesuffix("Stack")
