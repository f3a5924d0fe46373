"""What every command prints with ``--json``: one naming style, typed values, also on errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from tabular_ml_vpc.cli import COMMANDS
from tests.emulated import Run

OURS: Final = re.compile(r"[a-z][a-z0-9_]*")
NAMES_OF_THEIRS: Final = {
    "outputs",
    "parameters",
    "resources",
    "functions",
    "environment",
    "sources",
}
"""Objects whose keys are names that CloudFormation, a person or a file gave."""
TIMES: Final = {"time", "started", "ended", "changed", "registered"}
STACK: Final = ("--stack-name", "tabular-life")
NO_JSON: Final = {"init", "setup", "completion"}
DOCUMENTS: Final = {"pipeline", "sbom"}
"""Commands that print a document in a format of others."""
ELSEWHERE: Final = {
    **dict.fromkeys(("run", "stop", "invoke", "predict"), "tests/operations/runs"),
    **dict.fromkeys(("approve", "reject", "rollback"), "tests/operations/runs/test_approval.py"),
    **dict.fromkeys(("local",), "tests/local"),
    **dict.fromkeys(("ci",), "tests/cli/test_ci.py"),
    **dict.fromkeys(("audit",), "tests/reports/audit"),
    **dict.fromkeys(("destroy",), "tests/operations/test_destroy.py"),
}
"""Commands that take minutes, or delete the stack: their errors are tested here."""
SUCCESSES: Final[dict[str, tuple[str, ...]]] = {
    "": ("--check",),
    "doctor": STACK,
    "diff": (*STACK, "--set", "EndpointInstanceType=ml.m5.xlarge"),
    "deploy": (*STACK, "--yes"),
    "publish": STACK,
    "stacks": (),
    "status": STACK,
    "outputs": STACK,
    "open": STACK,
    "logs": (*STACK, "--since", "1d", "--tail", "3"),
    "history": STACK,
    "models": STACK,
    "endpoint": ("repair", *STACK),
    "forget": (*STACK, "--column", "region", "--value", "nobody"),
    "drift": STACK,
    "cost": (),
    "diagram": ("--check",),
    "site": (),
}


def faults(value: Any, where: str = "") -> Iterator[str]:
    """Yield what breaks the rules in plain values."""
    if isinstance(value, list):
        for one in value:
            yield from faults(one, where)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        place = f"{where}.{key}"
        if where.rpartition(".")[2] not in NAMES_OF_THEIRS and not OURS.fullmatch(key):
            yield f"{place}: not snake_case"
        if key in TIMES and isinstance(inner, str) and not is_time(inner):
            yield f"{place}: {inner!r} is not a time with a zone"
        if (
            isinstance(inner, str)
            and key != "date"
            and (is_number(inner) or inner in ("true", "false", "None"))
        ):
            yield from (
                () if where.rpartition(".")[2] in NAMES_OF_THEIRS else [f"{place}: {inner!r}"]
            )
        yield from faults(inner, place)


def is_time(text: str) -> bool:
    try:
        return (
            datetime.fromisoformat(text).tzinfo is not None
            or re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None
        )
    except ValueError:
        return False


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_every_command_is_here_or_in_a_test_of_its_own() -> None:
    known = {*SUCCESSES, *ELSEWHERE, *NO_JSON, *DOCUMENTS} - {""}
    assert known == set(COMMANDS)


@pytest.mark.parametrize("command", SUCCESSES)
@pytest.mark.usefixtures("deployed")
def test_what_a_command_prints_has_one_style(command: str, run: Run, tmp_path: Path) -> None:
    arguments = (*filter(None, [command]), *SUCCESSES[command], "--json")
    if command == "site":
        arguments += ("--output", str(tmp_path / "site.html"))
    done = run(*arguments)
    assert done.status in (0, 1), done.err
    found = [json.loads(line) for line in done.out.splitlines()] if command == "logs" else done.json
    assert sorted(faults(found, "outputs" if command == "outputs" else "")) == []


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_an_error_is_json_too(command: str, run: Run) -> None:
    done = run(*filter(None, [command]), "--json", "--no-such-option")
    assert done.status == 2
    assert done.json["exit_status"] == 2
    assert done.err == f"build.py: {done.json['error']}\n"
    assert set(done.json) == {"error", "exit_status"}


@pytest.mark.parametrize(
    "command",
    [
        *("status", "outputs", "open", "logs", "run", "stop", "history", "invoke", "drift"),
        *("models", "approve", "reject", "rollback"),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_a_stack_that_does_not_exist_is_json_too(command: str, run: Run) -> None:
    rows = ("1,2,3",) if command == "invoke" else ()
    done = run(command, *rows, "--stack-name", "tabular-nowhere", "--json")
    assert (done.status, done.json["exit_status"]) == (1, 1)
    assert "tabular-nowhere does not exist in eu-west-1" in done.json["error"]
