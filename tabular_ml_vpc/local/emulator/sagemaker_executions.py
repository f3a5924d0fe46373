"""Real executions of an emulated pipeline: the local runner on top of the emulated SageMaker.

Each step is a call of the same API, with the permissions of the pipeline's role, and its job or
endpoint is a real process (`sagemaker_jobs.py`, `sagemaker_endpoints.py`). The gate's property file
is read with the pipeline's role, as the service does. A change of status is an event: "SageMaker
pipeline execution status change", SageMaker developer guide.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge

from generator.errors import UsageError
from pipeline import requests
from tabular_ml_vpc.local import execution
from tabular_ml_vpc.local.emulator import sagemaker_access
from tabular_ml_vpc.local.emulator.job_store import RoleStore
from tabular_ml_vpc.local.emulator.sagemaker_jobs import Jobs, in_background
from tabular_ml_vpc.local.emulator.sagemaker_runs import make
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, Store
from tabular_ml_vpc.local.emulator.types import Fields, Operate
from tabular_ml_vpc.local.inputs import parse_settings
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.record import ExecutionRecord, Status, StepRecord
from tabular_ml_vpc.local.service import Call, Runner

POLL_SECONDS = 0.1
SOURCE = "aws.sagemaker"
EVENT = "SageMaker Model Building Pipeline Execution Status Change"
STEP_FAILED = "Step failure: One or multiple steps failed."
JOBS = {"Processing": "ProcessingJob", "Training": "TrainingJob"}
STARTED = ("Creating", "Updating", "RollingBack")


class _StoppedError(Exception):
    """The execution was stopped."""


@dataclass
class RunningExecution:
    """An execution in progress: whether it is stopping, and the job that it waits for."""

    stopping: bool = False
    job: Record | None = None


@dataclass
class Executions:
    """All executions of one emulator."""

    store: Store
    operate: Operate
    jobs: Jobs
    running: dict[str, RunningExecution] = field(default_factory=dict)

    def start(self, run: Record, request: Fields) -> None:
        """Start a new execution; raises `ApiError` if its parameters are not valid."""
        definition = json.loads(run.fields["PipelineDefinition"])
        given = _parameters(definition, request)
        self.running[run.arn] = RunningExecution()
        change_status(run, "Executing")
        in_background(lambda: self._run(run, definition, given))

    def stop(self, run: Record) -> None:
        """Stop an execution: its job ends, and no further step starts."""
        running = self.running[run.arn]
        change_status(run, "Stopping")
        running.stopping = True
        if running.job is not None:
            try:
                self.jobs.stop(running.job)
            except ApiError:  # it has just ended
                return

    def _run(self, run: Record, definition: Fields, given: Fields) -> None:
        defaults = {
            item["Name"]: item.get("DefaultValue") for item in definition.get("Parameters", [])
        }
        began = datetime.fromtimestamp(run.fields["StartTime"], UTC)
        name = run.fields["PipelineName"]
        new = ExecutionRecord(run.fields["id"], run.arn, name, defaults | given, began)
        try:
            host = execution.Host(
                _Steps(self, run, new).runners(),
                lambda uri: RoleStore(run.fields["RoleArn"], run.fields["id"]).read(uri),
                requests.checker(),
                lambda done, _step: _publish(run, done),
            )
            execution.run(definition, new, host)
        except Exception as failure:  # noqa: BLE001 (any exception ends the run)
            if not isinstance(failure, _StoppedError):
                new.status, new.failure_reason = Status.FAILED, f"{failure}"
        _publish(run, new)
        if new.status is Status.FAILED:
            reason = STEP_FAILED if new.steps else new.failure_reason
            run.fields["FailureReason"] = run.fields["PipelineExecutionFailureReason"] = reason
        change_status(run, str(new.status))


class _Steps:
    """The runners of one execution's steps."""

    def __init__(self, executions: Executions, run: Record, record: ExecutionRecord) -> None:
        self._executions, self._run, self._record = executions, run, record
        self._running = executions.running[run.arn]

    def runners(self) -> dict[str, Runner]:
        """Return a runner for each type of step in our definition."""
        made = dict.fromkeys(("Model", "RegisterModel", "EndpointConfig"), self._make)
        return {**made, "Processing": self._job, "Training": self._job, "Endpoint": self._endpoint}

    def _operate(self, operation: str, content: Fields) -> Fields:
        role = self._run.fields["RoleArn"]
        store = self._executions.store
        denied = sagemaker_access.denial_of_role(store, role, operation, content)
        if denied:
            raise ApiError("AccessDeniedException", denied)
        return self._executions.operate(operation, content)

    def _made(self, call: Call) -> tuple[str, Fields]:
        """Create a step's job or resource; return its ARN and description."""
        self._check_stop()
        try:
            arn, metadata, described = make(
                self._operate, call.record.kind, call.record.name, call.execution_id, call.request
            )
        except ApiError as error:
            raise LocalJobError(f"ClientError: {error.code}: {error}") from error
        call.record.metadata = metadata
        _publish(self._run, self._record)
        return arn, described

    def _make(self, call: Call) -> Fields:
        return self._made(call)[1]

    def _job(self, call: Call) -> Fields:
        kind = JOBS[call.record.kind]
        arn, _ = self._made(call)
        job = self._executions.store.records[arn]
        self._running.job = job
        if self._running.stopping:  # it was stopped between the two lines above
            self._executions.jobs.stop(job)
        while not self._executions.jobs.wait(arn, POLL_SECONDS):
            pass
        self._running.job = None
        self._check_stop()
        status = job.fields[job.kind.status_field]
        if status != "Completed":
            raise LocalJobError(job.fields.get("FailureReason") or f"the job was {status.lower()}")
        return self._operate(f"Describe{kind}", {f"{kind}Name": job.fields[f"{kind}Name"]})

    def _endpoint(self, call: Call) -> Fields:
        """Wait until the endpoint is in service.

        It also is after an update was rolled back: the service's documentation does not say that
        the step checks more, so this one does not.
        """
        arn, described = self._made(call)
        name = {"EndpointName": described["EndpointName"]}
        while described["EndpointStatus"] in STARTED:
            time.sleep(POLL_SECONDS)
            self._check_stop()
            described = self._operate("DescribeEndpoint", name)
        if described["EndpointStatus"] != "InService":
            raise LocalJobError(described.get("FailureReason") or f"{arn} is not in service")
        return described

    def _check_stop(self) -> None:
        if self._running.stopping:
            raise _StoppedError


def _parameters(definition: Fields, request: Fields) -> Fields:
    pairs = [f"{item['Name']}={item['Value']}" for item in request.get("PipelineParameters", [])]
    try:
        return parse_settings(pairs, definition)
    except UsageError as error:
        reason = str(error).removeprefix("--set ")
        raise ApiError("ValidationException", f"Parameters are invalid: {reason}") from None


def _publish(run: Record, record: ExecutionRecord) -> None:
    """Update the steps that ListPipelineExecutionSteps returns."""
    run.fields["steps"] = [_shown(step) for step in record.steps]


def _shown(step: StepRecord) -> Fields:
    metadata = dict(step.metadata)
    if step.kind == "Fail" and step.failure_reason:
        metadata = {"Fail": {"ErrorMessage": step.failure_reason}}
    shown: dict[str, Any] = {
        "StepName": step.name,
        "StartTime": step.started.timestamp(),
        "EndTime": step.ended.timestamp() if step.ended else None,
        "StepStatus": str(step.status),
        "FailureReason": step.failure_reason or None,
        "Metadata": metadata,
    }
    return {name: value for name, value in shown.items() if value is not None}


def change_status(run: Record, status: str) -> None:
    """Set an execution's status, and publish its event on the account's event bus."""
    before = run.fields["PipelineExecutionStatus"]
    now = time.time()
    run.fields.update(PipelineExecutionStatus=status, LastModifiedTime=now)
    over = status in ("Succeeded", "Failed", "Stopped")
    detail = {
        "pipelineArn": run.fields["PipelineArn"],
        "pipelineExecutionArn": run.arn,
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": before,
        "executionStartTime": _iso(run.fields["StartTime"]),
        **({"executionEndTime": _iso(now)} if over else {}),
        "pipelineExecutionDescription": run.fields.get("PipelineExecutionDescription", ""),
    }
    entry = {
        "Source": SOURCE,
        "DetailType": EVENT,
        "Detail": json.dumps(detail),
        "Resources": [run.fields["PipelineArn"], run.arn],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
