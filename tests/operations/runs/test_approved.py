"""The way of a real model on approval: trained, tried, served, and compared with the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from boto3.session import Session

from tabular_ml_vpc.cli import main
from tests.emulated import Run, runner
from tests.operations.runs.conftest import FAST

STACK = "tabular-approved"
ROW = "41,2,3100.5,88.2,18,2,basic,north,card,4"
SETTINGS = """
[pipeline]
deploy = "on-approval"
[serving]
capture_percent = 0
champion_margin = 0.0
[studio]
domain = "none"
"""


@pytest.fixture(scope="module")
def outputs(aws: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Deploy the stack by the command line; give its outputs, and delete it."""
    settings = tmp_path_factory.mktemp("settings") / "settings.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    chosen = ("--config", str(settings), "--set", "Rows=600")
    assert main(["deploy", "--stack-name", STACK, "--yes", "--json", *chosen]) == 0
    stack = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    yield {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    assert main(["destroy", "--stack-name", STACK, "--yes", "--json"]) == 0


@pytest.fixture
def build_py(capsys: pytest.CaptureFixture[str], outputs: dict[str, str]) -> Run:
    """Give a function that runs a command of `build.py` on the deployed stack."""
    assert outputs
    run = runner(capsys)
    return lambda name, *arguments: run(name, "--stack-name", STACK, *arguments)


def test_a_model_is_served_when_it_is_approved_and_the_next_is_compared_with_it(
    aws: Session, build_py: Run, outputs: dict[str, str]
) -> None:
    assert outputs["DeploymentMode"] == "on-approval"
    first = build_py("run", *FAST)
    assert first.status == 0, first.err
    assert "approve 1" in first.out + first.err
    (version,) = json.loads(build_py("models", "--json").out)
    assert (version["version"], version["status"]) == (1, "PendingManualApproval")
    assert build_py("invoke", ROW).status == 1

    approved = build_py("approve", "1", "--yes", "--follow")
    assert approved.status == 0, approved.err
    described = aws.client("sagemaker").describe_endpoint(EndpointName=outputs["EndpointName"])
    assert described["EndpointConfigName"].startswith("v1-")
    answered = build_py("invoke", ROW, "--json")
    assert answered.status == 0, answered.err

    second = build_py("run", *FAST)
    assert second.status == 0, second.err
    assert "The serving model has" in second.out + second.err
