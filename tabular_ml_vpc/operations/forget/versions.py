"""The versions of the objects in the data bucket: whose they are, and when they are gone for good.

Sources: "ListObjectVersions" and "GetBucketLifecycleConfiguration", S3 API Reference; "Lifecycle
rules based on an object's age", S3 user guide: S3 adds the days to the time and rounds up to the
next midnight in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline import layout
from pipeline.types import JsonView
from tabular_ml_vpc.operations.target import code_of

STUDIO: Final = "studio"
DERIVED: Final = frozenset({layout.PROCESSED, layout.PREDICTIONS, layout.CAPTURED})
"""What runs and the endpoint wrote, and can be deleted here; raw tables and models cannot."""
KINDS: Final = (
    layout.RAW,
    layout.PROCESSED,
    layout.MODELS,
    layout.PREDICTIONS,
    layout.CAPTURED,
    layout.ASYNCHRONOUS,
)
"""What each pipeline has of its own, and is searched."""
_BY_RUN: Final = frozenset({layout.PROCESSED, layout.MODELS, layout.PREDICTIONS})


@dataclass(frozen=True)
class Place:
    """What a key says: the kind of data (the first folder), pipeline, run, and the rest of it."""

    kind: str
    pipeline: str = ""
    run: str = ""
    rest: str = ""


@dataclass(frozen=True)
class Version:
    """One version of an object; ``superseded`` is when another version or a deletion followed."""

    key: str
    id: str
    bytes: int
    modified: datetime
    superseded: datetime | None = None

    @property
    def current(self) -> bool:
        """Return whether it is the version that readers get."""
        return self.superseded is None

    @property
    def place(self) -> Place:
        """Return what its key says."""
        return place_of(self.key)


def place_of(key: str) -> Place:
    """Return what a key of the data bucket says (``pipeline.layout``)."""
    kind, slash, rest = key.partition("/")
    pipeline = layout.MAIN
    if not slash:
        return Place("")
    if f"{kind}/" == layout.NAMED:
        kind, _, rest = rest.partition("/")
        pipeline, _, rest = rest.partition("/")
    if kind not in KINDS or not rest:
        return Place(kind, rest=rest)
    if kind not in _BY_RUN:
        return Place(kind, pipeline, rest=rest)
    run, _, rest = rest.partition("/")
    return Place(kind, pipeline, run, rest)


def listed(s3: Any, bucket: str, owner: str, prefixes: Sequence[str]) -> Iterator[Version]:
    """Yield the versions of all objects under the prefixes, but folders' empty markers."""
    for prefix in prefixes:
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=owner
        )
        found = [
            item
            for page in pages
            for item in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        found.sort(key=lambda item: str(item["Key"]))  # stable: an object's newest stay first
        for _, items in groupby(found, key=lambda item: str(item["Key"])):
            yield from _of_object(list(items))


def _of_object(items: list[JsonView]) -> Iterator[Version]:
    """Yield the versions of one object, the newest first."""
    items.sort(key=lambda item: (bool(item["IsLatest"]), item["LastModified"]), reverse=True)
    after: datetime | None = None
    for item in items:
        modified = item["LastModified"].astimezone(UTC)
        if item.get("Size"):  # a delete marker has none
            yield Version(item["Key"], item["VersionId"], item["Size"], modified, after)
        after = modified


@dataclass(frozen=True)
class Lifecycle:
    """The rules by which objects expire, and old versions are deleted."""

    rules: tuple[JsonView, ...]

    @classmethod
    def read(cls, s3: Any, bucket: str, owner: str) -> Lifecycle:
        """Return a bucket's rules."""
        try:
            found = s3.get_bucket_lifecycle_configuration(Bucket=bucket, ExpectedBucketOwner=owner)
        except ClientError as error:
            if code_of(error) != "NoSuchLifecycleConfiguration":
                raise
            return cls(())
        rules = [rule for rule in found["Rules"] if rule["Status"] == "Enabled"]
        return cls(tuple(rule for rule in rules if not _is_narrow(rule)))

    def gone(self, version: Version) -> datetime | None:
        """Return when a version is deleted for good if nobody does anything; None if never."""
        after = version.superseded or self._expires(version)
        days = self._days(version.key, "NoncurrentVersionExpiration", "NoncurrentDays")
        return None if after is None or not days else _midnight(after, min(days))

    def _expires(self, version: Version) -> datetime | None:
        days = self._days(version.key, "Expiration", "Days")
        return _midnight(version.modified, min(days)) if days else None

    def _days(self, key: str, action: str, name: str) -> list[int]:
        return [
            int(rule[action][name])
            for rule in self.rules
            if name in rule.get(action, {}) and key.startswith(_prefix(rule))
        ]


def _prefix(rule: JsonView) -> str:
    scope = rule.get("Filter") or rule
    return str(scope.get("Prefix") or scope.get("And", {}).get("Prefix") or "")


def _is_narrow(rule: JsonView) -> bool:
    """Return whether a rule is for some objects under its prefix only: by tags or size."""
    scope = rule.get("Filter") or {}
    return bool({*scope, *scope.get("And", {})} - {"Prefix", "And"})


def _midnight(moment: datetime, days: int) -> datetime:
    due = moment + timedelta(days=days)
    start = due.replace(hour=0, minute=0, second=0, microsecond=0)
    return start if start == due else start + timedelta(days=1)
