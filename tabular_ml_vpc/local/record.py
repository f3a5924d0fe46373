"""The record of a run: the run itself, its steps and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline.types import Json


class Status(StrEnum):
    """The status of a step or a run, in the service's terms ("API_PipelineExecutionStep")."""

    EXECUTING = "Executing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


@dataclass(frozen=True)
class Gate:
    """An evaluated condition: its left and right values, and the outcome."""

    comparison: str
    left: Any
    right: Any
    outcome: bool
    name: str = "value"
    """The name of the left value: a parameter, or the gate's metric."""


@dataclass
class StepRecord:
    """One step that has started. Times are UTC; `log` is the file that its process writes."""

    name: str
    kind: str
    started: datetime
    status: Status = Status.EXECUTING
    ended: datetime | None = None
    failure_reason: str = ""
    metadata: Json = field(default_factory=dict)
    description: Json = field(default_factory=dict)
    gates: list[Gate] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    """What a job used: `cpu_seconds`, and `peak_bytes` of its largest process."""
    log: Path | None = None

    @property
    def decisive(self) -> list[Gate]:
        """The first comparison of a condition, and all comparisons that failed."""
        return [gate for number, gate in enumerate(self.gates) if not number or not gate.outcome]

    @property
    def seconds(self) -> float:
        """Seconds from the step's start to its end, or to now."""
        return ((self.ended or now()) - self.started).total_seconds()

    def as_json(self) -> Json:
        """The step as plain JSON; `metadata` is what ListPipelineExecutionSteps returns."""
        return {
            "name": self.name,
            "type": self.kind,
            "status": str(self.status),
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "seconds": round(self.seconds, 3),
            "reason": self.failure_reason or None,
            "metadata": self.metadata,
            "metrics": self.metrics,
            "log": str(self.log) if self.log else None,
        }


@dataclass
class ExecutionRecord:
    """One run of a pipeline; `parameters` are all parameters with the values that it used."""

    id: str
    arn: str
    pipeline_name: str
    parameters: Json
    started: datetime
    status: Status = Status.EXECUTING
    ended: datetime | None = None
    failure_reason: str = ""
    refused: bool = False
    """A `Fail` step ended the run: a decision of the pipeline, not a crash."""
    steps: list[StepRecord] = field(default_factory=list)

    def step(self, name: str) -> StepRecord | None:
        """The step with this name, if it has started."""
        return next((step for step in self.steps if step.name == name), None)

    def compared_by(self, condition: str) -> list[Gate]:
        """The decisive comparisons of the condition with this name."""
        step = self.step(condition)
        return step.decisive if step else []

    @property
    def seconds(self) -> float:
        """Seconds from the run's start to its end, or to now."""
        return ((self.ended or now()) - self.started).total_seconds()

    def as_json(self) -> Json:
        """The run as plain JSON."""
        return {
            "id": self.id,
            "arn": self.arn,
            "status": str(self.status),
            "parameters": self.parameters,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "seconds": round(self.seconds, 3),
            "reason": self.failure_reason or None,
            "refused": self.refused,
            "steps": [step.as_json() for step in self.steps],
        }


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)
