"""Asynchronous endpoints of the emulated SageMaker: requests from S3, a queue, and waking up.

With the role of the model, a request is read, its answer or failure written, and a topic told.
While a request waits and the endpoint has no instance, `HasBacklogWithoutCapacity` is 1, and the
alarms on it call their actions; no other metric is kept, and nothing shrinks by itself. Sources:
"API_runtime_InvokeEndpointAsync"; SageMaker developer guide, "Asynchronous inference" and
"Autoscale an asynchronous endpoint".
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from ministack.core.responses import new_uuid
from ministack.services import cloudwatch

from tabular_ml_vpc.local.emulator import scaling
from tabular_ml_vpc.local.emulator.job_store import RoleStore, client_of
from tabular_ml_vpc.local.emulator.sagemaker_jobs import in_background
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, named
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields
from tabular_ml_vpc.local.store import StoreError

SETTING = "AsyncInferenceConfig"
METRIC = "HasBacklogWithoutCapacity"
TEST = {"eventName": "TestNotification"}
POLL_SECONDS = 0.05
LONGEST_SECONDS = 120.0
"""How long a request may wait here, whatever its `RequestTTLSeconds`."""
ACCEPTED, OK = 202, 200

logger = logging.getLogger("sagemaker")

Answers = Callable[[bytes, str, str], tuple[int, bytes]]
"""Sends a body with its content type and what is accepted to the model; the status and answer."""


@dataclass(frozen=True)
class Request:
    """One request in the queue of an endpoint."""

    identity: str
    source: str
    content_type: str
    accept: str
    output: Fields
    """The `OutputConfig` of the endpoint's configuration when it came."""

    @property
    def answer(self) -> str:
        """Where the answer goes."""
        return f"{self.output['S3OutputPath']}{self.identity}.out"

    @property
    def failure(self) -> str:
        """Where the reason goes if there is none."""
        return f"{self.output['S3FailurePath']}{self.identity}-error.out"


def accept(record: Record, headers: dict[str, str], scale: Any, answers: Answers) -> ApiResponse:
    """Put a request into the queue; raises `ApiError` if the endpoint is not asynchronous."""
    setting = record.fields.get(SETTING)
    if not setting:
        raise ApiError("ValidationError", "Endpoint does not support asynchronous inference")
    source = headers.get("x-amzn-sagemaker-inputlocation", "")
    if not source.startswith("s3://"):
        raise ApiError("ValidationError", f"InputLocation {source!r} is not an S3 URI")
    request = Request(
        headers.get("x-amzn-sagemaker-inference-id") or new_uuid(),
        source,
        headers.get("x-amzn-sagemaker-content-type", "application/octet-stream"),
        headers.get("x-amzn-sagemaker-accept", "*/*"),
        setting["OutputConfig"],
    )
    in_background(lambda: _work(record, request, scale, answers))
    placed = {
        "X-Amzn-SageMaker-OutputLocation": request.answer,
        "X-Amzn-SageMaker-FailureLocation": request.failure,
        "Content-Type": "application/json",
    }
    return ACCEPTED, placed, json.dumps({"InferenceId": request.identity}).encode()


def capacity(record: Record) -> int:
    """Return how many instances an endpoint has."""
    variants = record.fields.get("ProductionVariants") or [{}]
    return int(variants[0].get("CurrentInstanceCount", 0))


def check_capacity(record: Record, count: int) -> None:
    """Refuse an endpoint without instances that is not asynchronous."""
    if count == 0 and SETTING not in record.fields:
        raise ApiError("ValidationException", "DesiredInstanceCount must be at least 1")


def _work(record: Record, request: Request, scale: Any, answers: Answers) -> None:
    """Wait for an instance, answer, and tell of it."""
    end = time.monotonic() + LONGEST_SECONDS
    while not capacity(record):
        if time.monotonic() > end or record.gone_at:
            return
        _wake(record, scale)
        time.sleep(POLL_SECONDS)
    role = _role(record.fields)
    store = RoleStore(role, request.identity, request.output.get("KmsKeyId", ""))
    try:
        status, answer = answers(store.read(request.source), request.content_type, request.accept)
    except (StoreError, ApiError) as error:
        status, answer = 0, str(error).encode()
    place = request.answer if status == OK else request.failure
    store.write(answer, place)
    _tell(role, request, place, succeeded=status == OK)


def _tell(role: str, request: Request, place: str, *, succeeded: bool) -> None:
    """Publish what happened, as in "Check prediction results"."""
    topics = request.output.get("NotificationConfig", {})
    if not (topic := topics.get("SuccessTopic" if succeeded else "ErrorTopic")):
        return
    _publish(
        role,
        topic,
        {
            "invocationStatus": "Completed" if succeeded else "Failed",
            "inferenceId": request.identity,
            "requestParameters": {"inputLocation": request.source},
            "responseParameters": {"outputLocation" if succeeded else "failureLocation": place},
        },
    )


def test_topics(record: Record, config: Fields) -> None:
    """Publish what SageMaker does to see whether it may, at each change of the endpoint.

    Source: SageMaker developer guide, "Create Endpoint" of asynchronous inference.
    """
    if setting := config.get(SETTING):
        topics = setting["OutputConfig"].get("NotificationConfig", {})
        role = _role({**record.fields, "EndpointConfigName": config["EndpointConfigName"]})
        for topic in {topics.get("SuccessTopic"), topics.get("ErrorTopic")} - {None}:
            in_background(partial(_publish, role, topic, TEST))


def _publish(role: str, topic: str, message: Fields) -> None:
    try:
        client_of(role, "sagemaker", "sns").publish(TopicArn=topic, Message=json.dumps(message))
    except ClientError as error:  # "NotificationFailures": the answer is in S3 all the same
        logger.warning("%s was not told: %s", topic, error)


def _role(endpoint: Fields) -> str:
    config = named("EndpointConfig", endpoint).fields
    return str(named("Model", config["ProductionVariants"][0]).fields["ExecutionRoleArn"])


def _wake(record: Record, scale: Any) -> None:
    """Let the alarms on the backlog go off, and their policies add instances."""
    name = record.fields["EndpointName"]
    for alarm in cloudwatch._alarms.values():
        if alarm.get("MetricName") != METRIC or name not in _endpoints(alarm):
            continue
        alarm["StateValue"] = "ALARM"
        for action in alarm.get("AlarmActions", []):
            policy = scaling.policy(action)
            if policy is None or capacity(record):
                continue
            step = policy["StepScalingPolicyConfiguration"]["StepAdjustments"][0]
            most = scaling.TARGETS[policy["ResourceId"]]["MaxCapacity"]
            variant = record.fields["ProductionVariants"][0]["VariantName"]
            wanted = {
                "VariantName": variant,
                "DesiredInstanceCount": min(most, step["ScalingAdjustment"]),
            }
            scale({"EndpointName": name, "DesiredWeightsAndCapacities": [wanted]})
        alarm["StateValue"] = "OK"


def _endpoints(alarm: Fields) -> list[str]:
    """Return the endpoints in an alarm's dimensions, whichever way they were given."""
    found = alarm.get("Dimensions") or {}
    if isinstance(found, dict):
        return [str(value) for key, value in found.items() if key == "EndpointName"]
    return [str(one["Value"]) for one in found if one.get("Name") == "EndpointName"]
