"""Runs of definitions, with fakes in the place of jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.definition import build
from pipeline.example import environment
from pipeline.requests import RequestError, checker
from pipeline.types import Json
from tabular_ml_vpc.local.execution import Host, new_execution, run
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.record import ExecutionRecord, Status, StepRecord
from tabular_ml_vpc.local.service import Call


class Jobs:
    """Every step's request, answered as the service would; `broken` names a step that fails."""

    def __init__(self, auc: Any = 0.9, broken: str = "", report: Json | None = None) -> None:
        self.requests: dict[str, Json] = {}
        self.report = {"metric": "roc_auc", "value": auc} if report is None else report
        self.broken = broken

    def __call__(self, call: Call) -> Json:
        self.requests[call.record.name] = call.request
        if call.record.name == self.broken:
            raise LocalJobError("AlgorithmError: the label has one class")
        return call.request | {
            "ModelArtifacts": {"S3ModelArtifacts": "s3://local-data/models/model.tar.gz"},
            "ModelName": "the-model",
            "EndpointConfigName": "the-config",
        }

    def read(self, uri: str) -> bytes:
        assert uri.endswith("/evaluation/gate.json")
        return json.dumps(self.report).encode()

    def host(self, events: list[str] | None = None) -> Host:
        def observe(_execution: ExecutionRecord, step: StepRecord) -> None:
            if events is not None:
                events.append(f"{step.name} {step.status}")

        kinds = ("Processing", "Training", "Model", "RegisterModel", "EndpointConfig", "Endpoint")
        return Host(dict.fromkeys(kinds, self), self.read, checker(), observe)


def execute(jobs: Jobs, events: list[str] | None = None, **parameters: Any) -> ExecutionRecord:
    definition = build(environment())
    return run(definition, new_execution(definition, parameters, "local"), jobs.host(events))


def steps(execution: ExecutionRecord) -> list[str]:
    return [step.name for step in execution.steps]


def test_a_good_model_goes_all_the_way() -> None:
    execution = execute(Jobs(auc=0.9))
    assert execution.status is Status.SUCCEEDED
    assert steps(execution)[3:] == [
        *("QualityGate", "RegisterModel"),
        *("ApprovalGate", "CreateModel", "CreateEndpointConfig", "Deploy"),
    ]


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_a_model_that_is_not_approved_ends_at_the_registry(status: str) -> None:
    execution = execute(Jobs(auc=0.9), ApprovalStatus=status)
    assert execution.status is Status.SUCCEEDED
    assert steps(execution)[3:] == ["QualityGate", "RegisterModel", "ApprovalGate"]


def test_a_lower_threshold_than_the_deployments_is_refused() -> None:
    execution = execute(Jobs(auc=0.9), QualityThreshold=-1000)
    assert (execution.status, execution.refused) == (Status.FAILED, True)
    assert steps(execution)[3:] == ["QualityGate", "RefuseModel"]
    assert "asked for at least -1000" in execution.failure_reason
    assert "this deployment for at least 0.7" in execution.failure_reason


def test_a_bad_model_is_refused_with_its_numbers() -> None:
    execution = execute(Jobs(auc=0.61), QualityThreshold=0.8)
    assert (execution.status, execution.refused) == (Status.FAILED, True)
    assert steps(execution)[3:] == ["QualityGate", "RefuseModel"]
    told = "roc_auc on the test data is 0.61; the run asked for at least 0.8"
    assert told in execution.failure_reason


def compared(value: float, lead: float, champion: str) -> ExecutionRecord:
    """A run of a deployment on approval, in which a model may be worse by 0.01."""
    report = {"metric": "roc_auc", "value": value, "lead": lead, "champion": champion}
    definition = build(replace(environment(), on_approval=True, champion_margin=0.01))
    jobs = Jobs(report=report)
    return run(definition, new_execution(definition, {}, "local"), jobs.host())


def test_a_model_that_is_worse_than_the_serving_one_is_refused_with_both_values() -> None:
    execution = compared(0.9, -0.05, "0.95")
    assert (execution.status, execution.refused) == (Status.FAILED, True)
    assert steps(execution)[2:] == ["Evaluate", "QualityGate", "RefuseModel"]
    assert "roc_auc on the test data is 0.9; the run asked" in execution.failure_reason
    told = "that of the model that serves, on the same rows, is 0.95, and a new model may be worse"
    assert f"{told} by at most 0.01" in execution.failure_reason
    names = [(gate.name, gate.outcome) for gate in execution.compared_by("QualityGate")]
    assert names == [("roc_auc", True), ("lead", False)]


@pytest.mark.parametrize("lead", [-0.01, 0.0, 1e9])
def test_a_model_within_the_margin_waits_for_its_approval(lead: float) -> None:
    execution = compared(0.9, lead, "0.91")
    assert execution.status is Status.SUCCEEDED
    assert steps(execution)[3:] == ["QualityGate", "RegisterModel"]
    assert execution.steps[-1].description["ModelApprovalStatus"] == "PendingManualApproval"
    uri = f"s3://local-data/processed/{execution.id}/smoke/smoke.json"
    assert execution.steps[-1].description["CustomerMetadataProperties"]["smoke-test"] == uri


def test_a_model_below_the_threshold_is_refused_however_bad_the_serving_one_is() -> None:
    execution = compared(0.6, 0.2, "0.4")
    assert steps(execution)[-1] == "RefuseModel"


def test_the_gate_records_what_it_compared() -> None:
    gate = execute(Jobs(auc=0.61)).steps[3].gates[0]
    assert (gate.left, gate.right, gate.outcome) == (0.61, 0.7, False)


def test_a_value_at_the_threshold_passes() -> None:
    assert execute(Jobs(auc=0.7)).status is Status.SUCCEEDED


def test_a_step_that_fails_ends_the_run_with_its_reason() -> None:
    execution = execute(Jobs(broken="Train"))
    assert (execution.status, execution.refused) == (Status.FAILED, False)
    assert steps(execution) == ["Preprocess", "Train"]
    assert execution.failure_reason == "AlgorithmError: the label has one class"


def test_what_a_step_makes_reaches_the_next_one() -> None:
    jobs = Jobs()
    execution = execute(jobs)
    channel = jobs.requests["Train"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert channel["S3Uri"] == f"s3://local-data/processed/{execution.id}/train"
    assert jobs.requests["Deploy"]["EndpointConfigName"] == "the-config"


def test_parameters_replace_defaults() -> None:
    jobs = Jobs()
    execute(jobs, LabelColumn="churned", TimeLimitSeconds=5)
    settings = jobs.requests["Train"]["HyperParameters"]
    assert settings["time-limit"] == "5"
    command = jobs.requests["Preprocess"]["AppSpecification"]["ContainerArguments"]
    assert "--label=churned" in command


def test_the_observer_hears_of_each_start_and_end() -> None:
    events: list[str] = []
    execute(Jobs(broken="Train"), events)
    assert events == [
        *("Preprocess Executing", "Preprocess Succeeded", "Train Executing", "Train Failed")
    ]


def test_a_request_that_the_service_would_refuse_is_not_run() -> None:
    jobs = Jobs()
    execution = execute(jobs, TrainingInstanceType="ml.nothing.large")
    assert "Train" not in jobs.requests
    assert "CreateTrainingJob would be rejected" in execution.failure_reason
    assert "ResourceConfig.InstanceType" in execution.failure_reason


def test_a_report_without_the_gates_value_fails_the_gate() -> None:
    execution = execute(Jobs(report={}))
    assert steps(execution)[-1] == "QualityGate"
    assert "no value at 'value'" in execution.failure_reason


@pytest.mark.parametrize("value", ["0.9", None])
def test_a_value_that_is_no_number_is_not_compared(value: Any) -> None:
    execution = execute(Jobs(auc=value))
    assert "cannot be compared" in execution.failure_reason


def test_an_interrupt_marks_the_run_as_stopped() -> None:
    class Interrupted(Jobs):
        def __call__(self, call: Call) -> Json:
            raise KeyboardInterrupt(call)

    definition = build(environment())
    execution = new_execution(definition, {}, "local")
    with pytest.raises(KeyboardInterrupt):
        run(definition, execution, Interrupted().host())
    assert (execution.status, execution.steps[0].status) == (Status.STOPPED, Status.STOPPED)


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ({"Type": "Equals", "LeftValue": "a", "RightValue": "a"}, True),
        ({"Type": "LessThan", "LeftValue": 1, "RightValue": 1.5}, True),
        ({"Type": "In", "QueryValue": "a", "Values": ["b", "c"]}, False),
        ({"Type": "Not", "Expression": {"Type": "In", "QueryValue": 1, "Values": [2]}}, True),
        (
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "GreaterThan", "LeftValue": 1, "RightValue": 2},
                    {"Type": "LessThanOrEqualTo", "LeftValue": 2, "RightValue": 2},
                ],
            },
            True,
        ),
    ],
)
def test_every_kind_of_condition_is_decided(condition: Json, outcome: bool) -> None:
    gate = {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}
    definition = {
        "Parameters": [],
        "Steps": [{"Name": "Gate", "Type": "Condition", "Arguments": gate}],
    }
    execution = run(definition, new_execution(definition, {}, "local"), Jobs().host())
    assert execution.steps[0].metadata == {"Condition": {"Outcome": str(outcome)}}


def test_a_name_of_the_services_own_is_not_asked_for() -> None:
    with pytest.raises(RequestError, match="ModelName"):
        checker()("Model", {"ModelName": "mine", "ExecutionRoleArn": "arn:aws:iam::1:role/x"})
