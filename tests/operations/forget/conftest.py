"""A stack in an emulated AWS of its own, with one run whose files are those of real jobs."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from generator.files import REPOSITORY
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator.process import Emulator
from tests.emulated import Run, emulated_aws, pointed_at, runner

STACK = "tabular-forget"
PYTHON = REPOSITORY / ".venv-local/bin/python"
ROWS = 300
HEADER = "customer,age,plan,joined,income,label\n"


def row(number: int) -> str:
    plan = ("basic", "standard", "premium")[number % 3]
    joined = f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}"
    return f"C-{number:04},{number % 60 + 18},{plan},{joined},{number}.5,{number % 2}\n"


def table(without: int | None = None) -> bytes:
    return (HEADER + "".join(row(n) for n in range(ROWS) if n != without)).encode()


@dataclass(frozen=True)
class Holder:
    """A deployed stack with a run, and where its files are."""

    session: Session
    bucket: str
    run: str
    archive: str
    in_train: str
    in_test: str
    """Customers on either side of the split."""

    def put(self, key: str, body: bytes) -> str:
        """Put an object; return its version."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return str(answer["VersionId"])

    @property
    def s3(self) -> Any:
        return self.session.client("s3")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulated AWS, whose jobs succeed without running."""
    with emulated_aws() as running:
        yield running


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Iterator[Session]:
    """Point everything in this process at the emulated AWS."""
    with pointed_at(emulator) as session:
        yield session


@pytest.fixture
def forget(capsys: pytest.CaptureFixture[str], holder: Holder) -> Run:
    """Give a function that runs `build.py forget` on the stack."""
    assert holder.bucket
    run = runner(capsys)
    return lambda *arguments: run("forget", "--stack-name", STACK, *arguments)


@pytest.fixture(scope="module")
def holder(aws: Session, tmp_path_factory: pytest.TempPathFactory) -> Holder:
    """Deploy the stack, run its pipeline, and put what the jobs would have written."""
    assert main(["deploy", "--stack-name", STACK, "--yes", "--json"]) == 0
    stack = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    bucket = outputs["DataBucket"]
    aws.client("s3").put_object(Bucket=bucket, Key="raw/people.csv", Body=table())
    data = ("--set", f"InputData=s3://{bucket}/raw/people.csv")
    assert main(["run", "--stack-name", STACK, "--json", *data]) == 0
    sagemaker = aws.client("sagemaker")
    found = sagemaker.list_pipeline_executions(PipelineName=outputs["PipelineName"])
    run = found["PipelineExecutionSummaries"][0]["PipelineExecutionArn"].rpartition("/")[2]
    folder = tmp_path_factory.mktemp("run")
    sides = prepare(folder)
    packages = sagemaker.list_model_packages(ModelPackageGroupName=outputs["PipelineName"])
    (package,) = (one["ModelPackageArn"] for one in packages["ModelPackageSummaryList"])
    described = sagemaker.describe_model_package(ModelPackageName=package)
    (container,) = described["InferenceSpecification"]["Containers"]
    archive = container["ModelDataUrl"].partition(f"{bucket}/")[2]
    made = Holder(aws, bucket, run, archive, *sides)
    for file in sorted((folder / "out").rglob("*.*")):
        made.put(f"processed/{run}/{file.relative_to(folder / 'out')}", file.read_bytes())
    made.put(archive, packed({"schema.json": (folder / "out/schema/schema.json").read_text()}))
    return made


def prepare(folder: Path) -> tuple[str, str]:
    """Prepare the table as a run does; return a customer in training data and one in test data."""
    (folder / "people.csv").write_bytes(table())
    out = folder / "out"
    arguments = [f"--{name}={out / name}" for name in ("train", "test", "schema", "profile")]
    script = REPOSITORY / "pipeline/scripts/preprocess.py"
    data = [f"--data={folder}", "--input-uri=s3://b/people.csv", "--label=label"]
    subprocess.run([str(PYTHON), str(script), *data, *arguments], check=True, capture_output=True)
    code = (
        "import sys\nfrom pyarrow import parquet\n"
        "print(*(int(parquet.read_table(f)['income'][0].as_py()) for f in sys.argv[1:]))"
    )
    files = [str(out / f"{side}/{side}.parquet") for side in ("train", "test")]
    answer = subprocess.run(
        [str(PYTHON), "-c", code, *files], check=True, capture_output=True, text=True
    )
    train, test = map(int, answer.stdout.split())
    return f"C-{train:04}", f"C-{test:04}"


def packed(files: dict[str, str]) -> bytes:
    """Return a model archive with these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def captured(*bodies: str) -> bytes:
    """Return captured requests as SageMaker writes them."""
    lines = [
        {
            "captureData": {
                "endpointInput": {
                    "observedContentType": "text/csv",
                    "mode": "INPUT",
                    "data": body,
                    "encoding": "CSV",
                },
                "endpointOutput": {"data": "C-0000", "encoding": "CSV"},
            },
            "eventMetadata": {"eventId": "1"},
        }
        for body in bodies
    ]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()
