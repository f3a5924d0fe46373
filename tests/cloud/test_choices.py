"""A deployment with the choices of an organisation made: locked data, a replica, reservations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from generator.package import FUNCTIONS
from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.audit.checkers import plain_stacks
from tests.cloud.account import Account, Templates

STACK = "choices"
REPLICA = "copies-of-the-tests"
REPLICA_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CHOSEN = Settings.model_validate(
    {
        "storage": {
            "object_lock_days": 30,
            "replica_bucket": f"arn:aws:s3:::{REPLICA}",
            "replica_key": REPLICA_KEY,
        },
        "functions": {"reserved_concurrency": 2, "tracing": False},
    }
)


def choose(templates: Templates) -> None:
    """Put the templates of the chosen settings in the place of the default ones."""
    for name, template in plain_stacks(CHOSEN, Mode.PROD).items():
        templates[name] = dict(template)


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and remove the stack with what it leaves."""
    s3 = account.client("s3")
    account.aws.run("s3", "mb", f"s3://{REPLICA}")
    s3.put_bucket_versioning(Bucket=REPLICA, VersioningConfiguration={"Status": "Enabled"})
    account.deploy(account.package(Mode.PROD, choose), STACK)
    given = account.outputs(STACK)
    yield given
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    for bucket in (given["DataBucket"], given["LogBucket"]):
        s3.delete_bucket_policy(Bucket=bucket)
        remove(s3, bucket)
    remove(s3, REPLICA)


def remove(s3: Any, bucket: str) -> None:
    """Delete every version, as somebody who may bypass governance, and the bucket."""
    listed = s3.list_object_versions(Bucket=bucket)
    for one in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(
            Bucket=bucket,
            Key=one["Key"],
            VersionId=one["VersionId"],
            BypassGovernanceRetention=True,
        )
    s3.delete_bucket(Bucket=bucket)


def test_the_stack_stands_and_its_pipeline_runs(account: Account, outputs: dict[str, str]) -> None:
    arn = account.run_pipeline(outputs["PipelineName"])
    described = account.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"


def test_the_functions_could_write_into_the_locked_bucket(
    account: Account, outputs: dict[str, str]
) -> None:
    listed = account.client("s3").list_objects_v2(Bucket=outputs["DataBucket"])["Contents"]
    keys = [one["Key"] for one in listed]
    assert "raw/data.csv" in keys
    assert [key for key in keys if key.startswith("code/")]


def test_a_locked_version_cannot_be_deleted(account: Account, outputs: dict[str, str]) -> None:
    s3, bucket = account.client("s3"), outputs["DataBucket"]
    version = s3.head_object(Bucket=bucket, Key="raw/data.csv")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="raw/data.csv", VersionId=version)


def test_what_is_written_is_copied(account: Account, outputs: dict[str, str]) -> None:
    s3 = account.client("s3")
    s3.put_object(Bucket=outputs["DataBucket"], Key="raw/mine.csv", Body=b"label,x\n1,2\n")
    copy = s3.get_object(Bucket=REPLICA, Key="raw/mine.csv")
    assert copy["Body"].read() == b"label,x\n1,2\n"


def test_every_function_has_its_reservation(account: Account, outputs: dict[str, str]) -> None:
    assert outputs
    functions = account.client("lambda")
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    reserved = [
        functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"]
        for name in names
        if name.startswith(f"{STACK}-")
    ]
    assert reserved == [2] * len(FUNCTIONS)
