"""A template's parameters: what each takes, and values checked as CloudFormation checks them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from generator.errors import UsageError
from pipeline.types import JsonView

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
        return f"must be {self.takes}" if self.takes else "this value is not allowed"

    @property
    def takes(self) -> str:
        """Return in words what the parameter takes; empty where nothing says so."""
        if self.allowed:
            *others, last = self.allowed
            return f"{', '.join(others)} or {last}" if others else last
        return self.constraint.removeprefix("must be ")

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


def definitions(template: JsonView) -> dict[str, ParameterDefinition]:
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


def _definition(name: str, body: JsonView, label: str, group: str) -> ParameterDefinition:
    return ParameterDefinition(
        name=name,
        label=label,
        group=group,
        default=text_of(body.get("Default", "")),
        description=str(body.get("Description", "")),
        number=body.get("Type") == "Number",
        pattern=body.get("AllowedPattern"),
        allowed=tuple(map(text_of, body.get("AllowedValues", ()))),
        minimum=body.get("MinValue"),
        maximum=body.get("MaxValue"),
        constraint=str(body.get("ConstraintDescription", "")),
    )


def text_of(value: object) -> str:
    """Return a value as the text by which CloudFormation knows it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_pairs(
    texts: Iterable[str], option: str = "--set", example: str = "Rows=500"
) -> dict[str, str]:
    """Return the values given as ``NAME=VALUE``; ``example`` is such a pair.

    Raises:
        UsageError: a text is not such a pair.

    """
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(
                f"{option}: got {text!r}: must have the form NAME=VALUE, such as {example}"
            )
        values[name] = value
    return values


def check(values: ParameterValues, known: ParameterDefinitions, where: str = "--set ") -> None:
    """Refuse unknown parameters, and values that a parameter does not take.

    Raises:
        UsageError: names the first one, the value received and what is allowed.

    """
    for name, value in values.items():
        need_known(name, known, where)
        if problem := known[name].problem(value):
            raise UsageError(f"{where}{name}: got {value!r}: {problem}")


def need_known(name: str, known: Iterable[str], where: str = "--set ") -> None:
    """Refuse a name that is not among those of the parameters.

    Raises:
        UsageError: proposes the closest name, or all of them.

    """
    names = list(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"
        raise UsageError(f"{where}{name}: unknown parameter; {hint}")
