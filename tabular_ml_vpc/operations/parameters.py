"""The root template's parameters: what they take, and where a deployment gets their values."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from generator.errors import UsageError
from generator.files import write

_INTERFACE: Final = "AWS::CloudFormation::Interface"

ParameterValues = Mapping[str, str]


@dataclass(frozen=True)
class ParameterDefinition:
    """One parameter, as the console would ask for it."""

    name: str
    label: str
    group: str
    default: str
    description: str
    number: bool
    pattern: str | None
    allowed: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    constraint: str

    def problem(self, value: str) -> str | None:
        """Return what the parameter takes, if it does not take the value."""
        if self._takes(value):
            return None
        if self.allowed:
            return f"must be one of {', '.join(self.allowed)}"
        return self.constraint or "this value is not allowed"

    def _takes(self, value: str) -> bool:
        if self.allowed:
            return value in self.allowed
        if self.number:
            return self._in_range(value)
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None

    def _in_range(self, value: str) -> bool:
        # CloudFormation has one type for both: the default tells which of them is meant.
        whole = re.fullmatch(r"-?\d+", self.default)
        if not re.fullmatch(r"-?\d+" if whole else r"-?(\d+(\.\d*)?|\.\d+)", value):
            return False
        low = self.minimum is None or float(value) >= self.minimum
        return low and (self.maximum is None or float(value) <= self.maximum)


ParameterDefinitions = Mapping[str, ParameterDefinition]


def definitions(template: Mapping[str, Any]) -> dict[str, ParameterDefinition]:
    """Return a template's parameters by name, in the order of the console."""
    interface = template.get("Metadata", {}).get(_INTERFACE, {})
    labels = {
        name: label["default"] for name, label in interface.get("ParameterLabels", {}).items()
    }
    groups = {
        name: group["Label"]["default"]
        for group in interface.get("ParameterGroups", [])
        for name in group["Parameters"]
    }
    bodies = template.get("Parameters", {})
    ordered = [
        *(name for name in groups if name in bodies),
        *(n for n in bodies if n not in groups),
    ]
    return {
        name: _definition(name, bodies[name], labels.get(name, name), groups.get(name, "Other"))
        for name in ordered
    }


def _definition(name: str, body: Mapping[str, Any], label: str, group: str) -> ParameterDefinition:
    return ParameterDefinition(
        name=name,
        label=label,
        group=group,
        default=_text(body.get("Default", "")),
        description=str(body.get("Description", "")),
        number=body.get("Type") == "Number",
        pattern=body.get("AllowedPattern"),
        allowed=tuple(map(_text, body.get("AllowedValues", ()))),
        minimum=body.get("MinValue"),
        maximum=body.get("MaxValue"),
        constraint=str(body.get("ConstraintDescription", "")),
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def given(path: Path | None, pairs: Iterable[str], known: ParameterDefinitions) -> dict[str, str]:
    """Return the values of a file, and of pairs, which go before.

    Raises:
        UsageError: as ``read_file`` and ``parse_pairs``.

    """
    values = {} if path is None else read_file(path, known)
    return values | parse_pairs(pairs, known)


def parse_pairs(pairs: Iterable[str], known: ParameterDefinitions) -> dict[str, str]:
    """Return the values given as ``Name=Value``.

    Raises:
        UsageError: one is no such pair, names no parameter, or has a value that it does not take.

    """
    values = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise UsageError(f"--set: got {pair!r}: Name=Value is needed, such as Rows=500")
        values[name] = value
    check(values, known, "--set ")
    return values


def read_file(path: Path, known: ParameterDefinitions) -> dict[str, str]:
    """Return the values in a JSON file: of the AWS CLI's form, or an object of names and values.

    Raises:
        UsageError: the file cannot be used, or a value in it.

    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--parameters: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--parameters: {path} is no JSON: {error}") from error
    values = _values(found, path)
    check(values, known, f"{path}: ")
    return values


def _values(found: object, path: Path) -> dict[str, str]:
    if isinstance(found, Mapping):
        inner = found.get("Parameters", found)
        if isinstance(inner, Mapping):
            return {str(name): _text(value) for name, value in inner.items()}
    if isinstance(found, Sequence) and all(
        isinstance(one, Mapping) and {"ParameterKey", "ParameterValue"} <= set(one) for one in found
    ):
        return {str(one["ParameterKey"]): _text(one["ParameterValue"]) for one in found}
    raise UsageError(
        f"--parameters: {path}: a JSON object of names and values is needed, or the AWS CLI's list "
        "of ParameterKey and ParameterValue"
    )


def check(values: ParameterValues, known: ParameterDefinitions, where: str) -> None:
    """Refuse unknown parameters and values that they do not take.

    Raises:
        UsageError: names the first one, the value received and what is allowed.

    """
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise UsageError(f"{where}{name}: is no parameter; {hint}")
        problem = known[name].problem(value)
        if problem:
            raise UsageError(f"{where}{name}: got {value!r}: {problem}")


def write_file(path: Path, values: ParameterValues) -> None:
    """Write values in the AWS CLI's form, which ``--parameters`` and the AWS CLI both read.

    Raises:
        FileError: the file cannot be written.

    """
    rows = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    write(path, (json.dumps(rows, indent=2) + "\n").encode())


def as_request(
    known: ParameterDefinitions, given: ParameterValues, current: ParameterValues
) -> list[dict[str, Any]]:
    """Return the request's ``Parameters``: what was given, else what the stack has.

    A parameter that the stack does not have yet is left out: its default applies.
    """
    rows: list[dict[str, Any]] = []
    for name in known:
        if name in given:
            rows.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in current:
            rows.append({"ParameterKey": name, "UsePreviousValue": True})
    return rows


def effective(
    known: ParameterDefinitions, given: ParameterValues, current: ParameterValues
) -> dict[str, str]:
    """Return the values that a deployment would have."""
    return {
        name: given.get(name, current.get(name, definition.default))
        for name, definition in known.items()
    }
