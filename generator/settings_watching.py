"""What watches the endpoints: dashboards, and alarms besides the one on server errors."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from generator.settings_section import Section
from generator.settings_serving import Serving

SECONDS_AN_HOUR: Final = 3600
MOST_IDLE_HOURS: Final = 168
"""An alarm whose period is an hour or longer looks back over seven days at most: "Period multiplied
by EvaluationPeriods can't be more than 604,800 seconds" (CloudWatch API reference,
PutMetricAlarm)."""
ANSWER_MILLISECONDS: Final = 60_000
"""A model must answer within 60 seconds (SageMaker Runtime API reference, InvokeEndpoint): no
latency is longer."""

MOST_DRIFT_HOURS: Final = 168
MOST_QUALITY_DAYS: Final = 365
HOURS_A_DAY: Final = 24


class WatchingSettings(Section):
    """What watches each pipeline's endpoint (docs/watching.md)."""

    dashboard: bool = Field(default=False, strict=True)
    """Whether each pipeline has a CloudWatch dashboard: requests and errors, latency, CPU, memory
    and disk of its endpoint, the alarms, the dead-letter queue, and the commands to run. Each costs
    3 USD a month; the first three of an account are free."""
    idle_hours: int = Field(default=0, ge=0, le=MOST_IDLE_HOURS, strict=True)
    """Hours without a request after which the alert topic reports an endpoint, which costs as much
    as a busy one; at most 168, a week, over which an alarm can look back. 0: never. A paused
    endpoint is not reported."""
    latency_milliseconds: int = Field(default=0, ge=0, lt=ANSWER_MILLISECONDS, strict=True)
    """The longest time, in milliseconds, in which the model may answer 99 of 100 requests; the
    alert topic reports an endpoint that is slower in three of five minutes. 0: no alarm."""
    drift_hours: int = Field(default=0, ge=0, le=MOST_DRIFT_HOURS, strict=True)
    """Hours between two checks of captured requests for drift from the training data; the alert
    topic reports what drifted. A check reads the last hour (1), or the day so far (2, 3, 4, 6, 8,
    12), or the last whole day (24, 48, 72, 96, 120, 144, 168). 0: never. Needs
    serving.capture_percent and pipeline.predictions; each check is a processing job."""

    quality_days: int = Field(default=0, ge=0, le=MOST_QUALITY_DAYS, strict=True)
    """Days after which the labels of a day's requests are known: the answers of each day are then
    measured by the labels in raw/_labels/, joined by an identifier; the alert topic reports a
    quality below the gate's threshold (docs/watching.md). 0: never. Needs serving.capture_percent,
    pipeline.predictions, and fewer days than storage.captured_days."""

    @property
    def checks(self) -> bool:
        """Whether captured requests are checked."""
        return bool(self.drift_hours or self.quality_days)

    @field_validator("drift_hours")
    @classmethod
    def _divides_days(cls, hours: int) -> int:
        if hours and HOURS_A_DAY % hours and hours % HOURS_A_DAY:
            raise ValueError(
                "must be 0, 1, 2, 3, 4, 6, 8, 12 or 24, or whole days in hours up to "
                f"{MOST_DRIFT_HOURS}: requests are stored by day and hour"
            )
        return hours


def check_watching(
    watching: WatchingSettings, serving: Serving, captured_days: int, *, predictions: bool
) -> None:
    """Refuse checks of requests that nobody stores any more, or without what checks them.

    Raises:
        ValueError: names the setting, the value and what it needs.

    """
    if serving.asynchronous:
        _check_asynchronous(watching)
    for name in ("drift_hours", "quality_days"):
        value = getattr(watching, name)
        if value and not serving.captures:
            raise ValueError(
                f"watching.{name}: got {value}: needs serving.capture_percent of at least 1; a "
                "check reads captured requests"
            )
        if value and not predictions:
            raise ValueError(
                f"watching.{name}: got {value}: needs pipeline.predictions = true; the pipeline "
                "of batch predictions makes the checks"
            )
    if watching.quality_days >= captured_days:
        raise ValueError(
            f"watching.quality_days: got {watching.quality_days}: must be less than "
            f"storage.captured_days ({captured_days}), after which captured requests expire"
        )


def _check_asynchronous(watching: WatchingSettings) -> None:
    """Refuse what needs a metric, or captured requests, of an endpoint that answers at once."""
    unwanted = {
        "idle_hours": "an asynchronous endpoint without requests has no instance",
        "drift_hours": "requests to an asynchronous endpoint are not captured",
        "quality_days": "requests to an asynchronous endpoint are not captured",
    }
    for name, why in unwanted.items():
        if value := getattr(watching, name):
            raise ValueError(
                f"watching.{name}: got {value}: must be 0 with serving.asynchronous = true: {why}"
            )
