"""Waiting that ends before Lambda does, so that CloudFormation always gets an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from functions.shared.errors import ResourceError


@dataclass(frozen=True)
class Deadline:
    """How long the function may still work, in seconds, and how it sleeps."""

    remaining_seconds: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def check(self, failure: str) -> None:
        """Raise ``ResourceError(failure)`` if the time is up."""
        if self.remaining_seconds() <= 0:
            raise ResourceError(failure)

    def wait(self, done: Callable[[], bool], poll_seconds: float, failure: str) -> None:
        """Return when ``done()`` is true; raise ``ResourceError(failure)`` if time runs out."""
        while not done():
            if self.remaining_seconds() <= poll_seconds:
                raise ResourceError(failure)
            self.sleep(poll_seconds)
