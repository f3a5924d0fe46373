"""What people name cannot become part of a command that is printed to be copied, or sourced."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from boto3.session import Session

from tabular_ml_vpc.local.emulator import local_aws
from tabular_ml_vpc.operations.target import Target

HOSTILE = (
    "a b",
    "$(touch made)",
    "`touch made`",
    "x; touch made",
    "'; touch made; '",
    '"',
    "a\nb",
    "--json",
    "*",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_options_of_a_printed_command_are_one_word_each(name: str) -> None:
    target = Target(Session(region_name="eu-west-1"), "mine", name)
    assert shlex.split(target.options()) == [
        *("--region", "eu-west-1"),
        *("--profile", name),
        *("--stack-name", "mine"),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_variables_of_the_emulated_aws_can_be_sourced(tmp_path: Path, name: str) -> None:
    file = tmp_path / "aws.env"
    lines = local_aws.exports({"AWS_CA_BUNDLE": f"/srv/{name}/server.crt"})
    file.write_text("\n".join(lines), encoding="utf-8")
    script = 'source "$1" && printf %s "$AWS_CA_BUNDLE"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"/srv/{name}/server.crt"
    assert [path.name for path in tmp_path.iterdir()] == ["aws.env"]
