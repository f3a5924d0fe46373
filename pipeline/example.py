"""Account values for a run on this machine: plausible ones, since nothing leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.definition import METRICS, Environment, build
from pipeline.types import Json

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
BUCKET: Final = "local-data"
PIPELINE: Final = "local-pipeline"
METRIC: Final = "auto"
LEAST_QUALITY: Final = 0.7
"""The gate of a deployment with defaults (``generator.parameters``)."""
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/local"
_REGISTRY: Final = f"dkr.ecr.{REGION}.amazonaws.com"


def environment(metric: str = METRIC, threshold: float = LEAST_QUALITY) -> Environment:
    """What a deployment in Ireland would decide, but for real names."""
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
    )


def definition(parameters: Mapping[str, Any]) -> Json:
    """The definition for a run on this machine with ``parameters``.

    Whoever runs it here owns the gate as well: the metric and the threshold of the run are the
    deployment's.
    """
    metric = parameters.get("QualityMetric", METRIC)
    return build(environment(metric, parameters.get("QualityThreshold", LEAST_QUALITY)))


def open_definition() -> Json:
    """The definition by which a run on this machine sets parameters: it may choose the metric."""
    found = definition({})
    free = {"EnumValues": list(METRICS)}
    declared = [
        one | (free if one["Name"] == "QualityMetric" else {}) for one in found["Parameters"]
    ]
    return found | {"Parameters": declared}
