"""The part of CloudWatch's metric math that the templates use, and how an alarm reads the result.

Sources: CloudWatch user guide, "Using math expressions with CloudWatch metrics" and "Configuring
how CloudWatch alarms treat missing data". A series has a value, or None where it is missing, for
each period; the last one is the newest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Series = list[float | None]


def result(expression: str, metrics: Mapping[str, Series], *, fills_empty: bool) -> Series:
    """Return the series of ``FILL(a, 0) > FILL(b, 0) * number``.

    ``fills_empty``: whether FILL fills a series without any data point, which no document says.
    """
    found = re.fullmatch(r"FILL\((\w+), 0\) > FILL\((\w+), 0\) \* (\d+)", expression)
    assert found, expression
    left, right = (_filled(metrics[name], fills_empty) for name in found.groups()[:2])
    scaled = [None if one is None else one * int(found[3]) for one in right]
    return [_greater(one, other) for one, other in zip(left, scaled, strict=True)]


def _filled(series: Series, fills_empty: bool) -> Series:
    if not fills_empty and all(value is None for value in series):
        return series
    return [value or 0 for value in series]


def _greater(one: float | None, other: float | None) -> float | None:
    """Compare: "the function treats the missing value in the other time series as 0"."""
    return None if one is None and other is None else float((one or 0) > (other or 0))


def is_alarm(series: Series, periods: int, threshold: float) -> bool:
    """Tell whether all of the last periods are above the threshold, missing ones not breaching.

    "If the number of existing data points is equal to or more than the alarm's Evaluation Periods,
    CloudWatch evaluates the most recent existing data points"; otherwise it fills as few as it can.
    """
    known = [value for value in series if value is not None]
    return len(known) >= periods and all(value > threshold for value in known[-periods:])
