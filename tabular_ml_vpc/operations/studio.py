"""How a person opens Studio: a web address that is good for a few minutes.

Source: "CreatePresignedDomainUrl", Amazon SageMaker AI API Reference. It asks for that right on the
user profile alone; with the domain's sign-in by IAM there is no other way in but the console, which
calls the same.
"""

from __future__ import annotations

from typing import Final

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target

MINUTES: Final = 5
"""How long the address is good, the API's default; the session that it opens lasts longer."""


def profile_of(stack: Stack, wanted: str | None) -> str:
    """Return the user profile to open Studio as.

    Raises:
        CommandError: the stack has no Studio (yet).
        UsageError: there is no such profile, or several and none was asked for.

    """
    known = [name for name in stack.outputs.get("UserProfiles", "").split(",") if name]
    if not known or "DomainId" not in stack.outputs:
        raise CommandError(f"{stack.name} has no Studio yet: it is in {stack.status}")
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in known:
        got = f"got {wanted!r}: no such user profile" if wanted else "name a user profile"
        raise UsageError(f"PROFILE: {got}; there are: {', '.join(known)}")
    return wanted


def address(target: Target, stack: Stack, profile: str) -> str:
    """Return the address; whoever has it within ``MINUTES`` is in Studio as that profile."""
    answer = target.client("sagemaker").create_presigned_domain_url(
        DomainId=stack.outputs["DomainId"], UserProfileName=profile, ExpiresInSeconds=MINUTES * 60
    )
    return str(answer["AuthorizedUrl"])
