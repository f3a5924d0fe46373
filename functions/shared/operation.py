"""Whether the stack is still in the operation that sent an event.

Lambda delivers an event again after a crash or a timeout, and a function whose time is up may go on
after it was answered for. By then the stack may have rolled back: what is made then is owned by
nobody. Source: Lambda developer guide, "Asynchronous invocation".
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
"""A status is this old at most: uploads in parts write many times a second."""


@dataclass
class Operation:
    """The operation of a stack that sent a Create or an Update.

    ``status`` reads the stack's status, ``answered`` tells whether CloudFormation was answered,
    ``remaining_seconds`` is the function's clock.
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
            raise ResourceError("The event was answered already: nothing more is changed.")
        if self.kind not in _ACTS_IN:
            return
        if self._began_in and self._read_at - self.remaining_seconds() < _KNOWN_FOR_SECONDS:
            return
        status = self.status()
        if status not in ({self._began_in} if self._began_in else _ACTS_IN[self.kind]):
            raise ResourceError(
                f"This {self.kind} came too late: the stack is {status}. Nothing more is changed."
            )
        self._began_in, self._read_at = status, self.remaining_seconds()
