"""Deploy the newest approved version of the model: one call does the next step.

Not a custom resource: EventBridge calls it when a version of the group, the endpoint or the trial
endpoint changes, and every five minutes, which repairs lost events. What happened does not matter:
the function reads what there is (``observe``), decides (``core``) and acts (``act``). It never
waits for a phase; only sample requests during a shift take about a minute. It returns nothing; an
unexpected error fails the call, so that Lambda retries it and then hands the event to the queue of
undeliverable events ("Asynchronous invocation", Lambda developer guide).

Event: the fields of :class:`functions.deploy_model.properties.DeployModelProperties`, which each
rule's target has as its input, whatever woke it.

Permissions:

- ``sagemaker:ListModelPackages``, ``sagemaker:DescribeModelPackage`` on ``model-package/<group>/*``
- ``sagemaker:UpdateModelPackage`` on ``model-package/<group>/*``, with the condition
  ``sagemaker:ModelApprovalStatus`` = ``Rejected``
- ``sagemaker:DescribeEndpoint`` on ``endpoint/<name>``, ``endpoint/try-<name>``
- ``sagemaker:ListEndpointConfigs`` on ``*`` (it supports no narrower resource),
  ``sagemaker:DescribeEndpointConfig`` on ``endpoint-config/*`` (one that users gave the endpoint),
  ``sagemaker:DescribeModel`` on ``model/v*-<name>``
- ``sagemaker:ListTags`` on ``endpoint/<name>``, ``endpoint/try-<name>``,
  ``endpoint-config/*<name>*``, ``model/v*-<name>`` (the tags name the owner)
- ``sagemaker:CreateModel`` on ``model/v*-<name>``, ``sagemaker:CreateEndpointConfig`` on
  ``endpoint-config/v*-<name>``, ``sagemaker:CreateEndpoint`` on both endpoints and
  ``endpoint-config/v*-<name>``
- ``sagemaker:AddTags`` on what these create, with the condition ``sagemaker:TaggingAction``, and on
  ``endpoint-config/v*-<name>`` (how far a deployment is), with the condition
  ``aws:ResourceTag/pipeline-owner`` = the owner
- ``sagemaker:UpdateEndpoint`` on ``endpoint/<name>`` and ``endpoint-config/v*-<name>``
- ``cloudwatch:DescribeAlarms`` on the alarms (UpdateEndpoint with alarms requires it,
  "Auto-Rollback Configuration and Monitoring")
- ``sagemaker:DeleteEndpoint`` on ``endpoint/try-<name>``, ``sagemaker:DeleteEndpointConfig`` on
  ``endpoint-config/v*-<name>``, ``sagemaker:DeleteModel`` on ``model/v*-<name>``, all with the
  condition ``aws:ResourceTag/pipeline-owner`` = the owner
- ``sagemaker:InvokeEndpoint`` on both endpoints
- if the fleet scales, ``application-autoscaling:DescribeScalableTargets``,
  ``application-autoscaling:DescribeScalingPolicies`` on ``*`` (they support no narrower resource),
  ``application-autoscaling:ListTagsForResource`` on ``scalable-target/*`` (its ids are random)
- ``application-autoscaling:RegisterScalableTarget``, ``application-autoscaling:TagResource`` on
  ``scalable-target/*`` that has no owner yet, with the condition ``aws:RequestTag/pipeline-owner``
  = the owner
- ``application-autoscaling:RegisterScalableTarget``, ``application-autoscaling:PutScalingPolicy``,
  ``application-autoscaling:DeregisterScalableTarget`` on ``scalable-target/*``, with the condition
  ``aws:ResourceTag/pipeline-owner`` = the owner
- ``sagemaker:UpdateEndpointWeightsAndCapacities`` on ``endpoint/<name>``,
  ``cloudwatch:DescribeAlarms`` on ``alarm:*``; ``cloudwatch:PutMetricAlarm``,
  ``cloudwatch:DeleteAlarms`` on ``alarm:TargetTracking-endpoint/<name>/variant/*``, with the
  condition ``aws:CalledViaLast`` = ``application-autoscaling.amazonaws.com``: its caller needs them
  ("Permissions validation for Application Auto Scaling API calls on target resources")
- if the endpoint is asynchronous, ``cloudwatch:PutMetricAlarm`` on ``alarm:<name>-backlog``;
  ``sagemaker:InvokeEndpointAsync`` on both endpoints, ``s3:PutObject`` on the folder of its own
  requests, ``s3:GetObject`` on answers and failures, ``kms:GenerateDataKey`` on the key, through S3
- ``iam:CreateServiceLinkedRole`` for the role of Application Auto Scaling in SageMaker, which the
  first registration in an account creates
- ``iam:PassRole`` on the models' role, with the condition ``iam:PassedToService`` =
  ``sagemaker.amazonaws.com``
- ``kms:CreateGrant`` on the key, for the volumes of the endpoints' instances, through SageMaker
- ``s3:GetObject`` on the smoke tests' folders, ``s3:ListBucket`` on the bucket (otherwise S3
  returns "forbidden" for a missing file, "API_GetObject"), ``kms:Decrypt`` on the key, through S3
- if runs compare their models with the one that serves: ``s3:GetObject`` on ``models/*`` and
  ``champion/*``, ``s3:PutObject`` on ``champion/*``, ``kms:GenerateDataKey`` on the key, through S3
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.deploy_model import state
from functions.deploy_model.act import Actor
from functions.deploy_model.champion import Champion
from functions.deploy_model.core import decide
from functions.deploy_model.observe import Observer
from functions.deploy_model.properties import DeployModelProperties
from functions.deploy_model.smoke import ANSWER_SECONDS
from functions.shared import aws
from functions.shared.calls import Calls
from functions.shared.reasons import cause
from functions.shared.scaling import ALARMS, SERVICE
from functions.shared.woken import woken

if TYPE_CHECKING:
    from functions.shared.custom_resource import Event, LambdaContext

_RUNTIME: Final = "sagemaker-runtime"
_PROGRESS: Final = (state.StartTrial, state.Deploy, state.SendSamples)
"""Steps on a version's way: the one that failed before is among them, or comes before one."""


def handler(event: Event, context: LambdaContext) -> None:
    """Do the next step of a pipeline's deployment."""
    woken(DeployModelProperties, _run, event, context)


def _run(properties: DeployModelProperties, calls: Calls) -> None:
    """Read, decide and act; a smoke test is read like the rest, when the decision needs it.

    If the scaling cannot be read, the call does everything else before it fails. Whatever AWS
    refuses is counted for the alarm.
    """

    def client(service: str) -> Any:
        """A model may take its time, and a request that it could not answer is not repeated."""
        if service == _RUNTIME:
            return calls.watch(aws.client(service, read_timeout=ANSWER_SECONDS, attempts=1))
        return calls.watch(aws.client(service))

    now = _now()
    scaling = client(SERVICE) if properties.scales else None
    alarms = client(ALARMS) if properties.asynchronous else None
    observer = Observer(client("sagemaker"), properties, scaling, alarms)
    actor = Actor(observer, client, calls.deadline, now)
    deadline = timedelta(hours=properties.deadline_hours)
    try:
        snapshot = observer.snapshot(now)
        _act_and_remember(actor, snapshot, deadline, calls)
        if properties.champion_uri:
            champion = Champion(
                client("s3"),
                observer.sagemaker,
                properties.champion_uri,
                properties.model_package_group,
                properties.models_uri,
            )
            champion.follow(snapshot.endpoint, snapshot.serving)
        if snapshot.blind:
            raise snapshot.blind
    except (BotoCoreError, ClientError):
        actor.count_complaint()
        raise


def _act_and_remember(
    actor: Actor, snapshot: state.Snapshot, deadline: timedelta, calls: Calls
) -> None:
    """Record what keeps the version from serving until a step of it succeeds.

    Other errors are not about it.
    """
    try:
        steps = _act(actor, snapshot, deadline)
    except (BotoCoreError, ClientError) as error:
        actor.remember(snapshot.config, cause(calls, error))
        raise
    if any(isinstance(step, _PROGRESS) for step in steps):
        actor.forget(snapshot.config)


def _act(actor: Actor, snapshot: state.Snapshot, deadline: timedelta) -> state.Steps:
    steps = decide(snapshot, deadline)
    if tests := [step for step in steps if isinstance(step, state.AskTrial)]:
        tested = replace(snapshot, verdict=actor.verdict(tests[0].version))
        steps = decide(tested, deadline)
    for step in steps:
        actor.act(step)
    return steps


def _now() -> datetime:
    return datetime.now(UTC)
