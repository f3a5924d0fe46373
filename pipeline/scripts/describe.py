"""Describes the user's table for people: `profile.json`, and warnings before training."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import split
from columns import IGNORED, Column, Json, Schema
from decide import ranked
from jobs import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from decide import Evidence
    from labels import Label
_TOP_VALUES: Final = 10
_ODD_SHOWN: Final = 20


@dataclass
class Survey:
    """The result of the first reading: evidence about each column, and rows by file."""

    evidence: dict[str, Evidence]
    files: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Rows of the whole table."""
        return self.files.total()

    def merge(self, other: Survey) -> None:
        """Take what was found in other rows."""
        for name, found in other.evidence.items():
            self.evidence[name].merge(found)
        self.files.update(other.files)


@dataclass
class Statistics:
    """What the typed cells of one column say in all; `add` takes the next ones."""

    column: Column
    missing: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    count: int = 0
    total: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, values: pa.Array, odd: Counter[str]) -> None:
        """Take the next values, and the cells that were odd."""
        self.missing += values.null_count
        self.odd.update(odd)
        if not pa.types.is_floating(values.type):
            return
        found = values.drop_null().to_numpy()
        if len(found):
            self._add(len(found), float(found.mean()), float(found.var()) * len(found))
            self.least, self.most = min(self.least, found.min()), max(self.most, found.max())

    def merge(self, other: Statistics) -> None:
        """Take what other cells of the column said."""
        self.missing += other.missing
        self.odd.update(other.odd)
        if other.count:
            self._add(other.count, other.mean, other.squares)
            self.least, self.most = min(self.least, other.least), max(self.most, other.most)

    def _add(self, count: int, mean: float, squares: float) -> None:
        """Chan, Golub and LeVeque, 1979, "Updating formulae and a pairwise algorithm"."""
        shift, total = mean - self.mean, self.count + count
        self.squares += squares + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total

    def described(self) -> Column:
        """The column with its missing and odd cells counted."""
        shown = ranked(self.odd, _ODD_SHOWN)
        return replace(self.column, missing=self.missing, odd=shown, odd_cells=self.odd.total())

    def summary(self) -> Json:
        """Range, mean and (population) standard deviation of numbers."""
        if not self.count:
            return {}
        deviation = math.sqrt(self.squares / self.count)
        return {
            "min": float(self.least),
            "max": float(self.most),
            "mean": self.mean,
            "std": deviation,
        }


@dataclass(frozen=True)
class Findings:
    """All that is known of a table once it is split.

    Attributes:
        schema, label: what the table means.
        survey: evidence of each column, rows of each file.
        statistics: what the cells of each trained column say.
        counts: for each side (`split.TRAIN` and so on), the rows of each class.
        split: how the rows were split: `way`, `test_fraction`, `seed`.
        suspects: columns that tell the label by themselves.
    """

    schema: Schema
    label: Label
    survey: Survey
    statistics: Mapping[str, Statistics]
    counts: Mapping[int, np.ndarray]
    split: Json
    suspects: Sequence[Json]


def why_not(column: Column) -> str:
    """Why the column is not trained on, as the end of "it is ..."."""
    reasons = {"group": "the group", "time": "the time", "excluded": "excluded"}
    if column.role != "feature":
        return reasons[column.role]
    return "an identifier" if column.kind == "identifier" else column.kind


def counted(
    schema: Schema, found: Mapping[str, Statistics], evidence: Mapping[str, Evidence]
) -> Schema:
    """The schema with missing and odd cells of every column."""
    columns = tuple(
        found[column.name].described()
        if column.name in found
        else replace(column, missing=evidence[column.name].blank)
        for column in schema.columns
    )
    return replace(schema, columns=columns)


# --- Warnings ------------------------------------------------------------------------------------


def warnings(found: Findings) -> list[str]:
    """What people should check before they trust the model, one sentence each."""
    sentences = list(found.label.notes)
    for column in found.schema.columns:
        if column.role == "feature":
            sentences += _of_column(column, found.schema.rows)
    sentences += [
        f"column {item['column']!r} alone predicts the label almost perfectly ("
        f"{item['score']:.3f} of 1): does it contain the answer?"
        for item in found.suspects
    ]
    return [*sentences, *_of_sides(found)]


def _of_column(column: Column, rows: int) -> Iterator[str]:
    name = f"column {column.name!r}"
    if column.odd_cells:
        yield (
            f"{name}: {column.odd_cells} of {rows} cells cannot be read as {column.kind} and count "
            f"as missing: {_shown(column.odd)}"
        )
    if column.candidates:
        yield (
            f"{name}: {_shown(column.candidates)} may mean missing, but counts as a value; "
            "set MissingMarks to change that"
        )
    elif column.marked and column.trained:
        yield f"{name}: {_shown(column.marked)} means missing among {column.kind} values"
    if column.kind in IGNORED:
        notes = f" ({'; '.join(column.notes)})" if column.notes else ""
        yield f"{name} is {why_not(column)}{notes}: it is not used for training"
    else:
        yield from (f"{name}: {note}" for note in column.notes)


def _shown(counts: Mapping[str, int], most: int = 5) -> str:
    parts = [f"{text[:40]!r} ({rows})" for text, rows in list(counts.items())[:most]]
    return ", ".join(parts) + (", ..." if len(counts) > most else "")


def _of_sides(found: Findings) -> Iterator[str]:
    tested, trained = found.counts[split.TEST], found.counts[split.TRAIN]
    absent = [name for name, rows in zip(found.schema.classes, tested, strict=False) if not rows]
    if absent:
        yield f"the test data has no row of class {listing(absent)}"
    left_out = int(found.counts[split.LEFT_OUT].sum())
    if left_out:
        yield (
            f"{trained.sum()} rows are used for training, a sample of each class in proportion, "
            f"and {left_out} are left out because of TrainingRows"
        )


# --- The profile ---------------------------------------------------------------------------------


def profile(found: Findings) -> Json:
    """The description of the table and of its split, ready for `json.dump`."""
    schema, counts = found.schema, found.counts
    return {
        "files": [{"name": name, "rows": rows} for name, rows in found.survey.files.items()],
        "rows": schema.rows,
        "problem": {"type": schema.problem, "reason": found.label.reason},
        "label": {
            "column": schema.label,
            "positive_class": schema.positive_class,
            "classes": _classes(schema, counts),
        },
        "columns": [
            _column(column, found.survey.evidence[column.name], found.statistics.get(column.name))
            for column in schema.columns
        ],
        "split": {
            "train": int(counts[split.TRAIN].sum()),
            "test": int(counts[split.TEST].sum()),
            "left_out": int(counts[split.LEFT_OUT].sum()),
        }
        | found.split,
        "leakage": list(found.suspects),
        "warnings": warnings(found),
    }


def _classes(schema: Schema, counts: Mapping[int, np.ndarray]) -> list[Json]:
    return [
        {
            "value": name,
            "rows": int(sum(counts[side][at] for side in counts)),
            "share": float(sum(counts[side][at] for side in counts)) / schema.rows,
            "train": int(counts[split.TRAIN][at]),
            "test": int(counts[split.TEST][at]),
        }
        for at, name in enumerate(schema.classes)
    ]


def _column(column: Column, evidence: Evidence, statistics: Statistics | None) -> Json:
    values = evidence.values
    found: Json = {
        "name": column.name,
        "type": column.kind,
        "role": column.role,
        "missing": column.missing,
        "missing_share": column.missing / evidence.rows,
        "distinct": None if values is None else len(values),
        "constant": column.kind == "constant",
    }
    if statistics is not None:
        found |= statistics.summary()
    if values is not None:
        top = ranked(values, _TOP_VALUES)
        found["top"] = [{"value": value, "rows": rows} for value, rows in top.items()]
    return found
