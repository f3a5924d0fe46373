"""The results of an execution: the evaluation's metrics, and the gate's decision and reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from pipeline.definition import EVALUATION, QUALITY_GATE
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.target import in_words

_REPORT: Final = "evaluation.json"


@dataclass(frozen=True)
class Decision:
    """What the gate compared, and the outcome."""

    metric: str
    value: float
    threshold: float
    passed: bool

    def __str__(self) -> str:
        if not self.passed and self.value >= self.threshold:
            return f"the threshold {figure(self.threshold)} is lower than the deployment's"
        sign = ">=" if self.passed else "<"
        return f"{self.metric} {figure(self.value)} {sign} {figure(self.threshold)}"

    def as_json(self) -> dict[str, Any]:
        """The decision as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RunResults:
    """The evaluation of an execution; `problem` says why it could not be read, if it exists."""

    evaluation: Mapping[str, Any]
    decision: Decision | None = None
    problem: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers by metric name."""
        found = self.evaluation.get("metrics", {})
        return {name: value for name, value in found.items() if isinstance(value, int | float)}

    @property
    def baseline(self) -> Mapping[str, Any]:
        """The scores of always predicting the majority class, or the mean of the label."""
        found: Mapping[str, Any] = self.evaluation.get("baseline", {})
        return found


NOTHING: Final = RunResults({})


def findings(pipeline: DeployedPipeline, execution: Execution) -> RunResults:
    """Read the results of the execution's evaluation, with the caller's permissions."""
    step = execution.step(EVALUATION.step)
    if step is None or step.status != "Succeeded":
        return NOTHING
    try:
        evaluation = _report(pipeline, step.job)
    except ClientError as error:
        return RunResults({}, problem=f"the metrics cannot be read: {in_words(error)}")
    gate = execution.step(QUALITY_GATE)
    if gate is None or not gate.outcome:
        return RunResults(evaluation)
    return RunResults(evaluation, _decision(pipeline, execution, evaluation, gate.outcome))


def _report(pipeline: DeployedPipeline, job: str) -> dict[str, Any]:
    described = pipeline.target.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    outputs = described.get("ProcessingOutputConfig", {}).get("Outputs", [])
    uris = [item["S3Output"]["S3Uri"] for item in outputs if item["OutputName"] == EVALUATION.name]
    if not uris:  # a pipeline with another definition
        return {}
    bucket, _, prefix = uris[0].removeprefix("s3://").partition("/")
    key = f"{prefix.rstrip('/')}/{_REPORT}"
    body = pipeline.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return dict(json.loads(body))


def _decision(
    pipeline: DeployedPipeline, execution: Execution, evaluation: Mapping[str, Any], outcome: str
) -> Decision | None:
    gate = evaluation.get("gate", {})
    threshold = pipeline.parameters(execution.arn).get("QualityThreshold")
    if "value" not in gate or threshold is None:
        return None
    passed = outcome.lower() == "true"
    return Decision(str(gate.get("metric")), float(gate["value"]), float(threshold), passed)
