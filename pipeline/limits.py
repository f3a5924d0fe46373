"""Maximum lengths of a run's parameters: jobs get them as arguments, whose length is limited.

A longer value would fail when its step starts. Uses only the standard library, as the definition
does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pipeline.types import Json

ARGUMENT_CHARACTERS: Final = 256
"""Maximum length of one argument of a processing job ("API_AppSpecification")."""

_PARAMETER: Final = "Parameters."


def parameter_room(definition: Json) -> dict[str, int]:
    """Maximum length of each parameter that is an argument of a processing job."""
    room: dict[str, int] = {}
    for item in _arguments(definition.get("Steps", [])):
        values = item["Std:Join"].get("Values", []) if "Std:Join" in item else [item]
        fixed = sum(len(value) for value in values if isinstance(value, str))
        for value in values:
            path = str(value.get("Get", "")) if isinstance(value, dict) else ""
            if path.startswith(_PARAMETER):
                name, left = path.removeprefix(_PARAMETER), ARGUMENT_CHARACTERS - fixed
                room[name] = min(left, room.get(name, left))
    return room


def _arguments(steps: list[Json]) -> Iterator[dict[str, Any]]:
    """The expressions in the arguments of all processing jobs, including those in branches."""
    for step in steps:
        arguments = step.get("Arguments") or {}
        words = (arguments.get("AppSpecification") or {}).get("ContainerArguments", [])
        yield from (word for word in words if isinstance(word, dict))
        for branch in ("IfSteps", "ElseSteps"):
            yield from _arguments(arguments.get(branch, []))
