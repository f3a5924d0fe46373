"""On a terminal: questions, live trees, Ctrl-C, and going on afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.operations.conftest import Account
from tests.operations.terminal import Terminal


@pytest.fixture
def fleeting(deployed: Target, run: Run) -> Iterator[Target]:
    """Give a stack that does not exist yet; remove what the test leaves of it."""
    target = replace(deployed, stack="tabular-fleeting")
    yield target
    if stacks.find(target) is not None:
        run("destroy", "--stack-name", "tabular-fleeting", "--yes")


def test_what_ctrl_c_interrupts_goes_on_and_can_be_gone_on_with(
    fleeting: Target, account: Account, run: Run
) -> None:
    before = account()
    deploy = Terminal.start("deploy", "--stack-name", "tabular-fleeting")
    deploy.expect("Create it?")
    deploy.type("y")
    deploy.expect("NetworkStack  CREATE_IN_PROGRESS")
    deploy.interrupt()
    assert deploy.end() == 130
    assert "CloudFormation continues without this command" in deploy.text()
    assert "status --watch" in deploy.text()
    assert b"\x1b[" in bytes(deploy.raw), "colours on a terminal"

    watched = run("status", "--watch", "--stack-name", "tabular-fleeting")
    assert watched.status == 0
    assert "\x1b[" not in watched.out, "no colours without a terminal"
    assert stacks.need(fleeting).status == "CREATE_COMPLETE"
    assert (
        run("deploy", "--stack-name", "tabular-fleeting", "--yes", "--json").json["changed"]
        is False
    )

    mistaken = Terminal.start("destroy", "--stack-name", "tabular-fleeting")
    mistaken.expect("Type the stack's name, tabular-fleeting")
    mistaken.type("tabular")
    assert mistaken.end() == 1
    assert "'tabular' is not 'tabular-fleeting': nothing was changed" in mistaken.text()

    destroy = Terminal.start("destroy", "--stack-name", "tabular-fleeting")
    destroy.expect("Type the stack's name, tabular-fleeting")
    destroy.type("tabular-fleeting")
    destroy.expect("DELETE_IN_PROGRESS")
    destroy.interrupt()
    assert destroy.end() == 130
    assert "resumes it" in destroy.text()
    assert run("destroy", "--stack-name", "tabular-fleeting", "--yes").status == 0
    assert account() == before


def test_no_is_taken_for_an_answer(fleeting: Target) -> None:
    deploy = Terminal.start("deploy", "--stack-name", "tabular-fleeting")
    deploy.expect("Create it?")
    deploy.type("n")
    assert deploy.end() == 1
    assert "not confirmed: nothing was changed" in deploy.text()
    assert stacks.find(fleeting) is None


def test_guided_asks_for_each_parameter_until_it_fits_and_writes_them_down(
    deployed: Target, tmp_path: Path
) -> None:
    file = tmp_path / "answers.json"
    guided = Terminal.start(
        "deploy", "--stack-name", "tabular-life", "--guided", "--parameters", str(file)
    )
    stack = stacks.need(deployed)
    for group, count in (("SageMaker Studio", 2), ("Pipeline", 6)):
        guided.expect(group)
        for _ in range(count):
            guided.expect("]: ")
            guided.type("")
    guided.expect("Rows [")
    guided.type("5")
    guided.expect("got '5': must be a whole number from 100")
    guided.expect("Rows [")
    guided.type(stack.parameters["Rows"])
    guided.expect("Seed [")
    guided.type(stack.parameters["Seed"])
    for label in ("E-mail address", "Functions in the VPC", "Zone 1", "Zone 2"):
        guided.expect(label)
        guided.expect(": ")
        guided.type("")
    assert guided.end() == 0, guided.text()
    assert "nothing changed" in guided.text()
    written = {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(file.read_text())}
    assert written == dict(stack.parameters)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_outputs_break_no_value_however_narrow_the_terminal_is(
    deployed: Target, columns: int
) -> None:
    shown = Terminal.start("outputs", "--stack-name", "tabular-life", columns=columns)
    assert shown.end() == 0
    for name, value in stacks.need(deployed).outputs.items():
        assert name in shown.text()
        assert value in shown.text()
