"""The emulated AWS itself: the behaviour of AWS on which the proofs of the product rest."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from tabular_ml_vpc.local.emulator.awscli import AwsCli
from tabular_ml_vpc.local.emulator.inventory import inventory

Template = dict[str, Any]

FUNCTION = """
import json, os, pathlib, tempfile, time, urllib.request, boto3

def hear(event, context):
    time.sleep(float(os.environ.get("SECONDS", "0")))
    boto3.client("sqs").send_message(
        QueueUrl=os.environ["QUEUE"], MessageBody=event["detail-type"])

def handler(event, context):
    properties = event["ResourceProperties"]
    status = boto3.client("cloudformation").describe_stacks(StackName=event["StackId"])
    note = {
        "request": event["RequestType"],
        "id": event["LogicalResourceId"],
        "value": properties.get("Value"),
        "status": status["Stacks"][0]["StackStatus"],
    }
    fails = properties.get("FailOn") == event["RequestType"]
    try:
        boto3.client("sqs").send_message(
            QueueUrl=properties["Queue"], MessageBody=json.dumps(note))
    except Exception as refusal:
        fails, note["refusal"] = True, str(refusal)
    seen = pathlib.Path(tempfile.gettempdir()) / event["RequestId"]
    if properties.get("Crash") == event["RequestType"] and not seen.exists():
        seen.touch()
        raise RuntimeError("crash")
    seen.unlink(missing_ok=True)
    padding = "x" * int(properties.get("Size", 0)) if event["RequestType"] == "Create" else ""
    answer = {
        "Status": "FAILED" if fails else "SUCCESS",
        "Reason": note.get("refusal", "as asked"),
        "PhysicalResourceId": properties.get("Id", event["LogicalResourceId"]),
        "Data": {"Value": properties.get("Value", "") + padding},
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if properties.get("Silent") != event["RequestType"]:
        body = json.dumps(answer).encode()
        urllib.request.urlopen(
            urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
"""


@dataclass(frozen=True)
class Deployment:
    """What a test needs to deploy small templates and to see what their function was asked."""

    session: Session
    bucket: str
    queue: str

    def url(self, template: Template) -> str:
        """Upload a template and return its URL."""
        key = f"{uuid.uuid4()}.json"
        body = json.dumps(template)
        self.session.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"https://s3.eu-west-1.amazonaws.com/{self.bucket}/{key}"

    def deploy(self, name: str, template: Template, **parameters: str) -> str:
        """Create or update a stack, wait, and return its status."""
        client = self.session.client("cloudformation")
        sent = {
            "StackName": name,
            "TemplateBody": json.dumps(template),
            "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        }
        try:
            client.describe_stacks(StackName=name)
        except ClientError:
            client.create_stack(**sent)
        else:
            client.update_stack(**sent)
        return self.settled(name)

    def delete(self, name: str) -> str:
        """Delete a stack, wait, and return its status."""
        client = self.session.client("cloudformation")
        stack_id = client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        client.delete_stack(StackName=name)
        return self.settled(stack_id)

    def settled(self, name: str) -> str:
        """Wait until no operation runs on a stack, and return its status."""
        while True:
            stack = self.session.client("cloudformation").describe_stacks(StackName=name)
            status = stack["Stacks"][0]["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return str(status)
            time.sleep(0.05)

    def events(self, name: str, status: str) -> list[str]:
        """Return the logical ids that had an event of this status, oldest first."""
        events = self.session.client("cloudformation").describe_stack_events(StackName=name)
        found = [
            e["LogicalResourceId"]
            for e in events["StackEvents"][::-1]
            if e["ResourceStatus"] == status
        ]
        return [item for item in found if item != name]

    def asked(self) -> list[str]:
        """Return and forget what the function was asked: request, value and stack status."""
        client = self.session.client("sqs")
        found: list[str] = []
        while True:
            got = client.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            if not got.get("Messages"):
                return found
            for message in got["Messages"]:
                note = json.loads(message["Body"])
                found.append(f"{note['request']} {note['value']} at {note['status']}")
                client.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def cloud(session: Session) -> Deployment:
    """Give a bucket with the function's code and a queue for its notes."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3 = session.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("note.py", FUNCTION)
    s3.put_object(Bucket=name, Key="note.zip", Body=archive.getvalue())
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }
    queue = session.client("sqs").create_queue(
        QueueName=name, Attributes={"Policy": json.dumps(policy)}
    )["QueueUrl"]
    return Deployment(session, name, queue)


def noting(cloud: Deployment, actions: list[str] | None = None) -> Template:
    """Return a role and a function that notes what it is asked."""
    statement = {
        "Effect": "Allow",
        "Action": actions or ["sqs:SendMessage", "cloudformation:DescribeStacks"],
        "Resource": "*",
    }
    return {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            },
        },
        "Rights": {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "RoleName": {"Ref": "Role"},
                "PolicyName": "rights",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        },
        "Logs": {"Type": "AWS::Logs::LogGroup"},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "DependsOn": "Rights",
            "Properties": {
                "LoggingConfig": {"LogGroup": {"Ref": "Logs"}},
                "Runtime": "python3.12",
                "Handler": "note.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": 20,
                "Code": {"S3Bucket": cloud.bucket, "S3Key": "note.zip"},
            },
        },
    }


def note(cloud: Deployment, **properties: Any) -> Template:
    """Return a custom resource behind that function."""
    return {
        "Type": "Custom::Note",
        "Properties": {
            "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
            "ServiceTimeout": 15,
            "Queue": cloud.queue,
            **properties,
        },
    }


def template(**resources: Template) -> Template:
    """Return a template of these resources, with one parameter to change."""
    return {"Parameters": {"Value": {"Type": "String", "Default": "1"}}, "Resources": resources}


def child(url: str, **properties: Any) -> Template:
    """Return a nested stack that is handed the parameter on."""
    return {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": url, "Parameters": {"Value": {"Ref": "Value"}}},
        **properties,
    }


def test_nested_stacks_are_created_updated_and_deleted(cloud: Deployment) -> None:
    before = inventory(cloud.session)
    inner = template(**noting(cloud), Note=note(cloud, Value={"Ref": "Value"}))
    inner["Outputs"] = {"Out": {"Value": {"Fn::GetAtt": ["Note", "Value"]}}}
    root = template(Child=child(cloud.url(inner)))
    root["Outputs"] = {"Out": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Out"]}}}

    assert cloud.deploy("nested", root) == "CREATE_COMPLETE"
    assert cloud.deploy("nested", root, Value="2") == "UPDATE_COMPLETE"
    stacks = cloud.session.client("cloudformation").describe_stacks(StackName="nested")
    assert stacks["Stacks"][0]["Outputs"][0]["OutputValue"] == "2"
    assert cloud.delete("nested") == "DELETE_COMPLETE"

    assert cloud.asked() == [
        "Create 1 at CREATE_IN_PROGRESS",
        "Update 2 at UPDATE_IN_PROGRESS",
        "Delete 2 at DELETE_IN_PROGRESS",
    ]
    assert inventory(cloud.session) == before


def test_tags_that_differ_in_case_alone_are_refused(cloud: Deployment) -> None:
    """They reach the roles of a nested stack, and IAM's keys know no case."""
    tags = [{"Key": "project", "Value": "ours"}, {"Key": "Project", "Value": "theirs"}]
    nested = child(cloud.url(template(**noting(cloud))))
    nested["Properties"]["Tags"] = tags
    assert cloud.deploy("twins", template(Child=nested)) == "ROLLBACK_COMPLETE"
    reasons = [
        event.get("ResourceStatusReason", "")
        for event in cloud.session.client("cloudformation").describe_stack_events(
            StackName="twins"
        )["StackEvents"]
    ]
    assert any("not successfully created" in reason for reason in reasons)
    assert cloud.delete("twins") == "DELETE_COMPLETE"


def test_a_failing_sibling_rolls_an_updated_child_back_with_nothing_lost(
    cloud: Deployment,
) -> None:
    good = template(
        **noting(cloud),
        Kept=note(cloud, Value={"Ref": "Value"}, Id={"Fn::Sub": "id-${Value}"}),
    )
    bad = template(**noting(cloud), Note=note(cloud, Value={"Ref": "Value"}))
    broken = template(
        **noting(cloud), Note=note(cloud, Value={"Fn::Sub": "b${Value}"}, FailOn="Update")
    )
    good_url = cloud.url(good)
    root = template(Good=child(good_url), Bad=child(cloud.url(bad), DependsOn="Good"))
    assert cloud.deploy("siblings", root) == "CREATE_COMPLETE"
    cloud.asked()
    worse = template(Good=child(good_url), Bad=child(cloud.url(broken), DependsOn="Good"))

    assert cloud.deploy("siblings", worse, Value="2") == "UPDATE_ROLLBACK_COMPLETE"

    asked = cloud.asked()
    assert "Update 2 at UPDATE_IN_PROGRESS" in asked
    assert "Update 1 at UPDATE_ROLLBACK_IN_PROGRESS" in asked or (
        "Delete 2 at UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" in asked
    )
    assert not [item for item in asked if item.startswith("Delete 1")]
    assert cloud.delete("siblings") == "DELETE_COMPLETE"


def test_what_an_update_replaces_or_removes_is_deleted_in_its_cleanup(cloud: Deployment) -> None:
    inner = template(
        **noting(cloud),
        Gone=note(cloud, Value="gone"),
        Replaced=note(cloud, Value={"Ref": "Value"}, Id={"Fn::Sub": "id-${Value}"}),
    )
    root = template(Child=child(cloud.url(inner)))
    assert cloud.deploy("cleanup", root) == "CREATE_COMPLETE"
    cloud.asked()
    del inner["Resources"]["Gone"]
    root = template(Child=child(cloud.url(inner)))

    assert cloud.deploy("cleanup", root, Value="2") == "UPDATE_COMPLETE"

    assert sorted(cloud.asked()) == [
        "Delete 1 at UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Delete gone at UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Update 2 at UPDATE_IN_PROGRESS",
    ]
    assert cloud.delete("cleanup") == "DELETE_COMPLETE"


def test_a_failed_create_is_deleted_in_the_rollback(cloud: Deployment) -> None:
    before = inventory(cloud.session)
    inner = template(**noting(cloud), Note=note(cloud, Value="x", FailOn="Create"))
    root = template(
        Sibling=child(cloud.url(template(**noting(cloud), Note=note(cloud, Value="y")))),
        Child=child(cloud.url(inner), DependsOn="Sibling"),
    )

    assert cloud.deploy("failing", root) == "ROLLBACK_COMPLETE"

    assert cloud.asked() == [
        "Create y at CREATE_IN_PROGRESS",
        "Create x at CREATE_IN_PROGRESS",
        "Delete x at ROLLBACK_IN_PROGRESS",
        "Delete y at DELETE_IN_PROGRESS",
    ]
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state"):
        cloud.deploy("failing", root, Value="2")
    assert cloud.delete("failing") == "DELETE_COMPLETE"
    assert inventory(cloud.session) == before


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Size": 5000}, "too long"),
        ({"Silent": "Create", "ServiceTimeout": 4}, "did not receive a response"),
    ],
)
def test_a_bad_answer_fails_the_resource(
    cloud: Deployment, properties: dict[str, Any], reason: str
) -> None:
    name = f"flawed-{uuid.uuid4().hex[:6]}"
    flawed = template(**noting(cloud), Note=note(cloud, Value="x", **properties))
    assert cloud.deploy(name, flawed) == "ROLLBACK_COMPLETE"
    events = cloud.session.client("cloudformation").describe_stack_events(StackName=name)
    reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
    assert [item for item in reasons if reason in item]
    assert cloud.delete(name) == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("attempts", "deliveries", "status"),
    [(2, 2, "CREATE_COMPLETE"), (0, 1, "ROLLBACK_COMPLETE")],
)
def test_lambda_delivers_an_event_again_after_a_crash_as_often_as_configured(
    cloud: Deployment, attempts: int, deliveries: int, status: str
) -> None:
    name = f"crash-{attempts}"
    config = {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": {"Ref": "Function"},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": attempts,
        },
    }
    crashing = note(cloud, Value="x", Crash="Create", ServiceTimeout=15 if attempts else 5)
    crashing["DependsOn"] = "Deliveries"
    stack = template(**noting(cloud), Deliveries=config, Note=crashing)
    assert cloud.deploy(name, stack) == status
    created = [item for item in cloud.asked() if item.startswith("Create")]
    assert created == ["Create x at CREATE_IN_PROGRESS"] * deliveries
    assert cloud.delete(name) == "DELETE_COMPLETE"


def test_a_role_without_the_right_makes_the_stack_roll_back(cloud: Deployment) -> None:
    poor = template(**noting(cloud, ["cloudformation:DescribeStacks"]), Note=note(cloud, Value="x"))
    assert cloud.deploy("poor", poor) == "ROLLBACK_FAILED"
    events = cloud.session.client("cloudformation").describe_stack_events(StackName="poor")
    reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
    refused = "not authorized to perform: sqs:sendmessage"
    assert [item for item in reasons if refused in item.lower()]


def test_a_failed_deletion_keeps_what_the_resource_needs_and_can_be_repeated(
    cloud: Deployment,
) -> None:
    stuck = template(
        **noting(cloud),
        Note=note(cloud, Value="x", FailOn="Delete"),
        Other={"Type": "AWS::SQS::Queue"},
    )
    assert cloud.deploy("stuck", stuck) == "CREATE_COMPLETE"

    assert cloud.delete("stuck") == "DELETE_FAILED"

    assert cloud.events("stuck", "DELETE_COMPLETE") == ["Other"]
    assert cloud.delete("stuck") == "DELETE_FAILED"
    assert cloud.asked().count("Delete x at DELETE_IN_PROGRESS") == 2


def test_deletion_goes_against_the_dependencies(cloud: Deployment) -> None:
    network = template(
        Vpc={"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        Group={
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "group", "VpcId": {"Ref": "Vpc"}},
        },
        Rule={
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": {"Ref": "Group"},
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "SourceSecurityGroupId": {"Ref": "Group"},
            },
        },
        After={
            "Type": "AWS::Logs::LogGroup",
            "DependsOn": "Rule",
            "Properties": {"LogGroupName": {"Fn::Sub": "/after/${Vpc}"}},
        },
    )
    assert cloud.deploy("ordered", network) == "CREATE_COMPLETE"
    stacks = cloud.session.client("cloudformation").describe_stacks(StackName="ordered")
    stack_id = stacks["Stacks"][0]["StackId"]
    assert cloud.delete("ordered") == "DELETE_COMPLETE"
    assert cloud.events(stack_id, "DELETE_COMPLETE")[:4] == ["After", "Rule", "Group", "Vpc"]


def test_rules_and_patterns_refuse_before_anything_is_made(cloud: Deployment) -> None:
    ruled = template(Queue={"Type": "AWS::SQS::Queue"})
    ruled["Parameters"]["Value"]["AllowedPattern"] = "[0-9]+"
    ruled["Rules"] = {
        "NotTwo": {
            "Assertions": [
                {
                    "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Value"}, "2"]}]},
                    "AssertDescription": "not the number two",
                }
            ]
        }
    }
    with pytest.raises(ClientError, match="not the number two"):
        cloud.deploy("ruled", ruled, Value="2")
    with pytest.raises(ClientError, match="pattern"):
        cloud.deploy("ruled", ruled, Value="x")


def test_a_bucket_that_holds_something_is_not_deleted(cloud: Deployment) -> None:
    stack = template(
        Bucket={
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {
                            "Id": "old",
                            "Status": "Enabled",
                            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        }
                    ]
                },
                "Tags": [{"Key": "empty-on-delete", "Value": {"Ref": "AWS::StackId"}}],
            },
        }
    )
    assert cloud.deploy("full", stack) == "CREATE_COMPLETE"
    s3 = cloud.session.client("s3")
    resource = cloud.session.client("cloudformation").describe_stack_resource(
        StackName="full", LogicalResourceId="Bucket"
    )
    bucket = resource["StackResourceDetail"]["PhysicalResourceId"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rules[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags["empty-on-delete"].startswith("arn:aws:cloudformation:")
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"a")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="a")

    assert cloud.delete("full") == "DELETE_FAILED"

    s3.delete_object(Bucket=bucket, Key="a", VersionId=version)
    for marker in s3.list_object_versions(Bucket=bucket).get("DeleteMarkers", []):
        s3.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert cloud.delete("full") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("topic_statement", "key_statement", "arrives"),
    [
        ({}, {}, True),
        ({"Effect": "Deny"}, {}, False),
        ({}, {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}, False),
    ],
)
def test_an_event_reaches_a_topic_only_if_its_and_its_keys_policies_let_it(
    cloud: Deployment,
    topic_statement: dict[str, Any],
    key_statement: dict[str, Any],
    arrives: bool,
) -> None:
    name = f"events-{uuid.uuid4().hex[:6]}"
    service = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    account = {
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
        "Action": "kms:*",
        "Resource": "*",
    }
    use = {**service, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": "*"}
    publish = {**service, "Action": "sns:Publish", "Resource": {"Ref": "Topic"}}
    pattern = {
        "source": ["aws.sagemaker"],
        "detail": {"currentPipelineExecutionStatus": ["Failed"]},
    }
    queue_arn = cloud.session.client("sqs").get_queue_attributes(
        QueueUrl=cloud.queue, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    stack = template(
        Key={
            "Type": "AWS::KMS::Key",
            "Properties": {
                "KeyPolicy": {
                    "Version": "2012-10-17",
                    "Statement": [account, use | key_statement],
                }
            },
        },
        Topic={
            "Type": "AWS::SNS::Topic",
            "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        },
        Policy={
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [publish | topic_statement],
                },
            },
        },
        Subscription={
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": queue_arn,
            },
        },
        Rule={
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": pattern,
                "Targets": [{"Id": "topic", "Arn": {"Ref": "Topic"}}],
            },
        },
    )
    assert cloud.deploy(name, stack) == "CREATE_COMPLETE"
    for status in ("Succeeded", "Failed"):
        put = cloud.session.client("events").put_events(
            Entries=[
                {
                    "Source": "aws.sagemaker",
                    "DetailType": "SageMaker Model Building Pipeline Execution Status Change",
                    "Detail": json.dumps({"currentPipelineExecutionStatus": status}),
                }
            ]
        )
        assert put["FailedEntryCount"] == 0
    time.sleep(0.5)
    got = cloud.session.client("sqs").receive_message(QueueUrl=cloud.queue, MaxNumberOfMessages=10)
    assert len(got.get("Messages", [])) == int(arrives)
    assert cloud.delete(name) == "DELETE_COMPLETE"


def test_an_upload_that_names_no_key_is_not_encrypted_with_the_bucket_s(cloud: Deployment) -> None:
    s3 = cloud.session.client("s3")
    key = cloud.session.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    }
    s3.put_bucket_encryption(
        Bucket=cloud.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    for asked, ours in (({}, True), ({"ServerSideEncryption": "aws:kms"}, False)):
        s3.put_object(Bucket=cloud.bucket, Key="x", **asked)
        found = s3.head_object(Bucket=cloud.bucket, Key="x")
        assert found["ServerSideEncryption"] == "aws:kms"
        assert (found["SSEKMSKeyId"] == key) is ours
    cloud.session.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def test_sagemaker_refuses_to_delete_what_is_in_use(cloud: Deployment) -> None:
    sagemaker = cloud.session.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/any"
    domain = sagemaker.create_domain(
        DomainName="used",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": role},
        SubnetIds=["subnet-12345678"],
        VpcId="vpc-12345678",
    )["DomainArn"].rsplit("/", 1)[-1]
    sagemaker.create_user_profile(DomainId=domain, UserProfileName="a")
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    package = sagemaker.create_model_package(ModelPackageGroupName="group")["ModelPackageArn"]

    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.delete_domain(DomainId=domain)
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="group")

    sagemaker.delete_model_package(ModelPackageName=package)
    sagemaker.delete_model_package_group(ModelPackageGroupName="group")
    sagemaker.delete_user_profile(DomainId=domain, UserProfileName="a")
    time.sleep(0.4)
    sagemaker.delete_domain(DomainId=domain)
    time.sleep(0.4)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sagemaker.describe_domain(DomainId=domain)


def test_a_run_makes_what_its_definition_says(cloud: Deployment) -> None:
    sagemaker = cloud.session.client("sagemaker")
    definition = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Place", "Type": "String", "DefaultValue": "s3://b/m.tar.gz"}],
        "Steps": [
            {
                "Name": "MakeModel",
                "Type": "Model",
                "Arguments": {
                    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/any",
                    "PrimaryContainer": {
                        "Image": "image",
                        "ModelDataUrl": {"Get": "Parameters.Place"},
                    },
                    "Tags": [{"Key": "pipeline-owner", "Value": "me"}],
                },
            }
        ],
    }
    sagemaker.create_pipeline(
        PipelineName="Runs",
        PipelineDefinition=json.dumps(definition),
        ClientRequestToken="x" * 32,
        RoleArn="arn:aws:iam::123456789012:role/any",
    )
    run = sagemaker.start_pipeline_execution(PipelineName="Runs", ClientRequestToken="y" * 32)
    again = sagemaker.start_pipeline_execution(PipelineName="Runs", ClientRequestToken="y" * 32)
    assert again["PipelineExecutionArn"] == run["PipelineExecutionArn"]
    held = sagemaker.start_pipeline_execution(
        PipelineName="Runs", PipelineExecutionDisplayName="hold", ClientRequestToken="z" * 32
    )

    steps = sagemaker.list_pipeline_execution_steps(
        PipelineExecutionArn=run["PipelineExecutionArn"]
    )["PipelineExecutionSteps"]
    model = steps[0]["Metadata"]["Model"]["Arn"]
    assert sagemaker.list_tags(ResourceArn=model)["Tags"] == [
        {"Key": "pipeline-owner", "Value": "me"}
    ]
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_pipeline(PipelineName="Runs", ClientRequestToken="d" * 32)
    sagemaker.stop_pipeline_execution(
        PipelineExecutionArn=held["PipelineExecutionArn"], ClientRequestToken="s" * 32
    )
    time.sleep(0.5)
    sagemaker.delete_model(ModelName=model.rsplit("/", 1)[-1])
    sagemaker.delete_pipeline(PipelineName="Runs", ClientRequestToken="d" * 32)


def as_role(cloud: Deployment, *statements: dict[str, Any]) -> Session:
    """Return a session of a new role that has these rights."""
    iam = cloud.session.client("iam")
    name = f"role-{uuid.uuid4().hex[:8]}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = {"Version": "2012-10-17", "Statement": [*statements]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(document))
    assumed = cloud.session.client("sts").assume_role(
        RoleArn=role["Role"]["Arn"], RoleSessionName="test"
    )
    credentials = assumed["Credentials"]
    return Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        "eu-west-1",
    )


def allow(actions: str | list[str], resource: str, **condition: Any) -> dict[str, Any]:
    """Return a statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **condition}


def create_pipeline(session: Session, name: str, role: str) -> None:
    """Create an empty pipeline with an owner's tag."""
    session.client("sagemaker").create_pipeline(
        PipelineName=name,
        PipelineDefinition="{}",
        ClientRequestToken="c" * 32,
        RoleArn=role,
        Tags=[{"Key": "pipeline-owner", "Value": "me"}],
    )


def test_sagemaker_rights_are_enforced(cloud: Deployment) -> None:
    arns = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline"
    passed = "arn:aws:iam::123456789012:role/passed"
    create = allow(["sagemaker:CreatePipeline", "sagemaker:AddTags"], f"{arns}/mine")
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    hand_over = allow("iam:PassRole", passed, Condition=to_sagemaker)

    for session, name, role, missing in (
        (as_role(cloud, create), "mine", passed, "iam:PassRole"),
        (
            as_role(cloud, create, allow("iam:PassRole", passed, Condition=to_lambda)),
            "mine",
            passed,
            "iam:PassRole",
        ),
        (as_role(cloud, create, hand_over), "mine", f"{passed}-other", "iam:PassRole"),
        (as_role(cloud, create, hand_over), "theirs", passed, "sagemaker:CreatePipeline"),
        (
            as_role(cloud, allow("sagemaker:CreatePipeline", "*"), hand_over),
            "mine",
            passed,
            "sagemaker:AddTags",
        ),
    ):
        with pytest.raises(ClientError, match=f"not authorized to perform: {missing}"):
            create_pipeline(session, name, role)
    create_pipeline(as_role(cloud, create, hand_over), "mine", passed)

    owner = {"StringEquals": {"aws:ResourceTag/pipeline-owner": "you"}}
    stranger = as_role(cloud, allow("sagemaker:DeletePipeline", "*", Condition=owner))
    with pytest.raises(ClientError, match="not authorized"):
        stranger.client("sagemaker").delete_pipeline(
            PipelineName="mine", ClientRequestToken="d" * 32
        )
    owner = {"StringEquals": {"aws:ResourceTag/pipeline-owner": "me"}}
    friend = as_role(cloud, allow("sagemaker:DeletePipeline", f"{arns}/mine", Condition=owner))
    friend.client("sagemaker").delete_pipeline(PipelineName="mine", ClientRequestToken="d" * 32)


def test_an_encrypted_log_is_read_and_written_with_the_caller_s_right_to_the_key(
    cloud: Deployment,
) -> None:
    """Source: "Encrypt log data in CloudWatch Logs using AWS KMS", step 3."""
    key = cloud.session.client("kms").create_key()["KeyMetadata"]["Arn"]
    name = "/encrypted/group"
    logs = cloud.session.client("logs")
    logs.create_log_group(logGroupName=name, kmsKeyId=key)
    logs.create_log_stream(logGroupName=name, logStreamName="a")
    events = [{"timestamp": int(time.time() * 1000), "message": "said"}]
    stream = {"logGroupName": name, "logStreamName": "a"}
    may_call = allow(["logs:FilterLogEvents", "logs:PutLogEvents"], "*")
    via = {"StringEquals": {"kms:ViaService": "logs.eu-west-1.amazonaws.com"}}
    elsewhere = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
    may_use = ["kms:Decrypt", "kms:GenerateDataKey"]

    for statements in ([may_call], [may_call, allow(may_use, key, Condition=elsewhere)]):
        refused = as_role(cloud, *statements).client("logs")
        with pytest.raises(ClientError, match="not authorized to perform: kms:GenerateDataKey"):
            refused.put_log_events(**stream, logEvents=events)
        with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt"):
            refused.filter_log_events(logGroupName=name)

    allowed = as_role(cloud, may_call, allow(may_use, key, Condition=via)).client("logs")
    allowed.put_log_events(**stream, logEvents=events)
    found = allowed.filter_log_events(logGroupName=name)["events"]
    assert [event["message"] for event in found] == ["said"]
    logs.delete_log_group(logGroupName=name)


def test_stack_and_network_rights_are_enforced_by_resource(cloud: Deployment) -> None:
    stack = cloud.deploy("seen", template(Logs={"Type": "AWS::Logs::LogGroup"}))
    assert stack == "CREATE_COMPLETE"
    arn = "arn:aws:cloudformation:eu-west-1:123456789012:stack"
    seeing = as_role(cloud, allow("cloudformation:DescribeStacks", f"{arn}/seen/*"))
    other = as_role(cloud, allow("cloudformation:DescribeStacks", f"{arn}/other/*"))
    found = cloud.session.client("cloudformation").describe_stacks(StackName="seen")["Stacks"][0]
    assert seeing.client("cloudformation").describe_stacks(StackName=found["StackId"])["Stacks"]
    with pytest.raises(ClientError, match="AccessDenied"):
        other.client("cloudformation").describe_stacks(StackName=found["StackId"])

    ec2 = cloud.session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    rule = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    revoke = ["ec2:RevokeSecurityGroupEgress", "ec2:DescribeManagedPrefixLists"]
    arn = "arn:aws:ec2:eu-west-1:123456789012:security-group"
    wrong = as_role(cloud, allow(revoke, f"{arn}/sg-other"))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        wrong.client("ec2").revoke_security_group_egress(GroupId=group, IpPermissions=rule)
    right = as_role(cloud, allow(revoke[:1], f"{arn}/{group}"), allow(revoke[1:], "*"))
    right.client("ec2").revoke_security_group_egress(GroupId=group, IpPermissions=rule)
    lists = right.client("ec2").describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": ["com.amazonaws.eu-west-1.s3"]}]
    )
    assert lists["PrefixLists"][0]["PrefixListId"].startswith("pl-")
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)
    assert cloud.delete("seen") == "DELETE_COMPLETE"


def test_the_real_command_packages_deploys_and_deletes(
    cloud: Deployment, aws: AwsCli, tmp_path: Path
) -> None:
    before = inventory(cloud.session)
    inner = template(Queue={"Type": "AWS::SQS::Queue"})
    (tmp_path / "inner.json").write_text(json.dumps(inner))
    (tmp_path / "root.json").write_text(json.dumps(template(Child=child("inner.json"))))
    packaged = str(tmp_path / "packaged.yaml")
    aws.run(
        *("cloudformation", "package", "--template-file", str(tmp_path / "root.json")),
        *("--s3-bucket", cloud.bucket, "--output-template-file", packaged),
    )
    deploy = ("cloudformation", "deploy", "--template-file", packaged, "--stack-name", "command")

    aws.run(*deploy, "--tags", "team=ml")
    unchanged = aws.run(*deploy, "--tags", "team=ml", "--no-fail-on-empty-changeset")
    sqs = cloud.session.client("sqs")
    urls = sqs.list_queues(QueueNamePrefix="command")["QueueUrls"]
    tags = sqs.list_queue_tags(QueueUrl=urls[0])["Tags"]
    aws.run("cloudformation", "delete-stack", "--stack-name", "command")
    aws.run("cloudformation", "wait", "stack-delete-complete", "--stack-name", "command")

    assert "No changes to deploy" in unchanged.stdout
    assert tags["team"] == "ml"
    assert inventory(cloud.session) == before


def test_a_run_fails_where_its_role_lacks_a_right(cloud: Deployment) -> None:
    iam = cloud.session.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = iam.create_role(RoleName="runs", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    rights = {"Version": "2012-10-17", "Statement": [allow("sagemaker:CreateModel", "*")]}
    iam.put_role_policy(RoleName="runs", PolicyName="p", PolicyDocument=json.dumps(rights))
    model = {"ExecutionRoleArn": "arn:aws:iam::123456789012:role/model"}
    steps = [{"Name": "MakeModel", "Type": "Model", "Arguments": model}]
    sagemaker = cloud.session.client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="Poor",
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": steps}),
        ClientRequestToken="x" * 32,
        RoleArn=role["Arn"],
    )

    run = sagemaker.start_pipeline_execution(PipelineName="Poor", ClientRequestToken="y" * 32)

    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=run["PipelineExecutionArn"])
    assert found["PipelineExecutionStatus"] == "Failed"
    assert "iam:PassRole" in found["FailureReason"]
    sagemaker.delete_pipeline(PipelineName="Poor", ClientRequestToken="d" * 32)
    iam.delete_role_policy(RoleName="runs", PolicyName="p")
    iam.delete_role(RoleName="runs")


def test_an_endpoint_that_is_not_in_service_refuses_updates(cloud: Deployment) -> None:
    sagemaker = cloud.session.client("sagemaker")
    for model in ("good", "broken"):
        variant = {
            "VariantName": "v",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="first", EndpointConfigName="broken")
    assert sagemaker.describe_endpoint(EndpointName="first")["EndpointStatus"] == "Failed"
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        sagemaker.update_endpoint(EndpointName="first", EndpointConfigName="good")
    sagemaker.create_endpoint(EndpointName="second", EndpointConfigName="good")
    sagemaker.update_endpoint(EndpointName="second", EndpointConfigName="broken")
    found = sagemaker.describe_endpoint(EndpointName="second")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "good")
    assert "FailureReason" in found
    sagemaker.delete_endpoint(EndpointName="second")
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.update_endpoint(EndpointName="second", EndpointConfigName="good")
    sagemaker.delete_endpoint(EndpointName="first")
    for model in ("good", "broken"):
        sagemaker.delete_endpoint_config(EndpointConfigName=model)


def test_what_is_to_be_retained_survives_in_a_nested_stack(cloud: Deployment) -> None:
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    name = f"kept-{uuid.uuid4().hex[:8]}"
    queue = {
        "Type": "AWS::SQS::Queue",
        **kept,
        "Properties": {"QueueName": {"Fn::Sub": f"{name}-${{Value}}"}},
    }
    root = template(Child=child(cloud.url(template(Queue=queue))))
    assert cloud.deploy(name, root) == "CREATE_COMPLETE"
    assert cloud.deploy(name, root, Value="2") == "UPDATE_COMPLETE"
    assert cloud.delete(name) == "DELETE_COMPLETE"

    sqs = cloud.session.client("sqs")
    left = sorted(sqs.list_queues(QueueNamePrefix=name)["QueueUrls"])
    assert [url.rsplit("-", 1)[-1] for url in left] == ["1", "2"]
    for url in left:
        sqs.delete_queue(QueueUrl=url)


def test_a_nested_stack_that_an_update_removes_is_deleted(cloud: Deployment) -> None:
    inner = template(**noting(cloud), Note=note(cloud, Value="x"))
    other = {"Type": "AWS::Logs::LogGroup"}
    assert cloud.deploy("removed", template(Child=child(cloud.url(inner)), Other=other)) == (
        "CREATE_COMPLETE"
    )
    cloud.asked()
    assert cloud.deploy("removed", template(Other=other)) == "UPDATE_COMPLETE"
    assert cloud.asked() == ["Delete x at DELETE_IN_PROGRESS"]
    assert cloud.delete("removed") == "DELETE_COMPLETE"
