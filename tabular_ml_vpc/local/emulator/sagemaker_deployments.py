"""Updates of endpoints: what UpdateEndpoint accepts, and the steps in which it shifts traffic.

Sources: "API_UpdateEndpoint", "API_BlueGreenUpdatePolicy", "API_TrafficRoutingConfig"; "Blue/Green
Deployments", "Use canary traffic shifting", "Use linear traffic shifting", "Use all at once traffic
shifting", "Auto-Rollback Configuration and Monitoring" and "Exclusions", SageMaker developer guide.
Ranges of single numbers are in botocore's model (`sagemaker_input.py`). AWS does not document the
messages. Whole instances take traffic, so that a canary of 10% of two instances is one of them.
`RollingUpdatePolicy` is not emulated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from ministack.services import cloudwatch

from tabular_ml_vpc.local.emulator import sagemaker_access, scaling
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, named
from tabular_ml_vpc.local.emulator.types import Fields

CANARY, LINEAR = "CANARY", "LINEAR"
SIZES = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}
PERCENT = "CAPACITY_PERCENT"
LEAST_LINEAR, MOST = 10, 50
"""The least percentage of a linear step, and the most of a canary or linear step."""
ALARM = "ALARM"


@dataclass(frozen=True)
class Step:
    """One step: how many instances of the new fleet then take traffic, and the bake after it."""

    instances: int
    share: float
    bake_seconds: int
    setting: str
    """The setting that `bake_seconds` comes from."""


@dataclass(frozen=True)
class Deployment:
    """The steps of an update, and the alarms that roll it back."""

    steps: tuple[Step, ...]
    alarms: tuple[str, ...]
    instances: int

    def alarm(self) -> str:
        """Return the name of an alarm that is in the state ALARM; empty if there is none."""
        found = (name for name in self.alarms if _state(name) == ALARM)
        return next(found, "")

    @property
    def bakes(self) -> bool:
        """Whether it takes time."""
        return any(step.bake_seconds for step in self.steps)


def check(record: Record, request: Fields) -> Deployment:
    """Return how an update shifts traffic; raises `ApiError` if SageMaker would refuse it."""
    config = named("EndpointConfig", {"EndpointConfigName": request["EndpointConfigName"]})
    status = record.fields["EndpointStatus"]
    if status == "Failed":
        raise _invalid(f"Cannot update failed endpoint {record.arn}")
    if status != "InService":
        raise _invalid(f"Cannot update in-progress endpoint {record.arn}")
    before = named("EndpointConfig", {"EndpointConfigName": record.fields["EndpointConfigName"]})
    scaling.check_types(record, before, config)
    settings = settings_of(record, request)
    if "RollingUpdatePolicy" in settings:
        raise _invalid("RollingUpdatePolicy is not emulated")
    policy = settings.get("BlueGreenUpdatePolicy")
    if policy:
        _check_variants(record, config)
    count = instances(record, config, request)
    alarms = settings.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    names = tuple(alarm["AlarmName"] for alarm in alarms)
    _check_alarms(names, config)
    return Deployment(_steps(policy, count), names, count)


def settings_of(record: Record, request: Fields) -> Fields:
    """Return the deployment configuration of an update: its own, or the endpoint's last one."""
    found: Fields = request.get("DeploymentConfig", {})
    if request.get("RetainDeploymentConfig"):
        found = record.fields.get("LastDeploymentConfig", found)
    return found


def instances(record: Record, config: Record, request: Fields) -> int:
    """Return the number of instances of the new fleet: the configuration's, or as before."""
    excluded = {
        item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])
    }
    if request.get("RetainAllVariantProperties") and "DesiredInstanceCount" not in excluded:
        return int(record.fields["ProductionVariants"][0]["DesiredInstanceCount"])
    return int(config.fields["ProductionVariants"][0].get("InitialInstanceCount", 1))


def _steps(policy: Fields | None, count: int) -> tuple[Step, ...]:
    if not policy:
        return (Step(count, 1.0, 0, ""),)
    routing = policy["TrafficRoutingConfiguration"]
    size = _instances_of_a_step(routing, count)
    reached = [*range(size, count, size), count]
    if routing["Type"] == CANARY:
        reached = [size, count]
    wait = routing["WaitIntervalInSeconds"]
    last = policy.get("TerminationWaitInSeconds", 0)
    limit = policy.get("MaximumExecutionTimeoutInSeconds", math.inf)
    if limit <= wait * (len(reached) - 1) + last:
        raise _invalid(
            f"MaximumExecutionTimeoutInSeconds {limit} must be larger than the total waiting time "
            "in TerminationWaitInSeconds and WaitIntervalInSeconds"
        )
    between = [
        Step(now, now / count, wait, "WaitIntervalInSeconds") for now, _ in pairwise(reached)
    ]
    return (*between, Step(count, 1.0, last, "TerminationWaitInSeconds"))


def _instances_of_a_step(routing: Fields, count: int) -> int:
    """Return the instances of the first step; raises `ApiError` for a size that is not allowed."""
    kind = routing["Type"]
    for other, name in SIZES.items():
        if (name in routing) != (other == kind):
            raise _invalid(f"{name} is required for the type {other}, and for no other")
    if kind not in SIZES:
        return count
    size = routing[SIZES[kind]]
    in_percent = size["Type"] == PERCENT
    percent = size["Value"] if in_percent else 100 * size["Value"] / count
    least = LEAST_LINEAR if kind == LINEAR else 0
    if not least <= percent <= MOST:
        raise _invalid(f"{SIZES[kind]} must be from {least}% to {MOST}% of {count} instance(s)")
    if count == 1:
        raise _invalid(f"{kind} needs at least two instances: {SIZES[kind]} is at most {MOST}%")
    return math.ceil(count * percent / 100) if in_percent else int(size["Value"])


def _check_variants(record: Record, config: Record) -> None:
    before = named("EndpointConfig", {"EndpointConfigName": record.fields["EndpointConfigName"]})
    names = [
        {variant["VariantName"] for variant in one.fields["ProductionVariants"]}
        for one in (before, config)
    ]
    if names[0] != names[1]:
        raise _invalid("The new endpoint configuration must have the same variant names")


def _check_alarms(names: tuple[str, ...], config: Record) -> None:
    """Reject alarms that do not exist, or that the model's role has no permission to describe."""
    for name in names:
        if _state(name) is None:
            raise _invalid(f"The alarm {name} does not exist")
        model = named("Model", {"ModelName": config.fields["ProductionVariants"][0]["ModelName"]})
        reason = sagemaker_access.denial_of_alarm(model.fields.get("ExecutionRoleArn", ""), name)
        if reason:
            raise _invalid(reason)


def _state(name: str) -> str | None:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return str(alarm["StateValue"]) if alarm else None


def _invalid(reason: str) -> ApiError:
    return ApiError("ValidationException", reason)
