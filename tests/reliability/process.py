"""A process of Lambda that runs one delivery of an event, on a network that can fail.

The clients are botocore's own, with the functions' configuration. Time is virtual: it passes with
each request and when somebody sleeps; timers fire in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, Protocol

import botocore.endpoint
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from crhelper import CfnResource

import functions.pipeline_manager.handler
import functions.seed_data.core
from functions.seed_data.table import BLOCK_ROWS
from functions.shared import answer, aws, custom_resource, deadline
from functions.shared.deadline import Deadline
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.cloudformation import FakeCloudFormation
from tests.functions.fakes.wire import Backend, Call, Wire
from tests.functions.pipeline_world import SCRIPTS
from tests.functions.world import STACK_ID, Context, Handler, ResponseBucket, kept_log_levels

LATENCY_SECONDS: Final = 0.1


class Killed(BaseException):
    """The process has ended; nothing in it runs any more."""


class Trouble(Protocol):
    """What the network does to an attempt of a call, or nothing."""

    def meet(self, process: Process, call: Call) -> AWSResponse | None:
        """Return another reply than the service's, raise, or return nothing."""


@dataclass
class Cloud:
    """What is around the functions: services, CloudFormation, and the clock."""

    clock: Clock
    backends: Mapping[str, Backend]
    cloudformation: FakeCloudFormation = field(default_factory=lambda: FakeCloudFormation(STACK_ID))

    def state(self) -> str:
        """Return all that the services hold, to compare it."""
        skipped = {"before", "failures", "requests", "clock", "_ids", "_tokens"}
        return repr(
            {
                service: {k: v for k, v in vars(backend).items() if k not in skipped}
                for service, backend in self.backends.items()
            }
        )


class Process(Wire):
    """One process at a time; the clients are made once, because that takes half a second."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.sent: list[Call] = []
        self.trouble: Trouble | None = None
        self.dead = False

    def start(self, cloud: Cloud, seconds: float, trouble: Trouble | None) -> None:
        """Begin with an environment as new."""
        self.forget()
        self.cloud, self.trouble, self.dead = cloud, trouble, False
        self.calls, self.sent = [], []
        self.ends = cloud.clock.now + seconds
        self.backends = {**cloud.backends, "cloudformation": cloud.cloudformation}

    def begin(self, call: Call) -> None:
        self.calls.append(call)

    def send(self, call: Call) -> AWSResponse:
        self.stay_alive()
        self.cloud.clock.sleep(LATENCY_SECONDS)
        self.stay_alive()
        self.sent.append(call)
        reply = self.trouble.meet(self, call) if self.trouble else None
        reply = reply or self.apply(call)
        self.stay_alive()
        return reply

    def apply(self, call: Call) -> AWSResponse:
        """Let the service do what a call asks for."""
        return super().send(call)

    def stay_alive(self) -> None:
        """Raise if the process has ended, also by Lambda's time limit."""
        if self.dead or self.cloud.clock.now >= self.ends:
            self.dead = True
            raise Killed


@dataclass
class Answers(ResponseBucket):
    """The responses that reach CloudFormation from one process, with their times."""

    process: Process | None = None
    times: list[float] = field(default_factory=list)

    def connect(self, host: str, **_: object) -> Any:
        assert self.process is not None
        self.process.stay_alive()
        link, before = super().connect(host), len(self.puts)
        request = link.request

        def timed(*arguments: Any, **named: Any) -> None:
            request(*arguments, **named)
            if len(self.puts) > before and self.process:
                self.times.append(self.process.cloud.clock.now)

        link.request = timed
        return link


@dataclass
class Timer:
    """A timer in virtual time; it stands in for `threading.Timer`."""

    clock: Clock
    seconds: float
    do: Callable[[], object]
    daemon: bool = False
    cancelled: bool = False

    def start(self) -> None:
        self.clock.after(self.seconds, lambda: self.cancelled or self.do())

    def cancel(self) -> None:
        self.cancelled = True

    def join(self) -> None:
        """What a timer does is done at once."""


@dataclass(frozen=True)
class Delivery:
    """What came of one delivery of an event."""

    answers: Answers
    calls: list[Call]
    sent: list[Call]
    crashed: bool
    ends: float


class Lambda:
    """Runs deliveries, also one while another one is under way."""

    def __init__(self) -> None:
        self._processes = [Process(), Process()]
        self._running: list[Process] = []

    def deliver(
        self,
        cloud: Cloud,
        handler: Handler,
        event: Mapping[str, Any],
        seconds: float,
        trouble: Trouble | None = None,
        outcomes: list[int | Exception] | None = None,
    ) -> Delivery:
        """Deliver an event to a process of its own, and return what came of it."""
        process = self._processes[len(self._running)]
        process.start(cloud, seconds, trouble)
        self._running.append(process)
        answers = Answers(process=process, outcomes=list(outcomes or ()))
        crashed = False
        try:
            with self._environment(cloud.clock, answers):
                handler(event, Context(cloud.clock, process.ends))
        except (Killed, answer.AnswerError):
            crashed = True
        finally:
            self._running.pop()
        return Delivery(answers, process.calls, process.sent, crashed, process.ends)

    def _client(self, service: str, config: Config) -> Any:
        return self._running[-1].client(service, config)

    @contextmanager
    def _environment(self, clock: Clock, answers: Answers) -> Iterator[None]:
        """Put the virtual time, the network and small inputs in place."""
        deliver = partial(DELIVER, sleep=clock.sleep, connection=answers.connect)
        replaced: list[tuple[Any, str, Any]] = [
            (aws, "boto3", SimpleNamespace(client=self._client)),
            (botocore.endpoint, "time", SimpleNamespace(sleep=clock.sleep)),
            (answer, "deliver", deliver),
            (deadline, "Deadline", partial(Deadline, sleep=clock.sleep)),
            (
                custom_resource,
                "threading",
                SimpleNamespace(Lock=threading.Lock, Timer=partial(Timer, clock)),
            ),
            (CfnResource, "_wait_for_cwlogs", lambda _self: None),
            (functions.pipeline_manager.handler, "read_scripts", lambda: SCRIPTS),
            (functions.seed_data.core, "blocks", _blocks),
        ]
        disabled = logging.root.manager.disable
        with ExitStack() as stack:
            stack.enter_context(kept_log_levels())
            logging.disable(logging.CRITICAL)
            stack.callback(logging.disable, disabled)
            for owner, name, value in replaced:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
            yield


DELIVER: Final = answer.deliver


def _blocks(rows: int, seed: int) -> Iterator[bytes]:
    """Yield as many pieces as the table has, without its bytes."""
    yield from (f"{seed}\n".encode() for _ in range(0, rows, BLOCK_ROWS))
