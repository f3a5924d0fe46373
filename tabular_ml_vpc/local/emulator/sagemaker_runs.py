"""Runs of an emulated pipeline: no job is executed, but what a run makes is made.

An emulator that was started with jobs (`process.start`) really runs them instead: see
`sagemaker_executions.py`, which is in `REAL` then. Without, a run goes through the definition's
steps and makes the jobs, models, endpoint configurations, endpoints and model packages of it
through the same API, each with its tags, and each call checked against the rights of the
pipeline's role. A condition on what a job measured is taken as
true. A run whose display name starts with `hold` stays at its first step until it is stopped; a
model of a run whose display name starts with `broken` cannot be served.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from tabular_ml_vpc.local.emulator import sagemaker_access
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Fields, Record, Store, unique_id

HOLD = "hold"
BROKEN = "broken"
"""In a model's name, it makes deployments of it fail."""
STOPPING_SECONDS = 0.3
# Step type: what it makes, the field with its name, and the name of its metadata.
MADE_BY = {
    "Processing": ("ProcessingJob", "ProcessingJobName", "ProcessingJob"),
    "Training": ("TrainingJob", "TrainingJobName", "TrainingJob"),
    "Model": ("Model", "ModelName", "Model"),
    "RegisterModel": ("ModelPackage", "", "RegisterModel"),
    "EndpointConfig": ("EndpointConfig", "EndpointConfigName", "EndpointConfig"),
    "Endpoint": ("Endpoint", "", "Endpoint"),
}
PART = re.compile(r"\.?(\w+)|\['([^']+)'\]|\[(\d+)\]")

Operate = Callable[[str, Fields], Fields]


class Real(Protocol):
    """What really runs executions."""

    def start(self, run: Record, request: Fields) -> None:
        """Start an execution that was just made."""

    def stop(self, run: Record) -> None:
        """Stop an execution."""


REAL: list[Real] = []
"""Empty, or the one thing that really runs executions."""


def start(store: Store, operate: Operate, pipeline: Record, request: Fields) -> Record:
    """Make an execution and, unless it is to be held, run it to its end."""
    now = time.time()
    identity = unique_id("", 12)
    run = store.add(
        "PipelineExecution",
        {
            **{key: value for key, value in request.items() if key != "ClientRequestToken"},
            "PipelineName": pipeline.fields["PipelineName"],
            "PipelineArn": pipeline.arn,
            "PipelineDefinition": pipeline.fields["PipelineDefinition"],
            "RoleArn": pipeline.fields["RoleArn"],
            "id": identity,
            "StartTime": now,
            "steps": [],
        },
    )
    definition = json.loads(pipeline.fields["PipelineDefinition"])
    steps = definition.get("Steps", [])
    if request.get("PipelineExecutionDisplayName", "").startswith(HOLD):
        first = steps[0] if steps else {"Name": "None"}
        run.fields["steps"].append(_step(first, "Executing", {}))
        return run
    if REAL:
        try:
            REAL[0].start(run, request)
        except ApiError:
            del store.records[run.arn]
            raise
        return run
    values = _Values(run, definition, request)

    def operate_as_role(operation: str, content: Fields) -> Fields:
        role = run.fields["RoleArn"]
        refused = sagemaker_access.refusal_of_role(store, role, operation, content)
        if refused:
            raise ApiError("AccessDeniedException", refused)
        return operate(operation, content)

    try:
        _run_steps(operate_as_role, run, steps, values)
        run.fields["PipelineExecutionStatus"] = "Succeeded"
    except Exception as failure:  # noqa: BLE001 (whatever it is, the run has failed of it)
        run.fields["PipelineExecutionStatus"] = "Failed"
        run.fields["FailureReason"] = f"{type(failure).__name__}: {failure}"
    return run


def stop(run: Record) -> None:
    """Stop a run: one that is held takes a moment."""
    held = run.fields.get("PipelineExecutionDisplayName", "").startswith(HOLD)
    if REAL and not held:
        REAL[0].stop(run)
        return
    run.fields.update(PipelineExecutionStatus="Stopping", LastModifiedTime=time.time())

    def stopped() -> None:
        run.fields["PipelineExecutionStatus"] = "Stopped"
        for step in run.fields["steps"]:
            if step["StepStatus"] == "Executing":
                step["StepStatus"] = "Stopped"

    threading.Timer(STOPPING_SECONDS, stopped).start()


def _step(step: Fields, status: str, metadata: Fields) -> Fields:
    now = time.time()
    return {
        "StepName": step["Name"],
        "StartTime": now,
        "EndTime": now,
        "StepStatus": status,
        "Metadata": metadata,
    }


class _Values:
    """What the expressions of a definition stand for in one run."""

    def __init__(self, run: Record, definition: Fields, request: Fields) -> None:
        sent = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        self.known: Fields = {
            f"Parameters.{item['Name']}": sent.get(item["Name"], item.get("DefaultValue"))
            for item in definition.get("Parameters", [])
        }
        self.known["Execution.PipelineExecutionId"] = run.fields["id"]
        self.known["Execution.PipelineName"] = run.fields["PipelineName"]
        self.known["Execution.PipelineExecutionArn"] = run.arn
        self.known["Execution.StartDateTime"] = run.fields["StartTime"]

        self.made: Fields = {}

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self._get(value["Get"])
        if set(value) == {"Std:Join"}:
            join = value["Std:Join"]
            return join["On"].join(str(self.resolve(item)) for item in join["Values"])
        return {key: self.resolve(item) for key, item in value.items()}

    def _get(self, path: str) -> Any:
        if path in self.known:
            return self.known[path]
        if not path.startswith("Steps."):
            raise KeyError(f"nothing is known as {path}")
        step, _, rest = path.removeprefix("Steps.").partition(".")
        found = self.made[step]
        for name, quoted, number in PART.findall(rest):
            found = found[int(number)] if number else _member(found, name or quoted)
        return found


def _member(found: Any, name: str) -> Any:
    """Return a field, or the item of a list that has this name."""
    if isinstance(found, list):
        named = ("OutputName", "InputName", "ChannelName")
        return next(item for item in found if name in (item.get(key) for key in named))
    return found[name]


def _run_steps(operate: Operate, run: Record, steps: list[Fields], values: _Values) -> None:
    for step in steps:
        if step["Type"] == "Condition":
            outcome = all(_holds(one, values) for one in step["Arguments"]["Conditions"])
            decided = {"Condition": {"Outcome": str(outcome)}}
            run.fields["steps"].append(_step(step, "Succeeded", decided))
            branch = step["Arguments"]["IfSteps" if outcome else "ElseSteps"]
            _run_steps(operate, run, branch, values)
        elif step["Type"] == "Fail":
            raise RuntimeError(f"step {step['Name']} ended the run")
        elif step["Type"] in MADE_BY:
            _run_step(operate, run, step, values)


def _holds(condition: Fields, values: _Values) -> bool:
    """Tell whether a condition holds; what a job would have measured does."""
    if "Std:JsonGet" in condition["LeftValue"]:
        return True
    left, right = values.resolve(condition["LeftValue"]), values.resolve(condition["RightValue"])
    if condition["Type"] == "Equals":
        return bool(left == right)
    return float(left) >= float(right)


def _run_step(operate: Operate, run: Record, step: Fields, values: _Values) -> None:
    arguments = values.resolve(step["Arguments"])
    display = run.fields.get("PipelineExecutionDisplayName", "")
    name = BROKEN if display.startswith(BROKEN) else step["Name"]
    _, metadata, described = make(operate, step["Type"], name, run.fields["id"], arguments)
    if step["Type"] == "Endpoint" and described["EndpointStatus"] != "InService":
        run.fields["steps"].append(_step(step, "Failed", metadata))
        raise RuntimeError(described.get("FailureReason", "the endpoint is not in service"))
    if step["Type"] == "Training":
        place = described["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        model = f"{place}/{described['TrainingJobName']}/output/model.tar.gz"
        described["ModelArtifacts"] = {"S3ModelArtifacts": model}
    values.made[step["Name"]] = described
    run.fields["steps"].append(_step(step, "Succeeded", metadata))


def make(
    operate: Operate, step_type: str, step: str, run_id: str, arguments: Fields
) -> tuple[str, Fields, Fields]:
    """Make what a step makes, under a name of the run's own; return ARN, metadata, description."""
    kind, name_field, metadata = MADE_BY[step_type]
    arguments = dict(arguments)
    if name_field:
        base = arguments.get(name_field, f"pipelines-{run_id}-{step}")
        arguments[name_field] = f"{base[:50]}-{unique_id('', 10)}"
    arn = _make(operate, kind, arguments)
    name = arn if kind == "ModelPackage" else arn.rsplit("/", 1)[-1]
    described = operate(f"Describe{kind}", {f"{kind}Name": name})
    return arn, {metadata: {"Arn": arn}}, described


def _make(operate: Operate, kind: str, arguments: Fields) -> str:
    """Make what a step makes; an endpoint that exists is updated. Return its ARN."""
    if kind == "Endpoint":
        named = {key: arguments[key] for key in ("EndpointName", "EndpointConfigName")}
        if _exists(operate, named["EndpointName"]):
            return str(operate("UpdateEndpoint", named)["EndpointArn"])
    return str(operate(f"Create{kind}", arguments)[f"{kind}Arn"])


def _exists(operate: Operate, endpoint: str) -> bool:
    """Whether an endpoint exists; raises where the role may not look."""
    try:
        operate("DescribeEndpoint", {"EndpointName": endpoint})
    except ApiError as error:
        if error.code == "ValidationException":
            return False
        raise
    return True
