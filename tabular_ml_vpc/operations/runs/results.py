"""The results of an execution: the evaluation's metrics, and the gate's decision and reason."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from functions.shared.aws import bucket_and_key
from pipeline.definition import EVALUATION, LEAD, QUALITY_GATE
from tabular_ml_vpc.comparison import comparison
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.target import in_words

REPORT: Final = "evaluation.json"
_LARGEST: Final = 1e300
_PARTS: Final = ("metrics", "baseline", "gate")


@dataclass(frozen=True)
class Decision:
    """What the gate compared, and the outcome.

    `champion` is the serving model's value, if the gate rejected the model for being worse.
    """

    metric: str
    value: float
    threshold: float
    passed: bool
    champion: float | None = None

    def __str__(self) -> str:
        if not self.passed and self.value >= self.threshold:
            if self.champion is not None:
                value = f"{self.metric} {figure(self.value)}"
                return f"{value}, and {figure(self.champion)} of the model that serves"
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
        return {name: value for name, value in found.items() if is_number(value)}

    @property
    def baseline(self) -> Mapping[str, Any]:
        """The scores of always predicting the majority class, or the mean of the label."""
        found: Mapping[str, Any] = self.evaluation.get("baseline", {})
        return found


def is_number(value: object) -> bool:
    """Tell whether a report's value is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < _LARGEST)


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
    except (ValueError, RecursionError):
        return RunResults({}, problem=f"the metrics cannot be read: {REPORT} is not a report")
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
    bucket, prefix = bucket_and_key(uris[0])
    key = f"{prefix.rstrip('/')}/{REPORT}"
    body = pipeline.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return report_of(body)


def report_of(body: bytes) -> dict[str, Any]:
    """Read an evaluation report, which whoever can write to the bucket may have replaced.

    Raises:
        ValueError: it is not JSON, or not an object whose parts are objects.

    """
    found = json.loads(body)
    parts = [found, *(found.get(name, {}) for name in _PARTS)] if isinstance(found, dict) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise ValueError("not an evaluation report")
    return dict(found)


def _decision(
    pipeline: DeployedPipeline, execution: Execution, evaluation: Mapping[str, Any], outcome: str
) -> Decision | None:
    gate = evaluation.get("gate", {})
    threshold = pipeline.parameters(execution.arn).get("QualityThreshold")
    if not is_number(gate.get("value")) or threshold is None:
        return None
    passed = outcome.lower() == "true"
    champion = None if passed else _better_champion(pipeline, evaluation)
    metric, value = str(gate.get("metric")), float(gate["value"])
    return Decision(metric, value, float(threshold), passed, champion)


def _better_champion(pipeline: DeployedPipeline, evaluation: Mapping[str, Any]) -> float | None:
    """The serving model's value, if it is better by more than the gate allows."""
    before = comparison(evaluation)
    if before is None or before.lead is None or before.lead >= 0:
        return None
    return before.value if before.lead < _least_lead(pipeline.definition) else None


def _least_lead(definition: Mapping[str, Any]) -> float:
    """The lead over the serving model that the definition's gate asks for."""
    gates = [step["Arguments"] for step in definition["Steps"] if step["Name"] == QUALITY_GATE]
    for condition in (one for gate in gates for one in gate["Conditions"]):
        left = condition.get("LeftValue")
        if isinstance(left, dict) and left.get("Std:JsonGet", {}).get("Path") == LEAD:
            return float(condition["RightValue"])
    return -math.inf
