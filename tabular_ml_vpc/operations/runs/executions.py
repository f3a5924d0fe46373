"""Executions of the deployed pipeline and their steps, as SageMaker describes them.

Source: "API_DescribePipelineExecution" and "API_PipelineExecutionStep", SageMaker API Reference.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from pipeline.types import JsonView
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target, code_of
from tabular_ml_vpc.operations.workload import Workload

RunObserver = Callable[["Execution"], None]

LATEST: Final = "latest"
RUNNING: Final = frozenset({"Executing", "Stopping"})
_JOBS: Final = ("ProcessingJob", "TrainingJob")
_MADE: Final = (*_JOBS, "Model", "RegisterModel", "EndpointConfig", "Endpoint")
_DECIDED: Final = ("Condition", "Fail")
_ABSENT: Final = frozenset({"ResourceNotFound", "ValidationException"})
_IDS: Final = 200
"""How many of the newest executions are searched for an id."""


@dataclass(frozen=True)
class StepProgress:
    """One step that has started; times are UTC. `made` is the ARN of its job or resource."""

    name: str
    kind: str
    status: str
    started: datetime
    ended: datetime | None
    reason: str
    made: str
    outcome: str

    @property
    def seconds(self) -> float:
        """Seconds from its start to its end, or to now."""
        return ((self.ended or now()) - self.started).total_seconds()

    @property
    def made_name(self) -> str:
        """The name of its job or resource; empty if it created none."""
        return self.made.rpartition("/")[2]

    @property
    def job(self) -> str:
        """The name of its job; empty if it has none."""
        return self.made_name if self.kind in _JOBS else ""


@dataclass(frozen=True)
class Execution:
    """One execution; `display` is the name that it was started with."""

    arn: str
    display: str
    status: str
    started: datetime
    changed: datetime
    reason: str
    steps: tuple[StepProgress, ...] = ()

    @property
    def id(self) -> str:
        """The last part of its ARN, which people use as its name."""
        return self.arn.rpartition("/")[2]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status in RUNNING

    @property
    def seconds(self) -> float:
        """Seconds from its start to its end, or to now."""
        until = now() if self.running else self.changed
        return (until - self.started).total_seconds()

    @property
    def refused(self) -> bool:
        """Whether the gate rejected the model: a decision of the pipeline, not a crash."""
        return any(step.kind == "Fail" for step in self.steps)

    @property
    def failed_step(self) -> StepProgress | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.status == "Failed"), None)

    def step(self, name: str) -> StepProgress | None:
        """The step with this name, if it has started."""
        return next((step for step in self.steps if step.name == name), None)

    def made(self, kind: str) -> StepProgress | None:
        """The successful step that created something of a kind, such as `Endpoint`."""
        steps = (step for step in self.steps if step.kind == kind and step.status == "Succeeded")
        return next(steps, None)


@dataclass(frozen=True)
class DeployedPipeline:
    """A deployed pipeline of a stack."""

    target: Target
    workload: Workload

    def options(self) -> str:
        """The options that give another command the same pipeline."""
        return self.workload.options()

    @property
    def name(self) -> str:
        """Its name; raises `CommandError` where the stack has none yet."""
        if self.workload.pipeline is None:
            options = self.target.options()
            named = f" {self.workload.name}" if self.workload.several else ""
            raise CommandError(
                f"{self.target.stack} has no pipeline{named}: `python build.py status{options}` "
                "says how it stands"
            )
        return self.workload.pipeline

    @property
    def _client(self) -> Any:
        return self.target.client("sagemaker")

    @cached_property
    def definition(self) -> dict[str, Any]:
        """Its deployed definition."""
        found = self._client.describe_pipeline(PipelineName=self.name)
        return dict(json.loads(found["PipelineDefinition"]))

    def start(self, parameters: Mapping[str, Any], display: str | None) -> str:
        """Start an execution; return its ARN. The parameters have their declared types."""
        given = [{"Name": name, "Value": _text(value)} for name, value in parameters.items()]
        named = {"PipelineExecutionDisplayName": display} if display else {}
        answer = self._client.start_pipeline_execution(
            PipelineName=self.name,
            PipelineParameters=given,
            ClientRequestToken=f"build-py-{uuid.uuid4()}",
            **named,
        )
        return str(answer["PipelineExecutionArn"])

    def stop(self, arn: str) -> None:
        """Request that an execution stop; raises `CommandError` if it is not in progress."""
        try:
            self._client.stop_pipeline_execution(
                PipelineExecutionArn=arn, ClientRequestToken=f"build-py-{uuid.uuid4()}"
            )
        except ClientError as error:
            if code_of(error) == "ConflictException":
                identity = arn.rpartition("/")[2]
                raise CommandError(f"execution {identity} is not in progress") from error
            raise

    def newest(self, limit: int) -> list[Execution]:
        """The newest executions, newest first, without their steps."""
        return [_summary(found) for found in self.workload.executions(limit)] if self.name else []

    def find(self, text: str) -> str:
        """The ARN of an execution, given its id, its ARN, or `latest`.

        Raises:
            UsageError: there is no such execution.

        """
        if text.startswith("arn:"):
            return text
        executions = self.newest(1 if text == LATEST else _IDS)
        for execution in executions:
            if text in (LATEST, execution.id):
                return execution.arn
        if text == LATEST:
            raise CommandError(
                f"the pipeline {self.name} has no runs yet: start one with `python build.py run"
                f"{self.options()}`"
            )
        raise _unknown(text, executions)

    def owns(self, text: str) -> str | None:
        """The ARN of an execution of this pipeline, given its id or its ARN; None if it is not."""
        name = self.workload.pipeline
        if name is None:
            return None
        if text.startswith("arn:"):  # SageMaker writes the name in small letters
            return text if f":pipeline/{name.lower()}/" in text.lower() else None
        return next((run.arn for run in self.newest(_IDS) if run.id == text), None)

    def read(self, arn: str) -> Execution:
        """An execution with its steps, in the order in which they started."""
        try:
            found = self._client.describe_pipeline_execution(PipelineExecutionArn=arn)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                raise UsageError(f"ID: unknown execution {arn!r}") from None
            raise
        steps = [_step(step) for step in self.workload.steps(arn) if step.get("StartTime")]
        ordered = tuple(sorted(steps, key=lambda step: step.started))
        return _execution(found, found["CreationTime"], ordered)

    def parameters(self, arn: str) -> dict[str, str]:
        """All parameters of an execution with the values that it used, as text."""
        return self._values(arn, self._declared(arn))

    def typed_parameters(self, arn: str) -> dict[str, Any]:
        """All parameters of an execution with the values that it used, in their types."""
        declared = self._declared(arn)
        types = {item["Name"]: item["Type"] for item in declared}
        return {
            name: _typed(text, types.get(name, "String"))
            for name, text in self._values(arn, declared).items()
        }

    def _declared(self, arn: str) -> list[dict[str, Any]]:
        described = self._client.describe_pipeline_definition_for_execution(
            PipelineExecutionArn=arn
        )
        return list(json.loads(described["PipelineDefinition"]).get("Parameters", []))

    def _values(self, arn: str, declared: list[dict[str, Any]]) -> dict[str, str]:
        values = {item["Name"]: _text(item.get("DefaultValue")) for item in declared}
        pages = self._client.get_paginator("list_pipeline_parameters_for_execution")
        for page in pages.paginate(PipelineExecutionArn=arn):
            values |= {item["Name"]: item["Value"] for item in page["PipelineParameters"]}
        return values

    def follow(
        self, arn: str, observe: RunObserver, sleep: Callable[[float], None] = time.sleep
    ) -> Execution:
        """Poll an execution until it has ended; return its final state."""
        while True:
            found = self.read(arn)
            observe(found)
            if not found.running:
                return found
            sleep(2 * self.target.poll_seconds)


def _unknown(text: str, executions: Sequence[Execution]) -> UsageError:
    known = ", ".join(execution.id for execution in executions[:3]) or "none"
    return UsageError(f"ID: unknown execution {text!r}; the newest executions are: {known}")


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _typed(text: str, kind: str) -> Any:
    """A parameter's text as a value of its type, one of those of "Pipeline Parameters"."""
    if kind == "Boolean":
        return text.lower() == "true"
    return {"Integer": int, "Float": float}.get(kind, str)(text)


def _summary(found: JsonView) -> Execution:
    return _execution(found, found["StartTime"], ())


def _execution(found: JsonView, started: datetime, steps: tuple[StepProgress, ...]) -> Execution:
    return Execution(
        arn=found["PipelineExecutionArn"],
        display=found.get("PipelineExecutionDisplayName", ""),
        status=found["PipelineExecutionStatus"],
        started=started.astimezone(UTC),
        changed=found.get("LastModifiedTime", started).astimezone(UTC),
        reason=found.get("FailureReason") or found.get("PipelineExecutionFailureReason") or "",
        steps=steps,
    )


def _step(found: JsonView) -> StepProgress:
    metadata = found.get("Metadata", {})
    kind = next((name for name in (*_MADE, *_DECIDED) if name in metadata), "")
    about = metadata.get(kind, {})
    ended = found.get("EndTime")
    return StepProgress(
        name=found["StepName"],
        kind=kind,
        status=found["StepStatus"],
        started=found["StartTime"].astimezone(UTC),
        ended=ended.astimezone(UTC) if ended else None,
        reason=found.get("FailureReason") or about.get("ErrorMessage") or "",
        made=about.get("Arn", ""),
        outcome=about.get("Outcome", ""),
    )


def open_pipeline(target: Target, name: str | None) -> DeployedPipeline:
    """The pipeline of the target's stack that was named, or its only one.

    Raises:
        CommandError: there is no stack.
        UsageError: there is no such pipeline, or there are several and none was named.

    """
    return DeployedPipeline(target, Workload.of(target, stacks.need(target), name))


def open_pipelines(target: Target, name: str | None) -> list[DeployedPipeline]:
    """The pipeline that was named, or all of them; raises as `open_pipeline` does."""
    workloads = Workload.chosen(target, stacks.need(target), name)
    return [DeployedPipeline(target, workload) for workload in workloads]


def find_run(target: Target, name: str | None, run: str) -> tuple[DeployedPipeline, str]:
    """A run by its id or its ARN, of whichever pipeline, with that pipeline; or the latest of one.

    Raises:
        CommandError: there is no stack, or the pipeline has no runs.
        UsageError: there is no such run or pipeline, or it is not clear which pipeline is meant.

    """
    if run == LATEST:
        pipeline = open_pipeline(target, name)
        return pipeline, pipeline.find(run)
    found = open_pipelines(target, name)
    if len(found) == 1:
        return found[0], found[0].find(run)
    for pipeline in found:
        if arn := pipeline.owns(run):
            return pipeline, arn
    newest = [one for pipeline in found if pipeline.workload.pipeline for one in pipeline.newest(1)]
    raise _unknown(run, sorted(newest, key=lambda one: one.started, reverse=True))
