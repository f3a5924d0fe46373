"""Properties of ``Custom::EmptyBucket``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EmptyBucketProperties:
    """The bucket to empty before its stack is deleted, if its tag allows that."""

    bucket: str
