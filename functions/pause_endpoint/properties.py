"""Properties of the function that pauses and resumes endpoints, as its rules pass them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.shared.errors import PropertyError

PAUSE: Final = "pause"
RESUME: Final = "resume"
RESUMED: Final = "resumed"
ACTIONS: Final = (PAUSE, RESUME, RESUMED)


@dataclass(frozen=True, kw_only=True)
class PauseEndpointProperties:
    """One pipeline's endpoint, and what to do; the template makes a rule's input of it.

    ``owner`` is the value of the tag ``OWNER_TAG``. ``time`` is when EventBridge sent the event
    (``$.time``, "AWS service event metadata"), with its offset from UTC. ``action`` is ``pause``,
    ``resume`` or, of an endpoint that serves (again), ``resumed``. ``pipeline_name`` is given if
    runs deploy: a run in progress then keeps the endpoint from being paused.
    """

    endpoint_name: str
    owner: str
    action: str
    time: str
    pipeline_name: str = ""

    def __post_init__(self) -> None:
        """Refuse an action that nobody knows, and what is not a time."""
        if self.action not in ACTIONS:
            raise PropertyError(
                f"property Action is {self.action!r}, but must be one of {', '.join(ACTIONS)}"
            )
        if self.sent.tzinfo is None:
            raise PropertyError(f"property Time is {self.time!r}, but must say its offset from UTC")

    @property
    def sent(self) -> datetime:
        """When EventBridge sent the event.

        Raises:
            PropertyError: it is not a time of ISO 8601.

        """
        try:
            return datetime.fromisoformat(self.time)
        except ValueError:
            raise PropertyError(
                f"property Time is {self.time!r}, but must be a time such as 2026-01-31T18:00:00Z"
            ) from None
