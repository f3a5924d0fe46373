"""An emulated AWS with jobs, the stack in it, and the command line run inside this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator import process
from tabular_ml_vpc.local.emulator.process import Emulator

ROOT = Path(__file__).resolve().parents[3]
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
JOBS = ROOT / ".venv-local"
STACK = "runs"
FAST = ("--set", "ModelFamilies=GBM", "--set", "TimeLimitSeconds=20")
"""A run's parameters, for the sake of time."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start the emulated AWS with jobs; a missing environment fails in one line."""
    try:
        running = process.start(EMULATOR_PYTHON, jobs=JOBS)
    except process.EmulatorError as error:
        pytest.fail(str(error), pytrace=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def aws(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Point everything in this process at the emulated AWS, and nothing at a user's profiles."""
    nowhere = tmp_path_factory.mktemp("aws") / "nothing"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(nowhere))
        patch.delenv("AWS_PROFILE", raising=False)
        yield Session()


@pytest.fixture(scope="module")
def outputs(aws: Session) -> dict[str, str]:
    """Deploy the stack by the command line; return its outputs."""
    assert main(["deploy", "--stack-name", STACK, "--yes", "--json", "--set", "Rows=600"]) == 0
    stack = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    found = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    # Preprocess gets it too, since its key begins as the table's does, and has to pass it over.
    beside = {"Bucket": found["DataBucket"], "Key": "raw/data.csv.bak"}
    aws.client("s3").put_object(**beside, Body=b"\xff\xfe is no table")
    return found


@pytest.fixture
def build_py(capsys: pytest.CaptureFixture[str], outputs: dict[str, str]) -> Command:
    """Give a function that runs a command of `build.py` on the deployed stack."""
    assert outputs

    def command(name: str, *arguments: str) -> Done:
        capsys.readouterr()
        status = main([name, "--stack-name", STACK, *arguments])
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return command


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
