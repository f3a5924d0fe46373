"""What a deployment records of itself in the root template: its mode, and its settings.

The mode and a hash of the settings are outputs. The settings themselves are in the template's
metadata, which ``GetTemplate`` returns: only the template's own size limits their length there. A
stack tag would update every resource instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from generator.settings import Settings

MODE_OUTPUT: Final = "Mode"
HASH_OUTPUT: Final = "SettingsHash"
METADATA: Final = "TabularMlVpc"
_SETTINGS: Final = "Settings"
_HASH_DIGITS: Final = 16
_EMITTED: Final = "modes"
"""Decides which templates are emitted, and not what is in them."""

NAME: Final = "name"
"""The key of a table in a list of tables; its value is a part of the dotted names."""

Chosen = Mapping[str, Any]
"""Settings that differ from their defaults: plain values by dotted name, such as network.zones or,
in a list of tables, pipelines.churn.label."""


def chosen(settings: Settings) -> Chosen:
    """Return the settings that differ from their defaults."""
    usual = defaults()
    return {
        name: value for name, value in _flat(settings) if name not in usual or value != usual[name]
    }


def defaults() -> Chosen:
    """Return every setting's default by dotted name; tags have none."""
    return dict(_flat(Settings()))


def settings_hash(settings: Settings) -> str:
    """Return 16 hexadecimal digits: equal for equal choices, however their file is written."""
    content = json.dumps(chosen(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]


def metadata(settings: Settings) -> dict[str, Any]:
    """Return what the root template's metadata records."""
    return {_SETTINGS: dict(chosen(settings))}


def recorded(template: Mapping[str, Any]) -> Chosen:
    """Return the settings that a root template records; none in one from before it did."""
    found: Chosen = template.get("Metadata", {}).get(METADATA, {}).get(_SETTINGS, {})
    return found


def _flat(settings: Settings) -> Iterator[tuple[str, Any]]:
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", _stated(one)) for inner, one in value.items())
        elif _is_named_list(value):
            for item in value:
                yield from _values(f"{name}.{item[NAME]}", item)
        elif name != _EMITTED:
            yield name, value


def _values(above: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values of a table and of those in it."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _values(f"{above}.{name}", value)
        else:
            yield f"{above}.{name}", _stated(value)


def _stated(value: object) -> object:
    """Return a value as the metadata states it: cfn-lint accepts no decimals there (E4002)."""
    return str(value) if isinstance(value, float) else value


def _is_named_list(value: object) -> bool:
    """Tell whether a setting is a list of tables that have names, such as ``[[pipelines]]``."""
    items = value if isinstance(value, list) else []
    return bool(items) and all(isinstance(one, dict) and NAME in one for one in items)
