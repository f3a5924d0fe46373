"""What a run took its table for: schema.json and profile.json of preprocessing, for people.

The terminal and the report show the same facts in the same words; the words are made here.
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
    "constant": "it has one value only",
    "empty": "it has no values",
}
_IGNORED_ROLES: Final = {
    "group": "it keeps rows together in the split (GroupColumn)",
    "time": "it orders the split (TimeColumn)",
    "excluded": "ExcludeColumns names it",
}
_SPLITS: Final = {
    "features": "By the features: rows with equal features are on one side.",
    "proportion": (
        "In proportion: the table has few distinct rows, so equal rows are on both sides, as often "
        "as they occur."
    ),
    "group": "By groups: all rows of a group are on one side.",
    "time": "By time: the newest rows are the test data.",
}


@dataclass(frozen=True)
class ColumnView:
    """One column, in words.

    `found` is its entry in schema.json, `rows` the table's rows; `about` is its entry in
    profile.json, which has none for the label.
    """

    found: Json
    rows: int
    about: Json

    @property
    def name(self) -> str:
        """As in the header."""
        return str(self.found["name"])

    @property
    def kind(self) -> str:
        """What it was taken for."""
        return str(self.found["kind"])

    @property
    def is_label(self) -> bool:
        """Whether it is what the model predicts."""
        return self.found.get("role") == "label"

    @property
    def written(self) -> str:
        """How its cells are written; empty if there is nothing to say."""
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
        """Cells without a value."""
        return int(self.found.get("missing") or 0)

    @property
    def missing_share(self) -> float:
        """Their share of the rows."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def marks(self) -> str:
        """The texts in the table that mean "no value", with how often each occurs."""
        return counted(self.found.get("marked") or {})

    @property
    def odd_cells(self) -> int:
        """Cells that are not of the column's kind and were taken as missing."""
        return int(self.found.get("odd_cells") or 0)

    @property
    def odd(self) -> str:
        """These cells with how often each occurs."""
        return counted(self.found.get("odd") or {}, self.odd_cells)

    @property
    def candidates(self) -> str:
        """Values that could have meant "missing" and count as values."""
        return counted(self.found.get("candidates") or {})

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of preprocessing, but the one that is the reason to ignore the column."""
        return () if self.kind in _IGNORED_KINDS else self._notes

    @property
    def _notes(self) -> tuple[str, ...]:
        return tuple(self.found.get("notes") or ())

    @property
    def ignored(self) -> str:
        """Why the model does not learn from it; empty if it does, or if it is the label."""
        role = str(self.found.get("role", "feature"))
        if self.is_label or role in _IGNORED_ROLES:
            return _IGNORED_ROLES.get(role, "")
        reason = _IGNORED_KINDS.get(self.kind, "")
        return reason and ("; ".join(self._notes) or reason)

    @property
    def remarkable(self) -> bool:
        """Whether there is more to say than its kind."""
        told = (self.odd_cells, self.candidates, self.marks, self.notes, self.written)
        return any(told)


@dataclass(frozen=True)
class TableView:
    """A table as preprocessing understood it, of what its two files say."""

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
        """The kind of problem as its parameter names it, or nothing."""
        return str(self.schema.get("problem") or self._problem.get("type") or "")

    @property
    def problem_name(self) -> str:
        """The kind of problem for people."""
        return PROBLEMS.get(self.problem, self.problem)

    @property
    def problem_reason(self) -> str:
        """Why it is that."""
        return str(self._problem.get("reason") or "")

    @property
    def _problem(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.profile.get("problem") or {}
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever started the run should look at; sentences."""
        return tuple(self.profile.get("warnings") or ())

    @property
    def leakage(self) -> tuple[tuple[str, float], ...]:
        """Columns that predict the label almost perfectly by themselves, and how well."""
        found = self.profile.get("leakage") or ()
        return tuple((str(item["column"]), float(item["score"])) for item in found)

    @property
    def split(self) -> str:
        """How the rows were divided, as a sentence."""
        found = self.profile.get("split") or {}
        way = str(found.get("way") or "")
        return _SPLITS.get(way, way)

    def as_json(self) -> Json:
        """What `--json` says of the table."""
        return {
            "Problem": self.profile.get("problem") or {"type": self.problem or None},
            "Split": self.profile.get("split"),
            "Warnings": list(self.warnings),
            "Leakage": self.profile.get("leakage") or [],
            "Schema": self.schema or None,
        }


def chosen(columns: Sequence[ColumnView], most: int) -> list[ColumnView]:
    """At most so many columns, in order: the label, those with something to say, then the first."""
    by_need = sorted(columns, key=lambda column: (not column.is_label, not column.remarkable))
    kept = {id(column) for column in by_need[:most]}
    return [column for column in columns if id(column) in kept]


def baseline_name(evaluation: Mapping[str, Any]) -> str:
    """The answer that is always the same, which a model has to beat."""
    regression = evaluation.get("problem") == "regression"
    return "mean or median" if regression else "majority class"


def baseline_of(evaluation: Mapping[str, Any], metric: str) -> str:
    """The best such answer by one metric."""
    if evaluation.get("problem") != "regression":
        return baseline_name(evaluation)
    return "always the median" if metric == "mae" else "always the mean"


def plain_name(metric: str) -> str:
    """The metric whose negative, of which more is better, is called `metric`."""
    plain = metric.removeprefix("neg_")
    return _SHORT.get(plain, plain)


def counted(values: Mapping[str, int], total: int = 0) -> str:
    """The most frequent of `values` with their counts, and what there is beyond, of `total`."""
    shown = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    rest = max(total, sum(values.values())) - sum(count for _, count in shown)
    return ", ".join([*_each(shown), *([f"{rest:,} more"] if rest > 0 else [])])


def _each(shown: list[tuple[str, int]]) -> Iterator[str]:
    for text, count in shown:
        cut = text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"
        yield f"{cut!r} {count:,}\N{MULTIPLICATION SIGN}"
