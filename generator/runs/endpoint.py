"""Predictions from the deployed endpoint, and how long they take.

Source: "API_runtime_InvokeEndpoint", SageMaker API Reference: a request has at most 6 MB.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from generator.life.target import code_of, message_of

if TYPE_CHECKING:
    from generator.life.target import Target
    from generator.life.workload import Workload

_LARGEST: Final = 5 * 1024 * 1024
_WARM_UP: Final = 6
"""Each of the server's workers loads the model's libraries with its first request."""
_CLIENT_ERRORS: Final = range(400, 500)
_UNANSWERED: Final = frozenset({"ValidationError", "ModelNotReadyException", "ValidationException"})


@dataclass(frozen=True)
class Prediction:
    """One row's label, and each class's probability."""

    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Latency:
    """Milliseconds of `requests` requests of `rows` rows each, one after the other."""

    requests: int
    rows: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    requests_a_second: float

    def as_json(self) -> dict[str, Any]:
        """The measurement as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Deployed:
    """The endpoint of a stack, known to be there."""

    target: Target
    name: str

    def predict(self, text: str) -> list[Prediction]:
        """Ask for the predictions of a CSV table, in as many requests as its size needs."""
        return [one for part in parts(text) for one in self.ask(part)]

    def ask(self, text: str) -> list[Prediction]:
        """Ask with one request.

        Raises:
            UsageError: the model cannot read the rows; the text is its own.
            CommandError: the endpoint does not answer.

        """
        try:
            answer = self.target.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=self.name,
                Body=text.encode("utf-8"),
                ContentType="text/csv",
                Accept="application/json",
            )
        except ClientError as error:
            raise _told(self.name, error) from error
        found = json.loads(answer["Body"].read())["predictions"]
        return [Prediction(str(one["label"]), one["probabilities"]) for one in found]

    def measure(
        self, text: str, requests: int, clock: Callable[[], float] = time.perf_counter
    ) -> Latency:
        """Send the same rows again and again; the first requests do not count."""
        for _ in range(_WARM_UP):
            rows = len(self.ask(text))
        times = []
        for _ in range(requests):
            began = clock()
            self.ask(text)
            times.append(1000 * (clock() - began))
        return summary(times, rows)


def summary(times: Sequence[float], rows: int) -> Latency:
    """The percentiles of measured milliseconds; there is at least one."""
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    total = sum(times) / 1000
    p50, p95, p99 = (round(value, 2) for value in (median(times), cuts[94], cuts[98]))
    slowest, rate = round(max(times), 2), round(len(times) / total, 1)
    return Latency(len(times), rows, p50, p95, p99, slowest, rate)


def find(target: Target, workload: Workload) -> Deployed:
    """The stack's endpoint; raises `CommandError` where it does not serve."""
    name, status = workload.endpoint, workload.endpoint_status()
    options = target.options()
    if name is None or status is None:
        raise CommandError(
            f"there is no endpoint {name or ''} yet: a run that passes the gate makes it "
            f"(`python build.py run{options}`)"
        )
    if status["EndpointStatus"] in {"Creating", "Failed", "Deleting"}:
        reason = status.get("FailureReason")
        raise CommandError(
            f"the endpoint {name} does not serve, it is {status['EndpointStatus']}"
            + (f": {reason}" if reason else "")
        )
    return Deployed(target, name)


def parts(text: str) -> Iterator[str]:
    """Split a CSV table into tables that fit a request, each with the header if there is one."""
    if len(text.encode("utf-8")) <= _LARGEST:
        yield text
        return
    rows = [_line(row) for row in csv.reader(io.StringIO(text, newline="")) if row]
    first = next(csv.reader(io.StringIO(rows[0], newline="")))
    header, rows = (rows[0], rows[1:]) if not any(map(_is_number, first)) else ("", rows)
    part, size = [header], len(header.encode("utf-8"))
    for row in rows:
        length = len(row.encode("utf-8"))
        if size + length > _LARGEST and len(part) > 1:
            yield "".join(part)
            part, size = [header], len(header.encode("utf-8"))
        part.append(row)
        size += length
    yield "".join(part)


def _line(row: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _told(name: str, error: ClientError) -> Exception:
    """What the endpoint or SageMaker answered, in one line."""
    code = code_of(error)
    if code == "ModelError":
        status = int(error.response.get("OriginalStatusCode", 500))
        text = " ".join(str(error.response.get("OriginalMessage", message_of(error))).split())
        if status in _CLIENT_ERRORS:
            return UsageError(f"the model refuses these rows ({status}): {text}")
        return CommandError(
            f"the model of {name} failed ({status}): {text}; `python build.py logs --source "
            "endpoint` shows what it wrote"
        )
    if code in _UNANSWERED:
        return CommandError(f"the endpoint {name} does not answer: {message_of(error)}")
    return error
