"""Measures captured answers of an endpoint by labels that came later, joined by an identifier.

The labels are a table of CSV or Parquet with two columns: the label, named as the model's, and any
other one, the identifier. It names the column that requests carry beside the model's, which the
endpoint ignores: every row has its own, also in requests of many rows. SageMaker's `InferenceId`
names a request, not a row ("Ingest ground truth labels and merge them with predictions"), and is
not looked at. Identifiers are compared as text.

What clients were told is measured: the captured answers, not those of a model that is asked again.
Labels mean what they meant in training (`labels.py`), the metrics are the evaluation's. Nothing is
chosen in silence: an identifier with different labels, or with one that the model does not know, is
left out and counted.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import captured
import cells
import drift
import jobs
import labels
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scoring
import tables
from columns import Column, Json, Schema, match_names
from jobs import JobError, listing
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

_EXAMPLES: Final = 5
_LEAST_ROUNDED: Final = {pa.float16(): 2**11, pa.float32(): 2**24}
_UNREADABLE: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    csv.Error,
)


class _NoAnswerError(Exception):
    """What was captured is not an answer of the model."""


# --- Captured answers ----------------------------------------------------------------------------


@dataclass
class Answered:
    """Captured rows with their identifiers, and how many requests had no answer of this model.

    A request that the archive's own code refuses, and an answer that names other classes than the
    model's, are not the model's.
    """

    code: ModuleType
    schema: Schema
    identifier: str
    requests: int = 0
    refused: int = 0
    _identifiers: list[pa.Array] = field(default_factory=list)
    _answers: list[scoring.Scored] = field(default_factory=list)

    def read(self, files: Sequence[Path]) -> None:
        """Read files of data capture.

        Raises:
            JobError: a line is not a record of data capture.
        """
        for record in captured.records(files):
            self.requests += 1
            try:
                self._add(record)
            except (_NoAnswerError, self.code.BaseInferenceToolkitError):
                self.refused += 1

    @property
    def identifiers(self) -> pa.Array:
        """Each row's identifier, or null."""
        return pa.concat_arrays([pa.array([], pa.string()), *self._identifiers])

    @property
    def answers(self) -> scoring.Scored:
        """Each row's prediction and, for classes, probabilities; nothing if there are no rows."""
        return tuple(np.concatenate(part) for part in zip(*self._answers, strict=True))

    def _add(self, record: captured.Record) -> None:
        body, kind = record.request
        request = self.code.read(self.schema, body, kind)
        if record.answer is None:
            raise _NoAnswerError
        found = _answer(self.schema, *record.answer, header=request.named)
        if len(found[0]) != request.rows:
            raise _NoAnswerError
        self._answers.append(found)
        self._identifiers.append(self._of_rows(body, kind, request))

    def _of_rows(self, body: bytes, kind: str, request: Any) -> pa.Array:
        """The identifiers of a request's rows; nulls if it does not carry them."""
        if request.named and kind.strip().lower().startswith("application/json"):
            return _of_records(self.identifier, body)
        if kind.strip().lower().startswith("text/csv"):
            kind = f"text/csv; header={'present' if request.named else 'absent'}"
        try:
            values = self.code.read(self._asked(named=request.named), body, kind).values
        except self.code.BaseInferenceToolkitError:
            return pa.nulls(request.rows, pa.string())
        found = next(iter(match_names(list(values), [self.identifier]).values()), None)
        column = None if found is None else list(values.values())[found]
        if column is None or len(column) != request.rows:
            return pa.nulls(request.rows, pa.string())
        if kind.strip().lower().startswith("application/x-parquet"):
            return _of_numbers(self.identifier, body, column)
        return column

    def _asked(self, *, named: bool) -> Schema:
        """A schema by which the archive's code reads the identifiers, as texts.

        Of unnamed columns, all of the table's: fewer could be other ones.
        """
        names = [self.identifier] if named else [column.name for column in self.schema.columns]
        return replace(self.schema, columns=tuple(Column(name, "text") for name in names))


def _of_records(identifier: str, body: bytes) -> pa.Array:
    """The identifiers of a request in JSON: a record without one hides no other record's."""
    found = json.loads(body.decode("utf-8-sig"), parse_int=cells.Literal, parse_float=cells.Literal)
    if isinstance(found, dict) and isinstance(found.get("instances"), list | dict):
        found = found["instances"]
    records = found if isinstance(found, list) else [found]
    keys: dict[tuple[str, ...], str | None] = {}
    values = []
    for record in records:
        names = tuple(record)
        if names not in keys:
            place = match_names(names, [identifier]).get(identifier)
            keys[names] = None if place is None else names[place]
        value = record.get(keys[names])
        values.append(value if _is_cell(value) else None)
    return cells.from_json(Column(identifier, "text"), values)


def _of_numbers(identifier: str, body: bytes, column: pa.Array) -> pa.Array:
    """The identifiers of a request in Parquet that the archive's code read as `column`.

    It reads decimals through floats, in which large ones are the same number.
    """
    file = parquet.ParquetFile(io.BytesIO(body))
    names = file.schema_arrow.names
    name = names[match_names(names, [identifier])[identifier]]
    kind = file.schema_arrow.field(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return column
    cell = file.read([name]).column(name).combine_chunks()
    return pc.if_else(_rounded(cell), None, _as_text(identifier, cell))


def _rounded(cell: pa.Array) -> pa.Array:
    """Which identifiers have to go through floats, and are so large that others become the same."""
    kind = cell.type
    through = pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.scale != 0)
    if not through:
        return pa.repeat(False, len(cell))
    least = _LEAST_ROUNDED.get(kind, 2**53)
    return pc.greater_equal(pc.abs(pc.cast(cell, pa.float64(), safe=False)), float(least))


def _as_text(identifier: str, cell: pa.Array) -> pa.Array:
    """Identifiers as text; decimals without a fraction have all their digits.

    Raises:
        cells.CellError: a cell is not a value.
    """
    if pa.types.is_decimal(cell.type) and cell.type.scale == 0:
        cell = pc.cast(cell, pa.string())
    return cells.read(Column(identifier, "text"), cell)


def _is_cell(value: Any) -> bool:
    """Whether a value of a JSON document is neither nested, nor NaN, nor half of a surrogate."""
    if isinstance(value, list | dict | float):  # other floats are `Literal`
        return False
    return not (isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value))


def _answer(schema: Schema, body: bytes, kind: str, *, header: bool) -> scoring.Scored:
    """The arrays of one answer."""
    try:
        media = kind.partition(";")[0].strip().lower()
        if media == "application/json":
            rows = json.loads(body)["predictions"]
        elif media == "text/csv":
            rows = _csv_rows(schema.classes, body.decode(), header=header)
        else:
            raise _NoAnswerError
        classes = set(schema.classes)
        if classes and any(row["probabilities"].keys() != classes for row in rows):
            raise _NoAnswerError
        found = scoring.numbers(schema.classes, rows)
        if not all(np.all(np.abs(part) < cells.LARGEST_NUMBER) for part in found):  # nor NaN
            raise _NoAnswerError
    except _UNREADABLE as error:
        raise _NoAnswerError from error
    return found


def _csv_rows(classes: Sequence[str], text: str, *, header: bool) -> list[Json]:
    """The rows of an answer in CSV, as one in JSON has them.

    Raises:
        ValueError: it is not an answer of a model with these classes.
    """
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    names = ["label", *(f"probability_{name}" for name in classes)] if classes else ["prediction"]
    if header:
        first, *rows = rows or [[]]
        if first != names:
            raise ValueError(first)
    if not classes:
        return [{"prediction": float(number)} for (number,) in rows]
    return [
        {"label": label, "probabilities": dict(zip(classes, map(float, chances), strict=True))}
        for label, *chances in rows
    ]


# --- Labels --------------------------------------------------------------------------------------


@dataclass
class Labels:
    """The labels of some identifiers, as numbers: places in the classes, or quantities.

    Attributes:
        known: the identifiers, each once.
        least, most: the smallest and the largest label of each; infinite without any.
        rows: how many rows of labels there are; `unmatched` are of other identifiers.
        blank: how many of the others have no label.
        unknown: labels that the model does not know, or that are no numbers, and how often.
    """

    schema: Schema
    known: pa.Array
    rows: int = 0
    unmatched: int = 0
    blank: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.least = np.full(len(self.known), np.inf)
        self.most = np.full(len(self.known), -np.inf)
        self._odd = np.zeros(len(self.known), bool)

    @property
    def conflicting(self) -> np.ndarray:
        """Which identifiers have different labels."""
        return self.least < self.most

    @property
    def usable(self) -> np.ndarray:
        """Which identifiers have one label, however often, and none that is unknown."""
        return (self.least == self.most) & ~self._odd

    def add(self, identifiers: pa.Array, cell: pa.Array) -> None:
        """Add rows of the table of labels."""
        at = pc.index_in(identifiers, value_set=self.known)
        matched = pc.is_valid(at)
        places = at.filter(matched).to_numpy(zero_copy_only=False)
        self.rows += len(identifiers)
        self.unmatched += len(identifiers) - len(places)
        values, odd = self._values(cell.filter(matched))
        self.unknown.update(odd.drop_null().to_pylist())
        self._odd[places[pc.is_valid(odd).to_numpy(zero_copy_only=False)]] = True
        told = ~np.isnan(values)
        self.blank += len(values) - int(told.sum()) - (len(odd) - odd.null_count)
        np.minimum.at(self.least, places[told], values[told])
        np.maximum.at(self.most, places[told], values[told])

    def counts(self) -> Json:
        """What there is, and what of it is of no use."""
        return {
            "labels": self.rows,
            "unmatched": self.unmatched,
            "blank": self.blank,
            "conflicting": int(self.conflicting.sum()),
            "unknown": {
                "labels": self.unknown.total(),
                "examples": dict(self.unknown.most_common(_EXAMPLES)),
            },
        }

    def _values(self, cell: pa.Array) -> tuple[np.ndarray, pa.Array]:
        """The labels, NaN where there is none; and the texts of those that are unknown."""
        if pa.types.is_dictionary(cell.type):
            cell = cell.dictionary_decode()
        column, classes = self.schema.label_column, self.schema.classes
        text = cells.trimmed(cells.as_text(column, cell))
        if classes:
            found = labels.known_classes(classes, text)
            values = pc.index_in(found, value_set=pa.array(classes, pa.string()))
        else:
            values = cells.read_counting(column, cell)[0]
            text = cells.without_marks(text, column.marks)
        odd = pc.if_else(pc.is_null(values), text, None)
        numbers = pc.cast(values, pa.float64()).fill_null(float("nan"))
        return numbers.to_numpy(zero_copy_only=False), odd


def columns_of(file: tables.File, schema: Schema) -> tuple[str, str]:
    """The names of the identifier and of the label in a file of labels.

    Raises:
        JobError: it has other columns.
    """
    name, places = file.name, match_names(file.columns, [schema.label])
    if schema.label not in places:
        found = listing(file.columns)
        raise JobError(f"labels: {name} has no column {schema.label!r}, the model's label: {found}")
    label = file.columns[places[schema.label]]
    others = [column for column in file.columns if column != label]
    if len(others) != 1:
        raise JobError(
            f"labels: {name} must have two columns, {label!r} and an identifier: besides the "
            f"label, it has {listing(others) if others else 'none'}"
        )
    return others[0], label


# --- The report ----------------------------------------------------------------------------------


def check(model: Path, files: Sequence[Path], labeled: Sequence[tables.File], metric: str) -> Json:
    """What `quality.json` says: `value` is None, and `reason` tells why, if it is unknown.

    Raises:
        JobError: the model, the labels or a file of data capture is not usable.
    """
    code, schema = drift.read_code(model)
    metric = jobs.metric(schema.problem, metric)
    columns = [columns_of(file, schema) for file in labeled]
    identifier, label = columns[0]
    answered = Answered(code, schema, identifier)
    answered.read(files)
    identifiers = answered.identifiers
    found = Labels(schema, pc.unique(identifiers.drop_null()))
    _add_all(found, tables.together(labeled), identifier, label)
    at = pc.index_in(identifiers, value_set=found.known).fill_null(-1)
    places = at.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.append(found.usable, False)[places])  # -1: the last one
    counts = {
        "identifier": identifier,
        "requests": answered.requests,
        "refused": answered.refused,
        "rows": len(identifiers),
        "unidentified": identifiers.null_count,
        "labeled": len(rows),
        "repeated": len(rows) - len(np.unique(places[rows])),
        **found.counts(),
    }
    truth = found.least[places[rows]]
    if reason := _unknown(schema, metric, truth, counts):
        return {"metric": metric, "value": None, "reason": reason, **counts}
    truth = truth.astype(int) if schema.classes else truth
    scored = (truth, *(part[rows] for part in answered.answers))
    metrics = scoring.measure(schema, scored)
    return {"metric": metric, "value": metrics[metric], **counts, "metrics": metrics}


def _add_all(found: Labels, table: tables.Table, identifier: str, label: str) -> None:
    """Add all rows of a table of labels.

    Raises:
        JobError: an identifier cannot be read, or not exactly.
    """
    wanted = [identifier, label]
    for file, batch in table.batches(wanted, varied=frozenset(wanted)):
        try:
            named = _as_text(identifier, batch.column(0))
        except cells.CellError as error:
            raise JobError(f"labels: {file.name}: {error}") from error
        if pc.any(_rounded(batch.column(0))).as_py():
            raise JobError(
                f"labels: {file.name}: column {identifier!r} has numbers of type "
                f"{batch.column(0).type} that may be rounded: store identifiers as text or integers"
            )
        found.add(named, batch.column(1))


def _unknown(schema: Schema, metric: str, truth: np.ndarray, counts: Json) -> str:
    """Why the labels say nothing about the quality; or an empty text."""
    if counts["rows"] and counts["unidentified"] == counts["rows"]:
        return f"no captured row has an identifier in the column {counts['identifier']!r}"
    known = counts["labeled"] - counts["repeated"]
    if known < drift.LEAST_ROWS:
        return (
            f"{known} identifiers of {counts['rows']} captured rows have a label: at least "
            f"{drift.LEAST_ROWS} are needed"
        )
    if schema.classes and len(np.unique(truth)) == 1:
        return f"all {len(truth)} labels are {schema.classes[int(truth[0])]!r}"
    if metric == "r2" and not np.ptp(truth):  # an error is one beside equal labels, too
        return f"all {len(truth)} labels are the same number, of which r2 says nothing"
    return ""
