"""The fleet scales between two sizes, from when the endpoint serves until it is given up."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from functions.shared.scaling import identity
from tests.functions.deploy_world import (
    ENDPOINT,
    OTHER,
    OWNER,
    PROPERTIES,
    Deploying,
    config_of,
    deploying,
)
from tests.functions.fakes.wire import ApiError
from tests.functions.world import World

SCALED = replace(PROPERTIES, instances=2, maximum_instances=6, target_invocations=600)
RESOURCE = identity(ENDPOINT)["ResourceId"]
OTHER_TYPE = "ml.m5.large"


@pytest.fixture
def scaled(world: World) -> Deploying:
    """A pipeline whose fleet scales from two to six instances, without a version."""
    found = deploying(world)
    found.properties = SCALED
    return found


@pytest.fixture
def serving(scaled: Deploying) -> Deploying:
    """Version 1 serves, and scales."""
    scaled.register()
    scaled.settle(30)
    assert scaled.serves == config_of(1, SCALED)
    return scaled


def limits(deployed: Deploying) -> tuple[int, int]:
    target = deployed.scaling.targets[RESOURCE]
    return target["MinCapacity"], target["MaxCapacity"]


def tracked(deployed: Deploying) -> float:
    policy = deployed.scaling.policies[RESOURCE]["TargetTrackingScalingPolicyConfiguration"]
    return float(policy["TargetValue"])


def test_a_fleet_that_does_not_scale_asks_nothing_of_the_service(world: World) -> None:
    deployed = deploying(world)
    deployed.register()
    deployed.settle(30)
    assert deployed.serves
    assert deployed.scaling.requests == []


def test_a_maximum_that_is_the_minimum_does_not_scale(scaled: Deploying) -> None:
    scaled.properties = replace(SCALED, maximum_instances=2)
    scaled.register()
    scaled.settle(30)
    assert scaled.scaling.requests == []


def test_nothing_scales_before_the_endpoint_serves(scaled: Deploying) -> None:
    scaled.register()
    while ENDPOINT not in scaled.names("Endpoint"):
        scaled.wait()
        scaled.wake()
    assert scaled.wake() == []
    assert scaled.scaling.targets == {}


def test_the_fleet_scales_as_the_settings_say_once_the_endpoint_serves(serving: Deploying) -> None:
    assert limits(serving) == (2, 6)
    assert tracked(serving) == 600
    assert [*serving.scaling.tags.values()] == [OWNER]


def test_what_is_as_wanted_is_only_read(serving: Deploying) -> None:
    assert serving.wake() == []


def test_other_limits_change_the_target_and_not_the_endpoint(serving: Deploying) -> None:
    serving.properties = replace(SCALED, maximum_instances=9, target_invocations=700)
    assert serving.wake() == ["RegisterScalableTarget", "PutScalingPolicy"]
    assert (limits(serving), tracked(serving)) == ((2, 9), 700)
    assert [*serving.scaling.tags.values()] == [OWNER]


def test_a_policy_that_somebody_deleted_or_changed_is_put_back(serving: Deploying) -> None:
    serving.scaling.policies.clear()
    serving.wake()
    assert tracked(serving) == 600
    configuration = serving.scaling.policies[RESOURCE]["TargetTrackingScalingPolicyConfiguration"]
    configuration["DisableScaleIn"] = True
    serving.wake()
    configuration = serving.scaling.policies[RESOURCE]["TargetTrackingScalingPolicyConfiguration"]
    assert "DisableScaleIn" not in configuration


def test_a_registration_that_was_interrupted_is_completed(scaled: Deploying) -> None:
    scaled.register()
    scaled.scaling.failures["PutScalingPolicy"] = [ApiError("ConcurrentUpdateException", "busy")]
    scaled.settle(30)
    assert tracked(scaled) == 600


def test_a_target_that_somebody_else_registered_is_left_alone(
    scaled: Deploying, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is somebody's decision, and no reason to call a person."""
    caplog.set_level(logging.INFO)
    scaled.serving.make("Endpoint", ENDPOINT, OWNER, config="c", status="InService")
    request = {**identity(ENDPOINT), "MinCapacity": 1, "MaxCapacity": 99, "Tags": OTHER}
    scaled.scaling.register_scalable_target(request)
    del scaled.serving.resources["Endpoint"][ENDPOINT]
    scaled.register()
    scaled.settle(30)
    assert limits(scaled) == (1, 99)
    assert scaled.scaling.policies == {}
    assert "scales as somebody else decided" in caplog.text
    assert capsys.readouterr().out == ""


# Deployments


def test_a_new_version_keeps_the_size_of_a_fleet_that_scaled_out(serving: Deploying) -> None:
    serving.endpoint()["instances"] = 5
    serving.register()
    serving.settle()
    assert serving.serves == config_of(2, SCALED)
    assert serving.endpoint()["instances"] == 5
    assert serving.scaling.requested("DeregisterScalableTarget") == []


def test_the_way_back_keeps_the_size_too(serving: Deploying) -> None:
    serving.register()
    serving.settle()
    serving.endpoint()["instances"] = 4
    serving.set_status(2, "Rejected")
    serving.settle(30)
    assert serving.serves == config_of(1, SCALED)
    assert serving.endpoint()["instances"] == 4


def test_a_greater_minimum_is_the_size_of_the_next_fleet(serving: Deploying) -> None:
    """A shift whose steps fit the new minimum would not fit the old fleet's size."""
    serving.endpoint()["instances"] = 3
    serving.properties = replace(SCALED, instances=4)
    serving.settle()
    assert serving.serves == config_of(1, serving.properties)
    assert serving.endpoint()["instances"] == 4
    assert limits(serving) == (4, 6)


def test_another_instance_type_takes_the_scaling_off_and_puts_it_back(serving: Deploying) -> None:
    serving.endpoint()["instances"] = 5
    serving.register(instance_type=OTHER_TYPE)
    done: list[str] = []
    while "UpdateEndpoint" not in done:
        serving.wait()
        done = serving.wake()
    assert done[0] == "DeregisterScalableTarget"
    assert serving.scaling.targets == {}
    assert serving.wake() == ["DeleteEndpoint"], "the trial's; the endpoint changes"
    serving.settle(30)
    assert serving.serves.startswith("v2-")
    assert serving.endpoint()["instances"] == 2
    assert limits(serving) == (2, 6)


def test_a_rollback_of_another_instance_type_puts_the_scaling_back(serving: Deploying) -> None:
    serving.register(instance_type=OTHER_TYPE)
    serving.wake()
    config = next(one for one in serving.names("EndpointConfig") if one.startswith("v2-"))
    serving.serving.failing[f"{ENDPOINT}/{config}"] = "an alarm"
    serving.settle()
    assert serving.status_of(2) == "Rejected"
    assert serving.serves == config_of(1, SCALED)
    assert limits(serving) == (2, 6)


def test_a_refused_update_puts_the_scaling_back(serving: Deploying) -> None:
    serving.register(instance_type=OTHER_TYPE)
    serving.wake()
    serving.wait()
    busy = ApiError("ValidationException", "Cannot update in-progress endpoint")
    serving.serving.failures["UpdateEndpoint"] = [busy]
    serving.wake()
    assert serving.scaling.targets == {}
    serving.settle(60)
    assert serving.serves.startswith("v2-")
    assert limits(serving) == (2, 6)


def test_an_endpoint_that_was_paused_scales_when_it_is_resumed(serving: Deploying) -> None:
    endpoint = serving.serving.resources["Endpoint"].pop(ENDPOINT)
    serving.scaling.deregister_scalable_target(identity(ENDPOINT))
    serving.tags_of(str(endpoint.fields["config"]))["tabular-ml-vpc:paused"] = "now"
    assert serving.wake() == []
    serving.serving.resources["Endpoint"][ENDPOINT] = endpoint
    serving.wake()
    assert limits(serving) == (2, 6)


def test_an_endpoint_that_somebody_gave_something_else_is_left_alone(serving: Deploying) -> None:
    serving.serving.make("EndpointConfig", "theirs", {}, models=["v1-demo-4f2a"], created=None)
    serving.serving.resources["EndpointConfig"]["theirs"].fields["created"] = serving.serving.now
    serving.endpoint()["config"] = "theirs"
    serving.scaling.deregister_scalable_target(identity(ENDPOINT))
    assert serving.wake() == []


# What does not work


def test_a_bad_version_is_taken_back_although_the_scaling_cannot_be_seen(
    serving: Deploying,
) -> None:
    serving.register()
    serving.settle()
    serving.endpoint()["instances"] = 4
    serving.set_status(2, "Rejected")
    denied = ApiError("AccessDeniedException", "not authorized")
    serving.scaling.failures["DescribeScalableTargets"] = [denied]
    with pytest.raises(ClientError, match="not authorized"):
        serving.wake()
    serving.wait()
    assert serving.serves == config_of(1, SCALED)
    assert serving.endpoint()["instances"] == 4


def test_a_target_that_cannot_be_seen_is_counted_and_not_registered_again(
    serving: Deploying, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = ApiError("AccessDeniedException", "not authorized")
    serving.scaling.failures["DescribeScalableTargets"] = [denied]
    before = len(serving.scaling.requests)
    with pytest.raises(ClientError):
        serving.wake()
    assert len(serving.scaling.requests) == before + 1
    assert json.loads(capsys.readouterr().out)["Complaints"] == 1
