"""Three pipelines in one emulated environment: each runs, one goes, the others stay whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from boto3.session import Session

from tabular_ml_vpc.operations.artifacts import ArtifactBucket
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.operations.conftest import Account

STACK: Final = "tabular-three"
TABLE: Final = b"age,label\n31,yes\n47,no\n"
ENTRY: Final = '[[pipelines]]\nname = "{}"\n'
Settings = Callable[..., tuple[str, ...]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give a function that writes settings with these pipelines, and returns the options."""

    def write(*names: str) -> tuple[str, ...]:
        file = tmp_path / "several.toml"
        file.write_text("".join(map(ENTRY.format, names)), encoding="utf-8")
        return ("--stack-name", STACK, "--config", str(file))

    return write


def started_with(aws: Session, pipeline: str, definition: str) -> str:
    """Give a pipeline another definition, run it, and take it back; return how the run ended."""
    sagemaker = aws.client("sagemaker")
    before = sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineDefinition"]
    sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=definition)
    arn = sagemaker.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"]
    sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=before)
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    return f"{found['PipelineExecutionStatus']} {found.get('FailureReason', '')}"


def state_of(aws: Session, endpoint: str) -> dict[str, Any]:
    """Return what changes if anything is deployed to an endpoint."""
    found = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    keys = ("EndpointStatus", "EndpointConfigName", "CreationTime", "LastModifiedTime")
    return {key: found[key] for key in keys}


def definition_of(aws: Session, pipeline: str) -> str:
    found = aws.client("sagemaker").describe_pipeline(PipelineName=pipeline)
    return str(found["PipelineDefinition"])


def require_apart(aws: Session, churn: str, fraud: str) -> None:
    """Let churn's pipeline role use what is fraud's, each alone; it may not."""
    mine, theirs = (json.loads(definition_of(aws, name)) for name in (churn, fraud))
    attacks = {
        "RoleArn": (theirs["Steps"][0]["Arguments"]["RoleArn"], "iam:PassRole"),
        "SecurityGroupIds": (_groups(theirs), "sagemaker:CreateProcessingJob"),
        "ModelPackageGroupName": (fraud, "sagemaker:CreateModelPackage"),
        "EndpointName": (fraud, "sagemaker:DescribeEndpoint"),  # before it creates or updates
    }
    for field, (value, action) in attacks.items():
        ended = started_with(aws, churn, json.dumps(renamed(mine, field, value)))
        assert ended.startswith("Failed "), (field, ended)
        assert f"not authorized to perform: {action}" in ended, (field, ended)


def _groups(definition: dict[str, Any]) -> list[str]:
    network = definition["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"]
    return list(network["SecurityGroupIds"])


def renamed(value: Any, field: str, name: Any) -> Any:
    """Return a definition with another value of a field, wherever it is."""
    if isinstance(value, dict):
        return {
            key: name if key == field else renamed(one, field, name) for key, one in value.items()
        }
    return [renamed(one, field, name) for one in value] if isinstance(value, list) else value


def test_pipelines_of_one_environment_run_apart_and_go_alone(
    aws: Session, account: Account, run: Run, settings: Settings
) -> None:
    ArtifactBucket(Target(aws, STACK)).ensure()  # outlives stacks
    before = account()
    three = settings("main", "churn", "fraud")
    deployed = run("deploy", *three, "--yes", "--json", "--set", "Rows=500")
    assert deployed.status == 0, deployed.err
    outputs, on = deployed.json["outputs"], ("--stack-name", STACK)
    assert outputs["Pipelines"] == "main,churn,fraud"
    churn, fraud = outputs["PipelineNameChurn"], outputs["PipelineNameFraud"]
    s3, bucket = aws.client("s3"), outputs["DataBucket"]
    s3.put_object(Bucket=bucket, Key="pipelines/raw/churn/data.csv", Body=TABLE)
    for name in ("main", "churn", "fraud"):
        assert run("run", *on, "--pipeline", name).status == 0

    shown = run("status", *on, "--json").json
    assert {one["name"]: one["endpoint"]["status"] for one in shown["pipelines"]} == dict.fromkeys(
        ("main", "churn", "fraud"), "InService"
    )
    listed = run("history", *on, "--json").json
    assert [one["pipeline"] for one in listed] == ["fraud", "churn", "main"]
    logged = run("logs", *on, "--source", "functions", "--since", "1d", "--json").out.splitlines()
    managers = {f"{stack}/PipelineManagerFunction" for stack in ("PipelineStack", "ManagerStack")}
    assert managers <= {json.loads(line)["source"] for line in logged}
    require_apart(aws, churn, fraud)

    serving = [state_of(aws, name) for name in (outputs["EndpointName"], fraud)]
    two = settings("main", "fraud")
    planned = run("diff", *two, "--json").json
    (gone,) = planned["removed_pipelines"]
    assert (gone["name"], gone["endpoint_status"]) == ("churn", "InService")
    assert [one["logical_id"] for one in planned["changes"]] == ["ChurnPipelineStack"]

    assert run("deploy", *two, "--yes").status == 0
    assert [state_of(aws, name) for name in (outputs["EndpointName"], fraud)] == serving
    assert s3.get_object(Bucket=bucket, Key="pipelines/raw/churn/data.csv")["Body"].read() == TABLE
    assert churn not in str(account())
    assert run("run", *on, "--pipeline", "fraud").status == 0
    assert "'churn' is not one of main, fraud" in run("run", *on, "--pipeline", "churn").err

    destroyed = run("destroy", *on, "--yes", "--json")
    assert (destroyed.status, destroyed.json["left"]) == (0, [])
    assert account() == before
