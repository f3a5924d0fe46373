"""A function with all that is around it: CloudFormation's events, AWS, and the clock."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.shared.custom_resource import Event, LambdaContext
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.cloudformation import FakeCloudFormation
from tests.functions.fakes.wire import Backend, Wire

EVENTS = Path(__file__).parent / "events"
STACK_ID = (
    "arn:aws:cloudformation:eu-west-1:123456789012:stack/demo/0b1d7d40-1111-2222-3333-444444444444"
)
TIMEOUT_SECONDS = 900

Handler = Callable[[Event, LambdaContext], None]
Properties = Mapping[str, str]


def event(kind: str, properties: Properties = (), **changes: object) -> dict[str, Any]:  # type: ignore[assignment]
    """Return one event as CloudFormation sends it, with a resource's own properties."""
    content: dict[str, Any] = json.loads((EVENTS / f"{kind.lower()}.json").read_text())
    content["ResourceProperties"] |= dict(properties)
    return content | changes


@dataclass
class Context:
    """Lambda's context: how long the function may still run."""

    clock: Clock
    ends: float

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - self.clock.now) * 1000)


@dataclass(frozen=True)
class Put:
    """One answer that reached CloudFormation."""

    host: str
    target: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    size: int

    @property
    def succeeded(self) -> bool:
        return bool(self.body["Status"] == "SUCCESS")

    @property
    def reason(self) -> str:
        return str(self.body["Reason"])

    @property
    def data(self) -> dict[str, str]:
        return dict(self.body["Data"])


@dataclass
class ResponseBucket:
    """The bucket that collects CloudFormation's answers; `outcomes` go before success.

    An outcome is an HTTP status or what the connection raises.
    """

    puts: list[Put] = field(default_factory=list)
    outcomes: list[int | Exception] = field(default_factory=list)
    attempts: int = 0

    def connect(self, host: str, **_: object) -> Any:
        """Stand in for `HTTPSConnection`, of which it has what is used."""
        return _Connection(self, host)


@dataclass
class _Connection:
    bucket: ResponseBucket
    host: str
    status: int = 0

    def request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        assert method == "PUT"
        self.bucket.attempts += 1
        outcome = self.bucket.outcomes.pop(0) if self.bucket.outcomes else 200
        if isinstance(outcome, Exception):
            raise outcome
        self.status = outcome
        if outcome == 200:
            put = Put(self.host, target, json.loads(body), dict(headers), len(body))
            self.bucket.puts.append(put)

    def getresponse(self) -> _Connection:
        return self

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class World:
    """What surrounds one function in one test."""

    function: str
    wire: Wire
    clock: Clock
    responses: ResponseBucket
    cloudformation: FakeCloudFormation

    def backed_by(self, **backends: Backend) -> None:
        """Put a service's backend in place."""
        self.wire.backends.update(backends)

    def send(
        self,
        handler: Handler,
        kind: str,
        properties: Properties,
        seconds: float = TIMEOUT_SECONDS,
        **changes: object,
    ) -> Put:
        """Run the function for one event; there has to be one answer, which is returned."""
        before = len(self.responses.puts)
        self.cloudformation.sent = kind
        sent = event(kind, properties, **changes)
        handler(sent, Context(self.clock, self.clock.now + seconds))
        new = self.responses.puts[before:]
        assert len(new) == 1, f"{len(new)} answers to one event"
        check_answer(new[0], sent)
        return new[0]


@contextmanager
def kept_log_levels() -> Iterator[None]:
    """Undo what crhelper does to the levels of everybody's loggers."""
    loggers = [logging.root, *map(logging.getLogger, ("boto", "boto3", "botocore", "urllib3"))]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def check_answer(put: Put, sent: Event) -> None:
    """Hold an answer against the rules of "Custom resource response objects"."""
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        assert put.body[name] == sent[name]
    given = sent.get("PhysicalResourceId")
    assert put.body["PhysicalResourceId"] == given if given else put.body["PhysicalResourceId"]
    assert put.body["Status"] in ("SUCCESS", "FAILED")
    assert put.size < 4096
    assert len(put.reason) <= 256
    assert "\n" not in put.reason
    assert put.succeeded or put.reason
