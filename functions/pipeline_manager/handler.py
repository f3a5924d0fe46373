"""``Custom::Pipeline``: the SageMaker pipeline, its code and, at deletion, what its runs created.

Also ``Custom::PredictionPipeline``, beside it, and ``Custom::Trials``, which does nothing but
remove the trial endpoint, if it is ours, when it is deleted itself, also by an update.

Event: the fields of :class:`functions.pipeline_manager.properties.PipelineProperties`. Returns
``PipelineName`` and ``PipelineArn``.

Create and Update upload the job scripts under ``code/<source hash>/`` and create the pipeline, or
update it if it has our tag; they fail if a pipeline of that name is not ours. They change no
execution and nothing that runs created; but an Update after which the fleet no longer scales
deregisters it. Deleting the stack stops running executions, ends the scaling, then removes
the endpoint, the trial endpoint, endpoint configurations, models and model packages that runs and
deployments created and that are still ours by their tags (model packages: by their metadata), and
then the pipeline. A repeated Delete continues where it stopped. A pipeline of predictions is also
deleted when an update takes it out of the stack.

Permissions:

- ``s3:GetObject``, ``s3:PutObject`` on ``code/*`` of the bucket, and ``s3:PutObject`` on
  ``champion/none.txt`` if models are compared with the one that serves
- ``s3:ListBucket`` on the bucket, without a prefix condition (otherwise S3 returns "forbidden" for
  a missing file, "API_GetObject")
- ``kms:GenerateDataKey``, ``kms:Decrypt`` on the bucket's key, through S3
- ``sagemaker:CreatePipeline``, ``sagemaker:DescribePipeline``, ``sagemaker:UpdatePipeline``,
  ``sagemaker:DeletePipeline``, ``sagemaker:ListPipelineExecutions`` on ``pipeline/<name>``
- ``sagemaker:AddTags`` on ``pipeline/<name>``, with the condition ``sagemaker:TaggingAction`` =
  ``CreatePipeline`` (CreatePipeline with tags requires it)
- ``iam:PassRole`` on the pipeline's role, with the condition ``iam:PassedToService`` =
  ``sagemaker.amazonaws.com`` (CreatePipeline and UpdatePipeline require it)
- ``sagemaker:StopPipelineExecution``, ``sagemaker:ListPipelineExecutionSteps`` on
  ``pipeline/<name>/execution/*``
- ``sagemaker:ListTags`` on ``pipeline/<name>``, ``endpoint/<endpoint name>``,
  ``endpoint/try-<endpoint name>``, ``endpoint-config/*<endpoint name>*``, ``model/pipelines-*``,
  ``model/v*-<endpoint name>`` (the tags name the owner)
- ``sagemaker:ListEndpointConfigs``, ``sagemaker:ListModels`` on ``*`` (they support no narrower
  resource)
- ``sagemaker:DescribeEndpoint`` on ``endpoint/<endpoint name>``, ``endpoint/try-<endpoint name>``,
  ``sagemaker:DescribeEndpointConfig`` on ``endpoint-config/*`` (one that users gave the endpoint)
- ``sagemaker:DeleteEndpoint`` on both endpoints, ``sagemaker:DeleteEndpointConfig`` on
  ``endpoint-config/*<endpoint name>*``, ``sagemaker:DeleteModel`` on ``model/pipelines-*`` and
  ``model/v*-<endpoint name>``, all with the condition ``aws:ResourceTag/pipeline-owner`` = the
  owner
- ``sagemaker:ListModelPackages``, ``sagemaker:DescribeModelPackage``,
  ``sagemaker:DeleteModelPackage`` on ``model-package/<group>/*``
- if the fleet scales, ``application-autoscaling:DescribeScalableTargets`` on ``*`` (it supports no
  narrower resource), ``application-autoscaling:ListTagsForResource`` on ``scalable-target/*``;
  ``application-autoscaling:DeregisterScalableTarget`` on ``scalable-target/*``, with the condition
  ``aws:ResourceTag/pipeline-owner`` = the owner
- for that, ``cloudwatch:DeleteAlarms`` on ``alarm:<name>-backlog``, and on
  ``alarm:TargetTracking-endpoint/<name>/variant/*``, with the condition ``aws:CalledViaLast`` =
  ``application-autoscaling.amazonaws.com``
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.pipeline_manager.core import ManagedPipeline, read_scripts
from functions.pipeline_manager.properties import PipelineProperties
from functions.pipeline_manager.removal import Removal
from functions.shared.custom_resource import (
    Attributes,
    Deletes,
    Event,
    LambdaContext,
    Request,
    serve,
)
from functions.shared.properties import from_event
from functions.shared.scaling import ALARMS, SERVICE


def handler(event: Event, context: LambdaContext) -> None:
    """Handle one event from CloudFormation."""
    serve(event, context, _act, _deletes(event))


def _deletes(event: Event) -> Deletes:
    """A pipeline of predictions and trial endpoints go with their setting: nothing depends on them.

    The executions of the former leave files only.
    """
    properties = event.get("ResourceProperties", {})
    goes = "true" in (properties.get("Predicts"), properties.get("Trials"))
    return Deletes.ALL if goes else Deletes.OF_STACK


def _act(request: Request) -> Attributes:
    properties = from_event(PipelineProperties, request.properties)
    sagemaker = request.client("sagemaker")
    pipeline = ManagedPipeline(sagemaker, properties, request.request_id)
    if properties.trials:
        if request.deletes:
            Removal(pipeline, request.deadline).end_trial()
        return {}
    if request.deletes:
        scaling = request.client(SERVICE) if properties.maximum_instances else None
        alarms = request.client(ALARMS) if properties.asynchronous else None
        Removal(pipeline, request.deadline, scaling, alarms).run()
        return {}
    arn = pipeline.deploy(request.client("s3"), read_scripts())
    if request.kind == "Update" and not properties.predicts:
        _end_scaling(request, pipeline)
    return {"PipelineName": properties.pipeline_name, "PipelineArn": arn}


def _end_scaling(request: Request, pipeline: ManagedPipeline) -> None:
    """End the scaling that is switched off, or is that of the other kind of endpoint.

    Not by the function that began it: its way to Application Auto Scaling, and its permission, end
    with this update.
    """
    before, properties = request.old_properties, pipeline.properties
    scaled, waked = int(before.get("MaximumInstances", 0)), before.get("Asynchronous") == "true"
    changes = waked != properties.asynchronous or not properties.maximum_instances
    if scaled and changes:
        alarms = request.client(ALARMS) if waked else None
        Removal(pipeline, request.deadline, request.client(SERVICE), alarms).end_scaling()
