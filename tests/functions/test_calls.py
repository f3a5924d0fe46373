"""Each call is made in time and in its own operation, and is named when it fails."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from functions.shared.calls import subject
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.wire import ApiError
from tests.functions.world import Put, World

LATE = [
    ("Create", "ROLLBACK_IN_PROGRESS"),
    ("Create", "ROLLBACK_COMPLETE"),
    ("Create", "DELETE_IN_PROGRESS"),
    ("Create", "UPDATE_ROLLBACK_IN_PROGRESS"),
    ("Update", "UPDATE_ROLLBACK_COMPLETE"),
    ("Update", "UPDATE_COMPLETE"),
    ("Update", "DELETE_IN_PROGRESS"),
]


def writer(world: World, kind: str, between: Any = None, **changes: Any) -> Put:
    """Write two objects; something happens between them."""

    def act(request: Request) -> Attributes:
        s3 = request.client("s3")
        s3.put_object(Bucket="b", Key="first", Body=b"x")
        if between:
            between()
        s3.put_object(Bucket="b", Key="second", Body=b"x")
        return {}

    def handler(event: Event, context: LambdaContext) -> None:
        serve(event, context, act)

    return world.send(handler, kind, {}, **changes)


@pytest.fixture
def s3(world: World) -> FakeS3:
    s3 = FakeS3("b")
    world.backed_by(s3=s3)
    return s3


@pytest.mark.parametrize(("kind", "status"), LATE)
def test_an_event_that_comes_late_changes_nothing(
    world: World, s3: FakeS3, kind: str, status: str
) -> None:
    world.cloudformation.status = status
    put = writer(world, kind)
    assert put.reason == (
        f"This {kind} came too late: the stack is {status}. Nothing more was changed."
    )
    assert s3.requests == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Create", "CREATE_IN_PROGRESS"),
        ("Create", "UPDATE_IN_PROGRESS"),
        ("Update", "UPDATE_IN_PROGRESS"),
        ("Update", "UPDATE_ROLLBACK_IN_PROGRESS"),
    ],
)
def test_an_event_in_time_is_acted_on(world: World, s3: FakeS3, kind: str, status: str) -> None:
    world.cloudformation.status = status
    assert writer(world, kind).succeeded
    assert s3.buckets["b"].readable() == {"first", "second"}


@pytest.mark.parametrize(
    ("kind", "then"),
    [("Create", "ROLLBACK_IN_PROGRESS"), ("Update", "UPDATE_ROLLBACK_IN_PROGRESS")],
)
def test_nothing_is_written_once_the_stack_has_gone_on(
    world: World, s3: FakeS3, kind: str, then: str
) -> None:
    """An update's own rollback sends Updates too: what began before it must not go on."""

    def roll_back() -> None:
        world.cloudformation.status = then
        world.clock.sleep(5)

    put = writer(world, kind, roll_back)
    assert f"the stack is {then}" in put.reason
    assert s3.buckets["b"].readable() == {"first"}


def test_a_deletion_is_not_held_back(world: World, s3: FakeS3) -> None:
    assert writer(world, "Delete").succeeded
    assert s3.buckets["b"].readable() == {"first", "second"}


def test_a_call_that_would_come_after_the_end_is_not_made(world: World, s3: FakeS3) -> None:
    put = writer(world, "Create", lambda: world.clock.sleep(890))
    assert put.reason.startswith("Time ran out before PutObject s3://b/second.")
    assert s3.buckets["b"].readable() == {"first"}


def failing(world: World, error: Any, operation: str = "PutObject") -> str:
    world.wire.backends["s3"].failures[operation] = [error] * 30
    return writer(world, "Create").reason


@pytest.mark.usefixtures("s3")
def test_a_missing_right_is_named_with_call_resource_and_remedy(world: World) -> None:
    told = (
        "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: s3:PutObject on "
        "resource: arn:aws:s3:::b/first because no identity-based policy allows it. "
        "Encoded authorization failure message: aBc_9-x"
    )
    reason = failing(world, ApiError("AccessDenied", told, 403))
    assert reason == (
        "PutObject s3://b/first: AccessDenied: not authorized to perform s3:PutObject. "
        "Grant the function's role this permission, then repeat the operation."
    )


@pytest.mark.parametrize(
    "error",
    [
        ConnectionClosedError(endpoint_url="https://s3"),
        ReadTimeoutError(endpoint_url="https://s3"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_a_service_that_does_not_answer_is_named_with_the_call(
    world: World, error: Exception
) -> None:
    reason = failing(world, error)
    assert reason.startswith(f"PutObject s3://b/first: no response ({type(error).__name__})")
    assert "Check the network path" in reason


def test_attempts_of_one_call_end_in_time_for_a_response_that_names_it(
    world: World, s3: FakeS3
) -> None:
    """All attempts of a call that gets no response take 100 s: most of the shortest time limit."""

    def silent() -> None:
        world.clock.sleep(20)
        raise ReadTimeoutError(endpoint_url="https://s3")

    s3.before["PutObject"] = [silent] * 10
    put = writer(world, "Create", seconds=80)
    assert "PutObject s3://b/first" in put.reason
    assert world.clock.now <= 80


def test_throttled_reads_of_the_stacks_status_are_waited_out(world: World, s3: FakeS3) -> None:
    throttled = ApiError("Throttling", "Rate exceeded")
    world.cloudformation.failures["DescribeStacks"] = [throttled] * 12
    assert writer(world, "Create").succeeded
    assert s3.buckets["b"].readable() == {"first", "second"}


def test_an_error_that_passes_is_not_seen(world: World, s3: FakeS3) -> None:
    s3.failures["PutObject"] = [ApiError("InternalError", "", 500)] * 3
    assert writer(world, "Create").succeeded


def test_more_throttling_than_botocore_repeats_is_waited_out(world: World, s3: FakeS3) -> None:
    s3.failures["PutObject"] = [ApiError("SlowDown", "", 503)] * 40
    assert writer(world, "Create").succeeded
    assert 0 < world.clock.now < 880


def test_waiting_for_throttling_ends_in_time_for_an_answer(world: World, s3: FakeS3) -> None:
    s3.failures["PutObject"] = [ApiError("SlowDown", "Reduce your rate", 503)] * 1000
    put = writer(world, "Create")
    assert "PutObject s3://b/first: SlowDown: Reduce your rate" in put.reason
    assert world.clock.now <= 880


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"Bucket": "b"}, "s3://b"),
        ({"Bucket": "b", "Key": "k"}, "s3://b/k"),
        ({"ResourceArn": "arn:x"}, "arn:x"),
        ({"NameContains": "pipelines-"}, "pipelines-"),
        ({"PipelineName": "p", "RoleArn": "arn:r"}, "p"),
        ({"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}]}, "vpc-1"),
        ({"MaxResults": 1}, ""),
    ],
)
def test_the_subject_of_a_call(parameters: dict[str, Any], expected: str) -> None:
    assert subject(parameters) == expected


def test_a_client_serves_one_event_at_a_time(world: World) -> None:
    """Lambda keeps a process: hooks of an earlier event must not judge a later one."""
    world.backed_by(s3=FakeS3("b"), sagemaker=FakeSageMaker(world.clock))
    world.cloudformation.status = "ROLLBACK_COMPLETE"
    assert not writer(world, "Create").succeeded
    world.cloudformation.status = ""
    assert writer(world, "Create").succeeded
