"""The emulated AWS: approvals of model packages, updates of endpoints, and their events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from tests.cloud.test_emulator import Deployment, allow, as_role, cloud, noting, template
from tests.emulated_events import events_heard, sent_twice, tick
from tests.emulated_registry import ROLE, Registry, asking, open_registry, shift, with_alarm

__all__ = ["cloud"]

ARNS = "arn:aws:sagemaker:eu-west-1:123456789012"
BAKE = 3600
"""Six seconds in the emulator: the longest, for tests that do something meanwhile."""


@pytest.fixture
def registry(session: Session) -> Iterator[Registry]:
    """Give a registry in an emulated AWS without jobs."""
    with open_registry(session) as made:
        yield made


def test_an_approval_is_told_and_kept(registry: Registry) -> None:
    with events_heard(registry.session) as heard:
        arn = registry.package(CustomerMetadataProperties={"a": "1", "b": "2"})
        registry.client.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Rejected",
            ApprovalDescription="not good",
            CustomerMetadataProperties={"c": "3"},
            CustomerMetadataPropertiesToRemove=["a"],
        )
        created, updated = heard()
    described = registry.client.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert described["ApprovalDescription"] == "not good"
    assert described["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    assert created["detail-type"] == "SageMaker Model Package State Change"
    assert created["resources"] == updated["resources"] == [arn]
    assert created["detail"]["ModelApprovalStatus"] == "PendingManualApproval"
    assert updated["detail"]["ModelApprovalStatus"] == "Rejected"
    assert updated["detail"]["ModelPackageGroupName"] == registry.name
    assert updated["detail"]["ModelPackageVersion"] == 1
    assert "ModelApprovalStatus" in updated["detail"]["UpdatedModelPackageFields"]
    by_status = {
        status: registry.client.list_model_packages(
            ModelPackageGroupName=registry.name, ModelApprovalStatus=status
        )["ModelPackageSummaryList"]
        for status in ("Approved", "Rejected")
    }
    assert [len(found) for found in by_status.values()] == [0, 1]


def test_an_event_can_come_twice(registry: Registry) -> None:
    with events_heard(registry.session) as heard:
        with sent_twice(registry.session):
            registry.package()
        assert len(heard()) == 2
        registry.package()
        assert len(heard()) == 1


def test_a_model_is_made_only_from_an_approved_package(registry: Registry) -> None:
    arn = registry.package("first")
    model = {
        "ModelName": f"{registry.name}-m",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"ModelPackageName": arn},
    }
    for status in ("PendingManualApproval", "Rejected"):
        registry.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
        with pytest.raises(ClientError, match=f"approval status is {status}, not Approved"):
            registry.client.create_model(**model)
    registry.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    registry.client.create_model(**model)
    found = registry.client.describe_model(ModelName=model["ModelName"])
    assert found["PrimaryContainer"] == {"ModelPackageName": arn}
    registry.create(registry.config("second"))
    assert registry.ask() == "second"


def test_a_package_can_be_one_that_cannot_be_served(registry: Registry) -> None:
    registry.create(registry.config("broken/model"))
    assert registry.described()["EndpointStatus"] == "Failed"


def test_every_state_of_an_endpoint_is_told(registry: Registry) -> None:
    first, second, broken = (registry.config(key) for key in ("a", "b", "broken"))
    with events_heard(registry.session) as heard:
        registry.create(first)
        registry.update(second)
        registry.update(broken)
        after = registry.described()
        registry.client.delete_endpoint(EndpointName=registry.name)
        told = heard()
    states = [e["detail"] for e in told if e["detail-type"] == "SageMaker Endpoint State Change"]
    assert [(one["EndpointStatus"], one["EndpointConfigName"]) for one in states] == [
        ("CREATING", first),
        ("IN_SERVICE", first),
        ("UPDATING", first),
        ("IN_SERVICE", second),
        ("UPDATING", second),
        ("ROLLING_BACK", second),
        ("IN_SERVICE", second),
        ("DELETING", second),
    ]
    assert after["EndpointStatus"] == "InService"
    assert after["EndpointConfigName"] == second
    assert "ping health check" in after["FailureReason"]
    assert "ping health check" in states[5]["FailureReason"]
    kind = "SageMaker Endpoint Deployment State Change"
    pending = [e["detail"]["PendingDeploymentSummary"] for e in told if e["detail-type"] == kind]
    stages = [one["ProductionVariants"][0]["VariantStatus"][0]["Status"] for one in pending]
    assert stages == ["Creating", "ActivatingTraffic", "Deleting", "Creating"]
    assert pending[0]["EndpointConfigName"] == second


@pytest.mark.parametrize(
    ("deployment", "reason"),
    [
        (shift("CANARY", 51), "CanarySize must be from 0% to 50%"),
        (shift("LINEAR", 9), "LinearStepSize must be from 10% to 50%"),
        (shift("CANARY"), "CanarySize is required for the type CANARY"),
        (shift("CANARY", 10, wait=3601), "WaitIntervalInSeconds 3601 is not from 0 to 3600"),
        (shift("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=28801), "is not from 600 to 28800"),
        (
            shift("LINEAR", 50, wait=600, MaximumExecutionTimeoutInSeconds=600),
            "must be larger than the total waiting time",
        ),
        (with_alarm(shift("ALL_AT_ONCE"), "none"), "The alarm none does not exist"),
    ],
)
def test_a_deployment_that_is_not_valid_is_refused(
    registry: Registry, deployment: dict[str, Any], reason: str
) -> None:
    registry.create(registry.config("a"))
    with pytest.raises(ClientError, match=reason):
        registry.update(registry.config("b"), deployment)
    assert registry.described()["EndpointStatus"] == "InService"


def test_one_instance_has_no_canary_and_a_variant_keeps_its_name(registry: Registry) -> None:
    registry.create(registry.config("a"))
    with pytest.raises(ClientError, match="at least two instances"):
        registry.update(registry.config("b", count=1), shift("CANARY", 50))
    with pytest.raises(ClientError, match="same variant names"):
        registry.update(registry.config("b", variant="other"), shift("CANARY", 50))


@pytest.mark.parametrize(
    ("deployment", "counts"),
    [
        (shift("CANARY", 25, wait=240, TerminationWaitInSeconds=60), [1, 4]),
        (shift("LINEAR", 50, wait=240), [2, 4]),
        (shift("ALL_AT_ONCE", TerminationWaitInSeconds=240), [4]),
    ],
)
def test_no_request_is_lost_while_traffic_is_shifted(
    registry: Registry, deployment: dict[str, Any], counts: list[int]
) -> None:
    registry.create(registry.config("old", count=4))
    new = registry.config("new", count=4)
    with asking(registry) as answers, events_heard(registry.session) as heard:
        registry.update(new, deployment)
        meanwhile = registry.described()
        after = registry.settled()
        told = heard()
    assert set(answers) == {"old", "new"}
    assert meanwhile["EndpointStatus"] == "Updating"
    assert meanwhile["EndpointConfigName"] != new
    assert meanwhile["PendingDeploymentSummary"]["EndpointConfigName"] == new
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", new)
    assert after["LastDeploymentConfig"] == deployment
    assert "FailureReason" not in after
    said = [e["detail"].get("PendingDeploymentSummary", {}) for e in told]
    messages = [
        one["ProductionVariants"][0]["VariantStatus"][0]["StatusMessage"] for one in said if one
    ]
    activated = [one for one in messages if one.startswith("Activating")]
    assert [int(one.split(" of ")[1].split()[0]) for one in activated] == counts


def test_a_canary_takes_its_share_of_the_requests(registry: Registry) -> None:
    registry.create(registry.config("old", count=4))
    registry.update(registry.config("new", count=4), shift("CANARY", 25, wait=BAKE))
    answers = [registry.ask() for _ in range(20)]
    assert answers.count("new") == 5
    registry.settled()
    assert registry.ask() == "new"


@pytest.mark.parametrize(
    "deployment",
    [shift("CANARY", 50, wait=BAKE), shift("ALL_AT_ONCE", TerminationWaitInSeconds=BAKE)],
)
def test_an_alarm_rolls_back_and_no_request_is_lost(
    registry: Registry, deployment: dict[str, Any]
) -> None:
    old = registry.config("old")
    registry.create(old)
    with registry.alarm() as alarm, asking(registry) as answers:
        registry.update(registry.config("new"), with_alarm(deployment, alarm))
        while "new" not in answers:
            time.sleep(0.01)
        registry.trip()
        after = registry.settled()
    assert set(answers) == {"old", "new"}
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", old)
    assert f"The alarm {alarm} went off" in after["FailureReason"]
    assert registry.ask() == "old"


def test_an_endpoint_can_be_deleted_during_a_bake(registry: Registry) -> None:
    registry.create(registry.config("old"))
    registry.update(registry.config("new"), shift("CANARY", 50, wait=BAKE))
    registry.client.delete_endpoint(EndpointName=registry.name)
    assert registry.described()["EndpointStatus"] == "Deleting"
    time.sleep(0.4)
    with pytest.raises(ClientError, match="does not exist"):
        registry.described()


@pytest.mark.parametrize(("retain", "count"), [(True, 3), (False, 2)])
def test_an_update_can_keep_the_number_of_instances(
    registry: Registry, retain: bool, count: int
) -> None:
    registry.create(registry.config("a"))
    scaled = [{"VariantName": "v", "DesiredInstanceCount": 3}]
    registry.client.update_endpoint_weights_and_capacities(
        EndpointName=registry.name, DesiredWeightsAndCapacities=scaled
    )
    registry.update(registry.config("b"), RetainAllVariantProperties=retain)
    assert registry.described()["ProductionVariants"][0]["DesiredInstanceCount"] == count


def test_the_models_role_and_the_caller_must_be_able_to_see_the_alarm(
    registry: Registry, cloud: Deployment
) -> None:
    iam = registry.session.client("iam")
    role = iam.create_role(RoleName=registry.name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    registry.create(registry.config("a"))
    config = registry.config("b", role=role)
    everything = as_role(cloud, allow("sagemaker:*", "*"))
    with registry.alarm() as alarm:
        deployment = with_alarm(shift("ALL_AT_ONCE"), alarm)
        with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:DescribeAla"):
            registry.update(config, deployment)
        with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:DescribeAla"):
            everything.client("sagemaker").update_endpoint(
                EndpointName=registry.name, EndpointConfigName=config, DeploymentConfig=deployment
            )
        see = allow("cloudwatch:DescribeAlarms", "*")
        rights = json.dumps({"Version": "2012-10-17", "Statement": [see]})
        iam.put_role_policy(RoleName=registry.name, PolicyName="p", PolicyDocument=rights)
        registry.update(config, deployment)
    iam.delete_role_policy(RoleName=registry.name, PolicyName="p")
    iam.delete_role(RoleName=registry.name)


def test_rights_to_approve_and_to_delete_are_enforced(
    registry: Registry, cloud: Deployment
) -> None:
    arn = registry.package()
    only_reject = {"StringEquals": {"sagemaker:ModelApprovalStatus": "Rejected"}}
    who = as_role(cloud, allow("sagemaker:UpdateModelPackage", arn, Condition=only_reject))
    update = who.client("sagemaker").update_model_package
    update(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    for refused in ({"ModelApprovalStatus": "Approved"}, {"ApprovalDescription": "x"}):
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:UpdateModelP"):
            update(ModelPackageArn=arn, **refused)
    pending = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    who = as_role(cloud, allow("sagemaker:CreateModelPackage", "*", Condition=pending))
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateModelPack"):
        who.client("sagemaker").create_model_package(
            ModelPackageGroupName=registry.name, ModelApprovalStatus="Approved"
        )

    config = registry.config("a")
    registry.create(config)
    tags = [{"Key": "pipeline-owner", "Value": "me"}]
    kinds = {"endpoint": registry.name, "endpoint-config": config, "model": config}
    for kind, name in kinds.items():
        registry.client.add_tags(ResourceArn=f"{ARNS}:{kind}/{name}", Tags=tags)
    for owner, allowed in (("you", False), ("me", True)):
        ours = {"StringEquals": {"aws:ResourceTag/pipeline-owner": owner}}
        client = as_role(cloud, allow("sagemaker:Delete*", "*", Condition=ours)).client("sagemaker")
        for delete, which in (
            (client.delete_endpoint, {"EndpointName": registry.name}),
            (client.delete_endpoint_config, {"EndpointConfigName": config}),
            (client.delete_model, {"ModelName": config}),
        ):
            if allowed:
                delete(**which)
            else:
                with pytest.raises(ClientError, match="not authorized"):
                    delete(**which)


def ruled(cloud: Deployment, permission: dict[str, Any] | None, rule: dict[str, Any]) -> Any:
    """Return a stack with a function that notes events, and a rule that invokes it."""
    arn = {"Fn::GetAtt": ["Function", "Arn"]}
    resources = {
        **noting(cloud),
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {**rule, "Targets": [{"Id": "f", "Arn": arn}]},
        },
    }
    resources["Function"]["Properties"]["Handler"] = "note.hear"
    resources["Function"]["Properties"]["Environment"] = {"Variables": {"QUEUE": cloud.queue}}
    if permission is not None:
        resources["Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": arn,
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                **permission,
            },
        }
    return template(**resources)


OF_THE_RULE = {"SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}
OF_ANOTHER = {"SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/other"}
PATTERN = {"EventPattern": {"source": ["aws.sagemaker"]}}
SCHEDULE = {"ScheduleExpression": "rate(5 minutes)"}


@pytest.mark.parametrize(
    ("permission", "rule", "arrives"),
    [
        (OF_THE_RULE, PATTERN, True),
        ({}, PATTERN, True),
        (OF_ANOTHER, PATTERN, False),
        (None, PATTERN, False),
        (OF_THE_RULE, SCHEDULE, True),
        (OF_THE_RULE, {**SCHEDULE, "State": "DISABLED"}, False),
    ],
)
def test_a_rule_invokes_a_function_whose_policy_lets_it(
    cloud: Deployment, permission: dict[str, Any] | None, rule: dict[str, Any], arrives: bool
) -> None:
    name = f"rule-{uuid.uuid4().hex[:6]}"
    assert cloud.deploy(name, ruled(cloud, permission, rule)) == "CREATE_COMPLETE"
    resource = cloud.session.client("cloudformation").describe_stack_resource(
        StackName=name, LogicalResourceId="Rule"
    )["StackResourceDetail"]["PhysicalResourceId"]
    if "EventPattern" in rule:
        client = cloud.session.client("sagemaker")
        client.create_model_package_group(ModelPackageGroupName=name)
        made = client.create_model_package(ModelPackageGroupName=name)["ModelPackageArn"]
        expected = "SageMaker Model Package State Change"
        client.delete_model_package(ModelPackageName=made)
        client.delete_model_package_group(ModelPackageGroupName=name)
    else:
        tick(cloud.session, resource)
        expected = "Scheduled Event"
    heard = first_message(cloud, seconds=10 if arrives else 1)
    assert heard == (expected if arrives else "")
    assert cloud.delete(name) == "DELETE_COMPLETE"


def first_message(cloud: Deployment, seconds: int) -> str:
    """Return the first message in the queue; empty if there is none in time."""
    got = receive(cloud, seconds)
    return str(got["Messages"][0]["Body"]) if "Messages" in got else ""


def receive(cloud: Deployment, seconds: int) -> dict[str, Any]:
    sqs = cloud.session.client("sqs")
    return dict(sqs.receive_message(QueueUrl=cloud.queue, WaitTimeSeconds=seconds))


def test_events_wait_for_a_function_that_runs_once_at_a_time(cloud: Deployment) -> None:
    """Source: "How Lambda handles errors and retries with asynchronous invocation"."""
    name = f"queue-{uuid.uuid4().hex[:6]}"
    stack = ruled(cloud, OF_THE_RULE, SCHEDULE)
    function = stack["Resources"]["Function"]["Properties"]
    function["ReservedConcurrentExecutions"] = 1
    function["Environment"]["Variables"]["SECONDS"] = "0.5"
    stack["Resources"]["Once"] = {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": {"Ref": "Function"},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": 0,
        },
    }
    assert cloud.deploy(name, stack) == "CREATE_COMPLETE"
    rule = cloud.session.client("cloudformation").describe_stack_resource(
        StackName=name, LogicalResourceId="Rule"
    )["StackResourceDetail"]["PhysicalResourceId"]
    for _ in range(3):
        tick(cloud.session, rule)
    heard = 0
    while heard < 3 and "Messages" in (got := receive(cloud, seconds=5)):
        heard += len(got["Messages"])
    assert heard == 3
    assert cloud.delete(name) == "DELETE_COMPLETE"
