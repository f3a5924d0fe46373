"""What watches the endpoints: dashboards, and alarms besides the one on server errors."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from generator.settings_section import Section

SECONDS_AN_HOUR: Final = 3600
MOST_IDLE_HOURS: Final = 168
"""An alarm whose period is an hour or longer looks back over seven days at most: "Period multiplied
by EvaluationPeriods can't be more than 604,800 seconds" (CloudWatch API reference,
PutMetricAlarm)."""
ANSWER_MILLISECONDS: Final = 60_000
"""A model must answer within 60 seconds (SageMaker Runtime API reference, InvokeEndpoint): no
latency is longer."""


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
