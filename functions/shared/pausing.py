"""How a paused endpoint is remembered; the function and the command line pause the same way.

A paused endpoint is deleted. Its configuration, which costs nothing, stays with a tag whose value
is when it was paused; the newest such tag says what to create again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

PAUSED_TAG: Final = "tabular-ml-vpc:paused"
"""Tag of the configuration that served; its value is when it was paused."""
IN_PROGRESS: Final = frozenset({"Executing", "Stopping"})
"""States of an execution that may still deploy to the endpoint."""
IN_SERVICE: Final = "InService"
FAILED: Final = "Failed"
DELETING: Final = "Deleting"


def stamp(time: datetime) -> str:
    """Return a time in UTC as the tag has it; these texts sort by time."""
    return time.isoformat(timespec="seconds")
