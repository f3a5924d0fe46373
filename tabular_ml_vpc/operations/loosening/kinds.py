"""What a loosening is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    """What is loosened."""

    RIGHTS = "identity rights"
    BOUNDARY = "permissions boundary"
    TRUST = "trust"
    RESOURCE_POLICY = "resource policy"
    ENDPOINT_POLICY = "endpoint policy"
    NETWORK = "network reach"
    ENCRYPTION = "encryption"
    RETENTION = "retention"
    SETTING = "setting"


POLICIES: Final = frozenset({Kind.RIGHTS, Kind.TRUST, Kind.RESOURCE_POLICY, Kind.ENDPOINT_POLICY})
"""Kinds whose loosenings are statements."""


@dataclass(frozen=True)
class Loosening:
    """One change that allows more or protects less.

    ``old`` and ``new`` are plain JSON: a property's value, a security group's rule, or a statement
    of a policy; None if there is none.
    """

    kind: Kind
    place: str
    what: str
    old: Any
    new: Any
    why: str

    def reversed(self) -> Loosening:
        """Return the opposite change, which tightens."""
        return replace(self, old=self.new, new=self.old)

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "kind": str(self.kind),
            "place": self.place,
            "what": self.what,
            "old": self.old,
            "new": self.new,
            "why": self.why,
        }
