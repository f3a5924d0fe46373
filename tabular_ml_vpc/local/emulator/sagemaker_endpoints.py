"""Endpoints of the emulated SageMaker: their states, and the deployment of configurations to them.

Statuses and `PendingDeploymentSummary` as in "API_DescribeEndpoint", the messages of
`VariantStatus` as in "Events that Amazon SageMaker AI sends to Amazon EventBridge". During an
update, an endpoint still has its previous `EndpointConfigName`. After one that failed, it serves
that configuration, with a `FailureReason`, as on AWS. An endpoint that is being deleted answers
until its record is gone.
"""

from __future__ import annotations

import time
from typing import Any

from tabular_ml_vpc.local.emulator import (
    asynchronous,
    sagemaker_deployments,
    sagemaker_events,
    scaling,
)
from tabular_ml_vpc.local.emulator.sagemaker_deployments import Deployment, Step
from tabular_ml_vpc.local.emulator.sagemaker_jobs import FAILURES, in_background
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, named
from tabular_ml_vpc.local.emulator.sagemaker_traffic import Fleet, Launcher, Traffic
from tabular_ml_vpc.local.emulator.types import Fields

MINUTE = 0.1
"""The seconds that a minute of waiting takes in a deployment."""
POLL_SECONDS = 0.02
PENDING = "PendingDeploymentSummary"


class _GoneError(Exception):
    """The endpoint was deleted meanwhile."""


class _AlarmError(Exception):
    """An alarm went off during a bake."""


class Endpoints:
    """The endpoints of one emulator."""

    def __init__(self, launcher: Launcher) -> None:
        """Start without endpoints."""
        self._launcher = launcher
        self._traffic: dict[str, Traffic] = {}

    def traffic(self, record: Record) -> Traffic:
        """Return the traffic of an endpoint; raises `ApiError` if nothing answers its requests."""
        found = self._traffic.get(record.arn)
        if found is None:
            status = record.fields["EndpointStatus"]
            raise ApiError("ValidationError", f"{record.arn} cannot answer: it is {status}")
        return found

    def create(self, record: Record) -> None:
        """Launch a new endpoint's configuration."""
        config = named("EndpointConfig", record.fields).fields
        count = int(config["ProductionVariants"][0].get("InitialInstanceCount", 1))
        _take_kind(record, config)
        asynchronous.test_topics(record, config)
        sagemaker_events.change_endpoint(record, "Creating")
        record.fields[PENDING] = _summary(config, count)
        self._do(config, False, lambda: self._create(record, config, count))

    def update(self, request: Fields) -> Fields:
        """Begin an update; raises `ApiError` if SageMaker would refuse it."""
        record = named("Endpoint", request)
        deployment = sagemaker_deployments.check(record, request)
        config = named("EndpointConfig", request).fields
        settings = sagemaker_deployments.settings_of(record, request)
        record.fields.pop("FailureReason", None)
        if settings:
            record.fields["LastDeploymentConfig"] = settings
        asynchronous.test_topics(record, config)
        sagemaker_events.change_endpoint(record, "Updating")
        record.fields[PENDING] = _summary(config, deployment.instances)
        self._do(config, deployment.bakes, lambda: self._update(record, config, deployment))
        return {"EndpointArn": record.arn}

    def scale(self, request: Fields) -> Fields:
        """Set the number of instances, at once, as UpdateEndpointWeightsAndCapacities does."""
        record = named("Endpoint", request)
        if record.fields["EndpointStatus"] != "InService":
            raise ApiError(
                "ValidationException", f"Cannot update in-progress endpoint {record.arn}"
            )
        count = request["DesiredWeightsAndCapacities"][0].get("DesiredInstanceCount", 1)
        asynchronous.check_capacity(record, count)
        asynchronous.test_topics(record, named("EndpointConfig", record.fields).fields)
        for variant in record.fields["ProductionVariants"]:
            variant.update(CurrentInstanceCount=count, DesiredInstanceCount=count)
        sagemaker_events.change_endpoint(record, "InService")
        return {"EndpointArn": record.arn}

    def delete(self, record: Record) -> None:
        """Stop what serves an endpoint; if it is changing, whoever changes it does so."""
        scaling.forget(record)
        sagemaker_events.change_endpoint(record, "Deleting")
        if PENDING not in record.fields:
            self._stop(record)

    def _do(self, config: Fields, bakes: bool, work: Any) -> None:
        if bakes or self._launcher.takes_time(config):
            in_background(work)
        else:
            work()

    def _stop(self, record: Record) -> None:
        traffic = self._traffic.pop(record.arn, None)
        if traffic is not None:
            in_background(lambda: traffic.stop(traffic.fleet))

    def _create(self, record: Record, config: Fields, count: int) -> None:
        try:
            self._traffic[record.arn] = Traffic(self._launcher.launch(record, config))
        except (*FAILURES, ApiError) as error:
            _end(record, "Failed", FailureReason=str(error))
            return
        if record.gone_at:
            self._stop(record)
        _end(record, "InService", ProductionVariants=[_variant(config, count)])

    def _update(self, record: Record, config: Fields, deployment: Deployment) -> None:
        traffic = self._traffic[record.arn]
        new: Fleet | None = None
        try:
            _stage(record, "Creating", f"Launching {deployment.instances} instance(s).")
            new = self._launcher.launch(record, config)
            for step in deployment.steps:
                traffic.shift(new, step.share)
                _take_step(record, step, deployment)
        except (*FAILURES, ApiError, _AlarmError, _GoneError) as error:
            self._roll_back(record, new, str(error))
            return
        before = traffic.fleet
        _take_kind(record, config)
        traffic.settle(new)
        _stage(record, "Deleting", "Terminating the instances of the old fleet.")
        traffic.stop(before)
        _end(
            record,
            "InService",
            EndpointConfigName=config["EndpointConfigName"],
            ProductionVariants=[_variant(config, deployment.instances)],
        )
        if record.gone_at:
            self._stop(record)

    def _roll_back(self, record: Record, new: Fleet | None, reason: str) -> None:
        """Let the old fleet take all requests again, and stop the new one."""
        traffic = self._traffic[record.arn]
        if not record.gone_at:
            sagemaker_events.change_endpoint(record, "RollingBack", FailureReason=reason)
        traffic.settle(traffic.fleet)
        if new is not None:
            traffic.stop(new)
        _end(record, "InService")
        if record.gone_at:
            self._stop(record)


def _take_kind(record: Record, config: Fields) -> None:
    """Take over from a configuration whether the endpoint is asynchronous."""
    record.fields.pop(asynchronous.SETTING, None)
    if setting := config.get(asynchronous.SETTING):
        record.fields[asynchronous.SETTING] = setting


def _take_step(record: Record, step: Step, deployment: Deployment) -> None:
    """Tell of a step and let it bake; raises if an alarm goes off or the endpoint is deleted."""
    whole = step.instances == deployment.instances
    capacity = f"{'full' if whole else 'canary'} capacity of {step.instances} instance(s)."
    _stage(record, "ActivatingTraffic", f"Activating traffic on {capacity}")
    if not step.bake_seconds:
        return
    baking = f"Baking for {step.bake_seconds} seconds ({step.setting})"
    _stage(record, "Baking", f"{baking} with traffic enabled on {capacity}")
    until = time.monotonic() + step.bake_seconds / 60 * MINUTE
    while time.monotonic() < until:
        if alarm := deployment.alarm():
            raise _AlarmError(f"The alarm {alarm} went off: the deployment was rolled back.")
        if record.gone_at:
            raise _GoneError
        time.sleep(POLL_SECONDS)


def _end(record: Record, status: str, **changes: Any) -> None:
    """End a deployment with a status, unless the endpoint was deleted meanwhile."""
    record.fields.pop(PENDING, None)
    if not record.gone_at:
        sagemaker_events.change_endpoint(record, status, **changes)


def _stage(record: Record, status: str, message: str) -> None:
    """Set the status of the variant that is being deployed."""
    if record.gone_at:
        return
    stage = {"Status": status, "StatusMessage": message, "StartTime": time.time()}
    summary = record.fields[PENDING]
    variants = [{**variant, "VariantStatus": [stage]} for variant in summary["ProductionVariants"]]
    sagemaker_events.change_deployment(record, {**summary, "ProductionVariants": variants})


def _summary(config: Fields, count: int) -> Fields:
    return {
        "EndpointConfigName": config["EndpointConfigName"],
        "StartTime": time.time(),
        "ProductionVariants": [_variant(config, count)],
    }


def _variant(config: Fields, count: int) -> Fields:
    return {
        "VariantName": config["ProductionVariants"][0]["VariantName"],
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }
