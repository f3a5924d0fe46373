"""Waiting that ends before Lambda's timeout, so that CloudFormation always gets a response."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.shared.errors import ResourceError

if TYPE_CHECKING:
    from functions.shared.custom_resource import LambdaContext


@dataclass(frozen=True)
class Deadline:
    """The function's remaining time in seconds, and how it sleeps."""

    remaining_seconds: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def check(self, failure: str) -> None:
        """Raise ``ResourceError(failure)`` if time has run out."""
        if self.remaining_seconds() <= 0:
            raise ResourceError(failure)

    def wait(self, done: Callable[[], bool], poll_seconds: float, failure: str) -> None:
        """Return when ``done()`` is true; raise ``ResourceError(failure)`` if time runs out."""
        while not done():
            if self.remaining_seconds() <= poll_seconds:
                raise ResourceError(failure)
            self.sleep(poll_seconds)


def deadline_of(context: LambdaContext, margin_seconds: float) -> Deadline:
    """Return a deadline that is this long before Lambda's timeout."""

    def remaining_seconds() -> float:
        return context.get_remaining_time_in_millis() / 1000 - margin_seconds

    return Deadline(remaining_seconds)
