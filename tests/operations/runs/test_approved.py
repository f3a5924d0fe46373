"""The way of a real model on approval: trained, tried, served, measured, and compared."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boto3.session import Session

from functions.watch_model.core import newest_quality_check
from tabular_ml_vpc.cli import main
from tests.emulated import Run, runner
from tests.emulated_events import tick
from tests.operations.runs.conftest import FAST

STACK = "tabular-approved"
PATIENCE_SECONDS = 120
ROW = "41,2,3100.5,88.2,18,2,basic,north,card,4"
SETTINGS = """
[pipeline]
deploy = "on-approval"
predictions = true
[serving]
capture_percent = 100
champion_margin = 0.0
[watching]
quality_days = 1
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


def test_its_answers_are_measured_by_labels_that_came_later(
    aws: Session, outputs: dict[str, str]
) -> None:
    """The emulator captures nothing: a record is put where data capture stores it."""
    s3, bucket = aws.client("s3"), outputs["DataBucket"]
    table = s3.get_object(Bucket=bucket, Key="raw/data.csv")["Body"].read().decode()
    rows = [
        {"order_id": f"A-{at}", **row}
        for at, row in enumerate(list(csv.DictReader(io.StringIO(table)))[:200])
    ]
    request = as_csv([{name: row[name] for name in row if name != "label"} for row in rows])
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=outputs["EndpointName"],
        ContentType="text/csv",
        Accept="application/json",
        Body=request.encode(),
    )
    said = {
        "endpointInput": captured("text/csv", "CSV", request),
        "endpointOutput": captured("application/json", "JSON", answer["Body"].read().decode()),
    }
    for later in (0, 1):
        folder = newest_quality_check(datetime.now(UTC) + timedelta(hours=later), 1).folder
        key = f"captured/{outputs['EndpointName']}/AllTraffic/{folder}12/00-00-1.jsonl"
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({"captureData": said}).encode())
    labels = as_csv([{name: row[name] for name in ("order_id", "label")} for row in rows[:150]])
    s3.put_object(Bucket=bucket, Key="raw/_labels/known.csv", Body=labels.encode())

    tick(aws, f"{outputs['PipelineName']}-ask")
    check = measured(aws, f"{outputs['PipelineName']}-predict")
    description = check["PipelineExecutionDescription"]
    assert description.startswith("Quality: roc_auc 0.")
    assert description.endswith(" of 150 of 200 captured rows")


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def captured(kind: str, encoding: str, data: str) -> dict[str, str]:
    return {"observedContentType": kind, "encoding": encoding, "data": data}


def measured(aws: Session, pipeline: str) -> dict[str, Any]:
    """Wait until the only check has ended and was published; return it."""
    sagemaker, end = aws.client("sagemaker"), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = sagemaker.list_pipeline_executions(PipelineName=pipeline)
        for summary in found["PipelineExecutionSummaries"]:
            arn = summary["PipelineExecutionArn"]
            one: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            assert one["PipelineExecutionStatus"] != "Failed", one.get("FailureReason")
            if one["PipelineExecutionDescription"].startswith(("Quality: ", "Quality is unknown")):
                return one
        time.sleep(0.5)
    raise AssertionError("the check was not published")
