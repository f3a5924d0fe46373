"""Runs of an emulated pipeline: no job is executed, but what a run makes is made.

A run goes through the definition's steps and makes the jobs, models, endpoint configurations,
endpoints and model packages of it through the same API, each with its tags. A condition is taken
as true. A run whose display name starts with `hold` stays at its first step until it is stopped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from generator.emulator.sagemaker_store import Fields, Record, Store, unique_id

HOLD = "hold"
STOPPING_SECONDS = 0.3
OPERATIONS = {
    "Processing": ("ProcessingJob", "ProcessingJobName"),
    "Training": ("TrainingJob", "TrainingJobName"),
    "Model": ("Model", "ModelName"),
    "RegisterModel": ("ModelPackage", ""),
    "EndpointConfig": ("EndpointConfig", "EndpointConfigName"),
    "Endpoint": ("Endpoint", "EndpointName"),
}

Operate = Callable[[str, Fields], Fields]


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
    values = _Values(run, definition, request)
    try:
        _run_steps(operate, run, steps, values)
        run.fields["PipelineExecutionStatus"] = "Succeeded"
    except Exception as failure:  # noqa: BLE001 (whatever it is, the run has failed of it)
        run.fields["PipelineExecutionStatus"] = "Failed"
        run.fields["FailureReason"] = f"{type(failure).__name__}: {failure}"
    return run


def stop(run: Record) -> None:
    """Stop a held run, which takes a moment."""
    run.fields["PipelineExecutionStatus"] = "Stopping"

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

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self.known.get(value["Get"], f"resolved-{value['Get']}")
        if set(value) == {"Std:Join"}:
            join = value["Std:Join"]
            return join["On"].join(str(self.resolve(item)) for item in join["Values"])
        return {key: self.resolve(item) for key, item in value.items()}


def _run_steps(operate: Operate, run: Record, steps: list[Fields], values: _Values) -> None:
    for step in steps:
        arguments = values.resolve(step["Arguments"])
        if step["Type"] == "Condition":
            run.fields["steps"].append(_step(step, "Succeeded", {"Condition": {"Outcome": "True"}}))
            _run_steps(operate, run, step["Arguments"]["IfSteps"], values)
            continue
        if step["Type"] not in OPERATIONS:
            continue
        kind, name_field = OPERATIONS[step["Type"]]
        metadata = _make(operate, run, step, kind, name_field, arguments)
        values.known[f"Steps.{step['Name']}.{kind}Arn"] = metadata["Arn"]
        values.known[f"Steps.{step['Name']}.{kind}Name"] = metadata["Arn"].rsplit("/", 1)[-1]
        run.fields["steps"].append(_step(step, "Succeeded", {step["Type"]: metadata}))


def _make(
    operate: Operate, run: Record, step: Fields, kind: str, name_field: str, arguments: Fields
) -> Fields:
    """Make what a step makes, and return its metadata; an existing endpoint is updated."""
    if kind == "Endpoint":
        named = {key: arguments[key] for key in ("EndpointName", "EndpointConfigName")}
        existing = {item["EndpointName"] for item in operate("ListEndpoints", {})["Endpoints"]}
        if named["EndpointName"] in existing:
            return {"Arn": operate("UpdateEndpoint", named)["EndpointArn"]}
    elif name_field:
        base = arguments.get(name_field, f"pipelines-{run.fields['id']}-{step['Name']}")
        arguments = {**arguments, name_field: f"{base}-{unique_id('', 10)}"[-63:].strip("-")}
    return {"Arn": operate(f"Create{kind}", arguments)[f"{kind}Arn"]}
