"""Checks on every call to AWS: before the deadline, in the right operation, named in failures.

These are hooks in botocore's events, so that they cover every call, including the pages of a
listing and the parts of an upload:

- before each attempt of a call, the deadline is checked; before each write, also whether the stack
  is still in the operation that sent the event (:mod:`functions.shared.operation`);
- a throttled call is not a failure: it is repeated until the deadline. botocore alone gives up
  after five attempts, and after some hundred retries in total ("Retry behavior", AWS SDKs and Tools
  Reference Guide). The reply to a HEAD request has no error code, only status 503;
- a web page is not AWS's reply: its status 404 does not mean that a resource is gone;
- the current call is recorded, for the reason of a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.shared.deadline import Deadline
from functions.shared.errors import ResourceError

LOG = logging.getLogger(__name__)

THROTTLED: Final = frozenset(
    {
        "503",
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_CLEANS_UP: Final = "AbortMultipartUpload"
_READS: Final = ("Describe", "Get", "Head", "List")
_LONGEST_PAUSE: Final = 20.0
_HOOK: Final = "functions.shared.calls"
_SUBJECTS: Final = ("Name", "Arn", "Contains", "Id", "Equals")


@dataclass
class Calls:
    """The calls for one event; ``before_write`` raises if writes are no longer allowed."""

    deadline: Deadline
    before_write: Callable[[], None] = lambda: None
    current: str = field(default="", init=False)
    """The latest call and its subject, such as ``DeleteModel pipelines-x``."""
    _latest: dict[str, str] = field(default_factory=dict, init=False)
    _failure: tuple[Exception | None, str] = field(default=(None, ""), init=False)
    """The latest call that got no reply, by what botocore raised."""

    def watch(self, client: Any) -> Any:
        """Replace the hooks of an earlier event on a client; return the client."""
        hooks = {
            "provide-client-params.*.*": self._remember,
            "before-send.*.*": self._check,
            "needs-retry.*.*": self._wait_if_throttled,
            "after-call.*.*": self._reject_page,
            "after-call-error.*.*": self._note_failure,
        }
        for event, hook in hooks.items():
            name = f"{_HOOK}.{event}"
            client.meta.events.unregister(event, unique_id=name)
            client.meta.events.register_first(event, hook, unique_id=name)
        return client

    def _remember(self, params: Mapping[str, Any], model: Any, **_: object) -> None:
        self._latest[model.name] = f"{model.name} {subject(params)}".strip()
        if model.name != _CLEANS_UP:
            self.current = self._latest[model.name]

    def named(self, operation: str | None) -> str:
        """Return the latest call of an operation, or of any, with its subject."""
        return self._latest.get(operation or "", self.current)

    def without_reply(self, error: Exception) -> str:
        """Return the call that raised an error which does not name its operation."""
        failed, call = self._failure
        return call if failed is error else self.current

    def _note_failure(self, exception: Exception, event_name: str, **_: object) -> None:
        self._failure = (exception, self.named(event_name.rpartition(".")[2]))

    def _check(self, event_name: str, **_: object) -> None:
        """Raise if calls are no longer allowed; cleaning up always is."""
        operation = event_name.rpartition(".")[2]
        if operation == _CLEANS_UP:
            return
        self.deadline.check(
            f"Time ran out before {self.current}. Repeat the operation: it continues where it "
            "stopped."
        )
        if not operation.startswith(_READS):
            self.before_write()

    def _wait_if_throttled(self, response: Any, attempts: int, **_: object) -> float | None:
        """Return how many seconds to wait, or nothing, to leave the decision to botocore."""
        parsed = response[1] if response else {}
        if parsed.get("Error", {}).get("Code") not in THROTTLED:
            return None
        pause = min(2.0 ** min(attempts, 10) / 2, _LONGEST_PAUSE)
        if self.deadline.remaining_seconds() <= pause:
            return None
        LOG.info("%s was throttled; retrying in %.0f s", self.current, pause)
        return pause

    def _reject_page(self, model: Any, http_response: Any, **_: object) -> None:
        """Raise if something between the function and AWS replied."""
        content_type = http_response.headers.get("content-type") or ""
        if "html" in content_type:
            raise ResourceError(
                f"{self.named(model.name)}: a web page with HTTP status "
                f"{http_response.status_code}, not AWS's reply. Check the network path (VPC "
                "endpoint, proxy), then repeat the operation."
            )


def subject(parameters: Mapping[str, Any]) -> str:
    """Return the subject of a call, from its parameters: a name, an ARN, an object's URI."""
    if "Bucket" in parameters:
        key = f"/{parameters['Key']}" if "Key" in parameters else ""
        return f"s3://{parameters['Bucket']}{key}"
    for ending in _SUBJECTS:
        for name, value in parameters.items():
            if name.endswith(ending) and isinstance(value, str):
                return value
    return " ".join(value for one in parameters.get("Filters", ()) for value in one["Values"])
