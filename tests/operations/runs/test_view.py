"""How a run is shown, by executions made here; AWS is a few answers."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from rich.console import Console

from pipeline import example
from pipeline.definition import EVALUATION, Environment, build
from tabular_ml_vpc.cli import run_view
from tabular_ml_vpc.operations.runs import deployed, results
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution, StepProgress
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

BEGAN = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/abc123"
EVALUATED: dict[str, Any] = {
    "metrics": {"accuracy": 0.9, "roc_auc": 0.95, "log_loss": 0.2, "neg_log_loss": -0.2},
    "baseline": {"accuracy": 0.7},
    "gate": {"metric": "roc_auc", "value": 0.95},
}


@dataclass
class Aws:
    """Answers of SageMaker, S3 and CloudWatch Logs."""

    threshold: str = "0.7"
    evaluated: dict[str, Any] = field(default_factory=lambda: EVALUATED)
    readable: bool = True
    log: list[str] = field(default_factory=lambda: ["first", "Fitting model: LightGBM"])
    approval: str = "PendingManualApproval"
    serves: str = "p-1"

    def describe_model_package(self, **_: str) -> dict[str, Any]:
        return {"ModelApprovalStatus": self.approval, "ApprovalDescription": "as\x1b[2J agreed"}

    def describe_endpoint(self, **_: str) -> dict[str, Any]:
        status = {"EndpointStatus": "InService", "EndpointConfigName": self.serves}
        return {"EndpointName": "p", **status}

    environment: Environment = field(default_factory=example.environment)

    def describe_processing_job(self, **_: str) -> dict[str, Any]:
        output = {"OutputName": EVALUATION.name, "S3Output": {"S3Uri": "s3://b/processed/abc123"}}
        return {"ProcessingOutputConfig": {"Outputs": [output]}}

    def get_object(self, **_: str) -> dict[str, Any]:
        if not self.readable:
            told = {"Error": {"Code": "AccessDenied", "Message": "not yours"}}
            raise ClientError(told, "GetObject")
        return {"Body": io.BytesIO(json.dumps(self.evaluated).encode())}

    def describe_pipeline_definition_for_execution(self, **_: str) -> dict[str, Any]:
        return {"PipelineDefinition": json.dumps(build(self.environment))}

    def get_paginator(self, _name: str) -> Aws:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"PipelineParameters": [{"Name": "QualityThreshold", "Value": self.threshold}]}]

    def describe_log_streams(self, **_: object) -> dict[str, Any]:
        return {"logStreams": [{"logStreamName": "job/algo-1"}]}

    def get_log_events(self, limit: int, **_: object) -> dict[str, Any]:
        return {"events": [{"message": line} for line in self.log[-limit:]]}


@dataclass(frozen=True)
class FakeTarget(Target):
    """A target whose every client is the same answers."""

    aws: Aws = field(default_factory=Aws)

    @property
    def is_local(self) -> bool:
        return False

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ARG002
        return self.aws


@dataclass(frozen=True)
class FakePipeline(DeployedPipeline):
    """The pipeline with our definition."""

    @property
    def definition(self) -> dict[str, Any]:
        return build(self.target.client("").environment)


def pipeline(aws: Aws, *, on_approval: bool = False) -> DeployedPipeline:
    target = FakeTarget(Session(region_name="eu-west-1"), "tabular", aws=aws)
    return FakePipeline(target, Workload(target, "main", "p", "p", None, on_approval=on_approval))


def step(
    name: str, kind: str = "ProcessingJob", status: str = "Succeeded", **more: Any
) -> StepProgress:
    ended = None if status == "Executing" else BEGAN + timedelta(seconds=9)
    made = "" if kind in {"Condition", "Fail"} else f"arn:aws:sagemaker:::x/{name}-1"
    known = {"reason": "", "outcome": "", "made": made} | more
    return StepProgress(name, kind, status, BEGAN + timedelta(seconds=2), ended, **known)


TRAINING = (step("Preprocess"), step("Train", "TrainingJob", "Executing"))
EVALUATION_DONE = (step("Preprocess"), step("Train", "TrainingJob"), step("Evaluate"))
PASSED = (
    *EVALUATION_DONE,
    step("QualityGate", "Condition", outcome="True"),
    step("RegisterModel", "RegisterModel", made="arn:aws:sagemaker:::model-package/p/3"),
    step("Deploy", "Endpoint", made="arn:aws:sagemaker:::endpoint/p"),
)
REFUSED = (
    *EVALUATION_DONE,
    step("QualityGate", "Condition", outcome="False"),
    step("RefuseModel", "Fail", "Failed", reason="The model was not registered"),
)


def execution(status: str, steps: tuple[StepProgress, ...]) -> Execution:
    return Execution(ARN, "", status, BEGAN, BEGAN + timedelta(seconds=75), "", steps)


def followed(aws: Aws, *seen: Execution, terminal: bool = False) -> str:
    """What is shown of an execution that is seen like this, one after the other."""
    out = Console(
        file=io.StringIO(), force_terminal=terminal, width=150, color_system=None, highlight=False
    )
    with run_view.following(out, pipeline(aws)) as observe:
        for one in seen:
            observe(one)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def ended(aws: Aws, done: Execution, *, on_approval: bool = False) -> str:
    out = Console(file=io.StringIO(), width=150, highlight=False)
    shown = pipeline(aws, on_approval=on_approval)
    run_view.show_end(out, shown, done, results.findings(shown, done))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_each_change_is_one_line_where_there_is_no_terminal() -> None:
    shown = followed(
        Aws(),
        execution("Executing", TRAINING),
        execution("Executing", TRAINING),
        execution("Succeeded", PASSED),
    )

    assert shown.splitlines() == [
        "    2.0 s  Preprocess: started",
        "    9.0 s  Preprocess: Succeeded in 7 s",
        "    2.0 s  Train: started",
        "    9.0 s  Train: Succeeded in 7 s",
        "    2.0 s  Evaluate: started",
        "    9.0 s  Evaluate: Succeeded in 7 s (roc_auc 0.95, accuracy 0.9, log_loss 0.2)",
        "    2.0 s  QualityGate: started",
        "    9.0 s  QualityGate: Yes in 7 s (roc_auc 0.95 >= 0.7)",
        "    2.0 s  RegisterModel: started",
        "    9.0 s  RegisterModel: Succeeded in 7 s (version 3)",
        "    2.0 s  Deploy: started",
        "    9.0 s  Deploy: Succeeded in 7 s (p)",
    ]


def test_the_live_tree_shows_what_runs_with_its_last_line_and_what_is_to_come() -> None:
    shown = followed(Aws(), execution("Executing", TRAINING), terminal=True)

    assert "p/abc123  Executing" in shown
    assert "├── Preprocess  Succeeded  7 s" in shown
    assert "Fitting model: LightGBM" in shown
    assert "├── Evaluate" in shown
    assert "    └── Deploy" in shown
    assert "RefuseModel" not in shown


def test_the_live_tree_of_a_refusal_has_the_refusal_below_the_gate() -> None:
    shown = followed(Aws(threshold="0.99"), execution("Failed", REFUSED), terminal=True)

    assert "└── QualityGate  No  7 s  roc_auc 0.95 < 0.99" in shown
    assert "    └── RefuseModel  Rejected" in shown
    assert "RegisterModel" not in shown


def test_the_end_shows_each_number_once_and_the_majority_class_beside() -> None:
    shown = ended(Aws(), execution("Succeeded", PASSED))

    assert "Succeeded after 1 min 15 s" in shown
    assert ["accuracy", "0.9", "0.7"] in [line.split() for line in shown.splitlines()]
    assert "neg_log_loss" not in shown
    assert "The endpoint p serves this model." in shown


def champion(value: float | None, lead: float | None, reason: str = "") -> dict[str, Any]:
    """The report of a model that was compared with the serving one, or could not be."""
    found = {"metric": "roc_auc", "value": value, "lead": lead, "serves": True, "reason": reason}
    return EVALUATED | {"champion": found | {"comparable": value is not None}}


def comparing(value: float | None, lead: float | None, reason: str = "") -> Aws:
    """A deployment on approval whose models are compared with the one that serves."""
    environment = replace(example.environment(), on_approval=True, champion_margin=0.01)
    return Aws(evaluated=champion(value, lead, reason), environment=environment)


def test_a_model_that_is_worse_than_the_serving_one_is_told_both_values() -> None:
    shown = ended(comparing(0.975, -0.025), execution("Failed", REFUSED))

    told = "roc_auc 0.95, and 0.975 of the model that serves"
    assert f"The quality gate rejected the model: {told}." in shown
    assert (
        "The serving model has roc_auc 0.975 on the same rows: the new model is worse by 0.025."
    ) in shown


def test_a_model_that_is_worse_by_less_than_the_margin_is_refused_for_another_reason() -> None:
    shown = ended(comparing(0.955, -0.005), execution("Failed", REFUSED))

    told = "the threshold 0.7 is lower than the deployment's"
    assert f"The quality gate rejected the model: {told}." in shown


def test_a_model_that_was_not_compared_waits_for_its_approval() -> None:
    reason = "its classes are 'a', 'b'"
    done = execution("Succeeded", PASSED[:-1])
    shown = ended(comparing(None, None, reason), done, on_approval=True)

    assert f"The model was not compared with the serving model: {reason}." in shown
    assert "The model was registered as version 3 and waits for approval." in shown


REGRESSION: dict[str, Any] = {
    "problem": "regression",
    "metrics": {
        **{"rmse": 52_341.25, "mse": 2.7e9, "mae": 31_000.5, "r2": 0.8125},
        **{"neg_root_mean_squared_error": -52_341.25, "neg_mean_absolute_error": -31_000.5},
    },
    "baseline": {"rmse": 120_000.0, "r2": -0.001},
    "gate": {"metric": "r2", "value": 0.8125},
}


def test_the_end_of_a_regression_shows_its_errors_beside_the_best_constant() -> None:
    shown = ended(Aws(evaluated=REGRESSION), execution("Succeeded", PASSED))

    lines = [line.split() for line in shown.splitlines()]
    assert ["rmse", "52,341.2", "120,000.0"] in lines
    assert ["r2", "0.8125", "-0.001"] in lines
    assert "mean or median" in shown
    assert "neg_" not in shown
    assert "The model passed the quality gate: r2 0.8125 >= 0.7." in shown


def test_the_note_of_a_regression_has_the_gate_s_metric_and_both_errors() -> None:
    shown = followed(Aws(evaluated=REGRESSION), execution("Succeeded", PASSED))

    assert "(r2 0.8125, rmse 52,341.2, mae 31,000.5)" in shown


def test_metrics_that_may_not_be_read_are_said_to_be_so() -> None:
    shown = ended(Aws(readable=False), execution("Succeeded", PASSED))

    assert "the metrics cannot be read: no permission for GetObject: not yours" in shown
    assert "The endpoint p serves this model." in shown


def test_a_failure_is_shown_without_the_toolkit_s_words_and_with_its_log() -> None:
    wrapped = 'AlgorithmError: x, ErrorMessage "no time to train" Command "python train.py"'
    failed = step("Train", "TrainingJob", "Failed", reason=wrapped)

    shown = ended(Aws(log=["a", "b"]), execution("Failed", (step("Preprocess"), failed)))

    assert "Train failed: no time to train\n" in shown
    assert "The end of its log (/aws/sagemaker/TrainingJobs/Train-1):\n  a\n  b\n" in shown


@pytest.mark.parametrize(("status", "running"), [("Stopping", True), ("Stopped", False)])
def test_an_execution_that_is_stopping_still_runs(status: str, running: bool) -> None:
    assert replace(execution("Executing", ()), status=status).running is running


REGISTERED = execution("Succeeded", PASSED[:-1])


def test_the_end_of_a_run_whose_model_waits_says_how_to_approve_it() -> None:
    shown = ended(Aws(), REGISTERED, on_approval=True)

    assert "The model was registered as version 3 and waits for approval.\n" in shown
    assert "Next: python build.py approve 3 --region eu-west-1  (by somebody who may" in shown


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_the_end_of_a_run_whose_model_was_decided_about_says_how(status: str) -> None:
    shown = ended(Aws(approval=status), REGISTERED, on_approval=True)

    assert f"The model was registered as version 3: {status} (as\\x1b[2J agreed).\n" in shown
    assert "Next:" not in shown


def test_a_run_is_printed_with_the_version_that_it_registered() -> None:
    class Readable(FakePipeline):
        def typed_parameters(self, arn: str) -> dict[str, Any]:  # noqa: ARG002
            return {}

    known = pipeline(Aws())
    shown = run_view.as_json(Readable(known.target, known.workload), REGISTERED, results.NOTHING)
    assert (shown["model_version"], shown["endpoint"]) == (3, None)


@pytest.mark.parametrize(
    ("serves", "problem"),
    [("config-1", ""), ("v4-0a1b2c-p", ""), ("p-0", "the endpoint p serves p-0, not this run's")],
)
def test_a_version_approved_since_is_no_failed_deployment(serves: str, problem: str) -> None:
    configured = step("C", "EndpointConfig", made="arn:aws:sagemaker:::endpoint-config/config-1")
    done = execution("Succeeded", (*PASSED, configured))

    class Newest(FakePipeline):
        def newest(self, limit: int) -> list[Execution]:
            return [done][:limit]

    known = pipeline(Aws(serves=serves))
    found = deployed.problem(Newest(known.target, known.workload), done)
    assert found.startswith(problem)
    assert bool(found) is bool(problem)
