"""Properties of ``Custom::EmptyBucket``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EmptyBucketProperties:
    """The bucket that goes when its stack goes, if it is marked so."""

    bucket: str
