"""An emulated AWS with jobs, the stack in it, and the command line run inside this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from boto3.session import Session

from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator.process import Emulator
from tests.emulated import JOBS, Run, emulated_aws, pointed_at, runner

STACK = "tabular-runs"
FAST = ("--set", "ModelFamilies=GBM", "--set", "TimeLimitSeconds=20")
"""A run's parameters, for the sake of time."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulated AWS of their own for the tests of one file, with jobs that run."""
    with emulated_aws(JOBS) as running:
        yield running


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Iterator[Session]:
    """Point everything in this process at the emulated AWS."""
    with pointed_at(emulator) as session:
        yield session


@pytest.fixture(scope="module")
def outputs(aws: Session, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Deploy the stack, with batch predictions, by the command line; return its outputs."""
    settings = tmp_path_factory.mktemp("settings") / "settings.toml"
    settings.write_text("[pipeline]\npredictions = true\n", encoding="utf-8")
    chosen = ("--config", str(settings), "--set", "Rows=600")
    assert main(["deploy", "--stack-name", STACK, "--yes", "--json", *chosen]) == 0
    stack = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    found = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    # Preprocess gets it too, since its key begins as the table's does, and has to pass it over.
    beside = {"Bucket": found["DataBucket"], "Key": "raw/data.csv.bak"}
    aws.client("s3").put_object(**beside, Body=b"\xff\xfe is no table")
    return found


@pytest.fixture
def build_py(capsys: pytest.CaptureFixture[str], outputs: dict[str, str]) -> Run:
    """Give a function that runs a command of `build.py` on the deployed stack."""
    assert outputs
    run = runner(capsys)
    return lambda name, *arguments: run(name, "--stack-name", STACK, *arguments)


@pytest.fixture(scope="module")
def succeeded(outputs: dict[str, str], aws: Session) -> str:
    """Give the id of a run that went to the endpoint."""
    assert outputs
    assert main(["run", "--stack-name", STACK, *FAST, "--name", "first"]) == 0
    sagemaker = aws.client("sagemaker")
    found = sagemaker.list_pipeline_executions(PipelineName=outputs["PipelineName"])
    (arn,) = (
        one["PipelineExecutionArn"]
        for one in found["PipelineExecutionSummaries"]
        if one.get("PipelineExecutionDisplayName") == "first"
    )
    return str(arn).rpartition("/")[2]
