"""Each test gets a world of its own; the calls of all tests are recorded by function."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from crhelper import CfnResource

from functions.deploy_model import handler as deploy_model
from functions.pause_endpoint import handler as pause_endpoint
from functions.shared import answer, aws, deadline
from functions.shared.deadline import Deadline
from functions.watch_model import handler as watch_model
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.cloudformation import FakeCloudFormation
from tests.functions.fakes.wire import Wire
from tests.functions.recorder import SESSION, Recorder
from tests.functions.world import STACK_ID, ResponseBucket, World, kept_log_levels

RECORD_TO = "RECORD_CALLS"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FUNCTIONS = (
    "clear_studio",
    "deploy_model",
    "empty_bucket",
    "pause_endpoint",
    "pipeline_manager",
    "seed_data",
    "vpc_baseline",
    "watch_model",
)


@pytest.fixture(scope="session")
def recorder(pytestconfig: pytest.Config) -> Iterator[Recorder]:
    """Collect every call; write them to the file named by `RECORD_CALLS`, if it is set."""
    recorder = pytestconfig.stash[SESSION] = Recorder()
    yield recorder
    if RECORD_TO in os.environ:
        recorder.save(Path(os.environ[RECORD_TO]))


@pytest.fixture(scope="session")
def wire() -> Wire:
    """Make clients once: botocore's model of SageMaker takes half a second to read."""
    return Wire()


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    wire: Wire,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Surround the function that the test's module is named after."""
    module = request.module.__name__.rpartition(".test_")[2]
    function = next((name for name in FUNCTIONS if module.startswith(name)), "")
    clock, responses = Clock(), ResponseBucket()
    cloudformation = FakeCloudFormation(STACK_ID)
    wire.backends = {"cloudformation": cloudformation}
    wire.listener = partial(recorder.record, function) if function else lambda *_: None
    wait = CfnResource._wait_for_cwlogs  # type: ignore[attr-defined]  # not in its stubs
    monkeypatch.setattr(wait, "__defaults__", (_never,))
    wire.forget()
    monkeypatch.setattr(aws, "boto3", SimpleNamespace(client=wire.client))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr(answer, "HTTPSConnection", responses.connect)
    # Reading the machine's certificates takes 0.1 s each time.
    monkeypatch.setattr(ssl, "create_default_context", lambda _purpose: None)
    monkeypatch.setattr(answer, "deliver", partial(answer.deliver, sleep=clock.sleep))
    monkeypatch.setattr(deadline, "Deadline", partial(Deadline, sleep=clock.sleep))
    for woken in (deploy_model, pause_endpoint, watch_model):
        monkeypatch.setattr(woken, "_now", lambda: EPOCH + timedelta(seconds=clock.now))
    return World(function, wire, clock, responses, cloudformation)


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Undo what crhelper does to the levels of everybody's loggers."""
    with kept_log_levels():
        yield


def _never(_seconds: float) -> None:
    raise AssertionError("crhelper slept before an answer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold rights against calls when all calls were made."""
    items.sort(key=lambda item: item.path.name == "test_rights.py")
