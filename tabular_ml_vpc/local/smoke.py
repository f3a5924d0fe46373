"""Requests predictions from the endpoint, and measures their latency."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Final, Protocol

from pipeline.types import Json
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.serving import EndpointResponse

_WARM_UP: Final = 6
_OK: Final = 200
_SHOWN: Final = 300
_PERCENT: Final = 100


@dataclass(frozen=True)
class SmokeLatency:
    """Milliseconds of `requests` sequential requests of `rows` rows each."""

    rows: int
    requests: int
    p50_ms: float
    p95_ms: float
    slowest_ms: float
    all_ms: tuple[float, ...]

    def as_json(self) -> Json:
        """Everything except the individual measurements."""
        return {name: value for name, value in asdict(self).items() if name != "all_ms"}


@dataclass(frozen=True)
class Smoke:
    """The endpoint's answer to one row, and the latency of requests."""

    sent: str
    answered: str
    first_ms: float
    latencies: tuple[SmokeLatency, ...]

    def as_json(self) -> Json:
        """The test as plain JSON."""
        return {
            "sent": self.sent,
            "answered": json.loads(self.answered),
            "first_ms": self.first_ms,
            "latency": [latency.as_json() for latency in self.latencies],
        }


class Invokable(Protocol):
    """An endpoint that answers requests."""

    def invoke(self, body: bytes, content_type: str, accept: str) -> EndpointResponse:
        """Answer one request."""


def rows_needed(sizes: Sequence[tuple[int, int]]) -> int:
    """The number of rows for requests of these `(rows, requests)`, each with different rows."""
    return max(size + requests for size, requests in sizes)


def probe(
    endpoint: Invokable, rows: list[list[str]], label: str, sizes: Sequence[tuple[int, int]]
) -> Smoke:
    """Send `rows` as CSV, without the label; the first is a header. `sizes` are (rows, requests).

    Raises:
        LocalJobError: an answer does not have status 200, or is not JSON.

    """
    body = _csv(rows[:2], label)
    first = _checked(endpoint.invoke(body, "text/csv", "application/json"))
    for _ in range(_WARM_UP):  # each of the server's workers loads the model's libraries first
        endpoint.invoke(body, "text/csv", "application/json")
    latencies = [_latency(endpoint, rows, label, *size) for size in sizes]
    answered = first.body.decode("utf-8")
    return Smoke(body.decode("utf-8"), answered, _ms(first.seconds), tuple(latencies))


def _latency(
    endpoint: Invokable, rows: list[list[str]], label: str, size: int, requests: int
) -> SmokeLatency:
    header, *table = rows
    size = min(size, len(table))
    times = []
    for number in range(requests):
        start = number % (len(table) - size + 1)
        body = _csv([header, *table[start : start + size]], label)
        answer = _checked(endpoint.invoke(body, "text/csv", "application/json"))
        times.append(_ms(answer.seconds))
    p95 = quantiles(times, n=_PERCENT, method="inclusive")[94] if len(times) > 1 else times[0]
    return SmokeLatency(size, requests, median(times), round(p95, 2), max(times), tuple(times))


def _checked(answer: EndpointResponse) -> EndpointResponse:
    text = answer.body.decode("utf-8", errors="replace")
    if answer.status != _OK:
        raise LocalJobError(f"the endpoint answered {answer.status}: {text[:_SHOWN]}")
    try:
        json.loads(text)
    except ValueError as error:
        raise LocalJobError(f"the endpoint's answer is not JSON: {text[:_SHOWN]}") from error
    return answer


def _csv(rows: Sequence[Sequence[str]], label: str) -> bytes:
    """The rows without the column `label`; the first row is the header."""
    skipped = rows[0].index(label) if label in rows[0] else -1
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([cell for at, cell in enumerate(row) if at != skipped] for row in rows)
    return text.getvalue().encode("utf-8")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
