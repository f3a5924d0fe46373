"""Any bytes are answered: with a prediction for each row, or with 4xx and one line."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import Any, Final

import inference
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pyarrow import parquet
from sagemaker_inference.errors import BaseInferenceToolkitError

from tests.fuzz import bounded
from tests.scripts.test_request_properties import (
    CSV,
    FORMS,
    JSON,
    MODEL,
    NAMES,
    PARQUET,
    TYPES,
)

ROW: Final = [1.5, 2, True, "gold", "x", date(2026, 1, 1), datetime(2026, 1, 1, 12, 30)]
BODIES: Final = [(write([ROW] * 3), kind) for write, kind in FORMS.values()]
PIECES: Final = (
    *(b'"', b",", b"\n", b"\r", b"\0", b"{", b"[", b"null", b"1e999", b"NaN", b"\\ud800", b"'"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"9" * 50, b"\x1b[2J", b"=1+1"),
)


def outcome(body: bytes, kind: str, accept: str = JSON) -> str:
    """The answer to a request; or why it is refused, which has to be the client's fault."""
    try:
        answer, _ = inference.transform_fn(MODEL, body, kind, accept)
    except BaseInferenceToolkitError as error:
        refusal = error
    else:
        return answer
    assert 400 <= refusal.status_code < 500
    assert refusal.message.isprintable()
    assert len(refusal.message) < 700
    return ""


@some.composite
def changed(draw: some.DrawFn) -> tuple[bytes, str]:
    """A good body with some bytes replaced, removed or put in."""
    body, kind = draw(some.sampled_from(BODIES))
    for _ in range(draw(some.integers(1, 3))):
        at = draw(some.integers(0, len(body)))
        piece = draw(some.binary(max_size=3) | some.sampled_from(PIECES))
        body = body[:at] + piece + body[at + draw(some.integers(0, 4)) :]
    return body, kind


@bounded(500)
@given(request=changed(), accept=some.sampled_from([JSON, CSV]))
def test_any_change_of_a_request_is_answered_or_refused_in_one_line(
    request: tuple[bytes, str], accept: str
) -> None:
    outcome(*request, accept)


@bounded(150)
@given(
    body=some.binary(max_size=60),
    kind=some.sampled_from([CSV, JSON, PARQUET, f"{CSV}; header=present"]) | some.text(max_size=20),
    accept=some.sampled_from([JSON, CSV, "*/*"]) | some.text(max_size=20),
)
def test_any_bytes_and_headers_are_answered_or_refused_in_one_line(
    body: bytes, kind: str, accept: str
) -> None:
    outcome(body, kind, accept)


cell_texts = some.sampled_from(["", "1", "2.5", "true", "gold", "2026-01-01", 'a "b", c', "x\ny"])


@bounded(150)
@given(rows=some.lists(some.lists(cell_texts, min_size=7, max_size=7), min_size=1, max_size=5))
def test_a_csv_request_has_an_answer_for_every_row_that_a_csv_reader_finds(
    rows: list[list[str]],
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([NAMES, *rows])
    answer = outcome(text.getvalue().encode(), CSV)
    if answer:
        assert len(json.loads(answer)["predictions"]) == len(rows)


def as_parquet(rows: int = 1, **columns: pa.Array) -> bytes:
    """A body whose other columns have nothing in them."""
    sink = io.BytesIO()
    table = {name: pa.nulls(rows, TYPES[name]) for name in NAMES} | columns
    parquet.write_table(pa.table(table), sink)
    return sink.getvalue()


def text_of(content: bytes) -> pa.Array:
    """A text of these bytes, which no check of Arrow's has seen."""
    offsets = pa.py_buffer(np.array([0, len(content)], "int32"))
    return pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(content)])


def one(value: int, kind: pa.DataType) -> pa.Array:
    """A value of a type that Python has no value for."""
    bits = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array([value], bits).view(kind)


SURROGATE: Final = f'[[1, 2, true, "gold", {json.dumps(chr(0xD800))}, null, null]]'.encode()
REFUSED: Final = {
    "half of a surrogate pair": (SURROGATE, JSON, "the body is not valid JSON: a text contains"),
    "a text that is not UTF-8": (
        as_parquet(note=text_of(b"\xff\xfe")),
        PARQUET,
        "the body is not a Parquet file: ",
    ),
    "a name that is not UTF-8": (
        as_parquet().replace(b"amount", b"am\xff\xfent"),
        PARQUET,
        "the body is not a Parquet file: ",
    ),
    "a zone that nobody knows": (
        as_parquet(born=pa.array([0], pa.timestamp("us", "Nowhere/City"))),
        PARQUET,
        "column 'born', row 1: 'timestamp[us, tz=Nowhere/City]' is not a date",
    ),
    "a moment in such a zone, as a text": (
        as_parquet(note=pa.array([0], pa.timestamp("us", "Nowhere/City"))),
        PARQUET,
        "column 'note', row 1",
    ),
    "three million empty rows": (as_parquet(3_000_000), PARQUET, "the response to 3000000 rows"),
    "a text of 100 KB, 2,000 times": (
        as_parquet(2_000, note=pa.array(["x" * 100_000] * 2_000)),
        PARQUET,
        "the request has 200000000 bytes when decompressed",
    ),
    "a text of 100 MB that compresses well": (
        as_parquet(note=pa.array(["x" * 101_000_000])),
        PARQUET,
        "the request has 101",
    ),
}
"""What fuzzing found: each was a 500 with a traceback, or took seconds and hundreds of MB."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_fuzzing_found_is_refused(name: str) -> None:
    body, kind, said = REFUSED[name]
    with pytest.raises(BaseInferenceToolkitError) as caught:
        inference.transform_fn(MODEL, body, kind, JSON)
    assert caught.value.message.startswith(said)
    assert 400 <= caught.value.status_code < 500


ANSWERED: Final = {
    "a date in the year 5,879,610": {"born": one(2**31 - 1, pa.date32())},
    "a date long before the first": {"born": one(-(2**31), pa.date32())},
    "a moment of the year -290,307": {"born": one(1 - 2**63, pa.timestamp("us"))},
    "half a float for a category": {"plan": pa.array([np.float16(5)], pa.float16())},
    "half a float for a text": {"note": pa.array([np.float16(1.5)], pa.float16())},
}
"""What fuzzing found, too: each was a 500, and is a cell like any other."""


@pytest.mark.parametrize("name", ANSWERED)
def test_what_fuzzing_found_is_answered(name: str) -> None:
    assert outcome(as_parquet(**ANSWERED[name]), PARQUET)


def test_a_date_beyond_all_moments_is_a_missing_one() -> None:
    far = outcome(as_parquet(born=one(2**31 - 1, pa.date32())), PARQUET)
    assert far == outcome(as_parquet(), PARQUET)


def test_texts_that_repeat_mean_what_they_mean_alone() -> None:
    rows: list[list[Any]] = [[*ROW[:4], text, *ROW[5:]] for text in ("x", "y", "x", "z", "x")]
    write, _ = FORMS["parquet"]
    together = json.loads(outcome(write(rows), PARQUET))["predictions"]
    alone = [json.loads(outcome(write([row]), PARQUET))["predictions"][0] for row in rows]
    assert together == alone
