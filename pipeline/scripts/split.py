"""Splits the rows into training and test data, by their content only.

A `Plan` is derived from the hashes of all rows and then gives each row's side. Nothing depends on
the order of rows, on the number of files or on the engine. The ways to split:

- `features`: rows with equal features are on the same side, whatever their label; each class is cut
  at the hash below which the requested share of its rows lies.
- `proportion`: a table of few distinct rows (categories, bins, a survey) has the same rows on both
  sides, each distinct row in proportion: whole distinct rows would be a test of something else.
- `group`: all rows of a group are on the same side.
- `time`: the newest rows are the test data.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

TRAIN, TEST, LEFT_OUT = 0, 1, 2

FEW_DISTINCT: Final = 0.2
"""With at most this share of distinct rows (five rows alike on average), it is `proportion`."""

EXACT: Final = 1_024
_BINS: Final = 4_096
_BLOCK: Final = 1 << 18
SHIFT: Final = np.uint64(64 - 12)
_KEY: Final = ~np.uint64(1_023)  # labels have places up to 999

Shared = tuple[np.ndarray, np.ndarray]


@dataclass
class Plan:
    """How rows are split.

    Attributes:
        way: `features`, `proportion`, `group` or `time`.
        test_below: for each stratum, the hash below which rows are to test with.
        train_from: for each stratum, the hash from which on rows are trained with; those between
            are left out, because there are more than training can take.
        shared: hashes of features that occur with several labels, in order, and their stratum.
        counts: for `proportion`, how many rows of each hash and stratum are to test and to train
            with, in this order; `side` uses them up.
        newest_from: for `time`, the value from which on rows are to test with.
    """

    way: str
    test_below: Mapping[int, int] = field(default_factory=dict)
    train_from: Mapping[int, int] = field(default_factory=dict)
    shared: Shared | None = None
    counts: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    newest_from: float | None = None


def strata_of(hashes: np.ndarray, labels: np.ndarray) -> tuple[int, Shared]:
    """How many distinct hashes there are; and those with several labels, with the least label.

    The label takes the place of a hash's last ten bits, so that one sort finds both.
    """
    ordered = hashes & _KEY
    np.bitwise_or(ordered, labels, out=ordered)
    ordered.sort()
    distinct, several = 1, [ordered[:0]]
    for start in range(0, len(ordered) - 1, _BLOCK):
        here = ordered[start : start + _BLOCK + 1]
        change = here[1:] ^ here[:-1]
        distinct += int((change > ~_KEY).sum())
        several.append(here[1:][(change > 0) & (change <= ~_KEY)] & _KEY)
    keys = np.unique(np.concatenate(several))
    least = ordered[np.searchsorted(ordered, keys)] & ~_KEY
    return distinct, (keys, least.astype("uint16"))


def strata(hashes: np.ndarray, labels: np.ndarray, shared: Shared | None) -> np.ndarray:
    """Each row's stratum: its label, or that of its features where they have several labels."""
    if shared is None or not len(shared[0]):
        return labels
    known, least = shared
    found = labels.copy()
    for start in range(0, len(hashes), _BLOCK):
        rows = slice(start, start + _BLOCK)
        keys = hashes[rows] & _KEY
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        found[rows] = np.where(known[at] == keys, least[at], labels[rows])
    return found


def histograms(hashes: np.ndarray, found: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """For each stratum, its rows by hash, in order: `found` has each row's stratum.

    By each hash while few are distinct, by 4,096 ranges of hashes otherwise, each given by the
    least hash that it can hold.
    """
    bins = np.zeros((int(found.max()) + 1) * _BINS, "int64")
    for start in range(0, len(hashes), _BLOCK):
        rows = slice(start, start + _BLOCK)
        at = (hashes[rows] >> SHIFT).astype("int64") + found[rows].astype("int64") * _BINS
        bins += np.bincount(at, minlength=len(bins))
    by_stratum = bins.reshape(-1, _BINS)
    return {
        int(name): _exact(hashes, found, int(name), by_stratum[name])
        for name in np.flatnonzero(by_stratum.any(axis=1))
    }


def _exact(
    hashes: np.ndarray, found: np.ndarray, name: int, bins: np.ndarray
) -> list[tuple[int, int]]:
    filled = np.flatnonzero(bins)
    if len(filled) <= EXACT:
        distinct, counts = np.unique(hashes[found == name], return_counts=True)
        if len(distinct) <= EXACT:
            return list(zip(distinct.tolist(), counts.tolist(), strict=True))
    return [(int(at) << int(SHIFT), int(bins[at])) for at in filled]


def cut(steps: list[tuple[int, int]], share: float) -> int | None:
    """The hash below which lies the part of the rows nearest to `share`, rows on both sides of it.

    None if that cannot be, all rows being alike.
    """
    total = sum(rows for _, rows in steps)
    best, below = None, 0
    for (_, rows), (start, _) in pairwise(steps):
        below += rows
        distance = abs(below - share * total)
        if best is None or distance < best[0]:
            best = distance, start
    return None if best is None else best[1]


def sample_from(steps: list[tuple[int, int]], test_below: int, rows: float) -> int:
    """The hash from which on there are at most `rows` rows (one step at least)."""
    kept, least = 0, None
    for start, count in reversed(steps):
        if start < test_below or (least is not None and kept + count > rows):
            break
        kept, least = kept + count, start
    return test_below if least is None else least


def by_hash(
    hashes: np.ndarray,
    labels: np.ndarray,
    fraction: float,
    training_rows: int,
    *,
    way: str = "features",
    shared: Shared | None = None,
) -> tuple[Plan, list[int]]:
    """The plan for `features` or `group`, and the strata whose rows are all alike."""
    found = strata(hashes, labels, shared)
    steps = histograms(hashes, found)
    return from_histograms(steps, fraction, training_rows, way=way, shared=shared)


def from_histograms(
    steps: Mapping[int, list[tuple[int, int]]],
    fraction: float,
    training_rows: int,
    *,
    way: str,
    shared: Shared | None,
) -> tuple[Plan, list[int]]:
    """The plan from the rows by hash of each stratum, wherever they were counted."""
    cuts = {name: cut(rows, fraction) for name, rows in steps.items()}
    below = {name: value or 0 for name, value in cuts.items()}
    left = {
        name: sum(count for start, count in rows if start >= below[name])
        for name, rows in steps.items()
    }
    total = sum(left.values())
    starts = {}
    if total > training_rows:
        starts = {
            name: sample_from(rows, below[name], training_rows * left[name] / total)
            for name, rows in steps.items()
        }
    alike = [name for name, value in cuts.items() if value is None]
    return Plan(way, below, starts, shared), alike


def in_proportion(
    counts: Mapping[tuple[int, int], int], fraction: float, training_rows: int
) -> Plan:
    """The plan for `proportion`, from how often each hash occurs with each label."""
    by_label: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (value, label), rows in sorted(counts.items()):
        by_label[label].append((value, rows))
    total = sum(counts.values())
    plan: dict[tuple[int, int], list[int]] = {}
    share = min(1.0, training_rows / max(1.0, total * (1 - fraction)))
    for label, groups in by_label.items():
        tested = _apportioned([rows for _, rows in groups], fraction)
        left = [rows - test for (_, rows), test in zip(groups, tested, strict=True)]
        trained = left if share == 1 else _apportioned(left, share, up=False)
        for (value, _), test, train in zip(groups, tested, trained, strict=True):
            plan[value, label] = [test, train]
    return Plan("proportion", counts=plan)


def _apportioned(rows: list[int], share: float, *, up: bool = True) -> list[int]:
    """`share` of each of `rows`, whole, by largest remainders; one at least where two are there."""
    total = sum(rows)
    wanted = round(share * total) if up else int(share * total)
    wanted = min(max(wanted, 1), total - 1) if total > 1 and up else wanted
    parts = [int(share * count) for count in rows]
    order = sorted(range(len(rows)), key=lambda at: (parts[at] - share * rows[at], at))
    for at in order:
        if sum(parts) >= wanted:
            break
        if parts[at] < rows[at]:
            parts[at] += 1
    return parts


def by_time(values: np.ndarray, fraction: float) -> Plan | None:
    """The plan for `time`: equal moments are on one side. None if all are equal."""
    distinct, counts = np.unique(values, return_counts=True)
    newer = np.cumsum(counts[::-1])[::-1]
    if len(distinct) < 2:  # noqa: PLR2004
        return None
    at = 1 + int(np.argmin(np.abs(newer[1:] - fraction * len(values))))
    return Plan("time", newest_from=float(distinct[at]))


class Sides:
    """Tells rows' sides by a plan; for `proportion` it counts what it has given."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._left = {key: list(value) for key, value in plan.counts.items()}

    def of(self, hashes: np.ndarray, labels: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """`TRAIN`, `TEST` or `LEFT_OUT` for each row."""
        if self.plan.way == "proportion":
            return self._in_proportion(hashes, labels)
        if self.plan.way == "time" and times is not None:
            return np.where(times >= self.plan.newest_from, TEST, TRAIN).astype("int8")
        grouped = self.plan.way == "group"
        found = np.zeros_like(labels) if grouped else strata(hashes, labels, self.plan.shared)
        below = _looked_up(self.plan.test_below, found)
        start = _looked_up(self.plan.train_from, found) if self.plan.train_from else below
        sides = np.where(hashes < start, LEFT_OUT, TRAIN)
        return np.where(hashes < below, TEST, sides).astype("int8")

    def _in_proportion(self, hashes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Of equal rows the first ones are to test with; it does not matter which they are."""
        order = np.lexsort((labels, hashes))
        changes = (np.diff(hashes[order]) != 0) | (np.diff(labels[order]) != 0)
        starts = np.r_[0, np.flatnonzero(changes) + 1, len(order)]
        sides = np.full(len(hashes), LEFT_OUT, "int8")
        for start, end in pairwise(starts):
            rows = order[start:end]
            left = self._left[int(hashes[rows[0]]), int(labels[rows[0]])]
            at = 0
            for side in (1, 0):
                size = min(left[1 - side], len(rows) - at)
                sides[rows[at : at + size]] = side
                left[1 - side] -= size
                at += size
        return sides


def _looked_up(values: Mapping[int, int], keys: np.ndarray) -> np.ndarray[Any, Any]:
    table = np.zeros(int(max(values)) + 1, np.uint64)
    for key, value in values.items():
        table[key] = value
    return table[keys]
