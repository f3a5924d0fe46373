"""Properties of ``Custom::ClearStudio``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClearStudioProperties:
    """The domain to clear, and whether people's spaces (with their disks) may go too."""

    domain_id: str
    delete_spaces: bool
