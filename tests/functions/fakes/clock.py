"""Time that passes only when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds since the beginning, and what happens when some have passed."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    _due: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let time pass and do what falls due, each at its time."""
        self.slept.append(seconds)
        until = self.now + seconds
        while due := [one for one in self._due if one[0] <= until]:
            at, do = min(due, key=lambda one: one[0])
            self._due.remove((at, do))
            self.now = max(self.now, at)
            do()
        self.now = max(self.now, until)

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something when some seconds have passed."""
        self._due.append((self.now + seconds, do))
