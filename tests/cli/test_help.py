"""Help, version, hints about mistyped names, and what a shell completes."""

from __future__ import annotations

import tomllib

import pytest
from click.shell_completion import BashComplete

from generator.files import REPOSITORY
from tabular_ml_vpc import __version__
from tabular_ml_vpc.cli import COMPLETE_VARIABLE, cli, main


@pytest.mark.parametrize("command", ["", "deploy", "local", "stacks"])
def test_h_is_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "-h"]) == 0
    assert f"Usage: build.py{' ' * bool(command)}{command}" in capsys.readouterr().out


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["version"]["path"] == "tabular_ml_vpc/__init__.py"
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"build.py {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("stautus",), "did you mean status?"),
        (("local", "don"), "Did you mean 'down'?"),
        (("status", "--stack-nam", "a"), "Did you mean '--stack-name'?"),
        (("--chek",), "Did you mean one of: '--check'"),
    ],
)
def test_a_mistyped_name_gets_a_hint(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert said.count("\n") == 1


def completed(*words: str) -> list[str]:
    """Return what a shell offers for the last of the words."""
    shell = BashComplete(cli, {}, "tabular-ml-vpc", COMPLETE_VARIABLE)
    return [item.value for item in shell.get_completions([*words[:-1]], words[-1])]


def test_names_of_parameters_are_completed() -> None:
    assert "TrainingInstanceType=" in completed("deploy", "--set", "Train")
    assert "QualityThreshold=" in completed("run", "--set", "Quality")
    assert completed("run", "--set", "Rows") == []


def test_what_cannot_be_read_completes_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert completed("status", "--region", "eu-west-1", "--stack-name", "") == []
    assert completed("stop", "--region", "mars", "") == []
