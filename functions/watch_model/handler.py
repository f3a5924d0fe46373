"""Check captured requests, and start runs: one call reads what there is and does what is due.

Not a custom resource: EventBridge calls it every five minutes, and when an execution of the
pipeline of predictions changes. What happened does not matter: the function reads executions and
the table (``observe``), decides (``core``) and acts (``act``). It never waits. It returns nothing;
an unexpected error fails the call, so that Lambda retries it and then hands the event to the queue
of undeliverable events ("Asynchronous invocation", Lambda developer guide).

Event: the fields of :class:`functions.watch_model.properties.WatchModelProperties`, which each
rule's target has as its input, whatever woke it.

Permissions:

- ``sagemaker:ListPipelineExecutions``, ``sagemaker:StartPipelineExecution`` on ``pipeline/<name>``
  (to start runs) and ``pipeline/<name>-predict`` (to check requests)
- ``sagemaker:UpdatePipelineExecution`` on ``pipeline/<name>-predict/execution/*``
- ``sagemaker:DescribeEndpoint`` on ``endpoint/<name>``, ``sagemaker:DescribeEndpointConfig`` on
  ``endpoint-config/*`` (one that users gave the endpoint), ``sagemaker:DescribeModel`` on
  ``model/v*-<name>``, ``sagemaker:DescribeModelPackage`` on ``model-package/<name>/*``
- ``s3:GetObject`` on the table (for its date and its mark; nothing reads its content) and on the
  reports of checks, ``s3:ListBucket`` on the bucket (to see whether anything was captured or
  labeled; without it S3 returns "forbidden" for a missing file, "API_HeadObject"), ``kms:Decrypt``
  on the key, through S3
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.shared import aws
from functions.shared.calls import Calls
from functions.shared.woken import woken
from functions.watch_model.act import Actor
from functions.watch_model.core import decide
from functions.watch_model.observe import Observer
from functions.watch_model.properties import WatchModelProperties

if TYPE_CHECKING:
    from functions.shared.custom_resource import Event, LambdaContext


def handler(event: Event, context: LambdaContext) -> None:
    """Do what is due for one pipeline."""
    woken(WatchModelProperties, _run, event, context)


def _run(properties: WatchModelProperties, calls: Calls) -> None:
    def client(service: str) -> Any:
        return calls.watch(aws.client(service))

    now, sagemaker, s3 = _now(), client("sagemaker"), client("s3")
    snapshot = Observer(sagemaker, s3, properties).snapshot(now)
    actor = Actor(sagemaker, s3, properties, now)
    for step in decide(snapshot, properties):
        actor.act(step)


def _now() -> datetime:
    return datetime.now(UTC)
