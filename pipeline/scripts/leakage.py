"""Finds columns that alone predict the label almost perfectly, and so may contain the answer.

Half of the rows give each value of a column, or each of fifty ranges, its label; the other half
tests it. The findings are reported before training; only people can decide whether they are
mistakes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import cells
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import TEXTS

if TYPE_CHECKING:
    from columns import Schema

SUSPECT: Final = 0.98
"""The score from which a column is reported: 1 is perfect, 0 as good as a constant prediction."""

LEAST_ROWS: Final = 50
_BINS: Final = 256


def suspects(schema: Schema, table: pa.Table) -> list[dict[str, Any]]:
    """The features that alone predict the label, and how well, for the typed rows of `table`."""
    if table.num_rows < LEAST_ROWS:
        return []
    label = _labels(schema, table.column(schema.label))
    found = []
    for column in schema.features:
        if column.kind == "text":
            continue
        codes = _codes(table.column(column.name).combine_chunks(), text=column.kind in TEXTS)
        score = _explained(codes, label, numbers=schema.problem == "regression")
        if score >= SUSPECT:
            found.append({"column": column.name, "score": round(float(score), 4)})
    return found


def _labels(schema: Schema, values: pa.ChunkedArray) -> np.ndarray:
    if schema.problem == "regression":
        return values.to_numpy()
    return pc.index_in(values, value_set=pa.array(schema.classes)).to_numpy()


def _codes(values: pa.Array, *, text: bool) -> np.ndarray:
    """A small number for each value, or for each range of values."""
    if text or pa.types.is_boolean(values.type):
        return values.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1
    whole = values if pa.types.is_floating(values.type) else cells.as_integers(values)
    numbers = (
        whole.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy(zero_copy_only=False)
    )
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _BINS))) if len(numbers) else []
    return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="right") + 1)


def _explained(codes: np.ndarray, label: np.ndarray, *, numbers: bool) -> float:
    """How much of the label in every second row is explained by the codes of the other rows."""
    size = int(codes.max()) + 1
    learn, ask = slice(0, None, 2), slice(1, None, 2)
    counts = np.bincount(codes[learn], minlength=size)
    seen = counts[codes[ask]] > 0
    if seen.mean() < 0.5:  # noqa: PLR2004 - values hardly repeat: nothing can be said
        return 0.0
    truth, asked = label[ask][seen], codes[ask][seen]
    if numbers:
        means = np.bincount(codes[learn], label[learn], size) / np.maximum(counts, 1)
        spread = float(((truth - truth.mean()) ** 2).sum())
        return 1 - float(((truth - means[asked]) ** 2).sum()) / spread if spread else 0.0
    classes = int(label.max()) + 1
    table = np.bincount(codes[learn] * classes + label[learn], minlength=size * classes)
    answers = table.reshape(size, classes).argmax(1)
    base = float(np.bincount(truth).max()) / len(truth)
    return (float((answers[asked] == truth).mean()) - base) / (1 - base) if base < 1 else 0.0
