"""The personas' roles: which the settings need, and where a stack finds each of them.

Data scientists have the role that every deployment has. The roles of other personas exist only if
somebody has the persona; the security stack creates them, and they cross stack borders as one list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from generator.settings import Settings
from generator.settings_people import Persona, personas
from generator.wiring import RoleList, RoleName

TITLES: Final[Mapping[Persona, tuple[str, str]]] = {
    Persona.ML_ENGINEER: ("MlEngineerRole", "ML engineers in Studio"),
    Persona.REVIEWER: ("ReviewerRole", "Reviewers in Studio"),
}
"""The logical id and the description of each persona's role."""


def of(settings: Settings) -> tuple[Persona, ...]:
    """Return the personas that have a role besides the data scientists'."""
    return personas(settings.studio.everyone)


def not_needed(settings: Settings) -> list[str]:
    """Return the optional inputs of a stack that are not needed.

    There is no Studio, or all people are data scientists.
    """
    names = [] if settings.studio.in_use else ["studio_role"]
    return names if of(settings) else [*names, "persona_roles"]


def roles(settings: Settings, names: RoleList | None) -> dict[Persona, RoleName]:
    """Return the personas' roles in a stack whose input is ``names``."""
    return {persona: names.role(index) for index, persona in enumerate(of(settings)) if names}
