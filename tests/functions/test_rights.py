"""The rights that a handler's docstring asks for are those that its calls need, and no more."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.functions.conftest import FUNCTIONS
from tests.functions.recorder import Recorder


def documented_actions(function: str) -> set[str]:
    """Return the actions in the list `Permissions` of a handler's docstring.

    What follows the word "condition" in an item are condition keys.
    """
    handler = importlib.import_module(f"functions.{function}.handler")
    section = inspect.getdoc(handler).partition("Permissions:")[2]  # type: ignore[union-attr]
    items = [" ".join(item.split()).partition("condition ``")[0] for item in section.split("\n- ")]
    return {
        action for item in items for action in re.findall(r"``([a-z0-9-]+:[A-Z][A-Za-z]+)``", item)
    }


def check_complete(request: pytest.FixtureRequest, function: str) -> None:
    """Skip unless every test of the function runs: rights without a call would look unused."""
    prefix = f"test_{function}"
    running = {
        item.originalname for item in request.session.items if isinstance(item, pytest.Function)
    }
    folder = request.path.parent
    for path in folder.glob(f"{prefix}*.py"):
        module = importlib.import_module(f"tests.functions.{path.stem}")
        missing = {name for name in vars(module) if name.startswith("test_")} - running
        if missing:
            pytest.skip(f"needs the calls of all tests of {function}; {len(missing)} do not run")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_documented_rights_are_the_rights_that_calls_need(
    function: str, recorder: Recorder, request: pytest.FixtureRequest
) -> None:
    check_complete(request, function)
    needed = {right.action for right in recorder.rights(function)}
    documented = documented_actions(function)
    assert needed - documented == set(), "calls without a documented right"
    assert documented - needed == set(), "documented rights that no call needs"


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "vpc_baseline"])
def test_a_function_in_the_vpc_calls_what_has_an_endpoint_there(
    function: str, recorder: Recorder
) -> None:
    """`vpc_baseline` runs outside."""
    services = {call.operation.partition(":")[0] for call in recorder.calls[function]}
    usual = {"cloudformation", "s3", "sagemaker", "sagemaker-runtime"}
    scaling = {"application-autoscaling", "cloudwatch"}
    assert services <= usual | scaling, "the last ones if fleets scale, and from nothing"
