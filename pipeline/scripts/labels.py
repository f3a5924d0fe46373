"""Interprets the label: classes or a quantity, and the class of each cell."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cells
import jobs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import MARKS, Column, folded
from decide import Evidence, Wish, best_numbers
from jobs import JobError, listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_CLASSES: Final = 1_000

MOST_NUMBERED_CLASSES: Final = 10
"""More distinct whole numbers than this are a quantity, unless `ProblemType` says otherwise."""


POSSIBLE_CLASSES: Final = frozenset({"none", "na", "n/a", "-", "--"})
"""Marks that are also names of classes, if the other classes are not numbers."""


@dataclass(frozen=True)
class Label:
    """The label column, and what its cells mean.

    Attributes:
        column: how the cells are read: a category, or a number for regression.
        problem: `binary`, `multiclass` or `regression`; `reason` says why.
        classes: in order: by value if all are numbers, by text otherwise.
        positive_class: of two classes, the one that counts as positive.
        meaning: the class of each text.
        notes: sentences for people.
    """

    column: Column
    problem: str
    reason: str
    classes: tuple[str, ...]
    positive_class: str | None
    meaning: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def decide(cls, found: Evidence, wish: Wish, problem: str, positive: str) -> Label:
        """Decide it on all cells of the label column.

        Raises:
            JobError: the label has missing or odd cells, or does not fit the problem.
        """
        numbers = best_numbers(found, wish)
        quantity, reason = _is_quantity(found, numbers, problem)
        if quantity:
            return cls._quantity(found, numbers, positive, reason)
        return cls._classes(found, numbers, problem, positive, reason)

    @classmethod
    def _quantity(
        cls, found: Evidence, numbers: Column | None, positive: str, reason: str
    ) -> Label:
        _check_complete(found, dict(found.marks))
        if numbers is None:
            others = [text for text in found.values or () if jobs.number(text) is None]
            raise JobError(
                f"label column {found.name!r}: regression needs numbers, but some cells are not: "
                f"{listing(others, most=3)}"
            )
        if positive != jobs.AUTO:
            raise JobError(f"positive class: {positive!r} was given, but regression has no classes")
        if found.least == found.most and not found.others:
            raise JobError(f"label column {found.name!r} has the value {found.least:g} in all rows")
        column = replace(numbers, role="label")
        return cls(column, "regression", reason, (), None, {}, column.notes)

    @classmethod
    def _classes(
        cls, found: Evidence, numbers: Column | None, problem: str, positive: str, reason: str
    ) -> Label:
        if found.values is None:
            raise JobError(
                f"label column {found.name!r} has more than {MOST_CLASSES} different values, too "
                "many to be classes; ProblemType=regression predicts a quantity"
            )
        among_numbers = numbers is not None and found.plain
        marks = {
            text: rows
            for text, rows in found.marks.items()
            if among_numbers or text.lower() not in POSSIBLE_CLASSES
        }
        _check_complete(found, marks)
        texts = sorted(found.values)
        meaning = _meaning(found.name, texts, all_numbers=found.plain == found.told)
        classes = jobs.in_order(set(meaning.values()))
        if len(classes) == 1:
            raise JobError(f"label column {found.name!r} has the value {classes[0]!r} in all rows")
        if problem == "binary" and len(classes) != 2:  # noqa: PLR2004
            raise JobError(
                f"problem type: binary was given, but label column {found.name!r} has "
                f"{len(classes)} classes: {listing(classes)}"
            )
        kind = "binary" if len(classes) == 2 and problem != "multiclass" else "multiclass"  # noqa: PLR2004
        own = jobs.positive_class(classes, _meant(positive, meaning)) if kind == "binary" else None
        column = Column(found.name, "category", role="label", categories=tuple(classes))
        return cls(column, kind, reason, tuple(classes), own, meaning, _marks_note(found))

    def values(self, cell: pa.Array) -> pa.Array:
        """The label's cells as they are written: classes, or float64."""
        if self.problem == "regression":
            return cells.read(self.column, cell)
        if pa.types.is_dictionary(cell.type):
            return self._classes_of(cell.dictionary).take(cell.indices)
        return self._classes_of(cell)

    def _classes_of(self, cell: pa.Array) -> pa.Array:
        text = cells.trimmed(cells.as_text(self.column, cell))
        at = pc.index_in(text, value_set=pa.array(list(self.meaning), pa.string()))
        return pa.array(list(self.meaning.values()), pa.string()).take(at)

    def codes(self, values: pa.Array) -> np.ndarray:
        """Each class's place in `classes`; zeros for regression."""
        if self.problem == "regression":
            return np.zeros(len(values), "uint16")
        at = pc.index_in(values, value_set=pa.array(self.classes, pa.string()))
        return at.to_numpy(zero_copy_only=False).astype("uint16")


def known_classes(classes: Sequence[str], text: pa.Array) -> pa.Array:
    """The class of each trimmed text, of the `classes` that a model was trained on; or null.

    As in training: equal numbers are one class if all classes are numbers, other texts must be the
    same.
    """
    meaning = {name: name for name in classes}
    if all(map(_is_plain, classes)):
        by_value = {float(name): name for name in classes}
        plain = filter(_is_plain, pc.unique(text).drop_null().to_pylist())
        meaning |= {one: by_value[float(one)] for one in plain if float(one) in by_value}
    at = pc.index_in(text, value_set=pa.array(list(meaning), pa.string()))
    return pa.array(list(meaning.values()), pa.string()).take(at)


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(cells.PLAIN, text))


def _is_quantity(found: Evidence, numbers: Column | None, problem: str) -> tuple[bool, str]:
    """Whether the label is a quantity, and the reason; `docs/data.md` describes the rule."""
    if problem != jobs.AUTO:
        return problem == "regression", "ProblemType says so"
    if numbers is None:
        return False, "the label's values are not all numbers"
    distinct = None if found.values is None else len(_distinct_values(found))
    if distinct == 2:  # noqa: PLR2004
        return False, "the label has two values"
    if found.others or not found.integers:
        return True, "the label's values are numbers with fractions or signs such as $ or %"
    many = f"more than {MOST_CLASSES:,}" if distinct is None else str(distinct)
    if distinct is not None and distinct <= MOST_NUMBERED_CLASSES:
        return False, (
            f"the label has {many} different whole numbers, and up to {MOST_NUMBERED_CLASSES} are "
            "treated as classes; set ProblemType=regression to treat them as a quantity"
        )
    return True, (
        f"the label has {many} different whole numbers, and over {MOST_NUMBERED_CLASSES} are "
        "treated as a quantity; set ProblemType=multiclass to treat them as classes"
    )


def _distinct_values(found: Evidence) -> set[object]:
    texts = set(found.values or {}) - set(found.marks)
    return {jobs.number(text) if jobs.number(text) is not None else text for text in texts}


def _check_complete(found: Evidence, marks: Mapping[str, int]) -> None:
    missing = found.blank + sum(marks.values())
    if missing:
        how = f" ({listing(list(marks))} means missing there)" if marks else ""
        raise JobError(
            f"label column {found.name!r} has no value in {missing} of {found.rows} rows{how}: "
            "remove these rows, or fill them in"
        )


def _meaning(name: str, texts: Sequence[str], *, all_numbers: bool) -> dict[str, str]:
    """The class of each text: equal numbers are one class, other near-duplicates are rejected."""
    if all_numbers:
        by_value: dict[float, list[str]] = defaultdict(list)
        for text in texts:
            by_value[float(text)].append(text)
        return {
            text: same[0] if len(same) == 1 else _shortest(value)
            for value, same in by_value.items()
            for text in same
        }
    alike: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        alike[folded(text)].append(text)
    twins = next((same for same in alike.values() if len(same) > 1), None)
    if twins:
        raise JobError(
            f"label column {name!r}: {listing(twins)} differ in case or blanks only; write them "
            "the same way if they are one class"
        )
    return {text: text for text in texts}


def _shortest(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _meant(positive: str, meaning: Mapping[str, str]) -> str:
    """The positive class as it is called: `1.0` is `1` if that is the class."""
    if positive in meaning:
        return meaning[positive]
    value = jobs.number(positive)
    same = {
        name for text, name in meaning.items() if value is not None and jobs.number(text) == value
    }
    return (
        same.pop()
        if len(same) == 1
        else positive.strip()
        if positive.strip() in meaning
        else positive
    )


def _marks_note(found: Evidence) -> tuple[str, ...]:
    values = [text for text in found.values or {} if text.lower() in MARKS]
    if not values:
        return ()
    return (
        f"label column {found.name!r}: {listing(values)} counts as a class; if it means missing, "
        "add it to MissingMarks and remove these rows",
    )
