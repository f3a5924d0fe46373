"""Runs of an emulated pipeline: they execute no jobs, but create the resources of a run.

If the emulator was started with jobs (`process.start`), they really run instead: see
`sagemaker_executions.py`, which is then in `REAL`. Otherwise, a run goes through the definition's
steps and creates their jobs, models, endpoint configurations, endpoints and model packages through
the same API, with their tags and with the permissions of the pipeline's role. Conditions on a job's
metrics count as true. A run whose display name starts with `hold` waits at its first step until it
is stopped; the models of a run whose display name starts with `broken` cannot be served, and those
of one that starts with `slow` take a while to deploy.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any, Protocol

from tabular_ml_vpc.local.emulator import sagemaker_access
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, Store, unique_id
from tabular_ml_vpc.local.emulator.types import Fields, Operate

HOLD = "hold"
BROKEN = "broken"
"""Deployments of a model with this in its name fail."""
SLOW = "slow"
"""Deployments of a model with this in its name take a while."""
DEPLOYING = ("Creating", "Updating")
DEPLOYING_SECONDS = 3.0
STOPPING_SECONDS = 0.3
# Step type: what it creates, the field with its name, and the name of its metadata.
MADE_BY = {
    "Processing": ("ProcessingJob", "ProcessingJobName", "ProcessingJob"),
    "Training": ("TrainingJob", "TrainingJobName", "TrainingJob"),
    "Model": ("Model", "ModelName", "Model"),
    "RegisterModel": ("ModelPackage", "", "RegisterModel"),
    "EndpointConfig": ("EndpointConfig", "EndpointConfigName", "EndpointConfig"),
    "Endpoint": ("Endpoint", "", "Endpoint"),
}
PART = re.compile(r"\.?(\w+)|\['([^']+)'\]|\[(\d+)\]")


class Real(Protocol):
    """Runs real executions."""

    def start(self, run: Record, request: Fields) -> None:
        """Start a new execution."""

    def stop(self, run: Record) -> None:
        """Stop an execution."""


REAL: list[Real] = []
"""Empty, or one item that runs real executions."""


def started(store: Store, pipeline: Record, token: str) -> Record | None:
    """Return the execution of a pipeline that was started with a token, if there is one."""
    for run in store.all("PipelineExecution"):
        if run.fields["PipelineArn"] == pipeline.arn and run.fields["token"] == token:
            return run
    return None


def start(store: Store, operate: Operate, pipeline: Record, request: Fields) -> Record:
    """Create an execution and, unless it is held, run it to its end."""
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
            "token": request.get("ClientRequestToken"),
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
        denied = sagemaker_access.denial_of_role(store, role, operation, content)
        if denied:
            raise ApiError("AccessDeniedException", denied)
        return operate(operation, content)

    try:
        _run_steps(operate_as_role, run, steps, values)
        if any(step["StepStatus"] == "Executing" for step in run.fields["steps"]):
            threading.Timer(2 * DEPLOYING_SECONDS, lambda: _end(run)).start()
        else:
            _end(run)
    except Exception as failure:  # noqa: BLE001 (any exception fails the run)
        run.fields["PipelineExecutionStatus"] = "Failed"
        run.fields["FailureReason"] = f"{type(failure).__name__}: {failure}"
    return run


def _end(run: Record) -> None:
    """End a run well, unless somebody stopped it meanwhile."""
    if run.fields["PipelineExecutionStatus"] != "Executing":
        return
    run.fields.update(PipelineExecutionStatus="Succeeded", LastModifiedTime=time.time())
    for step in run.fields["steps"]:
        step.update(StepStatus="Succeeded", EndTime=time.time())


def stop(run: Record) -> None:
    """Stop a run; if it is held, this takes a moment."""
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
    """The values of a definition's expressions in one run."""

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
            raise KeyError(f"unknown expression {path}")
        step, _, rest = path.removeprefix("Steps.").partition(".")
        found = self.made[step]
        for name, quoted, number in PART.findall(rest):
            found = found[int(number)] if number else _member(found, name or quoted)
        return found


def _member(found: Any, name: str) -> Any:
    """Return a field, or the list item with this name."""
    if isinstance(found, list):
        named = ("OutputName", "InputName", "ChannelName")
        return next(item for item in found if name in (item.get(key) for key in named))
    return found[name]


def _run_steps(operate: Operate, run: Record, steps: list[Fields], values: _Values) -> None:
    for step in steps:
        if step["Type"] == "Condition":
            outcome = all(_holds(item, values) for item in step["Arguments"]["Conditions"])
            decided = {"Condition": {"Outcome": str(outcome)}}
            run.fields["steps"].append(_step(step, "Succeeded", decided))
            branch = step["Arguments"]["IfSteps" if outcome else "ElseSteps"]
            _run_steps(operate, run, branch, values)
        elif step["Type"] == "Fail":
            raise RuntimeError(f"step {step['Name']} ended the run")
        elif step["Type"] in MADE_BY:
            _run_step(operate, run, step, values)


def _holds(condition: Fields, values: _Values) -> bool:
    """Return whether a condition holds; one on a job's metrics always does."""
    if "Std:JsonGet" in condition["LeftValue"]:
        return True
    left, right = values.resolve(condition["LeftValue"]), values.resolve(condition["RightValue"])
    if condition["Type"] == "Equals":
        return bool(left == right)
    return float(left) >= float(right)


def _run_step(operate: Operate, run: Record, step: Fields, values: _Values) -> None:
    arguments = values.resolve(step["Arguments"])
    display = run.fields.get("PipelineExecutionDisplayName", "")
    name = next((one for one in (BROKEN, SLOW) if display.startswith(one)), step["Name"])
    _, metadata, described = make(operate, step["Type"], name, run.fields["id"], arguments)
    if step["Type"] == "Endpoint" and described["EndpointStatus"] in DEPLOYING:
        run.fields["steps"].append(_step(step, "Executing", metadata))
        return
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
    """Create a step's resource with a unique name; return its ARN, metadata and description."""
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
    """Create a step's resource, or update an existing endpoint; return its ARN."""
    if kind == "Endpoint":
        named = {key: arguments[key] for key in ("EndpointName", "EndpointConfigName")}
        if _exists(operate, named["EndpointName"]):
            return str(operate("UpdateEndpoint", named)["EndpointArn"])
    return str(operate(f"Create{kind}", arguments)[f"{kind}Arn"])


def _exists(operate: Operate, endpoint: str) -> bool:
    """Whether an endpoint exists; raises if the role has no permission to describe it."""
    try:
        operate("DescribeEndpoint", {"EndpointName": endpoint})
    except ApiError as error:
        if error.code == "ValidationException":
            return False
        raise
    return True
