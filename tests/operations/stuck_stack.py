"""A small stack with a custom resource, which gets stuck as a large one does, in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from tabular_ml_vpc.operations.source import Source

FUNCTION: Final = """
import json, os, time, urllib.request
import boto3

def handler(event, _context):
    time.sleep({pause})
    if {dies} and event["RequestType"] == "Create":
        os._exit(1)
    answer = {{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}}
    answer |= {{"Status": "SUCCESS", "PhysicalResourceId": "probe"}}
    try:
        boto3.client("sns").get_topic_attributes(TopicArn=event["ResourceProperties"]["Topic"])
    except Exception as error:
        answer |= {{"Status": "FAILED", "Reason": str(error)}}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT")
    urllib.request.urlopen(request)
"""
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def templates(
    action: str = "sns:GetTopicAttributes", dies: bool = False, pause: float = 0, topic: str = "one"
) -> dict[str, Any]:
    """Return the nested template: a topic, and a function that may do one action on it."""
    code = FUNCTION.format(dies=dies, pause=pause)
    rights = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [rights]}
    return {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": topic}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Policy": {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "RoleName": {"Ref": "Role"},
                "PolicyName": "rights",
                "PolicyDocument": policy,
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.12",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": code},
            },
        },
        "Probe": {
            "Type": "Custom::Probe",
            "DependsOn": ["Policy"],
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
                "ServiceTimeout": 4 if dies else 60,
                "Topic": {"Ref": "Topic"},
                "Name": topic,
            },
        },
    }


def source(built: Source, resources: dict[str, Any]) -> Source:
    """Return what to deploy: a root that nests one of our stacks, with these resources."""
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "./security.yaml"},
    }
    texts = {
        "root.yaml": {"Resources": {"SecurityStack": nested}},
        "security.yaml": {"Resources": resources},
    }
    return replace(
        built,
        texts={f"{built.folder}/{name}": json.dumps(body) for name, body in texts.items()},
        zips={},
    )
