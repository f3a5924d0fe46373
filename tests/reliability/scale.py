"""How many calls, seconds and deliveries a deletion takes where AWS allows few calls a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from botocore.awsrequest import AWSResponse

from functions.clear_studio.handler import handler as clear_studio
from functions.empty_bucket.core import PERMISSION_TAG
from functions.empty_bucket.handler import handler as empty_bucket
from functions.pipeline_manager.handler import handler as pipeline_manager
from tests.functions.fakes import replies, sagemaker, studio
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.s3 import FakeS3, Version
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.studio import DOMAIN, App, FakeStudio
from tests.functions.fakes.wire import Call
from tests.functions.pipeline_world import (
    BUCKET,
    ENDPOINT,
    NAME,
    OTHER,
    OWNER,
    Account,
    properties,
)
from tests.functions.world import STACK_ID, Handler, Properties, event
from tests.reliability.process import Cloud, Lambda, Process
from tests.reliability.scenarios import LONGEST_SECONDS, Place

RATES: Final = (1, 3, 10)
"""Calls a second that AWS allows for each operation."""
ROUNDS: Final = 12
PAUSE_SECONDS: Final = 60
PAGE: Final = 100
LOCKED: Final = "data/050000.parquet"
_THROTTLED: Final = {"s3": ("SlowDown", 503), "sagemaker": ("ThrottlingException", 400)}


@dataclass
class Limit:
    """A bucket of tokens for each operation, which holds those of one second."""

    rate: float
    throttled: int = 0
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict)

    def meet(self, process: Process, call: Call) -> AWSResponse | None:
        """Throttle a call that comes too early."""
        if call.service not in _THROTTLED:
            return None
        now = process.cloud.clock.now
        tokens, at = self._tokens.get(str(call), (self.rate, now))
        tokens = min(self.rate, tokens + (now - at) * self.rate)
        allowed = tokens >= 1
        self._tokens[str(call)] = (tokens - allowed, now)
        if allowed:
            return None
        self.throttled += 1
        code, status = _THROTTLED[call.service]
        return replies.failure(call.model, status, code, "Rate exceeded")


@dataclass(frozen=True)
class Load:
    """A deletion of some size."""

    title: str
    handler: Handler
    properties: Properties
    build: Callable[[Clock], Place]
    obstacle: str = ""
    """What cannot be deleted, and must be named by the last reason."""


@dataclass(frozen=True)
class Measured:
    """What a deletion took at one rate; `throttled` are those of the `calls` that AWS put off."""

    load: Load
    rate: int
    calls: int
    throttled: int
    seconds: float
    rounds: int
    outcome: str

    def cells(self) -> list[str]:
        """A line of the table."""
        return [
            self.load.title,
            str(self.rate),
            f"{self.calls:,}",
            f"{self.throttled:,}",
            f"{self.seconds:,.0f}",
            str(self.rounds),
            self.outcome,
        ]


def measure(load: Load, rate: int, machine: Lambda) -> Measured:
    """Delete again and again until it succeeds, or until only the obstacle is left."""
    clock = Clock()
    place = load.build(clock)
    for backend in place.backends.values():
        backend.remembers = False
    cloud, limit, calls, seconds = Cloud(clock, place.backends), Limit(rate), 0, 0.0
    for number in range(1, ROUNDS + 1):
        began = clock.now
        sent = event("Delete", load.properties, RequestId=f"round-{number}")
        done = machine.deliver(cloud, load.handler, sent, LONGEST_SECONDS, limit)
        calls, seconds = calls + len(done.sent), seconds + clock.now - began
        put = done.answers.puts[0]
        if put.succeeded or (load.obstacle and load.obstacle in put.reason):
            left = place.left()
            outcome = f"left: {left}" if left else "nothing is left"
            return Measured(load, rate, calls, limit.throttled, seconds, number, outcome)
        clock.sleep(PAUSE_SECONDS)
    return Measured(load, rate, calls, limit.throttled, seconds, ROUNDS, "**does not end**")


def _pipeline(executions: int, deployed: int, others: int) -> Callable[[Clock], Place]:
    """Return our pipeline's executions, some of which deployed a model, and models of others."""

    def build(clock: Clock) -> Place:
        account = Account(FakeS3(BUCKET), FakeSageMaker(clock))
        service = account.sagemaker
        account.have_pipeline(OWNER)
        for number in range(executions):
            if number < deployed:
                account.have_deployed(number)
            else:
                service.run(NAME, "Failed")
        service.make("Endpoint", ENDPOINT, OWNER, config=f"{ENDPOINT}-S0", status="InService")
        for number in range(others):
            service.make("Model", f"pipelines-o{number}-CreateModel-Abc", OTHER)

        def left() -> str:
            models = len(service.resources["Model"]) - others
            rest = [*service.resources["Endpoint"], *service.resources["EndpointConfig"]]
            found = models + len(rest) + len(service.packages) + (NAME in service.pipelines)
            return f"{found} of ours" if found else ""

        return Place({"s3": account.s3, "sagemaker": service}, lambda: None, left=left)

    return build


def domain_of(people: int) -> Callable[[Clock], Place]:
    """Return a domain whose people each have a space with an app."""

    def build(clock: Clock) -> Place:
        domain = FakeStudio(clock)
        for number in range(people):
            domain.apps.append(App("default", space=f"space{number}"))
            domain.spaces[f"space{number}"] = "InService"
            domain.profiles[f"person{number}"] = "InService"

        def left() -> str:
            apps = [app for app in domain.apps if app.status != "Deleted"]
            found = len(apps) + len(domain.spaces) + len(domain.profiles)
            return f"{found} apps, spaces and profiles" if found else ""

        return Place({"sagemaker": domain}, lambda: None, left=left)

    return build


def _bucket(objects: int, locked: bool) -> Callable[[Clock], Place]:
    def build(_clock: Clock) -> Place:
        s3 = FakeS3(BUCKET)
        bucket = s3.buckets[BUCKET]
        bucket.tags = {PERMISSION_TAG: STACK_ID}
        bucket.locked = {LOCKED} if locked else set()
        bucket.versions = [
            Version(f"data/{number:06}.parquet", f"v{number}", b"x") for number in range(objects)
        ]

        def left() -> str:
            kept = [one.key for one in bucket.versions]
            return ", ".join(kept) if len(kept) < PAGE else f"{len(kept):,} objects"

        return Place({"s3": s3}, lambda: None, left=left)

    return build


LOADS: Final = (
    *(
        Load(
            f"pipeline manager: 1,000 executions, 500 configurations, {others:,} models of others",
            pipeline_manager,
            properties(),
            _pipeline(1000, 500, others),
        )
        for others in (2_000, 20_000)
    ),
    Load(
        "Studio: 200 people, each with an app, a space and a profile",
        clear_studio,
        {"DomainId": DOMAIN, "DeleteSpaces": "true", "UserProfiles": ""},
        domain_of(200),
    ),
    Load("bucket: 100,000 objects", empty_bucket, {"Bucket": BUCKET}, _bucket(100_000, False)),
    Load(
        "bucket: 100,000 objects, one of which is locked",
        empty_bucket,
        {"Bucket": BUCKET},
        _bucket(100_000, True),
        LOCKED,
    ),
)


def measured(machine: Lambda) -> Iterator[Measured]:
    """Yield the lines of the table; listings have pages as long as the services'."""
    pages = sagemaker.PAGE, studio.PAGE
    sagemaker.PAGE = studio.PAGE = PAGE
    try:
        for load in LOADS:
            for rate in RATES:
                yield measure(load, rate, machine)
    finally:
        sagemaker.PAGE, studio.PAGE = pages
