"""Every call of a function to AWS: in time, within its own operation, and named when it fails.

Hooks in botocore's events, so that nothing that a function calls is left out, pages of a listing
and parts of an upload included:

- before each call, the deadline is checked, and before each write, whether the stack is still in
  the operation that sent the event (:mod:`functions.shared.operation`);
- throttling is no failure but waiting: a call is repeated until the deadline, however many there
  were before it. botocore alone gives up after five attempts, and after some hundred repetitions
  in all ("Retry behavior", AWS SDKs and Tools Reference Guide);
- what is being called is remembered, for the reason of a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
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
    """The calls for one event; ``before_write`` raises if nothing may be written any more."""

    deadline: Deadline
    before_write: Callable[[], None] = lambda: None
    current: str = field(default="", init=False)
    """The latest call and what it is about, such as ``DeleteModel pipelines-x``."""
    _latest: dict[str, str] = field(default_factory=dict, init=False)

    def watch(self, client: Any) -> Any:
        """Put the hooks on a client, in the place of those of an earlier event; return it."""
        hooks = {
            "provide-client-params.*.*": self._remember,
            "before-call.*.*": self._check,
            "needs-retry.*.*": self._wait_if_throttled,
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
        """Return the latest call of an operation, or of any, and what it was about."""
        return self._latest.get(operation or "", self.current)

    def _check(self, model: Any, **_: object) -> None:
        """Raise if nothing may be called; what leaves nothing behind may always be."""
        if model.name == _CLEANS_UP:
            return
        self.deadline.check(
            f"The time was up before {self.current}. Repeat the operation: it goes on where it "
            "stopped."
        )
        if not model.name.startswith(_READS):
            self.before_write()

    def _wait_if_throttled(self, response: Any, attempts: int, **_: object) -> float | None:
        """Return for how long to wait, in seconds, or nothing, which leaves it to botocore."""
        parsed = response[1] if response else {}
        if parsed.get("Error", {}).get("Code") not in THROTTLED:
            return None
        pause = min(2.0 ** min(attempts, 10) / 2, _LONGEST_PAUSE)
        if self.deadline.remaining_seconds() <= pause:
            return None
        LOG.info("%s was throttled: again in %.0f s", self.current, pause)
        return pause


def subject(parameters: Mapping[str, Any]) -> str:
    """Return what a call is about, by its parameters: a name, an ARN, an object's address."""
    if "Bucket" in parameters:
        key = f"/{parameters['Key']}" if "Key" in parameters else ""
        return f"s3://{parameters['Bucket']}{key}"
    for ending in _SUBJECTS:
        for name, value in parameters.items():
            if name.endswith(ending) and isinstance(value, str):
                return value
    return ""
