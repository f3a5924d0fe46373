"""Properties of ``Custom::ClearStudio``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClearStudioProperties:
    """The domain to clear, and whether people's spaces (with their disks) may go too.

    ``user_profiles`` are those of the stack; that they are a property makes a change of them an
    update of the resource, which can refuse it.
    """

    domain_id: str
    delete_spaces: bool
    user_profiles: tuple[str, ...]
