"""Rows in captured requests: one JSON object a line, with a request and its answer.

The answers have predictions only, so that they are not searched.

Source: "Data capture", SageMaker developer guide: ``captureData.endpointInput`` has the request's
body as ``data``, as it is (``CSV``, ``JSON``) or in Base64, as ``encoding`` says.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from tabular_ml_vpc.operations.forget.sought import UNNAMED, Found, Sought

_PARQUET: Final = b"PAR1"
_RECORDS: Final = "instances"
_CSV_CELL: Final = 1 << 17
FileSearch = Callable[[bytes], Found]


def search(lines: Iterable[bytes], sought: Sought, parquet: FileSearch) -> Found:
    """Return how many rows of the requests have each value.

    ``parquet`` searches a request in Parquet. Where a request does not name its columns, every cell
    is compared, and the kind of match is ``unnamed``.

    Raises:
        ValueError: a line is not a captured request.

    """
    found: Found = Counter()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            body = _body(line, number)
            if body is not None:
                found.update(in_request(body, sought, parquet))
    return found


def _body(line: bytes, number: int) -> bytes | None:
    """Return a request's body; None if only the answer was captured."""
    try:
        sent = json.loads(line)["captureData"].get("endpointInput")
        if not sent:
            return None
        data = str(sent["data"])
        encoded = str(sent.get("encoding", "")).upper() == "BASE64"
        return base64.b64decode(data) if encoded else data.encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"line {number} is not a captured request") from None


def in_request(body: bytes, sought: Sought, parquet: FileSearch) -> Found:
    """Return how many rows of one request have each value; see ``search``."""
    if body.startswith(_PARQUET):
        return parquet(body)
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff")
    if text.lstrip().startswith(("{", "[")):
        try:
            return Counter(_in_json(json.loads(text), sought))
        except (ValueError, RecursionError):
            pass  # CSV whose first cell begins so
    return Counter(_in_csv(text, sought))


def _in_json(document: Any, sought: Sought) -> Iterator[tuple[int, str]]:
    if isinstance(document, dict) and _RECORDS in document:
        document = document[_RECORDS]
    records = document if isinstance(document, list) else [document]
    if not any(isinstance(record, dict | list) for record in records):
        records = [records]
    for record in records:
        if isinstance(record, dict):
            place = sought.place(list(record))
            found = None if place is None else sought.match(list(record.values())[place])
            if found:
                yield found
        elif isinstance(record, list):
            yield from _unnamed(record, sought)


def _in_csv(text: str, sought: Sought) -> Iterator[tuple[int, str]]:
    csv.field_size_limit(max(_CSV_CELL, len(text) + 1))
    rows = csv.reader(io.StringIO(text, newline=""))
    first = next(rows, [])
    place = sought.place(first)
    if place is None:
        yield from _unnamed(first, sought)
    for row in rows:
        if place is None:
            yield from _unnamed(row, sought)
        elif place < len(row) and (found := sought.match(row[place])):
            yield found


def _unnamed(row: Iterable[object], sought: Sought) -> Iterator[tuple[int, str]]:
    """Yield each value that a row without names has in any column, once."""
    matches = {found[0] for cell in row if (found := sought.match(cell))}
    yield from ((at, UNNAMED) for at in sorted(matches))
