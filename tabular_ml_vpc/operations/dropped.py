"""Settings of the last deployment that the next one would drop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.record import NAME, defaults, recorded

_SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True)
class DroppedSetting:
    """A setting that the last deployment had, and the default that would replace it."""

    name: str
    value: Any
    default: Any

    def __str__(self) -> str:
        """Say both in a few words."""
        now = "removed" if self.default is None else f"now {_short(self.default)}"
        return f"{self.name} = {_short(self.value)} ({now})"

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "value": self.value, "default": self.default}


def dropped(deployed: Mapping[str, Any], planned: Mapping[str, Any]) -> tuple[DroppedSetting, ...]:
    """Return what the deployed root template records and the planned one leaves at its default.

    A table of a list that is gone, such as a pipeline, is one item.
    """
    usual, kept, before = defaults(), recorded(planned), recorded(deployed)
    found: dict[str, DroppedSetting] = {}
    for name, value in before.items():
        table = _item_of(name, before)
        if table and f"{table}.{NAME}" not in kept:
            found[table] = DroppedSetting(table, _table(before, table), None)
        elif name not in kept:
            found[name] = DroppedSetting(name, value, usual.get(name))
    return tuple(found.values())


def _item_of(name: str, values: Mapping[str, Any]) -> str:
    """Return the table in a list that has a setting, in itself or in a table of its own."""
    table = name.rpartition(".")[0]
    return table if not table or f"{table}.{NAME}" in values else _item_of(table, values)


def _table(values: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Return the values of a table, by their own names."""
    prefix = f"{table}."
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
