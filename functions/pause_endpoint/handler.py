"""Pause an endpoint, or create it again: one call looks at what there is and acts, or refuses.

Not a custom resource: EventBridge calls it on two schedules, and when the endpoint serves. The
function reads (``endpoint``), decides (``core``) and never waits. It returns nothing. What it
refuses, and any unexpected error, fails the call, so that Lambda repeats it after one and two
minutes and then hands the event to the queue of undeliverable events, whose alarm tells people
("Asynchronous invocation", Lambda developer guide).

Event: the fields of :class:`functions.pause_endpoint.properties.PauseEndpointProperties`, which
each rule's target has as its input.

Permissions:

- ``sagemaker:DescribeEndpoint`` on ``endpoint/<name>``, ``endpoint/try-<name>``
- ``sagemaker:DescribeEndpointConfig`` on ``endpoint-config/*<name>*``
- ``sagemaker:ListTags`` on ``endpoint/<name>``, ``endpoint-config/*<name>*`` (the tags name the
  owner)
- ``sagemaker:ListEndpointConfigs`` on ``*`` (it supports no narrower resource)
- ``sagemaker:ListPipelineExecutions`` on ``pipeline/<name>``, if runs deploy
- ``sagemaker:AddTags``, ``sagemaker:DeleteTags`` on ``endpoint-config/*<name>*``, with the
  condition ``aws:ResourceTag/pipeline-owner`` = the owner
- ``sagemaker:DeleteEndpoint`` on ``endpoint/<name>``, with the same
  condition ``aws:ResourceTag/pipeline-owner``
- ``sagemaker:CreateEndpoint`` on ``endpoint/<name>`` and ``endpoint-config/*<name>*``, and
  ``sagemaker:AddTags`` on ``endpoint/<name>``, with the condition ``sagemaker:TaggingAction``
- ``kms:CreateGrant`` on the key, for the volumes of the endpoint's instances, through SageMaker
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions.pause_endpoint.core import decide
from functions.pause_endpoint.endpoint import ScheduledEndpoint
from functions.pause_endpoint.properties import PauseEndpointProperties
from functions.shared import aws
from functions.shared.calls import Calls
from functions.shared.woken import woken

if TYPE_CHECKING:
    from functions.shared.custom_resource import Event, LambdaContext


def handler(event: Event, context: LambdaContext) -> None:
    """Pause or resume a pipeline's endpoint."""
    woken(PauseEndpointProperties, _run, event, context)


def _run(properties: PauseEndpointProperties, calls: Calls) -> None:
    client = calls.watch(aws.client("sagemaker"))
    endpoint = ScheduledEndpoint(client, properties, _now())
    for step in decide(properties.action, endpoint.snapshot()):
        endpoint.act(step)


def _now() -> datetime:
    return datetime.now(UTC)
