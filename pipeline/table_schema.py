"""How a run interpreted its table: preprocessing's schema.json and profile.json in words.

The terminal and the report show the same facts in the same words, which come from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.types import Json

PROBLEMS: Final = {
    "binary": "Classification, two classes",
    "multiclass": "Classification, several classes",
    "regression": "Regression",
}

_SHORT: Final = {"root_mean_squared_error": "rmse", "mean_absolute_error": "mae"}
_SHOWN: Final = 3
_CELL_CHARACTERS: Final = 24
_PLAIN_KINDS: Final = frozenset({"number", "integer"})
_IGNORED_KINDS: Final = {
    "identifier": "its values identify rows: almost all are different",
    "constant": "it has only one value",
    "empty": "it has no values",
}
_IGNORED_ROLES: Final = {
    "group": "it keeps rows together in the split (GroupColumn)",
    "time": "it orders the split (TimeColumn)",
    "excluded": "ExcludeColumns names it",
}
_SPLITS: Final = {
    "features": "By features: rows with equal features are on the same side.",
    "proportion": (
        "In proportion: the table has few distinct rows, so equal rows are on both sides, in "
        "proportion to their number."
    ),
    "group": "By group: all rows of a group are on the same side.",
    "time": "By time: the newest rows are the test data.",
}


@dataclass(frozen=True)
class ColumnView:
    """One column, in words.

    `found` is its entry in schema.json, `rows` the number of rows in the table. `about` is its
    entry in profile.json, which has none for the label.
    """

    found: Json
    rows: int
    about: Json

    @property
    def name(self) -> str:
        """Its name in the header."""
        return str(self.found["name"])

    @property
    def kind(self) -> str:
        """The kind of its values, as interpreted."""
        return str(self.found["kind"])

    @property
    def is_label(self) -> bool:
        """Whether it is what the model predicts."""
        return self.found.get("role") == "label"

    @property
    def written(self) -> str:
        """The format of its cells; empty if there is nothing special."""
        if self.kind not in _PLAIN_KINDS:
            return str(self.found.get("format") or "")
        thousands = self.found.get("thousands")
        parts = [
            "decimal comma" if self.found.get("decimal") == "," else "",
            f"thousands {thousands!r}" if thousands else "",
            "/".join(self.found.get("currency") or ()),
            "%" if self.found.get("percent") else "",
        ]
        return ", ".join(part for part in parts if part)

    @property
    def missing(self) -> int:
        """Number of cells without a value."""
        return int(self.found.get("missing") or 0)

    @property
    def missing_share(self) -> float:
        """Share of cells without a value."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def marks(self) -> str:
        """The texts in the table that mean "no value", with their counts."""
        return counted(self.found.get("marked") or {})

    @property
    def odd_cells(self) -> int:
        """Number of cells that do not fit the column's kind and count as missing."""
        return int(self.found.get("odd_cells") or 0)

    @property
    def odd(self) -> str:
        """These cells, with their counts."""
        return counted(self.found.get("odd") or {}, self.odd_cells)

    @property
    def candidates(self) -> str:
        """Values that could have meant "missing" and count as values."""
        return counted(self.found.get("candidates") or {})

    @property
    def notes(self) -> tuple[str, ...]:
        """Preprocessing's notes, except for the reason to ignore the column."""
        return () if self.kind in _IGNORED_KINDS else self._notes

    @property
    def _notes(self) -> tuple[str, ...]:
        return tuple(self.found.get("notes") or ())

    @property
    def ignored(self) -> str:
        """Why the model ignores it; empty if the model uses it, or if it is the label."""
        role = str(self.found.get("role", "feature"))
        if self.is_label or role in _IGNORED_ROLES:
            return _IGNORED_ROLES.get(role, "")
        reason = _IGNORED_KINDS.get(self.kind, "")
        return reason and ("; ".join(self._notes) or reason)

    @property
    def remarkable(self) -> bool:
        """Whether there is anything to report besides its kind."""
        told = (self.odd_cells, self.candidates, self.marks, self.notes, self.written)
        return any(told)


@dataclass(frozen=True)
class TableView:
    """A table as preprocessing interpreted it, from its two files."""

    schema: Json
    profile: Json

    @property
    def columns(self) -> tuple[ColumnView, ...]:
        """All columns, the label first; none if there is no schema."""
        if not self.schema:
            return ()
        found = [self.schema["label_column"] | {"role": "label"}, *self.schema["columns"]]
        described = {column["name"]: column for column in self.profile.get("columns") or ()}
        rows = int(self.schema["rows"])
        return tuple(ColumnView(item, rows, described.get(item["name"], {})) for item in found)

    @property
    def problem(self) -> str:
        """The kind of problem, as the value of its parameter, or empty."""
        return str(self.schema.get("problem") or self._problem.get("type") or "")

    @property
    def problem_name(self) -> str:
        """The kind of problem in words."""
        return PROBLEMS.get(self.problem, self.problem)

    @property
    def problem_reason(self) -> str:
        """The reason for the kind of problem."""
        return str(self._problem.get("reason") or "")

    @property
    def _problem(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.profile.get("problem") or {}
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the person who started the run, as sentences."""
        return tuple(self.profile.get("warnings") or ())

    @property
    def leakage(self) -> tuple[tuple[str, float], ...]:
        """Columns that alone predict the label almost perfectly, and how well."""
        found = self.profile.get("leakage") or ()
        return tuple((str(item["column"]), float(item["score"])) for item in found)

    @property
    def split(self) -> str:
        """How the rows were divided, as a sentence."""
        found = self.profile.get("split") or {}
        way = str(found.get("way") or "")
        return _SPLITS.get(way, way)

    def as_json(self) -> Json:
        """The table in the output of `--json`."""
        return {
            "problem": self.profile.get("problem") or {"type": self.problem or None},
            "split": self.profile.get("split"),
            "warnings": list(self.warnings),
            "leakage": self.profile.get("leakage") or [],
            "schema": self.schema or None,
        }


def chosen(columns: Sequence[ColumnView], most: int) -> list[ColumnView]:
    """At most `most` columns: the label, those with something to report, then the first ones."""
    by_need = sorted(columns, key=lambda column: (not column.is_label, not column.remarkable))
    kept = {id(column) for column in by_need[:most]}
    return [column for column in columns if id(column) in kept]


def baseline_name(evaluation: Mapping[str, Any]) -> str:
    """The constant prediction that a model must beat."""
    regression = evaluation.get("problem") == "regression"
    return "mean or median" if regression else "majority class"


def baseline_of(evaluation: Mapping[str, Any], metric: str) -> str:
    """The best constant prediction by one metric."""
    if evaluation.get("problem") != "regression":
        return baseline_name(evaluation)
    return "always the median" if metric == "mae" else "always the mean"


def plain_name(metric: str) -> str:
    """The plain name of a metric that is negated so that higher is better."""
    plain = metric.removeprefix("neg_")
    return _SHORT.get(plain, plain)


def counted(values: Mapping[str, int], total: int = 0) -> str:
    """The most frequent `values` with their counts, and the rest of `total`."""
    shown = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    rest = max(total, sum(values.values())) - sum(count for _, count in shown)
    return ", ".join([*_each(shown), *([f"{rest:,} more"] if rest > 0 else [])])


def _each(shown: list[tuple[str, int]]) -> Iterator[str]:
    for text, count in shown:
        cut = text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"
        yield f"{cut!r} {count:,}\N{MULTIPLICATION SIGN}"
