"""How a person opens Studio: with a web address that is valid for a few minutes.

Source: "CreatePresignedDomainUrl", Amazon SageMaker AI API Reference. It needs only that permission
on the user profile. With IAM sign-in, the only other way in is the console, which calls the same
operation.
"""

from __future__ import annotations

from typing import Final

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target

MINUTES: Final = 5
"""How long the address is valid, the API's default; the session that it opens lasts longer."""


def profile_of(stack: Stack, name: str | None) -> str:
    """Return the user profile to open Studio as.

    Raises:
        CommandError: the stack has no Studio (yet).
        UsageError: there is no such profile, or there are several and none was chosen.

    """
    known = [name for name in stack.outputs.get("UserProfiles", "").split(",") if name]
    if not known or "DomainId" not in stack.outputs:
        raise CommandError(f"{stack.name} has no Studio yet: the stack is in {stack.status}")
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        problem = f"unknown user profile {name!r}" if name else "give a user profile"
        raise UsageError(f"PROFILE: {problem}; known profiles: {', '.join(known)}")
    return name


def address(target: Target, stack: Stack, profile: str) -> str:
    """Return the address; for ``MINUTES``, anyone who has it can open Studio as that profile."""
    answer = target.client("sagemaker").create_presigned_domain_url(
        DomainId=stack.outputs["DomainId"], UserProfileName=profile, ExpiresInSeconds=MINUTES * 60
    )
    return str(answer["AuthorizedUrl"])
