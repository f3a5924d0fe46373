"""Properties of ``Custom::SeedData``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeedDataProperties:
    """The location of the synthetic table, and its size and seed.

    ``rows`` is 100 to 10,000,000; the same ``rows`` and ``seed`` give the same bytes.
    """

    bucket: str
    key: str
    rows: int
    seed: int
