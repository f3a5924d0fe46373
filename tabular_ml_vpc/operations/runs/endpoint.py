"""Predictions from the deployed endpoint, and their latency.

Source: "API_runtime_InvokeEndpoint", SageMaker API Reference: a request has at most 6 MB.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median, quantiles
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.runs import asynchronous
from tabular_ml_vpc.operations.runs.asynchronous import Queue
from tabular_ml_vpc.operations.runs.rows import Rows
from tabular_ml_vpc.operations.target import Target, code_of, message_of
from tabular_ml_vpc.operations.workload import Workload

_LARGEST: Final = 5 * 1024 * 1024
_WARM_UP: Final = 6
"""Each of the server's workers loads the model's libraries with its first request."""
_TOO_LARGE: Final = 413
_CLIENT_ERRORS: Final = range(400, 500)
_UNANSWERED: Final = frozenset({"ValidationError", "ModelNotReadyException", "ValidationException"})


@dataclass(frozen=True)
class Prediction:
    """The prediction for one row: a label and each class's probability, or a number (`value`)."""

    label: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    value: float | None = None

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Prediction:
        """Read one of the endpoint's `predictions`."""
        if "prediction" in answer:
            return cls(value=float(answer["prediction"]))
        return cls(str(answer["label"]), answer["probabilities"])

    def as_json(self) -> dict[str, Any]:
        """The prediction in the endpoint's format."""
        if self.value is not None:
            return {"prediction": self.value}
        return {"label": self.label, "probabilities": dict(self.probabilities)}


@dataclass(frozen=True)
class Latency:
    """Milliseconds of `requests` requests of `rows` rows each, one at a time."""

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
    """The endpoint of a stack; it exists."""

    target: Target
    name: str
    options: str = ""
    """The options that give another command the same pipeline."""
    queue: Queue | None = None
    """How to ask it if it is asynchronous."""

    def predict(self, text: str, header: bool | None = None) -> list[Prediction]:
        """Return the predictions for a CSV table, with as many requests as its size needs.

        Unless `header` says so, the endpoint decides whether the first row is a header: it knows
        the model's columns, which the caller may have no permission to read.

        Raises:
            UsageError: the rows are not CSV, or the model cannot read them.
            CommandError: the endpoint does not answer, or not once for each row.

        """
        table = Rows.of(text, header)
        if table.header is None and len(text.encode("utf-8")) > _LARGEST:
            table = self._decided(table)
        return [answer for part in table.parts(_LARGEST) for answer in self._answers(part)]

    def ask(self, text: str, header: bool | None = None) -> list[Prediction]:
        """Send one request; raises as `predict` does."""
        return self._answers(Rows.of(text, header), split=False)

    def _decided(self, table: Rows) -> Rows:
        """The table with `header` as the endpoint understands its first row."""
        if len(table.lines) < 2:  # noqa: PLR2004 - a header and one row
            return replace(table, header=False)
        return replace(table, header=len(self._answers(table.first(), split=False)) == 1)

    def _answers(self, table: Rows, *, split: bool = True) -> list[Prediction]:
        """One answer for each row; a request that is too large is split in half."""
        try:
            found = self._invoke(table)
        except ClientError as error:
            if split and _is_too_large(error):
                table = self._decided(table) if table.header is None else table
                if halves := table.halves():
                    return [answer for half in halves for answer in self._answers(half)]
            raise self._in_words(error) from error
        if not table.answered_by(len(found)):
            raise CommandError(
                f"the endpoint {self.name} gave {counted(len(found), 'answer')} to "
                f"{counted(len(table.lines), 'row')}"
            )
        return found

    def _in_words(self, error: ClientError) -> Exception:
        """The answer of the endpoint or of SageMaker, on one line."""
        code = code_of(error)
        if code == "ModelError":
            status = int(error.response.get("OriginalStatusCode", 500))
            text = " ".join(str(error.response.get("OriginalMessage", message_of(error))).split())
            if status in _CLIENT_ERRORS:
                return UsageError(f"the model rejected these rows ({status}): {text}")
            return CommandError(
                f"the model of {self.name} failed ({status}): {text}; `python build.py logs "
                f"--source endpoint{self.options}` shows its log"
            )
        if code in _UNANSWERED:
            return CommandError(f"the endpoint {self.name} does not answer: {message_of(error)}")
        return error

    def _invoke(self, table: Rows) -> list[Prediction]:
        body = table.text.encode("utf-8")
        if self.queue is None:
            text = self._ask(body, table.content_type)
        else:
            text = self.queue.ask(body, table.content_type)
        return [Prediction.read(answer) for answer in json.loads(text)["predictions"]]

    def _ask(self, body: bytes, content_type: str) -> bytes:
        answer = self.target.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.name,
            Body=body,
            ContentType=content_type,
            Accept="application/json",
        )
        return bytes(answer["Body"].read())

    def measure(
        self,
        text: str,
        requests: int,
        header: bool | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Latency:
        """Send the same rows repeatedly; the first requests do not count.

        Raises:
            UsageError: the endpoint is asynchronous.

        """
        if self.queue is not None:
            raise UsageError(
                f"--bench: the endpoint {self.name} is asynchronous, and must be one that answers "
                "at once: the wait for an instance is not the model's latency"
            )
        for _ in range(_WARM_UP):
            rows = len(self.ask(text, header))
        times = []
        for _ in range(requests):
            began = clock()
            self.ask(text, header)
            times.append(1000 * (clock() - began))
        return summary(times, rows)


def summary(times: Sequence[float], rows: int) -> Latency:
    """The percentiles of at least one measurement in milliseconds."""
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    total = sum(times) / 1000
    p50, p95, p99 = (round(value, 2) for value in (median(times), cuts[94], cuts[98]))
    slowest, rate = round(max(times), 2), round(len(times) / total, 1)
    return Latency(len(times), rows, p50, p95, p99, slowest, rate)


def find(
    target: Target, workload: Workload, tell: Callable[[str], None] = lambda _line: None
) -> Deployed:
    """The stack's endpoint; raises `CommandError` if it cannot serve requests.

    If it is asynchronous, `tell` is told where each answer will be.
    """
    name, status = workload.endpoint, workload.endpoint_status()
    options = workload.options()
    if name is None or status is None:
        raise CommandError(
            f"the endpoint {name or ''} does not exist: {workload.creation}, or, if it was paused, "
            f"`python build.py endpoint resume{options}`"
        )
    if status["EndpointStatus"] in {"Creating", "Failed", "Deleting"}:
        reason = status.get("FailureReason")
        raise CommandError(
            f"the endpoint {name} cannot serve requests: it is {status['EndpointStatus']}"
            + (f": {reason}" if reason else "")
        )
    output = asynchronous.output_of(status)
    return Deployed(target, name, options, Queue(target, name, output, tell) if output else None)


def _is_too_large(error: ClientError) -> bool:
    """Whether the model rejected a request because it, or its answer, is too large."""
    return bool(error.response.get("OriginalStatusCode") == _TOO_LARGE)
