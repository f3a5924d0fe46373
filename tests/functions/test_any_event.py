"""Any properties that reach a function are answered: once, in one line, and never by a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from functions.clear_studio.handler import handler as clear_studio
from functions.empty_bucket.handler import handler as empty_bucket
from functions.pipeline_manager.handler import handler as pipeline_manager
from functions.seed_data.handler import handler as seed_data
from functions.shared.errors import PropertyError
from functions.shared.properties import from_event
from functions.vpc_baseline.handler import handler as vpc_baseline
from tests.functions import pipeline_world
from tests.functions.fakes.ec2 import FakeEc2, Group
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.studio import FakeStudio
from tests.functions.test_properties import GIVEN, Sample
from tests.functions.world import Handler, Put, World
from tests.fuzz import bounded

BUCKET: Final = pipeline_world.BUCKET
HANDLERS: Final[Mapping[str, tuple[Handler, dict[str, str]]]] = {
    "clear_studio": (
        clear_studio,
        {"DomainId": "d-1", "DeleteSpaces": "true", "UserProfiles": "ana,ben"},
    ),
    "empty_bucket": (empty_bucket, {"Bucket": BUCKET}),
    "pipeline_manager": (pipeline_manager, pipeline_world.properties()),
    "seed_data": (
        seed_data,
        {"Bucket": BUCKET, "Key": "raw/data.csv", "Rows": "200", "Seed": "1"},
    ),
    "vpc_baseline": (vpc_baseline, {"VpcId": "vpc-1", "Service": "s3"}),
}
SURPRISE: Final = "See the function's log."
"""The end of an answer to what nobody expected."""

strings = some.text(max_size=30) | some.sampled_from(
    [
        *("", " ", "0", "-1", "1e3", "nan", "true", "True", "a,b", ",", "a,,b", "9" * 5000),
        *("\0", "\n", "\ud800", "../..", "${x}", "arn:aws:iam::1:role/x", "x" * 3000, "٣"),
    ]
)
anything = strings | some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | strings,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(strings, inner, max_size=3),
    max_leaves=4,
)


def studio(world: World) -> FakeStudio:
    found = FakeStudio(world.clock)
    found.profiles = {"ana": "InService", "ben": "InService"}
    return found


BACKENDS: Final[Mapping[str, Callable[[World], Any]]] = {
    "s3": lambda _: FakeS3(BUCKET),
    "ec2": lambda _: FakeEc2(Group("sg-1", "vpc-1", "default")),
    "sagemaker": lambda world: FakeSageMaker(world.clock),
}


def answer(world: World, name: str, kind: str, properties: Any, old: Any) -> Put:
    """The one answer of a function, to which all of AWS looks as on the first day."""
    backends = {service: make(world) for service, make in BACKENDS.items()}
    if name == "clear_studio":
        backends["sagemaker"] = studio(world)
    world.backed_by(**backends)
    handler, _ = HANDLERS[name]
    changes = {"OldResourceProperties": old} if kind == "Update" else {}
    return world.send(handler, kind, {}, ResourceProperties=properties, **changes)


@pytest.mark.parametrize("name", HANDLERS)
@bounded(60)
@given(data=some.data(), kind=some.sampled_from(["Create", "Update", "Delete"]))
def test_any_properties_are_answered_in_one_line(
    world: World, name: str, kind: str, data: some.DataObject
) -> None:
    _, right = HANDLERS[name]
    wrong = some.dictionaries(some.sampled_from([*right, "Other"]), anything, max_size=2)
    gone = data.draw(some.sets(some.sampled_from(list(right)), max_size=1))
    kept = {key: value for key, value in right.items() if key not in gone}
    properties = kept | data.draw(wrong)
    put = answer(world, name, kind, properties, right | data.draw(wrong))
    assert SURPRISE not in put.reason
    assert "no response" not in put.reason  # the fakes answer every request
    if kind == "Delete":  # what was refused at its creation does not hold up the stack's end
        assert not put.reason.startswith(("property ", "unknown property "))


FOUND: Final = {
    "half a character": (
        "vpc_baseline",
        {"VpcId": "\ud800"},
        r"property VpcId is '\ud800', but must be Unicode text",
    ),
    "a number that Python does not read": (
        "seed_data",
        {"Rows": "9" * 5000},
        "but must be a whole number",
    ),
    "a name that no request can hold": (
        "seed_data",
        {"Bucket": "../.."},
        'HeadObject s3://../../raw/data.csv: invalid request: Invalid bucket name "../.."',
    ),
    "no key": ("seed_data", {"Key": ""}, "HeadObject s3://demo-data/: invalid request: Invalid"),
}
"""What fuzzing found: each was called a fault of the function, or of the network."""


@pytest.mark.parametrize("case", FOUND)
def test_what_fuzzing_found_is_answered_with_the_property(world: World, case: str) -> None:
    name, change, said = FOUND[case]
    put = answer(world, name, "Create", HANDLERS[name][1] | change, {})
    assert not put.succeeded
    assert said in put.reason


@bounded(300)
@given(change=some.dictionaries(some.sampled_from([*GIVEN, "Other"]), anything, min_size=1))
def test_a_property_is_read_as_what_it_says_or_refused(change: dict[str, Any]) -> None:
    given = GIVEN | change
    try:
        read = from_event(Sample, given)
    except PropertyError as error:
        message = str(error)
    else:
        check_meant(read, given)
        return
    assert message.startswith(("property ", "unknown property "))


def check_meant(read: Sample, given: dict[str, Any]) -> None:
    """Hold what was read against Python's own reading of the texts."""
    assert read.name == given["Name"]
    assert str(read.rows) == given["Rows"].lstrip("0") or read.rows == int(given["Rows"])
    assert repr(read.share) == repr(float(given["Share"]))
    assert str(read.is_open).lower() == given["IsOpen"]
    assert ",".join(read.subnet_ids) == given["SubnetIds"]
