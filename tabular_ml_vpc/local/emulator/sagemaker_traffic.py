"""What serves an endpoint's configuration, and how its requests are split during an update."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tabular_ml_vpc.local.emulator.sagemaker_store import Record
from tabular_ml_vpc.local.emulator.types import Fields
from tabular_ml_vpc.local.serving import EndpointResponse

ROUNDING = 1e-9


class Fleet(Protocol):
    """The instances that serve one configuration of an endpoint."""

    @property
    def variant(self) -> str:
        """The name of the production variant."""

    def invoke(self, body: bytes, content_type: str, accept: str) -> EndpointResponse:
        """Answer one request; raises `LocalJobError`."""

    def stop(self) -> None:
        """Stop the instances."""


class Launcher(Protocol):
    """Launches fleets."""

    def takes_time(self, config: Fields) -> bool:
        """Whether a launch with this endpoint configuration takes a noticeable time."""

    def launch(self, record: Record, config: Fields) -> Fleet:
        """Launch a fleet for an endpoint, and wait until it is ready.

        Raises `ApiError` or one of `sagemaker_jobs.FAILURES`.
        """


class Traffic:
    """The requests of one endpoint: an even split, and no fleet stops while it answers one."""

    def __init__(self, fleet: Fleet) -> None:
        """All requests go to one fleet at first."""
        self.fleet = fleet
        self._new = fleet
        self._share = self._due = 0.0
        self._requests = Counter[int]()
        self._changed = threading.Condition()

    def shift(self, new: Fleet, share: float) -> None:
        """Let a new fleet take a share of the requests, from 0 to 1."""
        with self._changed:
            self._new, self._share, self._due = new, share, 0.0

    def settle(self, fleet: Fleet) -> None:
        """Let one fleet take all requests from now on."""
        with self._changed:
            self.fleet = self._new = fleet

    @contextmanager
    def request(self) -> Iterator[Fleet]:
        """Give the fleet for one request, which cannot stop meanwhile."""
        with self._changed:
            fleet = self._next()
            self._requests[id(fleet)] += 1
        try:
            yield fleet
        finally:
            with self._changed:
                self._requests[id(fleet)] -= 1
                self._changed.notify_all()

    def stop(self, fleet: Fleet) -> None:
        """Stop a fleet that takes no requests any more, after those that it answers now."""
        with self._changed:
            self._changed.wait_for(lambda: not self._requests[id(fleet)])
        fleet.stop()

    def _next(self) -> Fleet:
        self._due += self._share
        if self._due + ROUNDING < 1:
            return self.fleet
        self._due -= 1
        return self._new
