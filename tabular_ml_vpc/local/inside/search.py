"""Finds rows by the value of one column in files of tables, for `build.py forget`.

Reads a JSON object per line from standard input and answers each with one on standard output; the
first has the `column` and the `values`. It runs with the job environment's Python, because the main
environment cannot read Parquet, and reads tables with the jobs' own code (PYTHONPATH). Memory does
not grow with the tables: only rows that were found are kept.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cells
import hashing
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tables
from columns import Column, Schema, match_names
from jobs import JobError
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]

NUMBER: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
"""Plainly written numbers: no marks for thousands, no currency."""
EXACT: Final = "exact"
AS_NUMBER: Final = "number"
MOST_ROWS: Final = 200_000
"""Found rows that are kept, to be looked for in prepared files."""
_BATCH_ROWS: Final = 100_000
_SEED: Final = 0


class Sought:
    """The values, and where cells equal one of them."""

    def __init__(self, column: str, values: Sequence[str]) -> None:
        self.column = column
        self.values = pa.array(values, pa.string())
        numbers = [(at, Decimal(text)) for at, text in enumerate(values) if re.match(NUMBER, text)]
        self._numbers = {value: at for at, value in reversed(numbers)}
        self._floats = pa.array([float(value) for value in self._numbers], pa.float64())

    def find(self, cells_: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """For each cell: the index of the value that it equals, or -1; and whether as text."""
        if isinstance(cells_, pa.DictionaryArray):
            at, exact = self.find(cells_.dictionary)
            codes = cells_.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            return np.append(at, -1)[codes], np.append(exact, False)[codes]
        text = cells.trimmed(_text(self.column, cells_))
        at = pc.index_in(text, value_set=self.values).fill_null(-1)
        at = at.to_numpy(zero_copy_only=False).astype("int64")
        exact = at >= 0
        if len(self._floats):
            self._find_numbers(text, at)
        return at, exact

    def _find_numbers(self, text: pa.Array, at: np.ndarray) -> None:
        """Set in `at` the value that a cell equals as a number, where it equals none as text.

        Floats only preselect: they cannot tell 9007199254740993 from its neighbor.
        """
        like = pc.fill_null(pc.match_substring_regex(text, NUMBER), fill_value=False)
        rows = np.flatnonzero(like.to_numpy(zero_copy_only=False) & (at < 0))
        near = pc.is_in(text.take(pa.array(rows)).cast(pa.float64()), value_set=self._floats)
        rows = rows[near.to_numpy(zero_copy_only=False)]
        if len(rows):
            coded = text.take(pa.array(rows)).dictionary_encode()
            known = [self._numbers.get(Decimal(one), -1) for one in coded.dictionary.to_pylist()]
            at[rows] = np.array(known)[coded.indices.to_numpy()]


def _text(column: str, values: pa.Array) -> pa.Array:
    if pa.types.is_decimal(values.type):
        return pc.cast(values, pa.string())
    return cells.as_text(Column(column, "category"), values)


class Search:
    """Answers requests about one column and its values."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._kept: list[tuple[np.ndarray, pa.Table]] = []
        self._rows = 0
        self._cut = False

    def answer(self, request: Json) -> Json:
        """Answer `{"table": FILE, "keep": BOOL}` or `{"prepared": FILE, "schema": FILE}`."""
        try:
            if "prepared" in request:
                return self.equal(Path(request["prepared"]), Path(request["schema"]))
            return self.search(Path(request["table"]), keep=request["keep"])
        except JobError as error:
            return {"problem": str(error)}
        except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
            return {"problem": f"cannot be read: {' '.join(str(error).split())[:200]}"}

    def search(self, file: Path, *, keep: bool) -> Json:
        """How many rows of a table have each value, as text and as a number only."""
        table = tables.find(file.parent, f"{file.parent.name}/{file.name}")
        place = match_names(table.columns, [self._sought.column])
        rows = _rows(table)
        if not place:
            return {"rows": rows, "columns": list(table.columns)[:200], "found": None}
        name = table.columns[place[self._sought.column]]
        found: Counter[tuple[int, str]] = Counter()
        rows = 0
        for _, batch in table.batches([name], varied=frozenset([name])):
            rows += batch.num_rows
            at, exact = self._sought.find(batch.column(0))
            for kind, part in ((EXACT, at[exact]), (AS_NUMBER, at[(at >= 0) & ~exact])):
                for value, count in zip(*np.unique(part, return_counts=True), strict=True):
                    found[int(value), kind] += int(count)
        if found and keep:
            self._keep(table, name)
        counts = [{"value": at, "kind": kind, "rows": n} for (at, kind), n in sorted(found.items())]
        return {"rows": rows, "found": counts, "cut": self._cut}

    def _keep(self, table: tables.Table, name: str) -> None:
        """Keep the found rows with all their columns: this reads the table once more."""
        for _, batch in table.batches(table.columns, varied=frozenset(table.columns)):
            at, _ = self._sought.find(batch.column(name))
            rows = np.flatnonzero(at >= 0)[: MOST_ROWS - self._rows]
            self._cut = self._cut or bool(len(rows) < np.count_nonzero(at >= 0))
            if len(rows):
                taken = pa.Table.from_batches([batch]).take(pa.array(rows))
                self._kept.append((at[rows], taken))
                self._rows += len(rows)

    def equal(self, file: Path, schema_file: Path) -> Json:
        """How many rows of a prepared file are the found rows, as its schema reads those."""
        schema = Schema.load(schema_file)
        hashes, values = self._needles(schema)
        names = [column.name for column in schema.features]
        found: Counter[int] = Counter()
        rows = 0
        if len(hashes):
            for batch in parquet.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=names):
                rows += batch.num_rows
                own = hashing.of_rows({name: batch.column(name) for name in names}, _SEED)
                at = np.minimum(np.searchsorted(hashes, own), len(hashes) - 1)
                for value in values[at[hashes[at] == own]]:
                    found[int(value)] += 1
        counts = [{"value": at, "kind": "row", "rows": n} for at, n in sorted(found.items())]
        return {"rows": rows, "found": counts, "compared": len(hashes)}

    def _needles(self, schema: Schema) -> tuple[np.ndarray, np.ndarray]:
        """The found rows' hashes in order, each with the index of its value."""
        hashes, values = [np.empty(0, np.uint64)], [np.empty(0, "int64")]
        for at, table in self._kept:
            typed = _typed(schema, table)
            if typed is not None:
                hashes.append(hashing.of_rows(typed, _SEED))
                values.append(at)
        together, first = np.unique(np.concatenate(hashes), return_index=True)
        return together, np.concatenate(values)[first]


def _typed(schema: Schema, table: pa.Table) -> Mapping[str, pa.Array] | None:
    """The features of rows as preprocessing writes them; None if the table lacks one."""
    if not {column.name for column in schema.features} <= {*table.column_names}:
        return None
    return {
        column.name: cells.read_counting(column, table.column(column.name))[0]
        for column in schema.features
    }


def _rows(table: tables.Table) -> int:
    """The rows of a table, where that is quickly told: in Parquet."""
    return sum(parquet.read_metadata(file.path).num_rows for file in table.files if file.parquet)


def main() -> None:
    """Answer requests until there are no more."""
    lines: Iterator[str] = iter(sys.stdin)
    first = json.loads(next(lines))
    search = Search(Sought(first["column"], first["values"]))
    for line in lines:
        print(json.dumps(search.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
