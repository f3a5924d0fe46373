"""A stack that an older version deployed, updated to today's templates: nothing is lost."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from generator.settings import Mode
from pipeline.plan import flatten
from tests.cloud.account import Account, without_action

V01: Final = Path(__file__).parent / "fixtures" / "v0.1"
CSV: Final = b"age,label\n31,yes\n47,no\n"
MODEL: Final = "models/by-0.1/output/model.tar.gz"
STATEFUL: Final = {
    "AWS::EC2::VPC",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SageMaker::Domain",
    "AWS::SageMaker::ModelPackageGroup",
    "AWS::SageMaker::UserProfile",
}

Physical = Mapping[tuple[str, str], str]
"""Physical ids by stack and logical id."""


@pytest.fixture
def old(account: Account) -> Iterator[str]:
    """A stack as version 0.1 made it: a file of the user's, a model that serves; its name."""
    name = f"old{uuid.uuid4().hex[:8]}"
    account.deploy(account.package_of(V01), name)
    outputs = account.outputs(name)
    account.client("s3").put_object(Bucket=outputs["DataBucket"], Key="raw/data.csv", Body=CSV)
    account.client("s3").put_object(
        Bucket=outputs["DataBucket"], Key=MODEL, Body=(V01 / "model.tar.gz").read_bytes()
    )
    account.run_pipeline(outputs["PipelineName"])
    yield name
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


def stateful(account: Account, name: str) -> Physical:
    """What holds something, in the root stack and those nested in it."""
    client = account.client("cloudformation")
    found: dict[tuple[str, str], str] = {}
    waiting = [("root", name)]
    for title, stack in waiting:
        for one in client.describe_stack_resources(StackName=stack)["StackResources"]:
            if one["ResourceType"] == "AWS::CloudFormation::Stack":
                waiting.append((one["LogicalResourceId"], one["PhysicalResourceId"]))
            elif one["ResourceType"] in STATEFUL:
                found[title, one["LogicalResourceId"]] = one["PhysicalResourceId"]
    return found


def serving(account: Account, outputs: Mapping[str, str]) -> dict[str, Any]:
    """The endpoint, its configuration and its model, with all their fields."""
    client = account.client("sagemaker")
    endpoint = client.describe_endpoint(EndpointName=outputs["EndpointName"])
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    found = {
        "endpoint": endpoint,
        "config": config,
        "model": client.describe_model(ModelName=variant["ModelName"]),
    }
    for one in found.values():
        del one["ResponseMetadata"]
    return found


def definition(account: Account, outputs: Mapping[str, str]) -> dict[str, Any]:
    """The deployed pipeline's definition."""
    found = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    return dict(json.loads(found["PipelineDefinition"]))


def container(pipeline: dict[str, Any]) -> dict[str, Any]:
    """The container in which a pipeline's model serves."""
    steps = {step["Name"]: step for step in flatten(pipeline["Steps"])}
    return dict(steps["CreateModel"]["Arguments"]["PrimaryContainer"])


def read(account: Account, bucket: str, key: str) -> bytes:
    return bytes(account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def test_an_update_from_0_1_keeps_what_is_stateful_and_what_serves(
    account: Account, old: str
) -> None:
    outputs, held = account.outputs(old), stateful(account, old)
    endpoint, before = serving(account, outputs), definition(account, outputs)
    group = {"ModelPackageGroupName": outputs["PipelineName"]}
    packages = account.client("sagemaker").list_model_packages(**group)["ModelPackageSummaryList"]

    account.deploy(account.package(), old)

    assert {kind for _, kind in held} >= {"DataBucket", "LogBucket", "Key", "Domain"}
    assert held.items() <= stateful(account, old).items()
    assert outputs.items() <= account.outputs(old).items()  # what is new is added
    assert serving(account, outputs) == endpoint
    assert read(account, outputs["DataBucket"], "raw/data.csv") == CSV
    assert read(account, outputs["DataBucket"], MODEL) == (V01 / "model.tar.gz").read_bytes()
    found = account.client("sagemaker").list_model_packages(**group)["ModelPackageSummaryList"]
    assert found == packages
    parameters = {one["ParameterKey"] for one in account.stack(old)["Parameters"]}
    assert "PreprocessImageTag" not in parameters
    now = definition(account, outputs)
    assert {"ProblemType", "TrainingRows"} <= {one["Name"] for one in now["Parameters"]}
    # Old archives serve in the same image, started in the same way.
    assert container(now) == container(before)


def test_the_code_of_runs_that_began_before_an_update_stays(account: Account, old: str) -> None:
    bucket = account.outputs(old)["DataBucket"]
    listed = account.client("s3").list_objects_v2(Bucket=bucket, Prefix="code/")["Contents"]
    before = {one["Key"] for one in listed}

    account.deploy(account.package(), old)

    listed = account.client("s3").list_objects_v2(Bucket=bucket, Prefix="code/")["Contents"]
    assert before < {one["Key"] for one in listed}


def test_a_failing_update_from_0_1_rolls_back_to_a_stack_that_works(
    account: Account, old: str
) -> None:
    outputs = account.outputs(old)
    endpoint, before = serving(account, outputs), definition(account, outputs)
    change = without_action("pipeline", "PipelineManagerPolicy", "sagemaker:UpdatePipeline")

    assert account.deploy(account.package(Mode.DEV, change), old, check=False) != 0

    assert account.stack(old)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", account.failures(old)
    assert serving(account, outputs) == endpoint
    assert definition(account, outputs) == before
    account.run_pipeline(outputs["PipelineName"])
