"""What a model's training data looked like, column by column, and how far other data is from it.

`reference.json` is part of the model archive: the reference belongs to the model, not to the table
in the bucket, and is the same for both engines of preprocessing. It holds deciles, categories and
shares, and no row.

The distance of a column's values is the population stability index (PSI): over the bins of the
reference, the sum of `(now - before) * ln(now / before)`, with shares of the values that are not
missing. In a sample of the same distribution, PSI / (1/n + 1/m) is distributed as chi-squared with
one degree of freedom less than there are bins (Yurdakul, "Statistical Properties of Population
Stability Index", 2018): a small sample is not called drifted for its noise alone.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import cells
import numpy as np
import pyarrow as pa
from columns import Json, Schema
from pyarrow import compute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from columns import Column

FILE: Final = "reference.json"
BINS: Final = 10
MOST_CATEGORIES: Final = 200
"""Categories with a share of their own, the most frequent ones; the others share one."""

_LEAST_SHARE: Final = 1e-4
"""What an empty bin counts as: the logarithm of zero is infinite."""
_SIGMAS: Final = 3.09
"""The normal distribution's quantile of 99.9 percent."""
_SHOWN: Final = 5
_MOST_KEPT: Final = 10_000
"""Different texts that are counted at most: if each row has another one, memory stays the same."""
_MOVING: Final = frozenset({"date", "datetime"})
"""Kinds whose values move on with time: that new ones are outside of the old range says nothing."""


@dataclass(frozen=True)
class Limits:
    """What is reported as drift: a PSI, and shares of a column's rows."""

    psi: float = 0.2
    missing: float = 0.05
    odd: float = 0.01
    unseen: float = 0.01
    outside: float = 0.01


def describe(schema: Schema, values: Mapping[str, pa.Array], rows: int) -> Json:
    """The reference of so many rows of training data: typed values by column."""
    columns = [_described(column, values[column.name]) for column in schema.features]
    return {"rows": rows, "columns": columns}


def _described(column: Column, values: pa.Array) -> Json:
    measured = _measured(column, values)
    found: Json = {"name": column.name, "missing": measured.null_count}
    known = measured.drop_null()
    if pa.types.is_string(measured.type):
        counts = compute.value_counts(known).to_pylist()
        ranked = sorted(counts, key=lambda one: (-one["counts"], one["values"]))
        top = {one["values"]: one["counts"] for one in ranked[:MOST_CATEGORIES]}
        return found | {"categories": top, "others": len(known) - sum(top.values())}
    numbers = known.to_numpy(zero_copy_only=False)
    if not len(numbers):
        return found | {"edges": [], "counts": [0]}
    inner = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1])
    edges = np.unique(inner)
    return found | {
        "edges": edges.tolist(),
        "counts": _counts(edges, numbers).tolist(),
        "least": float(numbers.min()),
        "most": float(numbers.max()),
    }


def _measured(column: Column, values: pa.Array) -> pa.Array:
    """Texts of categories and booleans; otherwise float64, for texts their length."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if column.kind == "category":
        return values.cast(pa.string())
    if column.kind == "boolean":
        return compute.if_else(values, "true", "false").cast(pa.string())
    if column.kind == "text":
        return compute.utf8_length(values).cast(pa.float64())
    if not pa.types.is_floating(values.type):
        values = cells.as_integers(values)
    return values.cast(pa.float64(), safe=False)


def _counts(edges: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)


@dataclass
class Noted:
    """How many cells were noted, and how often each text among them, the most frequent ones."""

    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, more: Mapping[str, int]) -> None:
        """Take more texts; the rare ones are forgotten if there are too many."""
        self.total += sum(more.values())
        self.counts.update(more)
        if len(self.counts) > _MOST_KEPT:
            self.counts = Counter(dict(self.counts.most_common(_MOST_KEPT // 2)))

    def share_of(self, rows: int) -> Json:
        """The share of the rows, and the most frequent texts."""
        shown = dict(sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN])
        return {"share": self.total / max(1, rows), "examples": shown}


@dataclass
class Observed:
    """What one column's other data says; `add` takes the next values."""

    column: Column
    before: Json
    rows: int = 0
    missing: int = 0
    outside: int = 0
    odd: Noted = field(default_factory=Noted)
    unseen: Noted = field(default_factory=Noted)
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no rows in any bin."""
        self.counts = np.zeros(len(self._expected()), "int64")

    def add(self, values: pa.Array, odd: Counter[str]) -> None:
        """Take the next typed values, and the cells that cannot be read."""
        measured = _measured(self.column, values)
        self.rows += len(values)
        self.odd.add(odd)
        self.missing += measured.null_count - odd.total()
        known = measured.drop_null()
        if "categories" in self.before:
            self._add_categories(known)
        else:
            self._add_numbers(known.to_numpy(zero_copy_only=False))

    def _add_categories(self, known: pa.Array) -> None:
        places = {name: at for at, name in enumerate(self.before["categories"])}
        seen = None if self.column.categories is None else frozenset(self.column.categories)
        unseen = Counter[str]()
        for one in compute.value_counts(known).to_pylist():
            name, count = one["values"], one["counts"]
            self.counts[places.get(name, -1)] += count
            if name not in places and (name not in seen if seen else not self.before["others"]):
                unseen[name] += count
        self.unseen.add(unseen)

    def _add_numbers(self, numbers: np.ndarray) -> None:
        self.counts += _counts(np.array(self.before["edges"]), numbers)
        if "least" in self.before:
            out = (numbers < self.before["least"]) | (numbers > self.before["most"])
            self.outside += int(out.sum())

    def _expected(self) -> list[int]:
        """The reference's rows in each bin."""
        if "categories" in self.before:
            return [*self.before["categories"].values(), self.before["others"]]
        counts: list[int] = self.before["counts"]
        return counts

    def compared(self, limits: Limits) -> Json:
        """How far the data is from the reference, and what of that exceeds its limit."""
        expected = np.array(self._expected())
        index = psi(expected, self.counts)
        trained = int(expected.sum()) + self.before["missing"]
        before = self.before["missing"] / max(1, trained)
        found: Json = {
            "name": self.column.name,
            "kind": self.column.kind,
            "rows": self.rows,
            "psi": index,
            "psi_limit": psi_limit(limits.psi, expected, self.counts),
            "missing": {"before": before, "now": self._share(self.missing)},
            "odd": self.odd.share_of(self.rows),
            "unseen": self.unseen.share_of(self.rows),
            "outside": {"share": self._share(self.outside)},
        }
        return found | {"drifted": self._beyond(found, limits)}

    def _share(self, count: int) -> float:
        return count / max(1, self.rows)

    def _beyond(self, found: Json, limits: Limits) -> list[str]:
        """The names of the measures that exceed their limits by more than chance explains."""
        change = abs(found["missing"]["now"] - found["missing"]["before"])
        shares = {
            "missing": (change, limits.missing),
            "odd": (found["odd"]["share"], limits.odd),
            "unseen": (found["unseen"]["share"], limits.unseen),
            "outside": (found["outside"]["share"], limits.outside),
        }
        beyond = ["psi"] if found["psi"] > found["psi_limit"] else []
        beyond += [name for name, (share, most) in shares.items() if self._is_clear(share, most)]
        if self.column.kind in _MOVING:
            return [name for name in beyond if name not in {"psi", "outside"}]
        return beyond

    def _is_clear(self, share: float, most: float) -> bool:
        """Whether so many rows leave no doubt that the share is greater than `most`."""
        noise = math.sqrt(share * (1 - min(share, 1)) / max(1, self.rows))
        return share - _SIGMAS * noise > most


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """The population stability index of rows by bin; 0 if either has no rows."""
    if not expected.sum() or not actual.sum():
        return 0.0
    before = np.maximum(expected / expected.sum(), _LEAST_SHARE)
    now = np.maximum(actual / actual.sum(), _LEAST_SHARE)
    return float(((now - before) * np.log(now / before)).sum())


def psi_limit(wanted: float, expected: np.ndarray, actual: np.ndarray) -> float:
    """`wanted`, or what one sample of a thousand exceeds by chance if that is more."""
    rows = int(actual.sum()), int(expected.sum())
    freedom = len(expected) - 1
    if not freedom or not all(rows):
        return wanted
    return max(wanted, _chi_squared(freedom) * sum(1 / count for count in rows))


def _chi_squared(freedom: int) -> float:
    """The quantile of 99.9 percent (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + _SIGMAS * math.sqrt(part)) ** 3


def observed(schema: Schema, before: Json) -> dict[str, Observed]:
    """One observation for each column that the model learned from."""
    known: dict[str, Any] = {item["name"]: item for item in before["columns"]}
    return {item.name: Observed(item, known[item.name]) for item in schema.features}
