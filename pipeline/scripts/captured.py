"""Requests that an endpoint received, from the files of SageMaker's data capture (JSON lines).

The model archive's own `inference.py` reads them, as the endpoint did. To read a request of one row
takes as long as to read one of a thousand, so that requests are joined which mean the same joined
as they do alone. If the endpoint would not answer a joined request, each half is read by itself,
down to the request that is to blame. Source: SageMaker developer guide, "Capture data from a
real-time endpoint".
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from columns import folded, looks_like_header
from jobs import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    import pyarrow as pa
    from columns import Json, Schema

_CAPTURED: Final = "*.jsonl"
_MOST_REQUESTS: Final = 4_096
"""How many are joined at most: more are hardly faster."""
_MOST_BYTES: Final = 1024 * 1024
"""Bytes of a joined request at most: the endpoint takes six times as many."""
_MOST_KINDS: Final = 16
"""How many kinds of requests are collected at the same time."""
_NOT_PLAIN: Final = ('"', "\r", "\n\n")
_RECORDS: Final = "records"
_ARRAYS: Final = "arrays"
_JSON_ROWS: Final = frozenset({_RECORDS, _ARRAYS})
"""What JSON requests have in common; of CSV, it is the header with its end, or nothing."""

Rows = tuple["Mapping[str, pa.Array]", "Mapping[str, Counter[str]]"]
"""Typed values by column, and the cells that cannot be read."""
Message = tuple[bytes, str]
"""A body and its media type."""


def files_in(folder: Path) -> list[Path]:
    """The files of data capture in a folder; none if it holds a table."""
    return sorted(folder.rglob(_CAPTURED)) if folder.is_dir() else []


@dataclass(frozen=True)
class Record:
    """What one line of data capture says: a request, and its `endpointOutput` as it stands."""

    request: Message
    output: Any

    @property
    def answer(self) -> Message | None:
        """The answer; None if there was none, or none that can be read."""
        try:
            return _message(self.output)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def records(files: Sequence[Path]) -> Iterator[Record]:
    """The records in files of data capture.

    Raises:
        JobError: a line is not a record of data capture.
    """
    for path in files:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _record(f"{path.name}, line {number}", line)


def _record(where: str, line: str) -> Record:
    try:
        found = json.loads(line)["captureData"]
        return Record(_message(found["endpointInput"]), found.get("endpointOutput"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError(f"{where}: not a record of data capture: {error!r}") from error


def _message(found: Json) -> Message:
    data, encoding = found["data"], found["encoding"]
    body = base64.b64decode(data) if encoding == "BASE64" else data.encode()
    return body, found["observedContentType"]


@dataclass(frozen=True)
class Request:
    """A request, and the `rows` that stand for it in a joined one."""

    body: bytes
    content_type: str
    alike: tuple[str, str] | None = None
    """What requests have in common that can be joined; None for one that cannot."""
    rows: bytes = b""

    def joins(self, what: str, rows: str) -> Request:
        """The request as it can be joined: with those of the same content type and `what`."""
        return Request(self.body, self.content_type, (self.content_type, what), rows.encode())


@dataclass
class Captured:
    """The requests in files of data capture, and how many of them were not for this model."""

    files: Sequence[Path]
    code: ModuleType
    schema: Schema
    requests: int = 0
    refused: int = 0
    _waiting: dict[tuple[str, str], list[Request]] = field(default_factory=dict, init=False)
    _sizes: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)

    def rows(self) -> Iterator[Rows]:
        """The rows of the requests that the endpoint could answer, of many at a time.

        Raises:
            JobError: a line is not a record of data capture.
        """
        for request in self._read():
            self.requests += 1
            alike = request.alike
            if alike is None:
                yield from self._of([request])
                continue
            self._waiting.setdefault(alike, []).append(request)
            self._sizes[alike] += len(request.rows)
            if len(self._waiting[alike]) >= _MOST_REQUESTS or self._sizes[alike] >= _MOST_BYTES:
                del self._sizes[alike]
                yield from self._of(self._waiting.pop(alike))
            elif len(self._waiting) > _MOST_KINDS:
                yield from self._rest()
        yield from self._rest()

    def _rest(self) -> Iterator[Rows]:
        for requests in self._waiting.values():
            yield from self._of(requests)
        self._waiting.clear()
        self._sizes.clear()

    def _of(self, requests: Sequence[Request]) -> Iterator[Rows]:
        first = requests[0]
        body = first.body if len(requests) == 1 else _joined(requests)
        try:
            read = self.code.read(self.schema, body, first.content_type)
        except self.code.BaseInferenceToolkitError:
            if len(requests) == 1:
                self.refused += 1
                return
        else:
            yield read.values, {}
            return
        half = len(requests) // 2
        yield from self._of(requests[:half])
        yield from self._of(requests[half:])

    def _read(self) -> Iterator[Request]:
        joinable = Joinable(self.schema)
        for record in records(self.files):
            yield joinable.prepared(Request(*record.request))


def _joined(requests: Sequence[Request]) -> bytes:
    """The body of one request with the rows of all."""
    _, what = requests[0].alike or ("", "")
    rows = [one.rows for one in requests]
    if what in _JSON_ROWS:
        return b"[" + b",".join(rows) + b"]"
    return what.encode() + b"".join(rows)


class Joinable:
    """Tells which requests can be joined.

    In doubt, a request is read by itself: with a parameter of its content type, a byte order mark,
    a quote or a blank line in its CSV, or rows under a key of its JSON.
    """

    def __init__(self, schema: Schema) -> None:
        """Remember the headers that clients repeat."""
        self._names = frozenset(folded(column.name) for column in schema.features)
        self._is_header = lru_cache(64)(lambda top: looks_like_header(top.split(","), schema))

    def prepared(self, request: Request) -> Request:
        """The request as it can be joined, if it can."""
        try:
            text = request.body.decode()
        except UnicodeDecodeError:
            return request
        kind = request.content_type.strip().lower()
        if kind == "application/json":
            return _json(request, text)
        if kind == "text/csv" and len(self._names) > 1:  # of one column, a blank line is a row
            return self._csv(request, text)
        return request

    def _csv(self, request: Request, text: str) -> Request:
        text = text.replace("\r\n", "\n").removesuffix("\n") + "\n"
        if text[0] in "\n\ufeff" or text.isspace() or any(one in text for one in _NOT_PLAIN):
            return request
        top, _, rest = text.partition("\n")
        named = not self._names.isdisjoint(map(str.strip, folded(top).split(",")))
        if not (named and self._is_header(top)):
            return request.joins("", text)
        return request.joins(f"{top}\n", rest) if rest else request


def _json(request: Request, text: str) -> Request:
    """Records or arrays: a list of them, or one alone."""
    text = text.strip(" \t\n\r")  # what JSON calls blank
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return request
    if isinstance(found, dict):
        return request if "instances" in found else request.joins(_RECORDS, text)
    if not (found and isinstance(found, list)):
        return request
    kinds = set(map(type, found))
    if kinds == {dict}:
        return request.joins(_RECORDS, text[1:-1])
    if kinds == {list}:
        return request.joins(_ARRAYS, text[1:-1])
    return request if kinds & {dict, list} else request.joins(_ARRAYS, text)
