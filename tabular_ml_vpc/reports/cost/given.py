"""Values for the root template's parameters, checked as CloudFormation would check them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from generator.emit import as_dict
from generator.errors import UsageError
from generator.settings import Mode, Settings
from generator.stacks import root


def checked(settings: Settings, mode: Mode, values: Mapping[str, str]) -> dict[str, str]:
    """Return the values, if the root template takes them.

    Raises:
        UsageError: a parameter is unknown, or its value is not allowed.

    """
    declared = root_parameters(settings, mode)
    for name, value in values.items():
        if name not in declared:
            raise UsageError(f"{name}: is no parameter; known are {', '.join(declared)}")
        _check(name, value, declared[name])
    return dict(values)


def root_parameters(settings: Settings, mode: Mode) -> dict[str, dict[str, Any]]:
    """Return the root template's parameters as they are declared."""
    template = root.build(settings, mode)["root"]
    parameters: dict[str, dict[str, Any]] = as_dict(template)["Parameters"]
    return parameters


def _check(name: str, value: str, declared: Mapping[str, Any]) -> None:
    allowed = declared.get("AllowedValues")
    if allowed and value not in map(str, allowed):
        raise UsageError(f"{name}: got {value!r}: {' or '.join(map(str, allowed))} is needed")
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        raise UsageError(f"{name}: got {value!r}: {declared['ConstraintDescription']}")
    if declared["Type"] == "Number" and not _in_range(value, declared):
        raise UsageError(f"{name}: got {value!r}: {declared['ConstraintDescription']}")


def _in_range(value: str, declared: Mapping[str, Any]) -> bool:
    if not re.fullmatch(r"-?[0-9]+", value):
        return False
    least, most = declared.get("MinValue"), declared.get("MaxValue")
    number = int(value)
    return (least is None or number >= least) and (most is None or number <= most)
