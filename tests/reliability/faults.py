"""The kinds of fault at one call: what happens, how long, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.functions.fakes import replies
from tests.functions.fakes.wire import Call
from tests.reliability.process import Killed, Process

Act = Callable[[Process, Call], AWSResponse]
ByService = Mapping[str, tuple[str, int]]

FOR_EVER: Final = 1_000_000
MANY: Final = 6
"""More than botocore's own attempts of one call."""
READ_SECONDS: Final = 20
CONNECT_SECONDS: Final = 5
SLOW_SECONDS: Final = 19
"""The slowest answer that a client still waits for."""

_THROTTLED: Final[ByService] = {
    "cloudformation": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "sagemaker": ("ThrottlingException", 400),
}
_DENIED: Final[ByService] = {
    "cloudformation": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "s3": ("AccessDenied", 403),
    "sagemaker": ("AccessDeniedException", 400),
}
_EXPIRED: Final[ByService] = {
    "cloudformation": ("ExpiredToken", 403),
    "ec2": ("RequestExpired", 400),
    "s3": ("ExpiredToken", 400),
    "sagemaker": ("ExpiredTokenException", 400),
}
_INTERNAL: Final[ByService] = dict.fromkeys(_DENIED, ("InternalError", 500))
_ENCODED: Final = "Encoded authorization failure message: " + "aB3_-" * 160
_PAGE: Final = "<html>\n<head><title>{0}</title></head>\n<body><h1>{0}</h1>proxy</body></html>\n"
_STATUS: Final = {
    "Create": "ROLLBACK_IN_PROGRESS",
    "Update": "UPDATE_ROLLBACK_IN_PROGRESS",
    "Delete": "DELETE_IN_PROGRESS",
}


@dataclass(frozen=True)
class Fault:
    """One kind: `act` on the first `attempts` of a call, or of all later calls of a kind."""

    name: str
    act: Act
    attempts: int = 1
    passes: bool = True
    """Whether the event must succeed; else it may fail, with a reason."""
    spreads: bool = False
    """Whether it meets all later calls, too, not just those of the same operation."""
    stops_writes: bool = False
    """Whether nothing may be written by later calls."""
    names_call: bool = True
    """Whether a reason must name the call, too, not just the resource."""
    late: bool = False
    """Whether the event comes once more after its operation has ended."""
    twin: str = ""
    """Whether the event is delivered twice at once: `before` or `after` the call is applied."""
    kinds: tuple[str, ...] = ("Create", "Update", "Delete")


@dataclass
class Plan:
    """A fault that waits for the call of a number."""

    fault: Fault
    number: int
    kind: str
    hits: list[Call] = field(default_factory=list)
    twin: Callable[[], object] = lambda: None

    def meet(self, process: Process, call: Call) -> AWSResponse | None:
        if len(process.calls) <= self.number or not self._concerns(process, call):
            return None
        self.hits.append(call)
        if self.fault.twin:
            if self.fault.twin == "before":
                self.twin()
                return None
            reply = process.apply(call)
            self.twin()
            return reply
        if self.fault.stops_writes:
            process.cloud.cloudformation.status = _STATUS[self.kind]
        return self.fault.act(process, call)

    def _concerns(self, process: Process, call: Call) -> bool:
        target = process.calls[self.number]
        if self.fault.attempts < FOR_EVER:
            return call is target and call.attempts <= self.fault.attempts
        return self.fault.spreads or str(call) == str(target)


def _error(codes: ByService, message: str = "as injected") -> Act:
    def act(_process: Process, call: Call) -> AWSResponse:
        code, status = codes[call.service]
        return replies.failure(call.model, status, code, message)

    return act


def _denied(_process: Process, call: Call) -> AWSResponse:
    code, status = _DENIED[call.service]
    told = (
        f"User: arn:aws:sts::123456789012:assumed-role/demo-role/demo is not authorized to perform:"
        f" {call} on resource: arn:aws:x because no identity-based policy allows the action"
    )
    return replies.failure(call.model, status, code, told)


def _page(status: int, title: str) -> Act:
    body = _PAGE.format(title).encode()

    def act(_process: Process, call: Call) -> AWSResponse:
        head = call.model.http["method"] == "HEAD"
        return replies.response(status, b"" if head else body, {"content-type": "text/html"})

    return act


def _closed(_process: Process, _call: Call) -> AWSResponse:
    raise ConnectionClosedError(endpoint_url=replies.URL)


def _refused(_process: Process, _call: Call) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=replies.URL)


def _no_connection(process: Process, _call: Call) -> AWSResponse:
    process.cloud.clock.sleep(CONNECT_SECONDS)
    raise ConnectTimeoutError(endpoint_url=replies.URL)


def _no_answer(process: Process, _call: Call) -> AWSResponse:
    process.cloud.clock.sleep(READ_SECONDS)
    raise ReadTimeoutError(endpoint_url=replies.URL)


def _applied(then: Act) -> Act:
    def act(process: Process, call: Call) -> AWSResponse:
        process.apply(call)
        return then(process, call)

    return act


def _truncated(process: Process, call: Call) -> AWSResponse:
    """Half of a streamed body arrives; another body is read before botocore returns."""
    reply = process.apply(call)
    if not call.model.has_streaming_output or reply.status_code != 200:
        raise ConnectionClosedError(endpoint_url=replies.URL)
    body = reply.raw.read()
    return replies.response(200, body, lost=(len(body) + 1) // 2)


def _killed(process: Process, _call: Call) -> AWSResponse:
    process.dead = True
    raise Killed


def _slow(process: Process, call: Call) -> AWSResponse:
    process.cloud.clock.sleep(SLOW_SECONDS)
    return process.apply(call)


def _late(process: Process, call: Call) -> AWSResponse:
    """Time jumps to where only a response is possible."""
    process.cloud.clock.sleep(max(0.0, process.ends - 5 - process.cloud.clock.now))
    return process.apply(call)


def _cancelled(process: Process, call: Call) -> AWSResponse:
    reply = process.apply(call)
    process.cloud.clock.sleep(3)
    return reply


FAULTS: Final = (
    Fault("throttled once", _error(_THROTTLED, "Rate exceeded")),
    Fault(f"throttled {MANY} times", _error(_THROTTLED, "Rate exceeded"), MANY),
    Fault("throttled for ever", _error(_THROTTLED, "Rate exceeded"), FOR_EVER, passes=False),
    Fault("500 once", _error(_INTERNAL)),
    Fault("500 after the call was applied", _applied(_error(_INTERNAL))),
    Fault("500 for ever", _error(_INTERNAL), FOR_EVER, passes=False),
    Fault("503 with an HTML page once", _page(503, "Service Unavailable")),
    Fault("503 with an HTML page for ever", _page(503, "Unavailable"), FOR_EVER, passes=False),
    Fault("connection refused once", _refused),
    Fault("connection refused for ever", _refused, FOR_EVER, passes=False, spreads=True),
    Fault("no connection in 5 s once", _no_connection),
    Fault("no connection in 5 s for ever", _no_connection, FOR_EVER, passes=False, spreads=True),
    Fault("connection closed before the call was applied", _closed),
    Fault("connection closed after the call was applied", _applied(_closed)),
    Fault("connection closed for ever, calls applied", _applied(_closed), FOR_EVER, passes=False),
    Fault("no answer in 20 s once", _no_answer),
    Fault("no answer in 20 s, call applied", _applied(_no_answer)),
    Fault("no answer in 20 s for ever", _no_answer, FOR_EVER, passes=False),
    Fault("body truncated once", _truncated),
    Fault("body truncated for ever", _truncated, FOR_EVER, passes=False),
    Fault("answers take 19 s from here on", _slow, FOR_EVER, False, True, names_call=False),
    Fault("access denied", _denied, FOR_EVER, passes=False),
    Fault("access denied, encoded", _error(_DENIED, _ENCODED), FOR_EVER, passes=False),
    Fault("token expired", _error(_EXPIRED), FOR_EVER, passes=False, spreads=True),
    Fault("403 with an HTML page", _page(403, "Forbidden"), FOR_EVER, passes=False),
    Fault("404 with an HTML page", _page(404, "Not Found"), FOR_EVER, passes=False),
    Fault("process killed before the call", _killed),
    Fault("process killed after the call", _applied(_killed)),
    Fault("process killed, event delivered late", _applied(_killed), late=True),
    Fault("delivered twice, second one before the call", _slow, twin="before"),
    Fault("delivered twice, second one after the call", _slow, twin="after"),
    Fault("time runs out during the call", _late, passes=False, names_call=False),
    Fault(
        "stack rolls back during the call",
        _cancelled,
        passes=False,
        stops_writes=True,
        kinds=("Create", "Update"),
    ),
)
"""What happens to one call. Event-wide faults are in `tests.reliability.case`."""
