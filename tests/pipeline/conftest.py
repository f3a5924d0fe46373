"""A deployment's values, and the definition that they give."""

from __future__ import annotations

import pytest

from pipeline.definition import Environment, build
from pipeline.types import Json

REGISTRY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role"


@pytest.fixture
def environment() -> Environment:
    """What a deployment in Ireland would decide."""
    return Environment(
        pipeline_name="demo",
        endpoint_name="demo-endpoint",
        model_package_group="demo-models",
        bucket="demo-data",
        key_arn="arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        pipeline_role_arn=f"{ROLE}/demo-pipeline",
        processing_role_arn=f"{ROLE}/demo-processing",
        training_role_arn=f"{ROLE}/demo-training",
        model_role_arn=f"{ROLE}/demo-model",
        subnet_ids=("subnet-1", "subnet-2"),
        security_group_ids=("sg-1",),
        training_image=f"{REGISTRY}/autogluon-training:1.5.0-cpu-py312-ubuntu22.04",
        inference_image=f"{REGISTRY}/autogluon-inference:1.5.0-cpu-py312-ubuntu22.04",
        processing_instance_type="ml.m5.large",
        training_instance_type="ml.m5.xlarge",
        endpoint_instance_type="ml.c6i.large",
        quality_metric="roc_auc",
        quality_threshold=0.7,
        code_prefix="code/0123abcd",
        owner="arn:aws:cloudformation:eu-west-1:123456789012:stack/demo/1234",
    )


@pytest.fixture
def definition(environment: Environment) -> Json:
    """The definition for `environment`, free for a test to change."""
    return build(environment)
