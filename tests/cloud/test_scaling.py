"""Endpoints that scale: from when they serve, around deployments and pauses, until they go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.shared.scaling import identity
from generator.settings import Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import Account, Change, chosen
from tests.cloud.test_approval import Registry, wait
from tests.cloud.test_endpoints import build_py

STACK = "scaling"
OTHER_TYPE = "ml.m5.xlarge"
FIXED: dict[str, Any] = {"pipeline": {"deploy": "on-approval"}, "studio": {"domain": "none"}}
SCALED = FIXED | {"serving": {"maximum_instances": 3, "target_invocations": 600}}


def choose(settings: dict[str, Any]) -> Change:
    """Put the templates of these settings in the place of the default ones."""
    return chosen(Settings.model_validate(settings))


class Scaled(Registry):
    """A pipeline whose endpoint scales."""

    @property
    def scaling(self) -> Any:
        return self.account.client("application-autoscaling")

    def target(self) -> dict[str, Any] | None:
        """Return the endpoint's target, if it is registered."""
        named = identity(self.name)
        found = self.scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[named["ResourceId"]]
        )
        return next(iter(found["ScalableTargets"]), None)

    def limits(self) -> tuple[int, int] | None:
        target = self.target()
        return (target["MinCapacity"], target["MaxCapacity"]) if target else None

    def instances(self) -> int:
        described = self.sagemaker.describe_endpoint(EndpointName=self.name)
        return int(described["ProductionVariants"][0]["DesiredInstanceCount"])

    def deploy(self, says: str) -> None:
        """Register and approve a version, and wait until it serves."""
        self.approve(self.register(says))
        wait("served", lambda: self.serves() == says and self.settled())

    def wait_for_scaling(self) -> None:
        self.tick()
        wait("scaling", lambda: self.limits() == (1, 3))


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and delete it while its endpoint scales."""
    before = inventory(account.session)
    account.deploy(account.package(change=choose(SCALED)), STACK)
    given = account.outputs(STACK)
    yield given
    assert "scalable targets" in inventory(account.session)
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    assert inventory(account.session) == before


@pytest.fixture(scope="module")
def main(account: Account, outputs: dict[str, str]) -> Scaled:
    """The only pipeline."""
    return Scaled(account, outputs["DataBucket"], outputs["PipelineName"], stack=STACK)


def test_an_endpoint_scales_when_it_serves(main: Scaled) -> None:
    main.deploy("one")
    main.wait_for_scaling()
    policies = main.scaling.describe_scaling_policies(**identity(main.name))["ScalingPolicies"]
    (tracking,) = (one["TargetTrackingScalingPolicyConfiguration"] for one in policies)
    assert tracking["TargetValue"] == 600


def test_a_deployment_keeps_the_size_and_the_scaling(main: Scaled) -> None:
    before = main.target()
    main.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=main.name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
    )
    main.deploy("two")
    assert main.instances() == 3
    assert main.target() == before


def test_another_instance_type_takes_the_scaling_off_and_puts_it_back(main: Scaled) -> None:
    before = main.target()
    described = main.sagemaker.describe_endpoint(EndpointName=main.name)
    with pytest.raises(ClientError, match="must be deregistered"):
        change_type_by_hand(main, described["EndpointConfigName"])
    parameters = [{"Name": "EndpointInstanceType", "Value": OTHER_TYPE}]
    number = main.register("four", PipelineParameters=parameters)
    main.approve(number)
    wait("served", lambda: main.serves() == "four" and main.settled())
    main.wait_for_scaling()
    after = main.target()
    assert before is not None
    assert after is not None
    assert after["ScalableTargetARN"] != before["ScalableTargetARN"]


def change_type_by_hand(main: Scaled, config: str) -> None:
    """Try to give the endpoint another instance type, as a person would."""
    found = main.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    (variant,) = found["ProductionVariants"]
    name = "by-hand"
    main.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant | {"InstanceType": OTHER_TYPE}]
    )
    try:
        main.sagemaker.update_endpoint(EndpointName=main.name, EndpointConfigName=name)
    finally:
        main.sagemaker.delete_endpoint_config(EndpointConfigName=name)


def test_a_pause_ends_the_scaling_and_a_resumed_endpoint_scales(main: Scaled) -> None:
    assert build_py("endpoint", "pause", "--stack-name", STACK)[0] == 0
    assert main.target() is None
    main.tick()
    time.sleep(2)
    assert main.target() is None
    assert build_py("endpoint", "resume", "--stack-name", STACK)[0] == 0
    main.wait_for_scaling()


def test_the_setting_ends_the_scaling_and_begins_it_again(account: Account, main: Scaled) -> None:
    account.deploy(account.package(change=choose(FIXED)), STACK)
    assert main.target() is None
    main.tick()
    time.sleep(2)
    assert (main.target(), main.serves()) == (None, "four")
    account.deploy(account.package(change=choose(SCALED)), STACK)
    main.wait_for_scaling()
