"""The values of a pipeline definition's expressions in one run.

Source: "Amazon SageMaker pipeline definition JSON schema", and the expressions that the SageMaker
Python SDK 3.27 writes (`Get`, `Std:Join`, `Std:JsonGet`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.types import Json

_TOKEN: Final = re.compile(r"\.?([^.\[\]]+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]")
_NAME_FIELDS: Final = ("OutputName", "InputName", "ChannelName", "VariantName", "Name")
_PROPERTY_FILE: Final = re.compile(r"Steps\.([^.]+)\.PropertyFiles\.(.+)")


class ExpressionError(Exception):
    """An expression has no value; the message says which and why."""


class Values:
    """A run's values so far: parameters, execution variables, descriptions of steps."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        execution: Mapping[str, Any],
        read_property_file: Callable[[str, str], str],
    ) -> None:
        """Start without descriptions of steps.

        `execution` are the variables after `Execution.`; `read_property_file(step, name)` returns a
        property file's text and raises `ExpressionError` if there is none.
        """
        self._roots: Json = {"Parameters": parameters, "Execution": execution, "Steps": {}}
        self._read_property_file = read_property_file

    def describe(self, step: str, description: Json) -> None:
        """Record the response of the Describe operation for a step's resource."""
        self._roots["Steps"][step] = description

    def resolve(self, value: Any) -> Any:
        """`value` with every expression in it replaced; raises `ExpressionError`."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return member(self._roots, str(value["Get"]))
        if set(value) == {"Std:Join"}:
            parts = value["Std:Join"]
            return str(parts["On"]).join(_text(self.resolve(item)) for item in parts["Values"])
        if set(value) == {"Std:JsonGet"}:
            return self._json_get(value["Std:JsonGet"])
        return {key: self.resolve(item) for key, item in value.items()}

    def _json_get(self, query: Json) -> Any:
        source = query["PropertyFile"]["Get"]
        found = _PROPERTY_FILE.fullmatch(source)
        if found is None:
            raise ExpressionError(f"{source} names no property file")
        try:
            content = json.loads(self._read_property_file(found[1], found[2]))
        except ValueError as error:
            raise ExpressionError(f"{source} is not valid JSON: {error}") from error
        try:
            return member(content, query["Path"])
        except ExpressionError as error:
            raise ExpressionError(f"{source}: {error}") from error


def member(root: Any, path: str) -> Any:
    """The value at `path` in `root`, such as `a.b['c'][0]`; raises `ExpressionError`.

    In a list of named items, a name selects one, as in `Outputs['train'].S3Output.S3Uri`.
    """
    found = root
    for token in _TOKEN.finditer(path):
        key = next(group for group in token.groups() if group is not None)
        try:
            found = found[int(key)] if token[4] else _named(found, key)
        except (LookupError, TypeError) as error:
            raise ExpressionError(f"no value at {path!r} (no {key!r})") from error
    return found


def _named(found: Any, name: str) -> Any:
    if not isinstance(found, list):
        return found[name]
    for item in found:
        if any(item.get(field) == name for field in _NAME_FIELDS):
            return item
    raise LookupError(name)


def _text(value: Any) -> str:
    """The text of a value as the service joins it, with numbers as in JSON."""
    return value if isinstance(value, str) else json.dumps(value)
