"""Lifecycle rules of buckets: whether objects expire that did not, or sooner.

Source: "AWS::S3::Bucket Rule", CloudFormation template reference.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pipeline.types import JsonView

_SCOPE: Final = ("Filter", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


class _Expiry(NamedTuple):
    """What one rule deletes: versions under a prefix, and after which time, in days."""

    prefix: str
    scope: str
    current: float
    noncurrent: float
    newer: float
    """Noncurrent versions that are kept however old they are."""
    date: str


def expires_more(old: Any, new: Any) -> bool:
    """Return whether a new rule deletes what no old rule provably deleted as soon."""
    before = list(_expiries(old))
    return not all(any(_covers(known, one) for known in before) for one in _expiries(new))


def _expiries(configuration: Any) -> Iterator[_Expiry]:
    for rule in (configuration or {}).get("Rules", []):
        if rule.get("Status") == "Enabled":
            yield from _of_rule(rule)


def _of_rule(rule: JsonView) -> Iterator[_Expiry]:
    """Yield one expiry for current and one for noncurrent versions, if the rule has them."""
    scope = json.dumps({name: rule[name] for name in _SCOPE if name in rule}, sort_keys=True)
    prefix, date = str(rule.get("Prefix", "")), str(rule.get("ExpirationDate", ""))
    if date or "ExpirationInDays" in rule:
        days = float(rule.get("ExpirationInDays", math.inf))
        yield _Expiry(prefix, scope, days, math.inf, 0, date)
    version = rule.get("NoncurrentVersionExpiration", {})
    days = version.get("NoncurrentDays", rule.get("NoncurrentVersionExpirationInDays"))
    if days is not None:
        newer = float(version.get("NewerNoncurrentVersions", 0))
        yield _Expiry(prefix, scope, math.inf, float(days), newer, "")


def _covers(wide: _Expiry, narrow: _Expiry) -> bool:
    return (
        narrow.prefix.startswith(wide.prefix)
        and (narrow.scope, narrow.date) == (wide.scope, wide.date)
        and narrow.current >= wide.current
        and narrow.noncurrent >= wide.noncurrent
        and narrow.newer >= wide.newer
    )
