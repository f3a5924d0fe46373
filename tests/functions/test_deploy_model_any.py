"""Whatever is lost, repeated or interrupted, and whatever people do: nothing bad serves.

The fake checks at each request that nothing serves that was not approved and tested, that what
serves is never deleted, and that nothing in use is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as some

from tests.functions.conftest import EPOCH
from tests.functions.deploy_world import (
    ENDPOINT,
    OTHER,
    PROPERTIES,
    TRIAL,
    Deploying,
    config_of,
    deploying,
)
from tests.functions.fakes.wire import ApiError
from tests.functions.world import World
from tests.fuzz import bounded

WRITES: Final = (
    *("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "AddTags", "UpdateEndpoint"),
    *("UpdateModelPackage", "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"),
    *("RegisterScalableTarget", "PutScalingPolicy", "DeregisterScalableTarget"),
)
NEVER_OURS: Final = "v9-0a1b2c-demo-4f2a"
SCALED: Final = replace(PROPERTIES, maximum_instances=3, target_invocations=100)


class Life:
    """What people, time and the service do, by a number that says to which version."""

    def __init__(self, deployed: Deploying) -> None:
        self.deployed = deployed
        self.serving = deployed.serving
        self.numbers: list[int] = []

    def pick(self, number: int) -> int:
        return self.numbers[number % len(self.numbers)] if self.numbers else 0

    def register(self, number: int) -> None:
        if len(self.numbers) < 4:
            status = ("Approved", "PendingManualApproval")[number % 2]
            self.numbers.append(self.deployed.register(status))

    def approve(self, number: int) -> None:
        if picked := self.pick(number):
            self.deployed.set_status(picked, "Approved")

    def reject(self, number: int) -> None:
        if picked := self.pick(number):
            self.deployed.set_status(picked, "Rejected")

    def wake(self, _number: int) -> None:
        with suppress(ClientError):
            self.deployed.wake()

    def crash(self, number: int) -> None:
        """End the function at one of its writes, before or after the service did it."""
        operation = WRITES[number % len(WRITES)]
        for service in (self.serving, self.deployed.scaling):
            service.failures[operation] = [ApiError("AccessDeniedException", "crash")]
        self.wake(number)
        for service in (self.serving, self.deployed.scaling):
            service.failures[operation].clear()

    def overlap(self, number: int) -> None:
        """Wake the function in the middle of another call of it."""
        operation = WRITES[number % len(WRITES)]
        for service in (self.serving, self.deployed.scaling):
            service.before[operation] = [lambda: self.wake(number)]
        self.wake(number)
        for service in (self.serving, self.deployed.scaling):
            service.before[operation].clear()

    def reject_meanwhile(self, number: int) -> None:
        """Reject a version while the function runs, but not in the moment of the update."""
        self.deployed.runtime.before["InvokeEndpoint"] = [lambda: self.reject(number)]
        self.wake(number)
        self.deployed.runtime.before["InvokeEndpoint"].clear()

    def wait(self, number: int) -> None:
        self.deployed.wait(1 + 3 * number)

    def break_trial(self, number: int) -> None:
        if picked := self.pick(number):
            self.serving.failing[f"{TRIAL}/{config_of(picked)}"] = "the trial fails"

    def break_shift(self, number: int) -> None:
        if picked := self.pick(number):
            self.serving.failing[f"{ENDPOINT}/{config_of(picked)}"] = "an alarm"

    def break_answer(self, number: int) -> None:
        if picked := self.pick(number):
            self.deployed.runtime.answers[self.deployed.package(picked)] = "wrong"

    def repair(self, _number: int) -> None:
        self.serving.failing.clear()
        self.deployed.runtime.answers.clear()

    def delete(self, _number: int) -> None:
        self.serving.resources["Endpoint"].pop(ENDPOINT, None)

    def scale(self, number: int) -> None:
        """Scale in or out, as the service does."""
        endpoint = self.serving.resources["Endpoint"].get(ENDPOINT)
        if self.deployed.scaling.targets and endpoint:
            endpoint.fields["instances"] = 1 + number % 3

    def switch_scaling(self, number: int) -> None:
        """Change the settings; what scaling leaves when it is switched off, an update removes."""
        self.deployed.properties = (PROPERTIES, SCALED)[number % 2]
        if self.deployed.properties is PROPERTIES:
            self.deployed.scaling.targets.clear()


ACTIONS: Final[dict[str, Callable[[Life, int], None]]] = {
    name: action for name, action in vars(Life).items() if not name.startswith("_")
}
del ACTIONS["pick"]
LIVES: Final = some.lists(
    some.tuples(
        some.sampled_from([*ACTIONS, *["wake", "wait", "register", "approve"] * 2]),
        some.integers(0, 11),
    ),
    min_size=10,
    max_size=40,
)


@contextmanager
def new_life(world: World) -> Iterator[Life]:
    """Begin a life at the first of January, beside something that is not ours."""
    world.clock.now, world.clock._due = 0.0, []
    deployed = deploying(world)
    assert deployed.serving.now == EPOCH
    deployed.serving.make("EndpointConfig", NEVER_OURS, OTHER, models=["theirs"])
    yield Life(deployed)
    assert NEVER_OURS in deployed.names("EndpointConfig")


@bounded(8)
@given(lives=LIVES)
def test_any_life_ends_well(world: World, lives: list[tuple[str, int]]) -> None:
    """At the end the newest approved version serves, and what is left over is removed."""
    with new_life(world) as life:
        for name, number in lives:
            ACTIONS[name](life, number)
        life.repair(0)
        endpoint = life.serving.resources["Endpoint"].get(ENDPOINT)
        if endpoint and endpoint.fields["status"] == "Failed":
            life.delete(0)
        life.deployed.register()
        life.deployed.settle(100)
        newest = max(
            number
            for number in (*life.numbers, len(life.serving.packages))
            if life.deployed.status_of(number) == "Approved"
        )
        assert life.deployed.serves == config_of(newest)
        assert life.deployed.names("Endpoint") == {ENDPOINT}
        assert bool(life.deployed.scaling.targets) == (life.deployed.properties is SCALED)
        left = life.deployed.names("EndpointConfig") - {NEVER_OURS}
        assert left <= {
            config_of(number)
            for number in (*life.numbers, newest)
            if life.deployed.status_of(number) == "Approved"
        }
        life.serving.requests.clear()
        assert life.deployed.wake() == [], "it has settled"
