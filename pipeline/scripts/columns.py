"""The meaning of a table's columns: determined once by preprocessing, read by every later step.

`schema.json` is a `Schema`. Preprocessing derives it from the whole table; training, evaluation,
the endpoint and the reports read it, and none of them guesses. `docs/data.md` describes it for
people, `docs/table-schema.json` for programs.

This file is part of the model archive, next to `inference.py`, and the command line imports it too:
it uses only the standard library and imports none of the other scripts.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Json = dict[str, Any]

VERSION: Final = 1
FILE: Final = "schema.json"

IGNORED: Final = frozenset({"identifier", "constant", "empty"})
"""Kinds that are not used for training; they are optional in requests."""

KINDS: Final = (
    *("number", "integer", "boolean", "category", "text"),
    *("date", "datetime", "time", "duration"),
    *("identifier", "constant", "empty"),
)

TEXTS: Final = frozenset({"category", "text"})

PROBLEMS: Final = ("binary", "multiclass", "regression")

MARKS: Final = frozenset(
    {"#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a"}
    | {"na", "nan", "null", "none", "?", "-", "--", ".", "\\n", "inf", "-inf", "+inf"}
    | {"infinity", "-infinity", "+infinity", "#div/0!", "#value!", "#ref!", "nat"}
)
r"""Texts, in lower case, that mean "no value" where the other cells are numbers, dates or booleans.

The list of `pandas.read_csv`, and what people and databases write (`\N` is MySQL's and Hive's).
In a column of texts they are values: a country is called NA, and a grade None.
"""


@dataclass(frozen=True)
class Column:
    """One column of the table: what its cells mean and how they are written.

    Attributes:
        name: as in the header, without the blanks around it.
        kind: one of `KINDS`.
        role: `feature`, `label`, `group`, `time` or `excluded`; only features are trained on.
        decimal, thousands: marks of written numbers; no thousands mark is an empty text.
        currency: symbols that numbers carry, before or behind.
        percent: whether numbers carry a percent sign; `12.5 %` means 12.5.
        format: how dates and times are written, as for `datetime.strptime`; or the pattern's name
            for durations.
        marks: texts, in lower case, that mean a missing value.
        marked: how often each mark occurs, as written.
        odd: cells that are none of this, which count as missing, and how often each occurs; the
            most frequent ones only.
        odd_cells: how many there are of them in all.
        missing: how many cells have no value, odd ones included.
        candidates: values that could have meant missing, and count as values here.
        categories: the values of a category in order of their text, if they are not too many.
        notes: sentences for people.
    """

    name: str
    kind: str
    role: str = "feature"
    decimal: str = "."
    thousands: str = ""
    currency: tuple[str, ...] = ()
    percent: bool = False
    format: str | None = None
    marks: tuple[str, ...] = ()
    marked: Mapping[str, int] = field(default_factory=dict, hash=False)
    odd: Mapping[str, int] = field(default_factory=dict, hash=False)
    odd_cells: int = 0
    missing: int = 0
    candidates: Mapping[str, int] = field(default_factory=dict, hash=False)
    categories: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether the model learns from this column."""
        return self.role == "feature" and self.kind not in IGNORED

    @property
    def written(self) -> str:
        """How its cells are written, in a few words for a table; empty if plainly."""
        if self.kind not in {"number", "integer"}:
            return self.format or ""
        parts = [
            "decimal comma" if self.decimal == "," else "",
            f"thousands {self.thousands!r}" if self.thousands else "",
            "/".join(self.currency),
            "%" if self.percent else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Schema:
    """What the table means: its label, its problem and its columns (the label not among them)."""

    label: str
    problem: str
    classes: tuple[str, ...]
    positive_class: str | None
    label_column: Column
    columns: tuple[Column, ...]
    rows: int
    version: int = VERSION

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that the model learns from, in the table's order."""
        return tuple(column for column in self.columns if column.trained)

    def to_json(self) -> Json:
        """The schema for `json.dump`."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Json) -> Schema:
        """The schema that `to_json` gave.

        Raises:
            ValueError: it was written by another version of this program.
        """
        if found.get("version") != VERSION:
            raise ValueError(f"schema version {found.get('version')!r}: only {VERSION} can be read")
        values = {item.name: found[item.name] for item in fields(cls)}
        values["classes"] = tuple(values["classes"])
        values["label_column"] = _column(values["label_column"])
        values["columns"] = tuple(_column(column) for column in values["columns"])
        return cls(**values)

    def save(self, path: Path) -> None:
        """Write `schema.json`."""
        path.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read `schema.json`."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))


def _column(found: Json) -> Column:
    values: Json = dict(found)
    for name in ("currency", "marks", "categories", "notes"):
        if values[name] is not None:
            values[name] = tuple(values[name])
    return Column(**values)


# --- Headers ---------------------------------------------------------------------------------


def folded(name: str) -> str:
    """`name` without what people change in it by accident: case and blanks around it or doubled."""
    return " ".join(name.split()).casefold()


def match_names(found: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """Where each of the `wanted` columns stands in `found`, for those that are there.

    The exact name counts first; else one that differs in case or blanks only, if just one does.
    """
    exact = {name.strip(): at for at, name in reversed(list(enumerate(found)))}
    loose: dict[str, list[int]] = {}
    for at, name in enumerate(found):
        loose.setdefault(folded(name), []).append(at)
    places = {}
    for name in wanted:
        if name in exact:
            places[name] = exact[name]
        elif len(alike := loose.get(folded(name), [])) == 1:
            places[name] = alike[0]
    return places


_NUMBER_LIKE: Final = re.compile(r"(?=.*[0-9])[\s+\-$€£¥%.,'()0-9eE]*")


def looks_like_header(row: Sequence[str], schema: Schema) -> bool:
    """Whether a CSV request's first row is a header: it names the model's columns and is not data.

    A row that can be data is data: where columns are named 0, 1 and 2, the row `2,0,1` is a row of
    numbers. The content type's `header=present` or `header=absent` decides otherwise.
    """
    columns = {column.name: column for column in schema.columns}
    features = [column.name for column in schema.features]
    places = match_names(row, features)
    if len(places) < len(features):
        return 2 * len(places) > len(features) and not _can_be_data(row, places, columns)
    return not _can_be_data(row, places, columns)


def _can_be_data(
    row: Sequence[str], places: Mapping[str, int], columns: Mapping[str, Column]
) -> bool:
    """Whether each named column's own name could be a value in the column at that place."""
    if not places:
        return True
    order = list(columns)
    whole = len(row) == len(order)
    names = order if whole else [name for name in order if columns[name].trained]
    if len(row) != len(names):
        return False
    return all(
        _can_be_cell(cell.strip(), columns[name]) for cell, name in zip(row, names, strict=True)
    )


def _can_be_cell(cell: str, column: Column) -> bool:
    if not column.trained or not cell or cell.lower() in column.marks or cell in column.odd:
        return True
    if column.kind in TEXTS:  # a text that is its own column's name is no likely one
        return column.categories is not None and cell in column.categories
    if column.kind == "boolean":
        return cell.lower() in BOOLEANS
    return bool(_NUMBER_LIKE.fullmatch(cell)) if column.kind in {"number", "integer"} else False


BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "0.0"), False),
}
"""What the cells of a boolean column say, in lower case."""
