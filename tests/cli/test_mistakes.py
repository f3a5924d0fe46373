"""Likely mistakes of a user: one line on standard error, status 2, no traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tabular_ml_vpc.cli import main
from tabular_ml_vpc.operations.target import open_target

STATUS = ("status", "--region", "eu-west-1")
DEPLOY, DIFF, DOCTOR = ((name, *STATUS[1:]) for name in ("deploy", "diff", "doctor"))
ELSEWHERE = "arn:aws:cloudformation:us-east-1:123456789012:stack/tabular/0a1b"
USER = "arn:aws:iam::123456789012:user/me"


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the tests neither credentials nor a configuration of AWS."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("deploi",), "unknown command 'deploi'; did you mean deploy?"),
        (("xyz",), "unknown command 'xyz'; `build.py --help` lists the commands"),
        (
            ("endpoint",),
            "Missing argument 'repair|pause|resume'. Choose from: repair, pause, resume",
        ),
        (("setup", "moon"), "Invalid value for 'ENVIRONMENT': 'moon' is not one of"),
        (("status",), "--region: no region in the profile or in AWS_REGION"),
        (("status", "--region", "mars"), "--region: unknown region 'mars'"),
        ((*STATUS, "--profile", "ghost"), "--profile: unknown profile 'ghost'"),
        ((*STATUS, "--stack-name", ""), "--stack-name: '' is not a valid stack name"),
        ((*STATUS, "--stack-name", "a b"), "--stack-name: 'a b' is not a valid stack name"),
        ((*STATUS, "--stack-name", "-a"), "--stack-name: '-a' is not a valid stack name"),
        ((*STATUS, "--stack-name", "1a"), "--stack-name: '1a' is not a valid stack name"),
        ((*STATUS, "--stack-name", "a" * 129), "--stack-name: 'aaaaaaa"),
        ((*STATUS, "--stack-name", "arn:aws:s3:::b"), "--stack-name: 'arn:aws:s3:::b' is not a"),
        ((*STATUS, "--stack-name", ELSEWHERE), f"--stack-name: {ELSEWHERE!r} is in us-east-1, but"),
        ((*STATUS, "--profile", ""), "--profile: '' is not a valid profile"),
        (("destroy", *STATUS[1:], "--yes", "--stack-name", ""), "--stack-name: '' is not a valid"),
        (("history", "", *STATUS[1:]), "ID: '' is not a valid execution ID"),
        (("history", "a/b", *STATUS[1:]), "ID: 'a/b' is not a valid execution ID"),
        (("stop", "arn:aws:iam::1:role/a", *STATUS[1:]), "ID: 'arn:aws:iam::1:role/a' is not a"),
        (("run", *STATUS[1:], "--follow", "A b"), "--follow: 'A b' is not a valid execution ID"),
        (("run", *STATUS[1:], "--name", "a b"), "--name: 'a b' is not a valid name"),
        (("open", "a_b", *STATUS[1:]), "PROFILE: 'a_b' is not a valid user profile"),
        (("outputs", "a b", *STATUS[1:]), "NAME: 'a b' is not a valid output name"),
        ((*DOCTOR, "--vpc-id", "vpc-nope"), "--vpc-id: 'vpc-nope' is not a valid VPC id"),
        ((*DOCTOR, "--stack-name", "mine"), "--stack-name: 'mine' must begin with 'tabular'"),
        ((*DEPLOY, "--stack-name", "mine"), "--stack-name: 'mine' must begin with 'tabular'"),
        ((*DIFF, "--stack-name", "mine"), "--stack-name: 'mine' must begin with 'tabular'"),
        ((*DEPLOY, "--role-arn", "deployer"), "--role-arn: 'deployer' is not a valid role ARN"),
        ((*DEPLOY, "--role-arn", USER), f"--role-arn: {USER!r} is not a valid role ARN"),
        ((*DEPLOY, "--parameters", "nowhere.json"), "--parameters: nowhere.json cannot be read"),
        ((*DIFF, "--parameters", "nowhere.json"), "--parameters: nowhere.json cannot be read"),
        ((*DEPLOY, "--set", "Row=5"), "--set Row: unknown parameter; did you mean Rows?"),
        ((*DEPLOY, "--config", "nowhere.toml"), "nowhere.toml: cannot be read"),
        ((*DEPLOY, "--bucket", "Mine"), "--bucket: 'Mine' is not a valid bucket name"),
        ((*DEPLOY, "--bucket", ""), "--bucket: '' is not a valid bucket name"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_allowed(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"build.py: {said}")
    assert errors.count("\n") == 1


def test_the_stack_s_name_begins_with_the_project_s_in_the_settings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tmp_path / "acme.toml"
    settings.write_text('project = "acme"\n', encoding="utf-8")
    assert main((*DEPLOY, "--config", str(settings))) == 2
    assert "'tabular' must begin with 'acme'" in capsys.readouterr().err
    assert main((*DEPLOY, "--config", str(settings), "--stack-name", "acme-1")) == 1
    assert "no usable AWS credentials" in capsys.readouterr().err


def test_missing_credentials_say_how_to_get_some(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(STATUS) == 1
    assert "run `aws configure` or `aws sso login`, or give --profile" in capsys.readouterr().err


def test_a_profile_of_the_environment_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ghost")
    assert main(STATUS) == 2
    assert "AWS_PROFILE: unknown profile 'ghost'" in capsys.readouterr().err


def test_a_configuration_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "config"
    broken.write_text("[x", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    assert main(STATUS) == 2
    assert "cannot read the AWS configuration" in capsys.readouterr().err


def test_the_region_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert open_target(None, None, "a").region == "eu-north-1"
    assert open_target(None, "eu-west-1", "a").region == "eu-west-1"


def test_a_closed_standard_input_is_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(("invoke", "--region", "eu-west-1")) == 2
    assert "standard input is empty: give at least one CSV row" in capsys.readouterr().err


@pytest.mark.parametrize("note", ['{"url": 1', '{"url": 1}', "[]"])
def test_a_damaged_note_of_an_endpoint_is_none(
    note: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "endpoint.json").write_text(note, encoding="utf-8")
    assert main(("local", "--stop", "--work", str(tmp_path))) == 0
    assert capsys.readouterr().out == "no endpoint is running\n"
