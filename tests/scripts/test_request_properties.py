"""A cell means one thing, however it is sent, and a row's answer depends on that row alone."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final

import inference
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cells import CellError
from columns import MARKS, Column, Schema
from hypothesis import given
from hypothesis import strategies as some
from inference import Model
from pyarrow import parquet
from sagemaker_inference.errors import BaseInferenceToolkitError

from tests.fuzz import bounded

CSV, JSON, PARQUET = "text/csv", "application/json", "application/x-parquet"
Rows = list[list[Any]]

_MARKS: Final = tuple(sorted(MARKS))
COLUMNS: Final = (
    Column("id", "identifier"),
    Column("amount", "number", marks=_MARKS),
    Column("count", "integer", marks=_MARKS),
    Column("member", "boolean", marks=_MARKS),
    Column("plan", "category", categories=("5", "NA", "True", 'a "b", c', "gold", "x\ny", "é")),
    Column("note", "text"),
    Column("born", "date", format="%Y-%m-%d", marks=_MARKS),
    Column("seen", "datetime", format="%Y-%m-%d %H:%M:%S", marks=_MARKS),
)
TYPES: Final = {
    "amount": pa.float64(),
    "count": pa.int64(),
    "member": pa.bool_(),
    "plan": pa.string(),
    "note": pa.string(),
    "born": pa.date32(),
    "seen": pa.timestamp("us"),
}
SCHEMA: Final = Schema(
    label="label",
    problem="multiclass",
    classes=("a", "b, c", 'd"e'),
    positive_class=None,
    label_column=Column("label", "category"),
    columns=COLUMNS,
    rows=100,
)

visible = some.characters(blacklist_categories=["Cs", "Cc"])
texts = some.text(visible, min_size=1, max_size=8).map(str.strip).filter(bool)
dates = some.dates(date(1800, 1, 1), date(2200, 1, 1))
moments = some.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
rows_of = some.lists(
    some.tuples(
        some.none() | some.floats(-1e100, 1e100, allow_subnormal=False),
        some.none() | some.integers(-(2**53), 2**53),
        some.none() | some.booleans(),
        some.none() | some.sampled_from([*(COLUMNS[4].categories or ()), "new", "NULL"]) | texts,
        some.none() | texts,
        some.none() | dates,
        some.none() | moments,
    ).map(list),
    min_size=1,
    max_size=12,
)


class Predictor:
    """Chances of three classes that depend on every cell of a row, and on nothing else."""

    class_labels = (0, 1, 2)
    problem_type = "multiclass"

    def predict_proba(self, frame: pd.DataFrame, *, as_multiclass: bool, as_pandas: bool) -> Any:
        assert as_multiclass
        assert not as_pandas
        sums = [
            math.fsum(self._number(cell) * at for at, cell in enumerate(row, start=1))
            for row in frame.to_numpy().tolist()
        ]
        total = np.array([abs(math.sin(value)) for value in sums])
        return np.stack([total / 2, (1 - total) / 2, np.full(len(frame), 0.5)], axis=1)

    def _number(self, cell: Any) -> float:
        if isinstance(cell, str):
            return float(sum(map(ord, cell)) % 1000)
        return -1.0 if cell is None or math.isnan(cell) else math.fmod(cell, 1e6)


MODEL: Final = Model(Predictor(), SCHEMA)
NAMES: Final = [column.name for column in SCHEMA.features]


def answer(body: bytes, kind: str) -> list[Any]:
    """The answers to one request; or, as one text, why it is refused."""
    try:
        text, _ = inference.transform_fn(MODEL, body, kind, JSON)
    except BaseInferenceToolkitError as error:
        return [error.message]
    found: list[Any] = json.loads(text)["predictions"]
    return found


def written(cell: Any) -> str:
    """A cell as CSV has it."""
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S") if cell.year > 999 else ""
    return "" if cell is None else str(cell)


def as_csv(rows: Rows, quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    """The rows with a header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([NAMES, *([written(cell) for cell in row] for row in rows)])
    return text.getvalue().encode()


def jsonable(cell: Any) -> Any:
    return written(cell) if isinstance(cell, date) else cell


def as_json(rows: Rows) -> bytes:
    """Records."""
    found = [{n: jsonable(cell) for n, cell in zip(NAMES, row, strict=True)} for row in rows]
    return json.dumps(found).encode()


def as_arrays(rows: Rows) -> bytes:
    """Arrays of texts and numbers, in the columns' order."""
    return json.dumps([[jsonable(cell) for cell in row] for row in rows]).encode()


def as_parquet(rows: Rows) -> bytes:
    """Typed columns, in another order."""
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    table = pa.table({name: pa.array(columns[name], TYPES[name]) for name in NAMES[::-1]})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def as_parquet_of_bytes(rows: Rows) -> bytes:
    """Every cell as the bytes of its text."""
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    sink = io.BytesIO()
    parquet.write_table(
        pa.table({name: pa.array([written(c).encode() for c in columns[name]]) for name in NAMES}),
        sink,
    )
    return sink.getvalue()


FORMS: dict[str, tuple[Callable[[Rows], bytes], str]] = {
    "csv": (as_csv, CSV),
    "csv, all in quotes": (lambda rows: as_csv(rows, csv.QUOTE_ALL), CSV),
    "json": (as_json, JSON),
    "json arrays": (as_arrays, JSON),
    "parquet": (as_parquet, PARQUET),
    "parquet of bytes": (as_parquet_of_bytes, PARQUET),
}

quietly = bounded(60)


def asked(rows: Rows, form: str) -> list[Any]:
    """The answers to rows that are sent in one of the forms."""
    write, kind = FORMS[form]
    return answer(write(rows), kind)


@quietly
@given(rows_of)
def test_a_value_means_the_same_in_every_format(rows: Rows) -> None:
    expected = asked(rows, "parquet")
    assert len(expected) == len(rows)
    for form in FORMS:
        assert asked(rows, form) == expected, form


@quietly
@given(rows_of, some.randoms())
def test_a_rows_answer_does_not_depend_on_the_others(rows: Rows, draw: Any) -> None:
    for form in ("csv", "json", "parquet"):
        together = asked(rows, form)
        assert [found for row in rows for found in asked([row], form)] == together
        order = list(range(len(rows)))
        draw.shuffle(order)
        assert asked([rows[at] for at in order], form) == [together[at] for at in order]


@quietly
@given(rows_of)
def test_long_csv_is_read_as_short_csv_is(rows: Rows) -> None:
    text = as_csv(rows).decode()
    found = inference._long_csv(SCHEMA, text, None)
    expected = inference._read_csv(SCHEMA, text, None)
    if found is not None:
        assert found == expected


@quietly
@given(some.lists(some.lists(some.text("0123456789.,eE+-naifINx%\r\n\"'; \t", max_size=6))))
def test_any_text_is_read_as_long_csv_as_it_is_as_short_csv(rows: list[list[str]]) -> None:
    columns = (Column("a", "number", marks=_MARKS), Column("b", "integer"), Column("c", "text"))
    schema = Schema("y", "regression", (), None, Column("y", "number"), columns, 0)
    text = "\n".join(",".join(row) for row in rows)
    outcomes: list[Any] = []
    for longest in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inference, "_LONG", longest)
            try:
                outcomes.append(inference._read_csv(schema, text or " ", None))
            except (BaseInferenceToolkitError, CellError) as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@quietly
@given(
    some.lists(
        some.floats(allow_nan=False, allow_infinity=False)
        | some.floats(0, 1)
        | some.floats(-1e12, 1e12),
        min_size=1,
    )
)
def test_long_answers_have_the_numbers_that_python_writes(values: list[float]) -> None:
    [found] = inference._numbers(np.array(values))
    assert found.to_pylist() == [repr(value) for value in values]


@quietly
@given(some.lists(some.text(min_size=1), min_size=2, max_size=4, unique=True), some.booleans())
def test_long_answers_are_what_short_ones_are(names: Sequence[str], header: bool) -> None:
    names = [name for name in names if name.isprintable() or "\n" in name] or ["a"]
    rng = np.random.default_rng(len(names))
    chances = rng.random((50, len(names)))
    chances[::7] = rng.integers(0, 2, (8, len(names)))
    chances[::11] *= 1e-9
    answers = inference.Answers(chances.argmax(axis=1), chances)
    found = {}
    for short in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inference, "_SHORT", short)
            found[short] = (
                inference._json_answer(names, answers),
                inference._csv_answer(names, answers, header=header),
            )
    assert found[0] == found[10**9]
