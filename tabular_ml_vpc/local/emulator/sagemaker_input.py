"""The constraints on a request in botocore's model: names, enums, patterns, sizes and ranges."""

from __future__ import annotations

import re
from typing import Any

from tabular_ml_vpc.local.emulator.types import Fields


def check_input(shape: Any, value: Any, path: str = "") -> list[str]:
    """Return the errors in a request: missing or unknown members, enums, patterns, sizes."""
    if shape.type_name == "structure":
        missing = [name for name in shape.required_members if name not in value]
        unknown = [name for name in value if name not in shape.members]
        found = [f"{path}.{name} is required" for name in missing]
        found += [f"{path}.{name} is not a parameter" for name in unknown]
        for name in set(value) & set(shape.members):
            found += check_input(shape.members[name], value[name], f"{path}.{name}")
        return found
    if shape.type_name == "list":
        found = _check_range(shape.metadata, len(value), f"{path}: number of items")
        for number, item in enumerate(value):
            found += check_input(shape.member, item, f"{path}[{number}]")
        return found
    if shape.type_name == "string" and isinstance(value, str):
        return _check_string(shape.metadata, value, path)
    if isinstance(value, int | float):
        return _check_range(shape.metadata, value, path)
    return []


def _check_range(rules: Fields, value: float, path: str) -> list[str]:
    least, most = rules.get("min", value), rules.get("max", value)
    return [] if least <= value <= most else [f"{path} {value} is not from {least} to {most}"]


def _check_string(rules: Fields, value: str, path: str) -> list[str]:
    problems = []
    if rules.get("enum") and value not in rules["enum"]:
        problems.append(f"{path} {value!r} is not one of {', '.join(rules['enum'])}")
    if len(value) > rules.get("max", len(value)) or len(value) < rules.get("min", 0):
        problems.append(f"{path} has {len(value)} characters")
    pattern = rules.get("pattern")
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
        problems.append(f"{path} {value!r} does not match {pattern}")
    return problems
