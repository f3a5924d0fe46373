"""The boundary answers CloudFormation once, in one clear line, and gives nothing away."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from http.client import InvalidURL
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from functions.shared import answer, aws
from functions.shared.answer import AnswerError
from functions.shared.custom_resource import (
    Attributes,
    Deletes,
    Event,
    LambdaContext,
    Request,
    serve,
)
from functions.shared.errors import PropertyError, ResourceError
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.wire import ApiError
from tests.functions.world import Context, Handler, World, event

SECRETS = ("s3cr3t0signature", "cloudformation-custom-resource-response", "hunter2")
PROPERTIES = {"Password": "hunter2"}
STATUSES_OF_A_STACK_THAT_STAYS = (
    "CREATE_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "IMPORT_ROLLBACK_IN_PROGRESS",
)


class Log(logging.Handler):
    """Everything that any logger says, at any level, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@pytest.fixture
def log() -> Iterator[Log]:
    """Turn every logger up to DEBUG, whatever crhelper does to the root's level."""
    log = Log()
    names = ("crhelper", "functions", "http", "ssl")
    known = [name for name in logging.root.manager.loggerDict if name.startswith(names)]
    levels = {name: logging.getLogger(name).level for name in known}
    for name in known:
        logging.getLogger(name).setLevel(1)
    logging.root.addHandler(log)
    yield log
    logging.root.removeHandler(log)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def handler_of(
    action: Callable[[Request], Attributes], deletes: Deletes = Deletes.OF_STACK
) -> Handler:
    def handler(sent: Event, context: LambdaContext) -> None:
        serve(sent, context, action, deletes)

    return handler


def raising(error: Exception) -> Handler:
    def action(_request: Request) -> Attributes:
        raise error

    return handler_of(action)


class Spy:
    """An action that remembers what it was asked."""

    def __init__(self, attributes: Attributes | None = None) -> None:
        self.requests: list[Request] = []
        self.attributes = attributes or {}

    def __call__(self, request: Request) -> Attributes:
        self.requests.append(request)
        return self.attributes


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_attributes_reach_cloudformation(world: World, kind: str) -> None:
    put = world.send(handler_of(Spy({"Uri": "s3://x"})), kind, PROPERTIES)
    assert put.succeeded
    assert put.data == {"Uri": "s3://x"}


def test_a_created_resource_has_the_same_id_at_every_delivery(world: World) -> None:
    first, second = (world.send(handler_of(Spy()), "Create", PROPERTIES) for _ in range(2))
    assert first.body == second.body


def test_resources_have_different_ids(world: World) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"LogicalResourceId": "Other"},
        {"StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/other/1"},
    ]
    puts = [world.send(handler_of(Spy()), "Create", {}, **change) for change in changes]
    assert len({put.body["PhysicalResourceId"] for put in puts}) == 3


def test_a_failed_creation_has_the_id_that_a_successful_one_has(world: World) -> None:
    good = world.send(handler_of(Spy()), "Create", {})
    bad = world.send(raising(ResourceError("no")), "Create", {})
    assert not bad.succeeded
    assert bad.body["PhysicalResourceId"] == good.body["PhysicalResourceId"]


def test_an_action_does_not_see_the_response_url(world: World) -> None:
    spy = Spy()
    world.send(handler_of(spy), "Create", PROPERTIES)
    assert "signature" not in repr(vars(spy.requests[0]))


def test_an_expected_failure_is_answered_with_its_own_words(world: World) -> None:
    put = world.send(
        raising(ResourceError("Rows must be from 100 to 200, but is 1.")), "Create", {}
    )
    assert put.reason == "Rows must be from 100 to 200, but is 1."


def test_a_surprise_is_answered_with_its_name(world: World) -> None:
    put = world.send(raising(KeyError("Bucket")), "Update", {})
    assert put.reason == "KeyError: 'Bucket'. See the function's log."


def test_an_error_of_aws_is_answered_with_its_words(world: World) -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")
    put = world.send(raising(error), "Create", {})
    assert put.reason == (
        "PutObject: AccessDenied: no. Grant the function's role this permission, then repeat the "
        "operation."
    )


def test_a_long_reason_keeps_both_ends_on_one_line(world: World) -> None:
    put = world.send(raising(ResourceError("begin " + "x\n" * 500 + "end")), "Create", {})
    assert put.reason.startswith("begin x x")
    assert put.reason.endswith("x end")


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_malformed_properties_are_refused(world: World, kind: str) -> None:
    put = world.send(raising(PropertyError("property Rows is missing")), kind, {})
    assert (put.succeeded, put.reason) == (False, "property Rows is missing")


def test_a_resource_that_was_refused_for_its_properties_can_be_deleted(world: World) -> None:
    assert world.send(raising(PropertyError("property Rows is missing")), "Delete", {}).succeeded


# Deletion


@pytest.mark.parametrize("status", STATUSES_OF_A_STACK_THAT_STAYS)
def test_nothing_is_deleted_while_the_stack_stays(world: World, status: str) -> None:
    world.cloudformation.status = status
    spy = Spy()
    assert world.send(handler_of(spy), "Delete", {}).succeeded
    assert spy.requests == []


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_the_action_runs_when_the_stack_goes(world: World, status: str) -> None:
    world.cloudformation.status = status
    spy = Spy()
    assert world.send(handler_of(spy), "Delete", {}).succeeded
    assert [request.deletes for request in spy.requests] == [True]


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_nothing_is_changed_if_the_stacks_status_is_unknown(world: World, kind: str) -> None:
    world.cloudformation.failures["DescribeStacks"] = [ApiError("AccessDenied", "no", 403)]
    spy = Spy()
    put = world.send(handler_of(spy), kind, {})
    assert not put.succeeded
    assert "Nothing more was changed" in put.reason
    assert "AccessDenied" in put.reason
    assert spy.requests == []


def test_a_missing_way_to_cloudformation_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_client(_service: str) -> object:
        raise EndpointConnectionError(endpoint_url="https://cloudformation")

    monkeypatch.setattr(aws, "client", no_client)
    put = world.send(handler_of(Spy()), "Delete", {})
    assert "EndpointConnectionError" in put.reason


def test_a_function_with_nothing_to_delete_asks_nobody(world: World) -> None:
    spy = Spy()
    assert world.send(handler_of(spy, Deletes.NONE), "Delete", {}).succeeded
    assert (spy.requests, world.cloudformation.requests) == ([], [])


def test_an_answer_to_a_deletion_is_not_delayed(world: World) -> None:
    """The world fails what sleeps in crhelper."""
    assert world.send(handler_of(Spy()), "Delete", {}).succeeded


# Time


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(5000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it did not happen")


def test_a_function_whose_time_is_up_is_answered_for(world: World) -> None:
    def too_long(_request: Request) -> Attributes:
        wait_for(lambda: world.responses.puts)
        return {"Late": "result"}

    put = world.send(handler_of(too_long), "Create", {}, seconds=8.01)
    assert (put.succeeded, put.data) == (False, {})
    assert "Time ran out" in put.reason


def test_an_answer_that_the_timer_sends_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the environment is frozen with the answer half sent, and the event comes again."""
    sending, done = threading.Event(), threading.Event()
    deliver = answer.deliver

    def slow(url: str, body: Mapping[str, object]) -> None:
        sending.set()
        done.wait(5)
        time.sleep(0.05)
        deliver(url, body)

    def nearly_too_long(_request: Request) -> Attributes:
        sending.wait(5)
        done.set()
        return {}

    monkeypatch.setattr(answer, "deliver", slow)
    assert not world.send(handler_of(nearly_too_long), "Create", {}, seconds=8.01).succeeded


def test_actions_stop_early_enough_to_say_what_is_left(world: World) -> None:
    def action(request: Request) -> Attributes:
        request.deadline.wait(lambda: False, 10, "2 of 5 are left")
        return {}

    put = world.send(handler_of(action), "Create", {}, seconds=100)
    assert put.reason == "2 of 5 are left"
    assert world.clock.now <= 80


# Answers that do not arrive


def deliver_badly(world: World, *outcomes: int | Exception) -> AnswerError:
    world.responses.outcomes = [*outcomes]
    context = Context(Clock(), 900)
    with pytest.raises(AnswerError) as caught:
        handler_of(Spy())(event("Create", PROPERTIES), context)
    return caught.value


def test_an_answer_that_cannot_be_delivered_fails_the_invocation(world: World) -> None:
    """Lambda then sends the event again."""
    deliver_badly(world, *[503] * 5)
    assert world.responses.attempts == 5
    assert world.send(handler_of(Spy()), "Create", PROPERTIES).succeeded


def test_a_refused_answer_fails_the_invocation_at_once(world: World) -> None:
    deliver_badly(world, 403)
    assert world.responses.attempts == 1


# Secrets


OUTCOMES: dict[str, list[int | Exception]] = {
    "arrives": [],
    "arrives late": [500, OSError("https://cloudformation-custom-resource-response"), 200],
    "is refused": [403],
    "never arrives": [503] * 5,
    "has no way": [InvalidURL("URL can't contain s3cr3t0signature")] * 5,
}


@pytest.mark.parametrize("outcomes", OUTCOMES.values(), ids=OUTCOMES.keys())
@pytest.mark.parametrize("error", [None, ResourceError("no"), RuntimeError("surprise")])
def test_neither_response_url_nor_event_is_logged(
    world: World,
    log: Log,
    capfd: pytest.CaptureFixture[str],
    outcomes: list[int | Exception],
    error: Exception | None,
) -> None:
    world.responses.outcomes = [*outcomes]
    handler = raising(error) if error else handler_of(Spy())
    said = ""
    try:
        handler(event("Update", PROPERTIES), Context(Clock(), 900))
    except AnswerError:
        said = traceback.format_exc()  # Lambda logs it
    said += "\n".join(log.lines) + "".join(capfd.readouterr())
    assert "crhelper" in said or "Update of Resource begins" in said
    assert [secret for secret in SECRETS if secret in said] == []


def test_an_answer_of_the_timer_gives_nothing_away(
    world: World, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    world.responses.outcomes = [InvalidURL("URL can't contain s3cr3t0signature")] * 5

    def too_long(_request: Request) -> Attributes:
        wait_for(lambda: world.responses.attempts == 5)
        return {}

    with pytest.raises(AnswerError):
        handler_of(too_long)(event("Create", PROPERTIES), Context(Clock(), 8.01))
    said = "\n".join(log.lines) + "".join(capfd.readouterr())
    assert [secret for secret in SECRETS if secret in said] == []


# Clients


def test_importing_the_functions_makes_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_client(*_: object, **__: object) -> object:
        raise AssertionError("a client was made")

    monkeypatch.setattr(boto3, "client", no_client)
    for name in [name for name in sys.modules if name.startswith("functions.")]:
        package, _, module = name.rpartition(".")
        if module == "handler":
            # An import binds the module to its package, too: both go back at the end.
            monkeypatch.setattr(sys.modules[package], module, sys.modules[name])
            monkeypatch.delitem(sys.modules, name)
    for function in ("seed_data", "empty_bucket", "clear_studio", "vpc_baseline"):
        __import__(f"functions.{function}.handler")
    __import__("functions.pipeline_manager.handler")
    __import__("functions.deploy_model.handler")
    __import__("functions.pause_endpoint.handler")
    __import__("functions.watch_model.handler")


def test_crhelper_makes_no_clients_for_polling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_client(*_: object, **__: object) -> object:
        raise AssertionError("a client was made")

    monkeypatch.setattr("crhelper.resource_helper.boto3.client", no_client)
    assert world.send(handler_of(Spy()), "Create", {}).succeeded


def test_clients_give_up_in_time_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    config = aws.client("s3").meta.config
    assert config.connect_timeout * config.retries["total_max_attempts"] <= 30
    assert config.read_timeout <= 60
