"""What an execution found: the evaluation's metrics, and the gate's decision with its reason."""

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
    """What the gate compared, and how it came out."""

    metric: str
    value: float
    threshold: float
    passed: bool

    def __str__(self) -> str:
        if not self.passed and self.value >= self.threshold:
            return f"the threshold {figure(self.threshold)} is below the deployment's"
        sign = ">=" if self.passed else "<"
        return f"{self.metric} {figure(self.value)} {sign} {figure(self.threshold)}"

    def as_json(self) -> dict[str, Any]:
        """The decision as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RunResults:
    """The evaluation of an execution; `problem` says why there is none to read, if one was made."""

    evaluation: Mapping[str, Any]
    decision: Decision | None = None
    problem: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers by the metrics' names."""
        found = self.evaluation.get("metrics", {})
        return {name: value for name, value in found.items() if isinstance(value, int | float)}

    @property
    def baseline(self) -> Mapping[str, Any]:
        """What the majority class alone would reach, or the mean of a regression's label."""
        found: Mapping[str, Any] = self.evaluation.get("baseline", {})
        return found


NOTHING: Final = RunResults({})


def findings(pipeline: DeployedPipeline, execution: Execution) -> RunResults:
    """Read what the execution's evaluation stored, with the rights of whoever asks."""
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
    uris = [one["S3Output"]["S3Uri"] for one in outputs if one["OutputName"] == EVALUATION.name]
    if not uris:  # a pipeline of another definition
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
