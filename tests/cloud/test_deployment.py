"""The templates as emitted, deployed with the real `aws` command: what stands there afterwards."""

from __future__ import annotations

import csv
import io
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from pipeline.definition import SCRIPTS, build
from tests.cloud.account import FAST, Account
from tests.emulated import hearing

STACK = "lasting"


@pytest.fixture(scope="module")
def packaged(account: Account) -> Path:
    """Give the packaged root template."""
    return account.package()


@pytest.fixture(scope="module")
def outputs(account: Account, packaged: Path) -> Iterator[dict[str, str]]:
    """Give the outputs of a deployment that the tests of this file share and do not change."""
    account.deploy(packaged, STACK)
    yield account.outputs(STACK)
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)


def test_the_outputs_name_what_was_made(account: Account, outputs: dict[str, str]) -> None:
    assert account.exists(outputs["DataBucket"])
    assert account.exists(outputs["LogBucket"])
    domain = account.client("sagemaker").describe_domain(DomainId=outputs["DomainId"])
    assert domain["Url"] == outputs["DomainUrl"]
    profiles = account.client("sagemaker").list_user_profiles(DomainIdEquals=outputs["DomainId"])
    names = [profile["UserProfileName"] for profile in profiles["UserProfiles"]]
    assert names == outputs["UserProfiles"].split(",")
    topics = account.client("sns").list_topics()["Topics"]
    assert {"TopicArn": outputs["AlertTopic"]} in topics
    assert account.client("ec2").describe_vpcs(VpcIds=[outputs["VpcId"]])["Vpcs"]
    assert outputs["EndpointName"]


def test_the_command_among_the_outputs_starts_the_pipeline(
    account: Account, outputs: dict[str, str]
) -> None:
    command = outputs["StartPipelineCommand"].split()
    assert command[0] == "aws"
    started = account.aws.run(*command[1:], "--pipeline-execution-display-name", "hold-it")
    arn = json.loads(started.stdout)["PipelineExecutionArn"]
    sagemaker = account.client("sagemaker")
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert found["PipelineExecutionStatus"] == "Executing"
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)


def test_the_synthetic_table_is_in_the_bucket(account: Account, outputs: dict[str, str]) -> None:
    found = account.client("s3").get_object(Bucket=outputs["DataBucket"], Key="raw/data.csv")
    rows = list(csv.reader(io.StringIO(found["Body"].read().decode())))
    assert len(rows) == int(FAST["Rows"]) + 1
    assert rows[0][-1] == "label"
    assert {row[-1] for row in rows[1:]} == {"0", "1"}


def test_an_event_that_lambda_delivers_late_changes_nothing(
    account: Account, outputs: dict[str, str]
) -> None:
    """The stack is no longer in the operation that sent it; the function would write the table."""
    cloudformation, functions = account.client("cloudformation"), account.client("lambda")

    def physical_id(stack: str, logical_id: str) -> str:
        found = cloudformation.describe_stack_resources(
            StackName=stack, LogicalResourceId=logical_id
        )
        return str(found["StackResources"][0]["PhysicalResourceId"])

    def version() -> str:
        found = account.client("s3").head_object(Bucket=outputs["DataBucket"], Key="raw/data.csv")
        return str(found["VersionId"])

    stack_id, before = physical_id(STACK, "PipelineStack"), version()
    event = {
        "RequestType": "Create",
        "RequestId": str(uuid.uuid4()),
        "ResponseURL": f"{functions.meta.endpoint_url}/_ministack/cfn-response/late",
        "StackId": stack_id,
        "LogicalResourceId": "SeedData",
        "ResourceType": "Custom::SeedData",
        "ResourceProperties": {
            "Bucket": outputs["DataBucket"],
            "Key": "raw/data.csv",
            "Rows": "700",
            "Seed": "9",
        },
    }
    done = functions.invoke(
        FunctionName=physical_id(stack_id, "SeedDataFunction"), Payload=json.dumps(event)
    )
    assert "FunctionError" not in done, done["Payload"].read()
    assert version() == before


def test_the_pipeline_is_our_definition(account: Account, outputs: dict[str, str]) -> None:
    described = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    properties = _expected_properties(account)
    assert json.loads(described["PipelineDefinition"]) == json.loads(json.dumps(build(properties)))
    assert described["RoleArn"] == properties.pipeline_role_arn


def _expected_properties(account: Account) -> PipelineProperties:
    """Return the custom resource's properties, from what the account holds."""
    stack = account.nested(STACK, "pipeline")
    parameters = {
        p["ParameterKey"]: p["ParameterValue"] for p in account.stack(stack)["Parameters"]
    }
    role = "arn:aws:iam::123456789012:role/"
    registry = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/autogluon-"
    tag = parameters["AutoGluonImageTag"]
    code = account.client("s3").list_objects_v2(Bucket=parameters["DataBucket"], Prefix="code/")
    name = parameters["UniqueName"]
    return from_event(
        PipelineProperties,
        {
            "PipelineName": name,
            "EndpointName": name,
            "ModelPackageGroup": name,
            "Bucket": parameters["DataBucket"],
            "KeyArn": parameters["KeyArn"],
            "PipelineRoleArn": role + parameters["PipelineRole"],
            "ProcessingRoleArn": role + parameters["ProcessingRole"],
            "TrainingRoleArn": role + parameters["TrainingRole"],
            "ModelRoleArn": role + parameters["ModelRole"],
            "SubnetIds": parameters["SubnetIds"],
            "SecurityGroupIds": parameters["JobsSecurityGroupId"],
            "TrainingImage": f"{registry}training:{tag}",
            "InferenceImage": f"{registry}inference:{tag}",
            "ProcessingInstanceType": parameters["ProcessingInstanceType"],
            "TrainingInstanceType": parameters["TrainingInstanceType"],
            "EndpointInstanceType": parameters["EndpointInstanceType"],
            "QualityMetric": parameters["QualityMetric"],
            "QualityThreshold": parameters["QualityThreshold"],
            "SourceHash": code["Contents"][0]["Key"].split("/")[1],
            "Owner": stack,
        },
    )


def test_the_job_scripts_are_where_the_definition_says(
    account: Account, outputs: dict[str, str]
) -> None:
    found = account.client("s3").list_objects_v2(Bucket=outputs["DataBucket"], Prefix="code/")
    keys = [one["Key"] for one in found["Contents"]]
    folder = keys[0].rsplit("/", 1)[0]
    assert sorted(keys) == sorted(f"{folder}/{script}" for script in SCRIPTS)
    described = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    assert f"s3://{outputs['DataBucket']}/{folder}/" in described["PipelineDefinition"]


def test_a_deployment_without_a_change_ends_well_and_changes_nothing(
    account: Account, packaged: Path, outputs: dict[str, str]
) -> None:
    before = account.client("cloudformation").describe_stack_events(StackName=STACK)
    assert account.deploy(packaged, STACK) == 0
    after = account.client("cloudformation").describe_stack_events(StackName=STACK)
    assert after["StackEvents"] == before["StackEvents"]
    assert account.outputs(STACK) == outputs


def test_packaging_again_uploads_nothing(account: Account, packaged: Path) -> None:
    def uploaded() -> dict[str, Any]:
        listed = account.client("s3").list_objects_v2(Bucket=account.artifacts)
        return {one["Key"]: one["LastModified"] for one in listed["Contents"]}

    before = uploaded()
    text = packaged.read_bytes()
    assert account.package_of(account.as_emitted).read_bytes() == text
    assert uploaded() == before


@pytest.mark.parametrize(("status", "arrives"), [("Failed", True), ("Succeeded", False)])
def test_only_a_failed_run_is_told(
    account: Account, outputs: dict[str, str], status: str, arrives: bool
) -> None:
    with hearing(account.session, outputs["AlertTopic"]) as queue:
        put_run_event(account, outputs["PipelineName"], status)
        time.sleep(0.5)
        messages = account.client("sqs").receive_message(QueueUrl=queue).get("Messages", [])
        assert bool(messages) == arrives


def test_a_failed_run_of_another_pipeline_is_not_told(
    account: Account, outputs: dict[str, str]
) -> None:
    with hearing(account.session, outputs["AlertTopic"]) as queue:
        put_run_event(account, "somebody-elses", "Failed")
        time.sleep(0.5)
        assert "Messages" not in account.client("sqs").receive_message(QueueUrl=queue)


def put_run_event(account: Account, pipeline: str, status: str) -> None:
    """Put the event that SageMaker sends when a run changes its status."""
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/{pipeline}"
    detail = {
        "pipelineArn": arn,
        "pipelineExecutionArn": f"{arn}/execution/abcdefghijkl",
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": "2026-11-24T10:00:00Z",
        "executionEndTime": "2026-11-24T11:00:00Z",
    }
    put = account.client("events").put_events(
        Entries=[
            {
                "Source": "aws.sagemaker",
                "DetailType": "SageMaker Model Building Pipeline Execution Status Change",
                "Detail": json.dumps(detail),
            }
        ]
    )
    assert put["FailedEntryCount"] == 0


@pytest.fixture
def administrator(account: Account) -> Iterator[Session]:
    """Give a role's session that may do everything: only Denies of resources are left."""
    iam, anybody = account.client("iam"), {"AWS": "arn:aws:iam::123456789012:root"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": anybody}
    name = "administrator"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(everything))
    assumed = account.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    yield Session(
        assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], "eu-west-1"
    )
    iam.delete_role_policy(RoleName=name, PolicyName="all")
    iam.delete_role(RoleName=name)


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_data_is_encrypted_with_our_key_or_not_written(
    administrator: Session, outputs: dict[str, str]
) -> None:
    """Without `DenyNoKey` the last upload would go under S3's own key of the account."""
    s3, bucket = administrator.client("s3"), outputs["DataBucket"]
    s3.put_object(Bucket=bucket, Key="raw/plain.csv", Body=b"x")
    found = s3.head_object(Bucket=bucket, Key="raw/plain.csv")
    ours = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = ours[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert found["SSEKMSKeyId"] == default
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": default}
    s3.put_object(Bucket=bucket, Key="raw/plain.csv", Body=b"x", **named)
    for begin in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(ClientError, match="AccessDenied"):
            begin(Bucket=bucket, Key="raw/plain.csv", ServerSideEncryption="aws:kms")


def test_the_default_security_group_is_closed(account: Account, outputs: dict[str, str]) -> None:
    found = account.client("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [outputs["VpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    assert [(one["IpPermissions"], one["IpPermissionsEgress"]) for one in found] == [([], [])]


@pytest.mark.usefixtures("outputs")
def test_the_functions_wrote_no_response_url_and_no_event_to_their_logs(account: Account) -> None:
    logs = account.client("logs")
    groups = [
        group["logGroupName"]
        for group in logs.describe_log_groups()["logGroups"]
        if STACK in group["logGroupName"]
    ]
    text = ""
    for group in groups:
        for event in logs.filter_log_events(logGroupName=group)["events"]:
            text += event["message"]
    assert "answered CloudFormation: SUCCESS" in text
    for secret in ("ResponseURL", "X-Amz-", "Signature", "https://", "ResourceProperties"):
        assert secret not in text
    assert "Create of SeedData begins" in text
