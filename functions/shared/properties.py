"""Typed properties of a custom resource; the template and the function share one class.

A properties class is a frozen dataclass whose fields are ``str``, ``int``, ``float``, ``bool`` or
``tuple[str, ...]``. The generator names each template property with :func:`property_name`; the
function reads the same class back with :func:`from_event`. CloudFormation sends every scalar as a
string ("Custom resource request objects", CloudFormation User Guide), and lists are passed as one
comma-joined string.
"""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from functions.shared.errors import PropertyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PropertiesT = TypeVar("PropertiesT")

_ADDED_BY_CLOUDFORMATION = frozenset({"ServiceToken", "ServiceTimeout"})
_BOOLEANS = {"true": True, "false": False}


def property_name(field: str) -> str:
    """Return a field's name in the template: ``key_arn`` is ``KeyArn``."""
    return "".join(word.capitalize() for word in field.split("_"))


def field_names(cls: type[object]) -> tuple[str, ...]:
    """Return the fields of a properties class that a template sets, in order.

    Fields that the class derives itself (``init=False``) are excluded.
    """
    return tuple(field.name for field in fields(cls) if field.init)  # type: ignore[arg-type]


def optional_names(cls: type[object]) -> frozenset[str]:
    """Return the fields that a template can omit, because they have a default."""
    own = fields(cls)  # type: ignore[arg-type]
    return frozenset(field.name for field in own if field.init and field.default is not MISSING)


def from_event(cls: type[PropertiesT], properties: Mapping[str, Any]) -> PropertiesT:
    """Read a properties class from an event's ``ResourceProperties``.

    Raises ``PropertyError`` (a ``ValueError``), naming property and value, if one is missing,
    unknown or malformed. A property that the class lists as ``RETIRED`` is ignored: it comes from
    the template of an older version, whose resource a new function must still delete.
    """
    names = {property_name(field): field for field in field_names(cls)}
    optional = {property_name(field) for field in optional_names(cls)}
    passed_over = _ADDED_BY_CLOUDFORMATION | getattr(cls, "RETIRED", frozenset())
    present = {k: v for k, v in properties.items() if k not in passed_over}
    if unknown := sorted(present.keys() - names.keys()):
        raise PropertyError(f"unknown property {unknown[0]}; allowed: {', '.join(sorted(names))}")
    if missing := sorted(names.keys() - present.keys() - optional):
        raise PropertyError(f"property {missing[0]} is missing")
    types = get_type_hints(cls)
    values = {
        names[name]: _parse(name, value, types[names[name]]) for name, value in present.items()
    }
    return cls(**values)


def _parse(name: str, value: object, kind: object) -> object:
    if not isinstance(value, str):
        raise PropertyError(f"property {name} is {value!r}, but must be a string")
    if not _is_unicode(value):
        raise PropertyError(f"property {name} is {value!r}, but must be Unicode text")
    try:
        return _PARSERS[kind](value)
    except ValueError as error:
        raise PropertyError(f"property {name} is {value!r}, but must be {error}") from None


def _is_unicode(value: str) -> bool:
    """Tell whether no character is half of one, which JSON can express and no request can."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _parse_int(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError("a whole number")
    return int(value)


def _parse_float(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("a number")
    return number


def _parse_bool(value: str) -> bool:
    if value not in _BOOLEANS:
        raise ValueError("true or false")
    return _BOOLEANS[value]


def _parse_list(value: str) -> tuple[str, ...]:
    items = tuple(value.split(",")) if value else ()
    if any(item != item.strip() or not item for item in items):
        raise ValueError("a comma-separated list without spaces or empty items")
    return items


_PARSERS: Mapping[object, Callable[[str], object]] = {
    str: str,
    int: _parse_int,
    float: _parse_float,
    bool: _parse_bool,
    tuple[str, ...]: _parse_list,
}
