"""What the stacks of all pipelines have in common: ``main``'s, and that of the named ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from awacs.aws import Statement
from troposphere import Sub, logs, sagemaker

from generator import images, package
from generator.policies import approval, jobs, people
from generator.policies.jobs import ENDPOINT_LOGS
from generator.retention import retention
from generator.settings import Mode, Settings
from generator.settings_choices import Choices
from generator.wiring import (
    BucketName,
    Expression,
    KeyArn,
    Number,
    RoleArn,
    RoleName,
    SubnetIds,
    Text,
    UniqueName,
)
from pipeline.layout import folder
from pipeline.prediction import SUFFIX

PREDICTIONS: Final = "Predictions"
"""Logical id of the pipeline of batch predictions."""
SPARK_PROCESSING: Final = "SparkProcessing"
"""Purpose of the role that prepares tables on a cluster."""
TRIALS: Final = "Trials"
"""Logical id of what removes the trial endpoint."""


class PipelineInputs(Protocol):
    """The inputs that the stack of every pipeline has."""

    @property
    def key_arn(self) -> KeyArn:
        """The key."""

    @property
    def subnet_ids(self) -> SubnetIds:
        """The isolated subnets."""

    @property
    def data_bucket(self) -> BucketName:
        """The bucket for data, code and models."""

    @property
    def processing_instance_type(self) -> Text:
        """Default of the run parameter."""

    @property
    def training_instance_type(self) -> Text:
        """Default of the run parameter."""

    @property
    def endpoint_instance_type(self) -> Text:
        """Default of the run parameter."""

    @property
    def quality_metric(self) -> Text:
        """The quality gate's metric."""

    @property
    def quality_threshold(self) -> Number:
        """The quality gate's minimum."""

    @property
    def auto_gluon_image_tag(self) -> Text:
        """The tag of the images for jobs and the endpoint."""


def environment(
    inputs: PipelineInputs, pipeline: UniqueName, chosen: Choices
) -> dict[str, Expression]:
    """Return the deployment's values for a pipeline, by the names in the definition.

    ``pipeline`` is its name, which its endpoint and its model package group have too. The roles,
    the security groups and the owner are missing.
    """
    name, serving = pipeline.across_border(), chosen.serving
    instances, most = serving.instances, serving.most_instances
    return {
        "pipeline_name": name,
        "endpoint_name": name,
        "model_package_group": name,
        "bucket": inputs.data_bucket.across_border(),
        "key_arn": inputs.key_arn.across_border(),
        "subnet_ids": inputs.subnet_ids.across_border(),
        "training_image": images.TRAINING.uri(inputs.auto_gluon_image_tag),
        "inference_image": images.INFERENCE.uri(inputs.auto_gluon_image_tag),
        "processing_instance_type": inputs.processing_instance_type.across_border(),
        "training_instance_type": inputs.training_instance_type.across_border(),
        "endpoint_instance_type": inputs.endpoint_instance_type.across_border(),
        "quality_metric": inputs.quality_metric.across_border(),
        "quality_threshold": inputs.quality_threshold.across_border(),
        "source_hash": package.source_hash(),
        **({} if chosen.deploys else {"deploys": "false"}),
        **({"on_approval": "true"} if chosen.on_approval else {}),
        **({"champion_margin": f"{serving.champion_margin:g}"} if serving.compares else {}),
        **({"maximum_instances": str(most)} if serving.scales else {}),
        **({"asynchronous": "true"} if serving.asynchronous else {}),
        **({"endpoint_instances": str(instances)} if instances > 1 else {}),
    }


def predicting(pipeline: UniqueName, chosen: Choices) -> dict[str, Expression]:
    """Return what differs for the pipeline of batch predictions beside ``pipeline``."""
    return {
        "pipeline_name": Sub(f"${{Name}}{SUFFIX}", Name=pipeline),
        "predicts": "true",
        **({"measures_answers": "true"} if chosen.watching.quality_days else {}),
    }


def endpoint_log_group(
    key: KeyArn, endpoint: UniqueName, settings: Settings, mode: Mode
) -> logs.LogGroup:
    """Return the endpoint's log group, which SageMaker would create without key and retention."""
    return logs.LogGroup(
        "EndpointLogGroup",
        KmsKeyId=key,
        LogGroupName=Sub(f"{ENDPOINT_LOGS}/${{Name}}", Name=endpoint),
        RetentionInDays=settings.storage.log_retention_days,
        **retention(mode),
    )


def model_package_group(name: UniqueName) -> sagemaker.ModelPackageGroup:
    """Return the registry of a pipeline's models."""
    return sagemaker.ModelPackageGroup(
        "ModelPackageGroup",
        ModelPackageGroupDescription="Models that passed the pipeline's quality gate",
        ModelPackageGroupName=name,
    )


def step_permissions(
    inputs: PipelineInputs,
    name: UniqueName,
    chosen: Choices,
    passed: Sequence[tuple[str, RoleName | RoleArn]],
    at: jobs.Folders = folder,
    *,
    predicts: bool,
) -> dict[str, list[Statement]]:
    """Return the permissions of a pipeline's jobs, its model, and itself, by purpose.

    ``passed`` are purposes and roles of the jobs and the model; ``at`` says where its data is.
    """
    data, key, on_approval = inputs.data_bucket, inputs.key_arn, chosen.on_approval
    on_spark = SPARK_PROCESSING in dict(passed)
    statements = {
        "Processing": jobs.own_processing(
            data,
            key,
            [images.TRAINING],
            at,
            spark=on_spark,
            predicts=predicts,
            compares=chosen.serving.compares,
            checks=chosen.watching.checks,
        ),
        "Training": jobs.training(data, key, [images.TRAINING], at),
        people.MODEL: jobs.model(
            data,
            key,
            [images.INFERENCE],
            name,
            at,
            captures=chosen.serving.captures,
            asynchronous=chosen.serving.asynchronous,
            alarms=[approval.endpoint_alarms()] if on_approval else (),
        ),
        "Pipeline": people.pipeline(
            name,
            data,
            key,
            passed,
            [images.INFERENCE],
            at,
            deploys=chosen.deploys,
            guards=approval.leave_approval_to_others(name) if on_approval else (),
        ),
    }
    if on_spark:
        statements[SPARK_PROCESSING] = jobs.processing(data, key, [images.SPARK], jobs.TABLES, at)
    return statements
