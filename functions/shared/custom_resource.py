"""The boundary between CloudFormation's events and the functions.

It wraps crhelper 2.0.12 and overrides all of its defaults (each is a trap, see ``_Responder``). A
function is one callable that takes a :class:`Request` and returns the attributes for
``Fn::GetAtt``; any exception becomes one response with a short, readable reason.

**Delete.** CloudFormation also sends Delete when a resource is replaced, renamed, removed from the
template, or rolled back in an update; acting on those has emptied live buckets (aws-cdk#16603).
A Delete therefore reaches the function only if the stack itself is deleted; any other is answered
with success.

**Create, Update.** Both act only while the stack is in the operation that sent them, which is
checked before each write (:mod:`functions.shared.operation`).

Permission: ``cloudformation:DescribeStacks`` on the function's own stack.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from crhelper import FAILED, CfnResource

from functions.shared import answer, aws
from functions.shared.calls import Calls
from functions.shared.deadline import Deadline, deadline_of
from functions.shared.errors import PropertyError, ResourceError, error_code
from functions.shared.operation import Operation
from functions.shared.reasons import reason

LOG = logging.getLogger(__name__)

Attributes = Mapping[str, str]
Event = Mapping[str, Any]

_STACK_GOES = frozenset({"DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"})
_REASON_LENGTH = 256
_TIMEOUT_MARGIN_SECONDS = 8.0
_DEADLINE_MARGIN_SECONDS = 20.0
_TIME_IS_UP = "Time ran out before the function finished{during}. Repeat the operation."
_TO_CRHELPER = ("RequestType", "StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")


class LambdaContext(Protocol):
    """The part of the Lambda context that the boundary uses."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda stops the function."""


@dataclass(frozen=True)
class Request:
    """One event, without the response URL, which functions do not need."""

    kind: str
    """``Create``, ``Update`` or ``Delete``."""
    stack_id: str
    logical_id: str
    request_id: str
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any]
    """The previous properties of an Update; empty for other events."""
    deadline: Deadline
    calls: Calls

    def client(self, service: str) -> Any:
        """Return a client whose calls are watched."""
        return self.calls.watch(aws.client(service))

    @property
    def deletes(self) -> bool:
        """Tell whether the stack is being deleted."""
        return self.kind == "Delete"


class Deletes(Enum):
    """The Delete events that reach the action; the others are answered, and remove nothing."""

    NONE = "none"
    """The function has nothing to remove; the stack's status is not read."""
    OF_STACK = "of the stack"
    """Those of a stack that is being deleted: in an update, a Delete may be a mistake."""
    ALL = "all"
    """Those of updates, too: what the resource stands for is not worth keeping without it."""


Action = Callable[[Request], Attributes]


def serve(
    event: Event, context: LambdaContext, action: Action, deletes: Deletes = Deletes.OF_STACK
) -> None:
    """Run ``action`` for ``event`` and respond to CloudFormation exactly once.

    Raises ``AnswerError`` if the response could not be delivered, so that Lambda retries the event.
    """
    responder = _Responder(event, context, action, deletes)
    responder({key: event[key] for key in _TO_CRHELPER if key in event} | _NO_URL, context)
    responder.wait_for_answer()
    if not responder.delivered:
        raise answer.AnswerError(f"CloudFormation is waiting for {event['LogicalResourceId']}")


_NO_URL = {"ResponseURL": ""}


def physical_id(stack_id: str, logical_id: str) -> str:
    """Return a resource's permanent id, so that no Update becomes a replacement."""
    digest = hashlib.sha256(f"{stack_id}/{logical_id}".encode()).hexdigest()
    return f"{logical_id}-{digest[:16]}"


class _Responder(CfnResource):
    """crhelper without its surprises.

    - It gets an event without response URL and properties, so it cannot log them at any level.
    - It creates no clients for polling, which is not used (``_sam_local``).
    - Physical ids are deterministic, also in responses to failures and timeouts.
    - It responds once: a timeout and a result cannot both be sent.
    - It neither sleeps before the response to a Delete nor retries the response forever.
    """

    def __init__(
        self, event: Event, context: LambdaContext, action: Action, deletes: Deletes
    ) -> None:
        super().__init__(
            json_logging=False,
            log_level="INFO",
            boto_level="ERROR",
            polling_interval=2,
            sleep_on_delete=0,
            ssl_verify=None,
        )
        self.delivered = False
        self._real_event = event
        self._lambda_context = context
        self._action = action
        self._deletes = deletes
        self._claim = threading.Lock()
        self._calls = self._watched_calls()
        for register in (self.create, self.update, self.delete):
            register(self._act)

    def wait_for_answer(self) -> None:
        """Wait for a response that the timer started to send just before the function finished."""
        self._timer.join()

    @property
    def _sam_local(self) -> bool:
        """Pretend to be local: the constructor then creates no Lambda, Events and Logs clients."""
        return True

    @_sam_local.setter
    def _sam_local(self, value: object) -> None:
        """Ignore the value that crhelper reads from the environment."""

    def _act(self, _event: object, _context: object) -> str:
        """Handle the event; failures become status and reason, never an exception."""
        request = _request(self._real_event, self._calls)
        LOG.info("%s of %s begins", request.kind, request.logical_id)
        try:
            if self._reaches_the_action(request):
                request.calls.before_write()
                self.Data = dict(self._action(request))
        except PropertyError as error:
            self._refuse(request, error)
        except ResourceError as error:
            LOG.error("%s of %s failed: %s", request.kind, request.logical_id, error)
            self._fail(str(error))
        except Exception as error:  # the boundary: every failure must reach CloudFormation
            LOG.exception("%s of %s failed", request.kind, request.logical_id)
            self._fail(reason(request.calls, error))
        return self._id()

    def _watched_calls(self) -> Calls:
        deadline = deadline_of(self._lambda_context, _DEADLINE_MARGIN_SECONDS)
        kind, answered = self._real_event["RequestType"], self._claim.locked
        operation = Operation(kind, self._status, answered, deadline.remaining_seconds)
        return Calls(deadline, operation.check)

    def _status(self) -> str:
        """Return the stack's status; its calls are watched apart from those of the action."""
        return _stack_status(self._real_event["StackId"], Calls(self._calls.deadline))

    def _reaches_the_action(self, request: Request) -> bool:
        if not request.deletes or self._deletes is Deletes.ALL:
            return True
        if self._deletes is Deletes.NONE:
            return False
        status = self._status()
        if status not in _STACK_GOES:
            LOG.info("the stack is %s and not being deleted: nothing is removed", status)
        return status in _STACK_GOES

    def _refuse(self, request: Request, error: PropertyError) -> None:
        """Fail for malformed properties, except for a Delete: its resource never existed.

        Its Create was rejected for the same properties. If the Delete failed too, the stack could
        not be deleted.
        """
        LOG.error("%s of %s: %s", request.kind, request.logical_id, error)
        if not request.deletes:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        self.Status = FAILED
        self.Reason = shorten(reason)

    def _id(self) -> str:
        existing = self._real_event.get("PhysicalResourceId")
        return str(
            existing
            or physical_id(self._real_event["StackId"], self._real_event["LogicalResourceId"])
        )

    def _set_timeout(self) -> None:
        """Reserve more than crhelper's half second to respond: a TLS connection can need it."""
        remaining = self._lambda_context.get_remaining_time_in_millis() / 1000
        self._timer = threading.Timer(max(0.0, remaining - _TIMEOUT_MARGIN_SECONDS), self._timeout)
        self._timer.daemon = True
        self._timer.start()

    def _timeout(self) -> None:
        LOG.error("the function ran out of time")
        call = self._calls.current
        try:
            self._send(FAILED, shorten(_TIME_IS_UP.format(during=call and f" (during {call})")))
        except answer.AnswerError as error:  # ``serve`` sees that nothing was delivered
            LOG.error("%s", error)

    def _send(self, status: str | None = None, reason: str = "", _sender: object = None) -> None:
        """Send the response, unless one is already being sent."""
        if not self._claim.acquire(blocking=False):
            return
        self.PhysicalResourceId = self._id()
        super()._send(status, reason, self._deliver)  # type: ignore[misc]  # not in its stubs

    def _deliver(self, _url: str, body: Mapping[str, object], _ssl_verify: object) -> None:
        answer.deliver(self._real_event["ResponseURL"], body)
        self.delivered = True
        LOG.info("answered CloudFormation: %s", body["Status"])


def shorten(reason: str) -> str:
    """Put a reason on one line and keep the beginning and the end of a long one.

    crhelper would keep only the end.
    """
    reason = " ".join(reason.split())
    if len(reason) <= _REASON_LENGTH:
        return reason
    half = (_REASON_LENGTH - 5) // 2
    return f"{reason[:half]} ... {reason[-half:]}"


def _request(event: Event, calls: Calls) -> Request:
    return Request(
        kind=event["RequestType"],
        stack_id=event["StackId"],
        logical_id=event["LogicalResourceId"],
        request_id=event["RequestId"],
        properties=event.get("ResourceProperties", {}),
        old_properties=event.get("OldResourceProperties", {}),
        deadline=calls.deadline,
        calls=calls,
    )


def _stack_status(stack_id: str, calls: Calls) -> str:
    """Return the stack's status; raise if it cannot be read, before anything is changed."""
    try:
        client = calls.watch(aws.client("cloudformation"))
        stacks = client.describe_stacks(StackName=stack_id)["Stacks"]
        return str(stacks[0]["StackStatus"])
    except (ClientError, BotoCoreError, LookupError) as error:
        raise ResourceError(
            f"Nothing more was changed: the stack's status could not be read ({_brief(error)}). "
            "Check cloudformation:DescribeStacks and the network route, then repeat the operation."
        ) from None


def _brief(error: Exception) -> str:
    return error_code(error) if isinstance(error, ClientError) else type(error).__name__
