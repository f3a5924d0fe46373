"""Decide what to start and to publish from what is there; what woke the function decides nothing.

The state is in the executions: a check's display name says which hours it covers, and its
description what it found once that was published. All of this is pure, so that repeated, lost and
reordered events do no harm.

Sources: SageMaker developer guide, "Capture data from real-time endpoint" (the layout by hours, in
UTC); "API_StartPipelineExecution".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from functions.watch_model.state import (
    CHECK,
    NEW_DATA,
    QUALITY_CHECK,
    SUCCEEDED,
    Execution,
    Publish,
    Snapshot,
    StartCheck,
    StartRun,
    Steps,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.watch_model.properties import WatchModelProperties

LATE: Final = timedelta(minutes=15)
"""How long after an hour its last requests may be written."""
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
"""By how much an object may be younger than S3 says: it drops fractions."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decide(snapshot: Snapshot, properties: WatchModelProperties) -> Steps:
    """Return the next steps."""
    return (
        *_about_drift(snapshot, properties),
        *_about_quality(snapshot, properties),
        *_about_runs(snapshot, properties),
    )


def newest_check(now: datetime, hours: int) -> StartCheck:
    """Return the check of the last ``hours`` that are over, which begin at multiples in UTC.

    One prefix of data capture names an hour or a day. A check every hour therefore reads the last
    hour, and any other one the day in which its last hour is: what was captured since midnight,
    or the whole last day if it comes after midnight.
    """
    length = timedelta(hours=hours)
    ended = _EPOCH + (now - LATE - _EPOCH) // length * length
    last = ended - _HOUR
    folder = f"{last:%Y/%m/%d/%H/}" if hours == 1 else f"{last:%Y/%m/%d/}"
    return StartCheck(f"{CHECK}{ended:%Y-%m-%dT%HZ}", folder)


def newest_quality_check(now: datetime, days: int) -> StartCheck:
    """Return the check of the day that ended ``days`` days ago, in UTC."""
    day = now - LATE - timedelta(days=days + 1)
    return StartCheck(f"{QUALITY_CHECK}{day:%Y-%m-%d}", f"{day:%Y/%m/%d/}", with_labels=True)


def _about_drift(snapshot: Snapshot, properties: WatchModelProperties) -> Steps:
    if not properties.drift_hours:
        return ()
    return _about_checks(snapshot.checks, newest_check(snapshot.now, properties.drift_hours))


def _about_quality(snapshot: Snapshot, properties: WatchModelProperties) -> Steps:
    if not properties.quality_days:
        return ()
    due = newest_quality_check(snapshot.now, properties.quality_days)
    return _about_checks(snapshot.quality_checks, due)


def _about_checks(checks: Sequence[Execution], due: StartCheck) -> Steps:
    """Publish what checks of one kind found, and start the one that is due."""
    found = [
        Publish(one) for one in reversed(checks) if one.status == SUCCEEDED and not one.is_published
    ]
    known = any(one.name == due.name or one.is_busy for one in checks)
    return (*found, *(() if known else (due,)))


def _about_runs(snapshot: Snapshot, properties: WatchModelProperties) -> Steps:
    """Start one run at most, and none beside another one."""
    if any(run.is_busy for run in snapshot.runs):
        return ()
    found = _for_new_data(snapshot, properties) or _for_drift(snapshot, properties)
    return (found,) if found else ()


def _for_new_data(snapshot: Snapshot, properties: WatchModelProperties) -> StartRun | None:
    """Start a run if the table is newer than the last run, and was left alone for a while."""
    table = snapshot.table
    if not properties.new_data_minutes or table is None or table.seeded:
        return None
    if snapshot.runs and snapshot.runs[0].started >= table.changed + _SECOND:
        return None
    if snapshot.now - table.changed < timedelta(minutes=properties.new_data_minutes):
        return None
    name = f"{NEW_DATA}{table.changed:%Y-%m-%dT%H-%M-%SZ}"
    return StartRun(name, f"New data: {properties.table_key}", f"{name} {table.etag}")


def _for_drift(snapshot: Snapshot, properties: WatchModelProperties) -> StartRun | None:
    """Start a run if the newest check found drift, once for each check, and not too often."""
    if not properties.drift_cooldown_hours:
        return None
    check = next((one for one in snapshot.checks if one.is_published), None)
    if check is None or not check.found_drift:
        return None
    last = _last_because_of_drift(snapshot)
    cooldown = timedelta(hours=properties.drift_cooldown_hours)
    if last and (last.started >= check.started or snapshot.now - last.started < cooldown):
        return None
    return StartRun(check.name, check.description, f"{check.name} {check.arn}")


def _last_because_of_drift(snapshot: Snapshot) -> Execution | None:
    return next((run for run in snapshot.runs if run.is_check), None)
