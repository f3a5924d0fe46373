"""Settings of the people who work in Studio, and of what each of them is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Final

from pydantic import Field

from generator.settings_pipelines import in_letters
from generator.settings_section import Section

_PROFILE: Final = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
_USER_NAME: Final = r"^$|^[^\s{}$]{1,128}$"
_GROUP: Final = r"^([0-9a-f]{10}-)?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
IN_WORDS: Final = {
    _PROFILE: "must be 1 to 63 letters, digits and hyphens, without a hyphen at either end",
    _USER_NAME: "must be empty or a user name in IAM Identity Center: 1 to 128 characters without "
    "spaces, braces and $",
    _GROUP: "must be the id of a group in IAM Identity Center, such as "
    "9067642ac7-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d",
}
"""What each pattern allows, in words, for error messages."""
SHARED: Final = "shared"
"""With prefixes per person: the name of the prefix that all share."""
MOST_PEOPLE: Final = 400
"""What one stack can have: a template has 500 resources at most ("CloudFormation quotas")."""

ProfileName = Annotated[str, Field(pattern=_PROFILE)]
GroupId = Annotated[str, Field(pattern=_GROUP)]


class SignIn(StrEnum):
    """How people sign in to Studio."""

    IAM = "iam"
    """With IAM: whoever may call CreatePresignedDomainUrl on a profile."""
    IDENTITY_CENTER = "identity-center"
    """With IAM Identity Center, the organization's single sign-on."""


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
    user_name: str = Field(default="", pattern=_USER_NAME)
    """With sign_in = "identity-center": the name that the person signs in with; empty: name."""

    @property
    def signs_in_as(self) -> str:
        """Return the person's user name in IAM Identity Center."""
        return self.user_name or self.name


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


def check_sign_in(people: Sequence[Person], sign_in: SignIn) -> None:
    """Check that people have user names only where they are used, and each another one.

    Raises:
        ValueError: a user name is given without IAM Identity Center, or to two people.

    """
    named = [person for person in people if person.user_name]
    if named and sign_in is SignIn.IAM:
        raise ValueError(f'user_name of {named[0].name} must be omitted with sign_in = "iam"')
    names = Counter(person.signs_in_as.lower() for person in people)
    for name, count in names.items():
        if count > 1:
            raise ValueError(f"{name!r} is the user name of {count} people")


def personas(people: Iterable[Person]) -> tuple[Persona, ...]:
    """Return the personas that need a role besides the data scientists', each once."""
    used = {person.persona for person in people} - {Persona.DATA_SCIENTIST}
    return tuple(persona for persona in Persona if persona in used)
