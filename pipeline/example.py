"""Account values for a run on this machine, where placeholders are enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.definition import Environment, build
from pipeline.layout import MAIN
from pipeline.run_parameters import METRICS
from pipeline.types import Json

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
BUCKET: Final = "local-data"
PIPELINE: Final = "local-pipeline"
METRIC: Final = "auto"
LEAST_QUALITY: Final = 0.7
"""The quality gate of a deployment with defaults (``generator.parameters``)."""
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/local"
_REGISTRY: Final = f"dkr.ecr.{REGION}.amazonaws.com"


def environment(
    metric: str = METRIC,
    threshold: float = LEAST_QUALITY,
    name: str = MAIN,
    label_column: str = Environment.label_column,
    problem_type: str = Environment.problem_type,
) -> Environment:
    """The values of a deployment in Ireland, with example names."""
    return Environment(
        pipeline_name=PIPELINE,
        endpoint_name="local-endpoint",
        model_package_group="local-models",
        bucket=BUCKET,
        key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
        pipeline_role_arn=f"{_ROLE}-pipeline",
        processing_role_arn=f"{_ROLE}-processing",
        training_role_arn=f"{_ROLE}-training",
        model_role_arn=f"{_ROLE}-model",
        subnet_ids=("subnet-1", "subnet-2"),
        security_group_ids=("sg-1",),
        training_image=f"763104351884.{_REGISTRY}/autogluon-training:1.5.0-cpu-py312-ubuntu22.04",
        inference_image=f"763104351884.{_REGISTRY}/autogluon-inference:1.5.0-cpu-py312-ubuntu22.04",
        processing_instance_type="ml.m5.large",
        training_instance_type="ml.m5.large",
        endpoint_instance_type="ml.m5.large",
        quality_metric=metric,
        quality_threshold=threshold,
        code_prefix="code/local",
        owner=f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/local/0",
        name=name,
        label_column=label_column,
        problem_type=problem_type,
    )


def definition(parameters: Mapping[str, Any]) -> Json:
    """The definition for a run on this machine with ``parameters``.

    Here the run also decides the gate: its metric and threshold become the deployment's.
    """
    metric = parameters.get("QualityMetric", METRIC)
    return build(environment(metric, parameters.get("QualityThreshold", LEAST_QUALITY)))


def open_definition() -> Json:
    """The definition with the parameters of a run on this machine, which can choose the metric."""
    found = definition({})
    free = {"EnumValues": list(METRICS)}
    declared = [
        one | (free if one["Name"] == "QualityMetric" else {}) for one in found["Parameters"]
    ]
    return found | {"Parameters": declared}
