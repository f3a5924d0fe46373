"""The emulated AWS itself: the behaviour of AWS on which the proofs of the product rest."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from generator.emulator.inventory import inventory

Template = dict[str, Any]

FUNCTION = '''
import json, urllib.request, boto3

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
    answer = {
        "Status": "FAILED" if fails else "SUCCESS",
        "Reason": note.get("refusal", "as asked"),
        "PhysicalResourceId": properties.get("Id", event["LogicalResourceId"]),
        "Data": {"Value": properties.get("Value", "") + "x" * int(properties.get("Size", 0))},
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if properties.get("Silent") != event["RequestType"]:
        body = json.dumps(answer).encode()
        urllib.request.urlopen(
            urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
'''


@dataclass(frozen=True)
class Deployment:
    """What a test needs to deploy small templates and to see what their function was asked."""

    session: boto3.Session
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
        found = [e["LogicalResourceId"] for e in events["StackEvents"][::-1]
                 if e["ResourceStatus"] == status]
        return [item for item in found if item != name]

    def asked(self) -> list[str]:
        """Return and forget what the function was asked: request, value and stack status."""
        client = self.session.client("sqs")
        found = []
        while True:
            got = client.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            if not got.get("Messages"):
                return found
            for message in got["Messages"]:
                note = json.loads(message["Body"])
                found.append(f"{note['request']} {note['value']} at {note['status']}")
                client.delete_message(
                    QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"]
                )


@pytest.fixture
def cloud(session: boto3.Session) -> Deployment:
    """Give a bucket with the function's code and a queue for its notes."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3 = session.client("s3")
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("note.py", FUNCTION)
    s3.put_object(Bucket=name, Key="note.zip", Body=archive.getvalue())
    queue = session.client("sqs").create_queue(QueueName=name)["QueueUrl"]
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
