"""Properties that every resource of a kind must have, whichever stack it is in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from generator.custom_resources import ANSWER_SECONDS
from generator.resolved import resolve
from generator.settings import Mode
from tests.templates.conftest import Templates

STATEFUL = {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Logs::LogGroup"}
"""What holds data, keys or logs."""
OUTSIDE = {"VpcBaselineFunction"}
"""Functions that never run in the VPC: they call EC2, which has no endpoint there."""


def all_of(templates: Templates, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{stack}/{name}", resource)
        for stack, template in templates.items()
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    ]


def test_buckets_are_private_encrypted_versioned_and_owned(deployment: ResolvedDeployment) -> None:
    buckets = deployment.of_type("AWS::S3::Bucket")
    assert len(buckets) == 2
    for bucket in buckets:
        properties = bucket.properties
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, bucket
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}, bucket
        ownership = properties["OwnershipControls"]["Rules"]
        assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}], bucket
        rules = {rule["Id"] for rule in properties["LifecycleConfiguration"]["Rules"]}
        assert {"ExpireOldVersions", "AbortUploads"} <= rules, bucket


def test_the_data_bucket_uses_our_key_and_logs_its_access(deployment: ResolvedDeployment) -> None:
    data = deployment.get("storage", "DataBucket").properties
    (rule,) = data["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    key = deployment.outputs["security"]["KeyArn"]
    default = rule["ServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    logs = deployment.get("storage", "LogBucket").reference
    assert data["LoggingConfiguration"]["DestinationBucketName"] == logs


def test_every_bucket_has_a_policy_that_refuses_plain_http(deployment: ResolvedDeployment) -> None:
    policies = deployment.of_type("AWS::S3::BucketPolicy")
    buckets = {one.reference for one in deployment.of_type("AWS::S3::Bucket")}
    assert {policy.properties["Bucket"] for policy in policies} == buckets
    for policy in policies:
        denies = [
            one
            for one in policy.properties["PolicyDocument"]["Statement"]
            if one["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(one["Condition"])
        ]
        assert len(denies) == 1, policy
        assert denies[0]["Principal"] in ("*", {"AWS": "*"}), policy


def test_what_is_stateful_says_what_becomes_of_it(templates: Templates, mode: Mode) -> None:
    expected = {
        Mode.DEV: ("Delete", "Delete"),
        Mode.PROD: ("RetainExceptOnCreate", "Retain"),
    }[mode]
    for kind in STATEFUL:
        found = all_of(templates, kind)
        assert found
        for name, resource in found:
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            assert policies == expected, name


def test_only_in_dev_do_buckets_permit_their_emptying(
    deployment: ResolvedDeployment, mode: Mode
) -> None:
    for bucket in deployment.of_type("AWS::S3::Bucket"):
        tags = {tag["Key"]: tag["Value"] for tag in bucket.properties.get("Tags", [])}
        if mode is Mode.DEV:
            assert tags["empty-on-delete"] == deployment.stack_ids["storage"], bucket
        else:
            assert "empty-on-delete" not in tags, bucket


def test_both_modes_have_the_same_resources_and_wires(
    deployment: ResolvedDeployment, mode: Mode
) -> None:
    other = Mode.PROD if mode is Mode.DEV else Mode.DEV

    names = {str(resource) for resource in deployment}
    assert names == {str(resource) for resource in resolve(mode=other)}


def test_the_key_rotates(deployment: ResolvedDeployment) -> None:
    (key,) = deployment.of_type("AWS::KMS::Key")
    assert key.properties["EnableKeyRotation"] is True


def test_log_groups_have_our_key_and_an_end(deployment: ResolvedDeployment) -> None:
    key = deployment.outputs["security"]["KeyArn"]
    groups = deployment.of_type("AWS::Logs::LogGroup")
    functions = deployment.of_type("AWS::Lambda::Function")
    assert len(groups) == len(functions) + 2  # and those of the flow logs and the endpoint
    for group in groups:
        assert group.properties["KmsKeyId"] == key, group
        assert group.properties["RetentionInDays"] > 0, group


def test_functions_log_to_their_own_group_and_hand_over_failed_events(
    deployment: ResolvedDeployment,
) -> None:
    queue = deployment.outputs["security"]["DeadLetterQueue"]
    used = set()
    for function in deployment.of_type("AWS::Lambda::Function"):
        used.add(function.properties["LoggingConfig"]["LogGroup"])
        assert function.properties["DeadLetterConfig"] == {"TargetArn": queue}, function
        assert function.properties["Timeout"] <= 900, function
        assert "Environment" not in function.properties, function
    assert len(used) == len(deployment.of_type("AWS::Lambda::Function"))


def test_functions_run_in_the_vpc_over_every_zone(deployment: ResolvedDeployment) -> None:
    subnets = sorted(one.reference for one in deployment.of_type("AWS::EC2::Subnet"))
    group = deployment.outputs["network"]["FunctionsSecurityGroupId"]
    for function in deployment.of_type("AWS::Lambda::Function"):
        if function.logical_id in OUTSIDE:
            assert "VpcConfig" not in function.properties, function
        else:
            network = function.properties["VpcConfig"]
            assert sorted(network["SubnetIds"]) == subnets, function
            assert network["SecurityGroupIds"] == [group], function


def test_a_function_is_made_after_its_rights_and_goes_before_them(templates: Templates) -> None:
    for name, function in all_of(templates, "AWS::Lambda::Function"):
        policy = name.split("/")[1].replace("Function", "Policy")
        assert policy in function["DependsOn"], name


def test_redelivery_is_limited_from_the_first_event_to_the_last(templates: Templates) -> None:
    for stack, template in templates.items():
        limits = {
            resource["Properties"]["FunctionName"]["Ref"]: name
            for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::Lambda::EventInvokeConfig"
        }
        for name, resource in template["Resources"].items():
            if resource["Type"].startswith("Custom::"):
                function = resource["Properties"]["ServiceToken"]["Fn::GetAtt"][0]
                assert limits[function] in resource["DependsOn"], f"{stack}/{name}"


def test_a_lost_answer_costs_minutes(templates: Templates) -> None:
    custom = [
        (stack, name, resource)
        for stack, template in templates.items()
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith("Custom::")
    ]
    assert len(custom) == 6
    for stack, name, resource in custom:
        properties = resource["Properties"]
        function = properties["ServiceToken"]["Fn::GetAtt"][0]
        timeout = templates[stack]["Resources"][function]["Properties"]["Timeout"]
        assert int(properties["ServiceTimeout"]) == timeout + ANSWER_SECONDS, name


def test_nothing_leads_to_or_from_the_internet(deployment: ResolvedDeployment) -> None:
    kinds = {resource.type for resource in deployment}
    assert not kinds & {
        "AWS::EC2::NatGateway",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::EgressOnlyInternetGateway",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::EC2::Route",
        "AWS::EC2::EIP",
    }
    for resource in deployment:
        text = json.dumps(resource.properties)
        assert "0.0.0.0/0" not in text, resource
        assert "::/0" not in text, resource
    for subnet in deployment.of_type("AWS::EC2::Subnet"):
        assert subnet.properties["MapPublicIpOnLaunch"] is False, subnet


def test_no_security_group_keeps_the_default_of_everything_outward(
    deployment: ResolvedDeployment,
) -> None:
    groups = deployment.of_type("AWS::EC2::SecurityGroup")
    assert len(groups) == 4
    for group in groups:
        rules = group.properties["SecurityGroupEgress"]
        assert [rule["CidrIp"] for rule in rules] == ["127.0.0.1/32"], group
        assert "SecurityGroupIngress" not in group.properties, group


def test_security_group_rules_name_groups_or_the_s3_prefix_list(
    deployment: ResolvedDeployment,
) -> None:
    rules = [
        *deployment.of_type("AWS::EC2::SecurityGroupEgress"),
        *deployment.of_type("AWS::EC2::SecurityGroupIngress"),
    ]
    assert rules
    for rule in rules:
        assert "CidrIp" not in rule.properties, rule
        assert "CidrIpv6" not in rule.properties, rule
        assert rule.properties["Description"], rule


def test_interface_endpoints_are_private_and_have_a_policy(deployment: ResolvedDeployment) -> None:
    endpoints = deployment.of_type("AWS::EC2::VPCEndpoint")
    assert len(endpoints) == 9  # S3, the CDK example's seven, CloudFormation
    for endpoint in endpoints:
        assert endpoint.properties["PolicyDocument"]["Statement"], endpoint
        if endpoint.properties["VpcEndpointType"] == "Interface":
            assert endpoint.properties["PrivateDnsEnabled"] is True, endpoint
            group = deployment.get("network", "EndpointsSecurityGroup")
            assert endpoint.properties["SecurityGroupIds"] == [_group_id(deployment, group)], (
                endpoint
            )


def _group_id(deployment: ResolvedDeployment, group: ResolvedResource) -> str:
    (egress,) = [
        rule.properties["DestinationSecurityGroupId"]
        for rule in deployment.of_type("AWS::EC2::SecurityGroupEgress")
        if rule.logical_id == "JobsToEndpoints"
    ]
    assert group.type == "AWS::EC2::SecurityGroup"
    return str(egress)


def test_the_vpc_has_dns_and_flow_logs(deployment: ResolvedDeployment) -> None:
    (vpc,) = deployment.of_type("AWS::EC2::VPC")
    assert vpc.properties["EnableDnsSupport"] is True
    assert vpc.properties["EnableDnsHostnames"] is True
    (log,) = deployment.of_type("AWS::EC2::FlowLog")
    assert log.properties["ResourceId"] == vpc.reference
    assert log.properties["TrafficType"] == "ALL"
    group = deployment.get("network", "FlowLogsLogGroup")
    assert log.properties["LogGroupName"] == group.reference
    assert "LogDestination" not in log.properties  # an ARN that ends in :* never delivers


def test_what_removes_interfaces_outlives_the_network(deployment: ResolvedDeployment) -> None:
    """Rights to remove interfaces are in the stack that is deleted after the network."""
    found = [
        policy
        for kind in ("AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy")
        for policy in deployment.of_type(kind)
        if "ec2:DeleteNetworkInterface" in json.dumps(policy.properties["PolicyDocument"])
    ]
    assert {policy.stack for policy in found} == {"security"}
    roles = [role for policy in found for role in policy.properties["Roles"]]
    assert len(set(roles)) == 8  # 4 of jobs and models, 4 of functions in the VPC


def test_studio_is_deleted_before_the_pipeline(templates: Templates) -> None:
    """People's spaces can stop a deletion; until they do, nothing else may be gone."""
    assert templates["root"]["Resources"]["StudioStack"]["DependsOn"] == ["PipelineStack"]


def test_studio_is_in_the_vpc_with_our_key_and_shuts_down_what_is_idle(
    deployment: ResolvedDeployment,
) -> None:
    domain = deployment.get("studio", "Domain").properties
    assert domain["AppNetworkAccessType"] == "VpcOnly"
    assert domain["AuthMode"] == "IAM"
    assert domain["KmsKeyId"] == deployment.outputs["security"]["KeyArn"]
    assert domain["HomeEfsFileSystemCreation"] == "Disabled"
    settings = domain["DefaultUserSettings"]
    assert settings["StudioWebPortal"] == "ENABLED"
    assert settings["DefaultLandingUri"] == "studio::"
    assert settings["SharingSettings"] == {"NotebookOutputOption": "Disabled"}
    shared = domain["DefaultSpaceSettings"]["JupyterLabAppSettings"]
    for app in (settings["JupyterLabAppSettings"], settings["CodeEditorAppSettings"], shared):
        idle = app["AppLifecycleManagement"]["IdleSettings"]
        assert idle["LifecycleManagement"] == "ENABLED"
        assert idle["IdleTimeoutInMinutes"] == 60
        assert idle["MaxIdleTimeoutInMinutes"] == 60


def test_a_home_file_system_is_made_only_where_asked_for() -> None:

    asked = resolve(parameters={"HomeFileSystem": "yes"})
    domain = asked.get("studio", "Domain").properties
    assert domain["HomeEfsFileSystemCreation"] == "Enabled"
    ports = {
        rule.properties["FromPort"]
        for rule in asked.of_type("AWS::EC2::SecurityGroupIngress")
        if rule.stack == "studio"
    }
    assert 2049 in ports


@pytest.mark.parametrize("kind", ["AWS::SNS::Topic", "AWS::SQS::Queue"])
def test_messages_are_encrypted_with_our_key(deployment: ResolvedDeployment, kind: str) -> None:
    found = deployment.of_type(kind)
    assert found
    for one in found:
        key = one.properties["KmsMasterKeyId"]
        assert key == deployment.outputs["security"]["KeyArn"], one


def test_no_event_comes_again_when_cloudformation_waits_no_longer(
    deployment: ResolvedDeployment,
) -> None:
    functions = deployment.of_type("AWS::Lambda::Function")
    found = {
        one.properties["FunctionName"]: one.properties["MaximumEventAgeInSeconds"]
        for one in deployment.of_type("AWS::Lambda::EventInvokeConfig")
    }
    waits = {
        str(one.properties["ServiceToken"]): int(one.properties["ServiceTimeout"])
        for one in deployment
        if one.type.startswith("Custom::")
    }
    assert len(functions) == len(found) == len(set(waits)) > 0
    for token, seconds in waits.items():
        (age,) = (age for function, age in found.items() if function in token)
        assert 60 <= int(age) < seconds, token


def test_the_rule_for_a_failed_endpoint_names_it_and_how_events_spell_failure(
    deployment: ResolvedDeployment,
) -> None:
    """Documents show `FAILED` in events and `Failed` in DescribeEndpoint."""
    detail = deployment.get("pipeline", "EndpointFailedRule").properties["EventPattern"]["detail"]
    assert detail["EndpointName"] == [deployment.outputs["pipeline"]["EndpointName"]]
    assert {"FAILED", "Failed", "ROLLING_BACK", "RollingBack"} <= set(detail["EndpointStatus"])


@pytest.mark.parametrize(
    ("rule", "remedy"),
    [
        ("EndpointFailedRule", "python build.py endpoint repair"),
        ("RunFailedRule", "python build.py run --follow arn:"),
    ],
)
def test_an_alert_says_what_to_do_whoever_started_the_run(
    deployment: ResolvedDeployment, rule: str, remedy: str
) -> None:
    """Nobody sees the command line's text where a run was started from the console."""
    (target,) = deployment.get("pipeline", rule).properties["Targets"]
    sent = target["InputTransformer"]
    for name in sent["InputPathsMap"]:
        assert f"<{name}>" in sent["InputTemplate"]
    filled = re.sub("<[a-z]+>", "arn:x", sent["InputTemplate"])
    message = json.loads(filled.replace("<aws.events.event.json>", "{}"))
    assert remedy in message["alert"]
    assert message["event"] == {}


def test_the_rule_for_failed_runs_matches_what_sagemaker_sends(
    deployment: ResolvedDeployment,
) -> None:
    """`detail` of the event has the pipeline's ARN, and no name."""
    rule = deployment.get("pipeline", "RunFailedRule")
    pattern = rule.properties["EventPattern"]
    assert pattern["source"] == ["aws.sagemaker"]
    assert set(pattern["detail"]) == {"currentPipelineExecutionStatus", "pipelineArn"}
    assert pattern["detail"]["currentPipelineExecutionStatus"] == ["Failed"]
    (target,) = rule.properties["Targets"]
    assert target["DeadLetterConfig"]["Arn"] == deployment.outputs["security"]["DeadLetterQueue"]
