"""What the function reads before it decides, and the steps that it can decide on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

CHECK: Final = "drift-"
"""Begins the display names of drift checks, and of the runs that start because of one."""
QUALITY_CHECK: Final = "quality-"
"""Begins the display names of quality checks."""
NEW_DATA: Final = "new-data-"
"""Begins the display names of runs that start because of a new table."""
SUCCEEDED: Final = "Succeeded"
_BUSY: Final = frozenset({"Executing", "Stopping"})
_NAME: Final = re.compile(rf"{CHECK}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}Z")
_QUALITY_NAME: Final = re.compile(rf"{QUALITY_CHECK}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}")
_OUTCOME: Final = re.compile(
    r"Drifted columns: ([0-9]+)|Drift is unknown|Quality: |Quality is unknown"
)
"""Begins the description of a check whose metrics were published."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """An execution as "API_PipelineExecutionSummary" describes it."""

    arn: str
    status: str
    started: datetime
    name: str = ""
    """Its display name."""
    description: str = ""

    @property
    def is_busy(self) -> bool:
        """Tell whether it has not ended."""
        return self.status in _BUSY

    @property
    def is_check(self) -> bool:
        """Tell whether it is a drift check, or a run because of one."""
        return bool(_NAME.fullmatch(self.name))

    @property
    def is_quality_check(self) -> bool:
        """Tell whether it measures answers by labels that came later."""
        return bool(_QUALITY_NAME.fullmatch(self.name))

    @property
    def is_published(self) -> bool:
        """Tell whether a check's metrics were published."""
        return bool(_OUTCOME.match(self.description))

    @property
    def found_drift(self) -> bool:
        """Tell whether a published check found a column that drifted."""
        found = _OUTCOME.match(self.description)
        return bool(found and int(found[1] or 0))


@dataclass(frozen=True, kw_only=True)
class Table:
    """The object from which runs read by default."""

    changed: datetime
    etag: str
    seeded: bool
    """Whether it is the synthetic table that comes with a deployment."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that the decision depends on, read at ``now``; executions come newest first."""

    now: datetime
    runs: tuple[Execution, ...] = ()
    checks: tuple[Execution, ...] = ()
    """Executions of the pipeline of predictions that check for drift."""
    quality_checks: tuple[Execution, ...] = ()
    """Those that measure answers."""
    table: Table | None = None


@dataclass(frozen=True)
class Publish:
    """Publish the metrics of a check that succeeded, and record in its description that it was."""

    check: Execution


@dataclass(frozen=True)
class StartCheck:
    """Check the requests that were captured in ``folder``, a time such as ``2026/11/27/``.

    With labels, the answers are measured; otherwise, the requests are checked for drift.
    """

    name: str
    folder: str
    with_labels: bool = False


@dataclass(frozen=True)
class StartRun:
    """Start a run with default parameters; the same ``token`` starts no second one."""

    name: str
    reason: str
    token: str


Step: TypeAlias = Publish | StartCheck | StartRun
Steps: TypeAlias = tuple[Step, ...]
