"""What the root tells about people: their profiles, and how they open Studio.

``profiles_of`` and ``has_identity_center`` read it again from a deployed stack's outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from troposphere import Sub

from generator.settings_people import SignIn
from generator.settings_studio import Studio
from generator.wiring import Expression

PROFILES: Final = "UserProfiles"
SIGN_IN: Final = "SignIn"
"""Exists only with IAM Identity Center."""
MOST_CHARACTERS: Final = 4096
"""Most characters of one output. AWS documents the limit for a parameter's value ("CloudFormation
quotas") and none for an output's."""

Outputs = dict[str, tuple[str, Expression]]
"""Description and value by name."""


def outputs(studio: Studio, domain: Expression) -> Outputs:
    """Return the root's outputs about people."""
    names = [person.name for person in studio.everyone]
    parts = enumerate(_parts(names), start=1)
    profiles: Outputs = {
        f"{PROFILES}{number if number > 1 else ''}": ("Names of Studio's user profiles", part)
        for number, part in parts
    }
    return {**profiles, **_opening(studio.sign_in, names[0], domain)}


def _parts(names: Sequence[str]) -> Iterator[str]:
    """Yield the names, joined by commas, in as few texts as possible."""
    part = ""
    for name in names:
        longer = f"{part},{name}" if part else name
        if len(longer) > MOST_CHARACTERS:
            yield part
            longer = name
        part = longer
    yield part


def _opening(sign_in: SignIn, first: str, domain: Expression) -> Outputs:
    if sign_in is SignIn.IDENTITY_CENTER:
        return {
            SIGN_IN: ("People sign in at the domain's URL, with IAM Identity Center", str(sign_in))
        }
    command = Sub(
        "aws sagemaker create-presigned-domain-url --region ${AWS::Region} --domain-id "
        f"${{Domain}} --user-profile-name {first} --query AuthorizedUrl --output text",
        Domain=domain,
    )
    what = "Prints a URL, valid for five minutes, that opens Studio as the first user profile"
    return {"OpenStudioCommand": (what, command)}


def profiles_of(outputs: Mapping[str, str]) -> list[str]:
    """Return the names of the user profiles in a deployed stack's outputs."""
    names = [name for name in outputs if re.fullmatch(rf"{PROFILES}\d*", name)]
    numbered = sorted(names, key=lambda name: int(name.removeprefix(PROFILES) or 1))
    return [profile for name in numbered for profile in outputs[name].split(",") if profile]


def has_identity_center(outputs: Mapping[str, str]) -> bool:
    """Tell whether people sign in to a deployed stack's Studio with IAM Identity Center."""
    return SIGN_IN in outputs
