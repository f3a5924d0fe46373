"""A deletion makes calls for what is ours alone, and ends at any rate that AWS allows."""

from __future__ import annotations

import pytest

from functions.pipeline_manager.handler import handler
from tests.functions.fakes import sagemaker as module
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.wire import ApiError
from tests.functions.pipeline_world import (
    BUCKET,
    ENDPOINT,
    NAME,
    OTHER,
    OWNER,
    Deployment,
    properties,
)
from tests.functions.world import World

PROPERTIES = properties()
RUNS = 120
REFUSED = 120
"""Runs whose model the gate refused: they made nothing that is kept."""


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Our pipeline after many runs."""
    monkeypatch.setattr(module, "PAGE", 100)
    s3, sagemaker = FakeS3(BUCKET), FakeSageMaker(world.clock)
    world.backed_by(s3=s3, sagemaker=sagemaker)
    deployed = Deployment(s3, sagemaker, world)
    deployed.have_pipeline(OWNER)
    for number in range(RUNS):
        deployed.have_deployed(number)
    for _ in range(REFUSED):
        sagemaker.run(NAME, "Failed")
    return deployed


def models_of_others(deployed: Deployment, count: int) -> None:
    for number in range(count):
        deployed.sagemaker.make("Model", f"pipelines-o{number}-CreateModel-Abc", OTHER)


def rounds(deployed: Deployment, seconds_a_call: float, limit: int) -> list[int]:
    """Delete again and again; return how many of our models are left after each round."""
    world, left = deployed.world, []
    listener = world.wire.listener

    def slowly(service: str, operation: str, parameters: object) -> None:
        listener(service, operation, parameters)  # type: ignore[arg-type]
        world.clock.now += seconds_a_call

    world.wire.listener = slowly
    for number in range(limit):
        put = world.send(handler, "Delete", PROPERTIES, RequestId=f"round-{number}")
        left.append(len(deployed.names("Model")))
        if put.succeeded:
            return left
    raise AssertionError(f"it did not end in {limit} rounds: {left} models were left")


def test_models_of_others_change_nothing(deployed: Deployment) -> None:
    models_of_others(deployed, 500)
    assert deployed.world.send(handler, "Delete", PROPERTIES).succeeded
    assert len(deployed.names("Model")) == 500
    assert NAME not in deployed.sagemaker.pipelines
    calls = [name for name, _ in deployed.sagemaker.requests]
    searched = deployed.sagemaker.requested("ListModels")
    assert {request["NameContains"] for request in searched} == {f"-{ENDPOINT}"}
    # For each run: tags, description and removal of its configuration, its model, its package.
    assert len(calls) <= 6 * RUNS + REFUSED + 30


def test_it_ends_at_one_call_a_second(deployed: Deployment) -> None:
    left = rounds(deployed, 1.0, limit=4)
    assert left == sorted(left, reverse=True)
    assert deployed.is_clean


def test_every_round_removes_something_however_slow_calls_are(deployed: Deployment) -> None:
    left = rounds(deployed, 5.0, limit=12)
    assert len(left) > 3
    assert left[:3] == sorted(set(left[:3]), reverse=True)
    assert deployed.names("EndpointConfig") == set()
    assert NAME not in deployed.sagemaker.pipelines


def test_a_search_among_models_of_others_does_not_cost_the_deletion_its_time(
    deployed: Deployment,
) -> None:
    """Where the pipeline was deleted by hand, only tags tell whose a model without endpoint is."""
    deployed.sagemaker.pipelines.clear()
    models_of_others(deployed, 300)
    began = deployed.world.clock.now
    assert rounds(deployed, 0.5, limit=2)[-1] >= 300
    assert deployed.world.clock.now - began < 900


def test_throttling_is_waited_out(deployed: Deployment) -> None:
    throttled = ApiError("ThrottlingException", "Rate exceeded")
    for operation in ("DeleteModel", "ListEndpointConfigs", "DescribePipeline"):
        deployed.sagemaker.failures[operation] = [throttled] * 12
    assert deployed.world.send(handler, "Delete", PROPERTIES).succeeded
    assert deployed.is_clean


def test_throttling_to_the_end_is_said_in_time(deployed: Deployment) -> None:
    deployed.sagemaker.failures["DeleteModel"] = [ApiError("ThrottlingException", "slow")] * 500
    put = deployed.world.send(handler, "Delete", PROPERTIES)
    assert put.reason.startswith("DeleteModel pipelines-run")
    assert "ThrottlingException: slow" in put.reason
    assert "repeat the operation" in put.reason


def test_an_endpoint_that_another_delivery_deletes_is_waited_for(deployed: Deployment) -> None:
    endpoint = deployed.sagemaker.make("Endpoint", ENDPOINT, OWNER, config="c", status="InService")
    deployed.sagemaker.before["DeleteEndpoint"] = [
        lambda: deployed.sagemaker.delete_endpoint({"EndpointName": ENDPOINT})
    ]
    assert endpoint.name in deployed.names("Endpoint")
    assert deployed.world.send(handler, "Delete", PROPERTIES).succeeded
    assert deployed.is_clean
