"""Settings of the people who work in Studio, and of what each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Final

from pydantic import Field

from generator.settings_pipelines import in_letters
from generator.settings_section import Section

_PROFILE: Final = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
IN_WORDS: Final = {
    _PROFILE: "must be 1 to 63 letters, digits and hyphens, without a hyphen at either end"
}
"""What each pattern allows, in words, for error messages."""
MOST_PEOPLE: Final = 400
"""What one stack can have: a template has 500 resources at most ("CloudFormation quotas")."""

ProfileName = Annotated[str, Field(pattern=_PROFILE)]


class Persona(StrEnum):
    """What a person does, which decides the role that Studio and their notebooks run with."""

    DATA_SCIENTIST = "data-scientist"
    """Explores data, runs experiments and the pipeline."""
    ML_ENGINEER = "ml-engineer"
    """A data scientist who also operates: repairs the endpoint, reads the functions' logs."""
    REVIEWER = "reviewer"
    """Reads runs, results, the model registry and logs; starts nothing and sees no rows."""


class Person(Section):
    """A person in Studio."""

    name: ProfileName
    """Name of the person's user profile."""
    persona: Persona = Persona.DATA_SCIENTIST
    """What the person can do: data-scientist, ml-engineer or reviewer (docs/people.md)."""


def check_names(names: Sequence[str]) -> None:
    """Check that each name is a user profile, and a resource, of its own.

    Raises:
        ValueError: two names are the same to SageMaker or in a logical id, or there are too many.

    """
    if len(names) > MOST_PEOPLE:
        raise ValueError(f"got {len(names)} people; one domain can have {MOST_PEOPLE} at most")
    for first, second in combinations(names, 2):
        if first.lower() == second.lower():
            raise ValueError("names must differ in more than upper and lower case")
        if in_letters(first) == in_letters(second):
            raise ValueError(
                f"{first!r} and {second!r} would both be the resource {in_letters(first)}"
                "UserProfile; names must differ in more than hyphens"
            )


def personas(people: Iterable[Person]) -> tuple[Persona, ...]:
    """Return the personas that need a role besides the data scientists', each once."""
    used = {person.persona for person in people} - {Persona.DATA_SCIENTIST}
    return tuple(persona for persona in Persona if persona in used)
