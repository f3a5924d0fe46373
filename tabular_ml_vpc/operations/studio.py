"""How a person opens Studio: with a web address that is valid for a few minutes.

Source: "CreatePresignedDomainUrl", Amazon SageMaker AI API Reference. It needs only that permission
on the user profile. With IAM sign-in, the only other way in is the console, which calls the same
operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from generator import people_outputs
from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target

MINUTES: Final = 5
"""How long the address is valid, the API's default; the session that it opens lasts longer."""


def profile_of(stack: Stack, name: str | None) -> str:
    """Return the user profile to open Studio as.

    Raises:
        CommandError: the stack has no Studio, or no profile of its own in it (yet).
        UsageError: there is no such profile, or there are several and none was chosen.

    """
    known = people_outputs.profiles_of(stack.outputs)
    _need_domain(stack, known)
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        problem = f"unknown user profile {name!r}" if name else "give a user profile"
        raise UsageError(f"PROFILE: {problem}; known profiles: {', '.join(known)}")
    return name


def _need_domain(stack: Stack, profiles: Sequence[str]) -> None:
    if not profiles and stack.outputs:
        domain = stack.outputs.get("DomainId")
        lacks = f"user profile of its own in domain {domain}" if domain else "Studio"
        raise CommandError(f"{stack.name} has no {lacks}, because of its setting studio.domain")
    if not profiles or "DomainId" not in stack.outputs:
        raise CommandError(f"{stack.name} has no Studio yet: the stack is in {stack.status}")


def sign_in_page(target: Target, stack: Stack, profile: str | None) -> str | None:
    """Return the page where people sign in with IAM Identity Center, if they do.

    It is the domain's address. SageMaker gives no other for such a domain ("This operation can only
    be called when the authentication mode equals IAM", CreatePresignedDomainUrl).

    Raises:
        CommandError: the stack has no Studio (yet).
        UsageError: a profile was chosen, although the user name decides it.

    """
    if not people_outputs.has_identity_center(stack.outputs):
        return None
    _need_domain(stack, people_outputs.profiles_of(stack.outputs))
    if profile:
        raise UsageError(
            f"PROFILE: got {profile!r}: must be omitted, because people sign in with IAM Identity "
            "Center, which decides the user profile"
        )
    known = stack.outputs.get("DomainUrl")
    return known or _url_of(target, stack.outputs["DomainId"])


def _url_of(target: Target, domain: str) -> str:
    """Return the address of a domain that the stack did not create."""
    answer = target.client("sagemaker").describe_domain(DomainId=domain)
    return str(answer["Url"])


def address(target: Target, stack: Stack, profile: str) -> str:
    """Return the address; for ``MINUTES``, anyone who has it can open Studio as that profile."""
    answer = target.client("sagemaker").create_presigned_domain_url(
        DomainId=stack.outputs["DomainId"], UserProfileName=profile, ExpiresInSeconds=MINUTES * 60
    )
    return str(answer["AuthorizedUrl"])
