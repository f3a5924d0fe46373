"""Whether the stack is still in the operation that sent an event.

Lambda redelivers an event after a crash or a timeout, and a function that ran out of time may
continue after its response was sent. By then the stack may have rolled back, and nothing would own
what the function creates. Source: Lambda developer guide, "Asynchronous invocation".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from functions.shared.errors import ResourceError

CREATES: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"})
UPDATES: Final = frozenset({"UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"})
_ACTS_IN: Final = {"Create": CREATES, "Update": UPDATES}
_KNOWN_FOR_SECONDS: Final = 2.0
"""How long a status is cached: a multipart upload writes many times a second."""


@dataclass
class Operation:
    """The operation of a stack that sent a Create or an Update.

    ``status`` reads the stack's status, ``answered`` tells whether a response was sent to
    CloudFormation, and ``remaining_seconds`` is the function's clock.
    """

    kind: str
    status: Callable[[], str]
    answered: Callable[[], bool]
    remaining_seconds: Callable[[], float]
    _began_in: str = field(default="", init=False)
    _read_at: float = field(default=0.0, init=False)

    def check(self) -> None:
        """Raise ``ResourceError`` if the stack is no longer in the operation."""
        if self.answered():
            raise ResourceError(
                "A response to this event was already sent; nothing more was changed."
            )
        if self.kind not in _ACTS_IN:
            return
        if self._began_in and self._read_at - self.remaining_seconds() < _KNOWN_FOR_SECONDS:
            return
        status = self.status()
        if status not in ({self._began_in} if self._began_in else _ACTS_IN[self.kind]):
            raise ResourceError(
                f"This {self.kind} came too late: the stack is {status}. Nothing more was changed."
            )
        self._began_in, self._read_at = status, self.remaining_seconds()
