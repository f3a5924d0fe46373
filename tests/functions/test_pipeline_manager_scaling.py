"""The scaling of the endpoint ends with the stack, and with its setting."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from functions.pipeline_manager import handler as module
from functions.pipeline_manager.handler import handler
from functions.shared.names import alarm_name
from functions.shared.scaling import identity
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.scaling import FakeAlarms, FakeScaling
from tests.functions.fakes.wire import ApiError, Fields
from tests.functions.pipeline_world import (
    BUCKET,
    ENDPOINT,
    OTHER,
    OWNER,
    SCRIPTS,
    Deployment,
    of_predictions,
    properties,
)
from tests.functions.world import Put, World

ON_APPROVAL = properties() | {"OnApproval": "true"}
SCALED = ON_APPROVAL | {"MaximumInstances": "6"}
ASYNCHRONOUS = SCALED | {"Asynchronous": "true"}


@dataclass
class Scaled:
    """A deployment whose endpoint scales."""

    deployment: Deployment
    scaling: FakeScaling
    alarms: FakeAlarms

    def register(self, tags: dict[str, str]) -> None:
        request: Fields = {**identity(ENDPOINT), "MinCapacity": 2, "MaxCapacity": 6}
        self.scaling.register_scalable_target(request | {"Tags": tags})

    def delete(self) -> Put:
        return self.deployment.world.send(handler, "Delete", SCALED)

    def update(self, before: dict[str, str], after: dict[str, str]) -> Put:
        world = self.deployment.world
        return world.send(handler, "Update", after, OldResourceProperties=before)


@pytest.fixture
def scaled(world: World, monkeypatch: pytest.MonkeyPatch) -> Scaled:
    """Our pipeline after a run, and its endpoint, whose target is ours."""
    monkeypatch.setattr(module, "read_scripts", lambda: dict(SCRIPTS))
    s3, sagemaker = FakeS3(BUCKET), FakeSageMaker(world.clock)
    scaling = FakeScaling(sagemaker=sagemaker)
    alarms = FakeAlarms(alarms={alarm_name(ENDPOINT): {}})
    services = {"application-autoscaling": scaling, "cloudwatch": alarms}
    world.backed_by(s3=s3, sagemaker=sagemaker, **services)
    deployment = Deployment(s3, sagemaker, world)
    deployment.have_pipeline(OWNER)
    deployment.have_run(1)
    found = Scaled(deployment, scaling, alarms)
    found.register(OWNER)
    return found


def test_the_scaling_goes_with_the_stack_and_before_the_endpoint(scaled: Scaled) -> None:
    there: list[int] = []
    before = scaled.deployment.sagemaker.before["DeleteEndpoint"]
    before.append(lambda: there.append(len(scaled.scaling.targets)))
    assert scaled.delete().succeeded
    assert scaled.deployment.is_clean
    assert there == [0]


def test_a_deletion_that_finds_no_target_succeeds(scaled: Scaled) -> None:
    scaled.scaling.deregister_scalable_target(identity(ENDPOINT))
    assert scaled.delete().succeeded


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("ListTagsForResource", "ResourceNotFoundException"),
        ("DeregisterScalableTarget", "ObjectNotFoundException"),
    ],
)
def test_a_target_that_goes_meanwhile_is_gone(scaled: Scaled, operation: str, code: str) -> None:
    scaled.scaling.failures[operation] = [ApiError(code, "no target")]
    assert scaled.delete().succeeded


def test_the_target_of_others_stays(scaled: Scaled) -> None:
    scaled.scaling.deregister_scalable_target(identity(ENDPOINT))
    scaled.register(OTHER)
    assert scaled.delete().succeeded
    assert [*scaled.scaling.tags.values()] == [OTHER]


def test_an_update_without_scaling_ends_it(scaled: Scaled) -> None:
    assert scaled.update(SCALED, ON_APPROVAL).succeeded
    assert scaled.scaling.targets == {}
    assert ENDPOINT in scaled.deployment.names("Endpoint")


def test_an_update_without_approval_ends_it(scaled: Scaled) -> None:
    assert scaled.update(SCALED, properties()).succeeded
    assert scaled.scaling.targets == {}


@pytest.mark.parametrize("after", [ON_APPROVAL, SCALED, properties()])
def test_an_update_to_an_endpoint_that_answers_at_once_deletes_the_alarm_too(
    scaled: Scaled, after: dict[str, str]
) -> None:
    assert scaled.update(ASYNCHRONOUS, after).succeeded
    assert scaled.scaling.targets == {}
    assert scaled.alarms.alarms == {}


def test_an_update_that_changes_no_kind_leaves_both(scaled: Scaled) -> None:
    assert scaled.update(ASYNCHRONOUS, ASYNCHRONOUS | {"MaximumInstances": "9"}).succeeded
    assert scaled.scaling.targets
    assert scaled.alarms.alarms


def test_an_update_to_an_asynchronous_endpoint_ends_the_scaling_of_the_other(
    scaled: Scaled,
) -> None:
    assert scaled.update(SCALED, ASYNCHRONOUS).succeeded
    assert scaled.scaling.targets == {}
    assert scaled.alarms.requests == []


@pytest.mark.parametrize("gone", [False, True])
def test_the_alarm_goes_with_the_stack(scaled: Scaled, gone: bool) -> None:
    if gone:
        scaled.alarms.alarms.clear()
    assert scaled.deployment.world.send(handler, "Delete", ASYNCHRONOUS).succeeded
    assert scaled.alarms.alarms == {}
    assert scaled.deployment.is_clean


def test_an_alarm_is_nothing_to_a_fleet_that_always_has_an_instance(scaled: Scaled) -> None:
    assert scaled.delete().succeeded
    assert scaled.update(SCALED, ON_APPROVAL).succeeded
    assert scaled.alarms.requests == []


def test_an_update_with_scaling_leaves_it(scaled: Scaled) -> None:
    assert scaled.update(SCALED, SCALED).succeeded
    assert scaled.scaling.targets


def test_nothing_is_asked_of_the_service_without_scaling(scaled: Scaled) -> None:
    """The function has no way to it, and no permission."""
    scaled.scaling.requests.clear()
    assert scaled.update(ON_APPROVAL, ON_APPROVAL).succeeded
    assert scaled.deployment.world.send(handler, "Delete", ON_APPROVAL).succeeded
    assert scaled.scaling.requests == []


def test_the_pipeline_of_predictions_leaves_the_scaling(scaled: Scaled) -> None:
    scaled.scaling.requests.clear()
    before = of_predictions() | {"MaximumInstances": "6"}
    scaled.deployment.world.send(handler, "Update", of_predictions(), OldResourceProperties=before)
    scaled.deployment.world.send(handler, "Delete", before)
    assert scaled.scaling.requests == []
