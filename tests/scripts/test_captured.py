"""Captured requests that are read together mean what each of them means alone."""

from __future__ import annotations

import base64
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import captured
import inference
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sagemaker_inference.errors import BaseInferenceToolkitError

from tests.fuzz import bounded
from tests.scripts.test_any_request import BODIES, ROW, changed
from tests.scripts.test_request_properties import CSV, FORMS, JSON, MODEL, NAMES

SCHEMA: Final = MODEL.schema
Body = tuple[bytes, str]
Found = tuple[Counter[str], int, int]
"""How often each row was found, the requests, and those that were refused."""

LINE: Final = b"1.5,2,true,gold,x,2026-01-01,2026-01-01 12:30:00"
HEADER: Final = ",".join(NAMES).encode()
RECORD: Final = json.loads(FORMS["json"][0]([ROW]))
POOL: Final[tuple[Body, ...]] = (
    *BODIES,
    (LINE, CSV),
    (LINE + b"\r\n" + LINE + b"\r\n", CSV),
    (LINE, f"{CSV}; header=absent"),
    (HEADER + b"\n" + LINE, CSV),
    (HEADER + b"\n" + LINE, f"{CSV}; header=present"),
    (HEADER.upper() + b"\n" + LINE, CSV),
    (HEADER, CSV),
    (LINE + b",1", CSV),
    (LINE.replace(b"1.5", b"many"), CSV),
    (LINE.replace(b"1.5", b""), CSV),
    (b"\n" + LINE, CSV),
    (LINE + b"\n\n" + LINE, CSV),
    (b" \n", CSV),
    (b"", CSV),
    (b"", JSON),
    (b"[]", JSON),
    (b"{}", JSON),
    (b"[[]]", JSON),
    (b"[1, 2]", JSON),
    (b'[1.5, 2, true, "gold", "x", "2026-01-01", "2026-01-01 12:30:00"]', JSON),
    (b'[{"a": "]', JSON),
    (b'[{"}]', JSON),
    (json.dumps({"instances": RECORD}).encode(), JSON),
    (json.dumps(RECORD).encode(), JSON),
    (json.dumps(RECORD).encode(), f"{JSON}; charset=utf-8"),
    (json.dumps(RECORD).encode("utf-16"), JSON),
    (b"\xef\xbb\xbf" + LINE, CSV),
    (LINE, "text/plain"),
)


def rows_in(values: Any) -> Iterable[str]:
    """The rows of typed values, as text: a missing number equals another one."""
    return map(str, zip(*(pa.array(values[name]).to_pylist() for name in values), strict=True))


def alone(bodies: list[Body]) -> Found:
    """What the endpoint's code reads of one request after the other."""
    found, refused = Counter[str](), 0
    for body, kind in bodies:
        try:
            found.update(rows_in(inference.read(SCHEMA, body, kind).values))
        except BaseInferenceToolkitError:
            refused += 1
    return found, len(bodies), refused


def recorded(body: bytes, kind: str) -> str:
    """A line of data capture."""
    sent = {
        "observedContentType": kind,
        "mode": "INPUT",
        "data": base64.b64encode(body).decode(),
        "encoding": "BASE64",
    }
    return json.dumps({"captureData": {"endpointInput": sent}, "eventVersion": "0"}) + "\n"


def together(bodies: list[Body]) -> Found:
    """What the job reads of a file with all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "20-00-one.jsonl"
        path.write_text("".join(recorded(*one) for one in bodies))
        received = captured.Captured(captured.files_in(Path(folder)), inference, SCHEMA)
        found = Counter(row for values, _ in received.rows() for row in rows_in(values))
    return found, received.requests, received.refused


@bounded(150)
@given(some.lists(some.sampled_from(POOL) | changed(), max_size=30))
def test_requests_mean_together_what_they_mean_alone(bodies: list[Body]) -> None:
    assert together(bodies) == alone(bodies)


@pytest.mark.parametrize("most", ["_MOST_REQUESTS", "_MOST_BYTES", "_MOST_KINDS"])
def test_no_request_is_forgotten_when_too_many_wait(
    monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(captured, most, 3)
    bodies = [*POOL, *POOL, *POOL]
    assert together(bodies) == alone(bodies)


def test_requests_of_one_row_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = inference.read, []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(inference, "read", counted)
    bodies = [(LINE, CSV), (HEADER + b"\n" + LINE, CSV), (json.dumps(RECORD).encode(), JSON)] * 200
    bad = [(LINE.replace(b"1.5", b"many"), CSV)]
    assert together([*bodies, *bad])[1:] == (601, 1)
    assert len(calls) < 30


@pytest.mark.parametrize("output", ["text", {}, {"data": "%", "encoding": "BASE64"}])
def test_rows_do_not_depend_on_the_answer(tmp_path: Path, output: Any) -> None:
    line = json.loads(recorded(LINE, CSV))
    line["captureData"]["endpointOutput"] = output
    (tmp_path / "20-00-one.jsonl").write_text(json.dumps(line))
    received = captured.Captured(captured.files_in(tmp_path), inference, SCHEMA)
    assert sum(len(list(rows_in(values))) for values, _ in received.rows()) == 1
