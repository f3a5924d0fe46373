"""Properties of ``Custom::ClearStudio``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClearStudioProperties:
    """The domain to clear, and whether to delete people's spaces (with their disks) too.

    ``user_profiles`` are those of the stack. Because they are a property, changing them updates the
    resource, which can reject the change. Without ``whole_domain`` the domain is not the stack's,
    and nothing is touched but the apps and spaces of these profiles.
    """

    domain_id: str
    delete_spaces: bool
    user_profiles: tuple[str, ...]
    whole_domain: bool = True
