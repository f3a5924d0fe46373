"""Models that are deployed on approval: what wakes the function, what it is told, who is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from functions.deploy_model.properties import COMPLAINTS, DeployModelProperties
from functions.pipeline_manager.properties import PipelineProperties
from functions.shared import metrics
from functions.shared.properties import from_event
from generator.cfn.evaluator import ResolvedDeployment
from generator.custom_resources import IN_THE_VPC
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.definition import build
from pipeline.types import Json

CHOSEN: dict[str, Any] = {
    "pipeline": {"deploy": "on-approval"},
    "pipelines": [{"name": "main"}, {"name": "churn"}],
    "serving": {"instances": 2, "shift": "canary", "capture_percent": 10},
}
STACKS = {"pipeline": "", "ChurnPipeline": "-churn"}
WAKES = ("ApprovalRule", "EndpointChangeRule", "TickRule")


@pytest.fixture(scope="module")
def approving() -> ResolvedDeployment:
    """Two pipelines whose models are deployed on approval."""
    return resolve(Settings.model_validate(CHOSEN))


@pytest.fixture(scope="module")
def name(approving: ResolvedDeployment) -> str:
    """The deployment's name."""
    return str(approving.parameters["pipeline"]["UniqueName"])


def rules(deployment: ResolvedDeployment, stack: str) -> dict[str, Mapping[str, Any]]:
    """Return the properties of a stack's rules by logical id."""
    return {
        one.logical_id: one.properties
        for one in deployment.of_type("AWS::Events::Rule")
        if one.stack == stack
    }


def told(deployment: ResolvedDeployment, stack: str) -> DeployModelProperties:
    """Return what the function is told for a pipeline, whichever rule wakes it."""
    inputs = {rules(deployment, stack)[rule]["Targets"][0]["Input"] for rule in WAKES}
    (text,) = inputs
    return from_event(DeployModelProperties, json.loads(text))


def test_by_default_nothing_of_it_exists() -> None:
    for template in root.build(Settings(), Mode.DEV).values():
        titles = [*template.resources, *template.parameters, *template.outputs]
        assert [one for one in titles if "Deploy" in one or "Approv" in one or "Tick" in one] == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_function_is_told_what_is_the_pipelines_own(
    approving: ResolvedDeployment, name: str, stack: str
) -> None:
    own, found = f"{name}{STACKS[stack]}", told(approving, stack)
    made = approving.get(stack, "Pipeline").properties
    assert (found.endpoint_name, found.model_package_group) == (own, own)
    assert found.endpoint_name == made["EndpointName"]
    assert found.model_package_group == made["ModelPackageGroup"]
    assert found.owner == made["Owner"]
    assert found.model_role_arn == made["ModelRoleArn"]
    assert ",".join(found.subnet_ids) == made["SubnetIds"]
    assert ",".join(found.security_group_ids) == made["SecurityGroupIds"]
    assert found.key_arn == made["KeyArn"]
    models = "models/" if stack == "pipeline" else "pipelines/models/churn/"
    assert found.models_uri == f"s3://{made['Bucket']}/{models}"
    assert (found.instances, found.shift, found.step_percent) == (2, "canary", 50)
    assert found.alarms == (approving.get(stack, "EndpointServerErrorAlarm").reference,)
    assert found.capture_percent == 10
    bucket = made["Bucket"]
    place = "captured/" if stack == "pipeline" else "pipelines/captured/churn/"
    assert found.capture_uri == f"s3://{bucket}/{place}"


@pytest.mark.parametrize("stack", STACKS)
def test_rules_wake_the_function_for_their_own_pipeline(
    approving: ResolvedDeployment, name: str, stack: str
) -> None:
    own, found = f"{name}{STACKS[stack]}", rules(approving, stack)
    versions = found["ApprovalRule"]["EventPattern"]["detail"]
    changes = found["EndpointChangeRule"]["EventPattern"]["detail"]
    assert versions == {"ModelPackageGroupName": [own]}
    assert changes == {"EndpointName": [own, f"try-{own}"]}
    assert found["TickRule"]["ScheduleExpression"] == "rate(5 minutes)"


def test_only_our_rules_may_invoke_the_functions(approving: ResolvedDeployment) -> None:
    permissions = {
        one.properties["FunctionName"]: one.properties
        for one in approving.of_type("AWS::Lambda::Permission")
    }
    assert len(permissions) == 2
    for stack in STACKS:
        for title in WAKES:
            rule = rules(approving, stack)[title]
            target = str(rule["Targets"][0]["Arn"]).rpartition(":")[2]
            allowed = permissions[target]
            assert allowed["Principal"] == "events.amazonaws.com"
            assert allowed["SourceAccount"] == approving.place.account
            arn = approving.place.arn("events", f"rule/{rule['Name']}")
            assert fnmatchcase(arn, allowed["SourceArn"])
    assert not any(
        fnmatchcase(approving.place.arn("events", "rule/other-tick"), one["SourceArn"])
        for one in permissions.values()
    )


def test_people_are_told_of_versions_that_wait_or_were_rejected(
    approving: ResolvedDeployment,
) -> None:
    for stack, option in (("pipeline", ""), ("ChurnPipeline", " --pipeline churn")):
        rule = rules(approving, stack)["ReviewRule"]
        detail = rule["EventPattern"]["detail"]
        assert detail["ModelApprovalStatus"] == ["PendingManualApproval", "Rejected"]
        (target,) = rule["Targets"]
        filled = target["InputTransformer"]["InputTemplate"].replace("<version>", "3")
        message = json.loads(filled.replace("<aws.events.event.json>", "{}"))
        assert f"python build.py approve{option} 3" in message["alert"]


def test_an_alarm_tells_of_what_the_function_leaves_to_people(
    approving: ResolvedDeployment,
) -> None:
    """The function's own line is held against the alarm's definition."""
    for stack in STACKS:
        alarm = approving.get(stack, "DeploymentComplaintAlarm").properties
        now = datetime(2026, 1, 1, tzinfo=UTC)
        group = told(approving, stack).model_package_group
        line = json.loads(metrics.line(group, {COMPLAINTS: 1}, {COMPLAINTS: "Count"}, now))
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == alarm["Namespace"]
        assert [one["Name"] for one in directive["Metrics"]] == [alarm["MetricName"]]
        assert directive["Dimensions"] == [[one["Name"] for one in alarm["Dimensions"]]]
        assert [line[one["Name"]] for one in alarm["Dimensions"]] == [group]
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (0, "notBreaching")
        assert alarm["AlarmActions"] == [approving.get(stack, "AlertTopic").reference]
        assert "OKActions" not in alarm
        named = "`python build.py models --pipeline churn`"
        assert (named in alarm["AlarmDescription"]) == (stack == "ChurnPipeline")


def test_the_alarm_needs_complaints_of_two_of_three_ticks(approving: ResolvedDeployment) -> None:
    tick = rules(approving, "pipeline")["TickRule"]["ScheduleExpression"]
    alarm = approving.get("pipeline", "DeploymentComplaintAlarm").properties
    assert (tick, alarm["Period"]) == ("rate(5 minutes)", 5 * 60)
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (2, 3)


@pytest.mark.parametrize("deploy", ["pipeline", "none"])
def test_without_approvals_there_is_no_such_alarm(deploy: str) -> None:
    deployment = resolve(Settings.model_validate({"pipeline": {"deploy": deploy}}))
    found = [one.logical_id for one in deployment.of_type("AWS::CloudWatch::Alarm")]
    assert "DeploymentComplaintAlarm" not in found


def test_what_a_rule_cannot_deliver_goes_to_the_queue(approving: ResolvedDeployment) -> None:
    policy = approving.get("security", "DeadLetterQueuePolicy").properties["PolicyDocument"]
    allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    made = approving.of_type("AWS::Events::Rule")
    assert len(made) == 2 * 6
    for rule in made:
        arn = approving.place.arn("events", f"rule/{rule.properties['Name']}")
        assert any(fnmatchcase(arn, pattern) for pattern in allowed), rule


def definition(deployment: ResolvedDeployment, stack: str) -> Json:
    """Return the definition that the manager would create."""
    texts = {
        name: str(value) for name, value in deployment.get(stack, "Pipeline").properties.items()
    }
    return build(from_event(PipelineProperties, texts))


def test_runs_register_models_as_pending_and_deploy_none(approving: ResolvedDeployment) -> None:
    for stack in STACKS:
        text = json.dumps(definition(approving, stack))
        assert '"ModelApprovalStatus": "PendingManualApproval"' in text
        assert 'ApprovalStatus"}' not in text
        for kind in ("EndpointConfig", "Endpoint", "Model"):
            assert f'"Type": "{kind}"' not in text


def test_the_rules_are_deleted_before_the_pipeline_whose_deletion_removes_the_rest() -> None:
    for template in ("pipeline", "named-pipeline"):
        stack = root.build(Settings.model_validate(CHOSEN), Mode.DEV)[template]
        for title in WAKES:
            assert stack.resources[title].DependsOn == ["Trials"]
        assert "Pipeline" in stack.resources["Trials"].DependsOn


def test_captured_requests_expire(approving: ResolvedDeployment) -> None:
    bucket = approving.get("storage", "DataBucket").properties
    rules_of_bucket = bucket["LifecycleConfiguration"]["Rules"]
    expiring = {
        rule["Prefix"]: rule["ExpirationInDays"] for rule in rules_of_bucket if "Prefix" in rule
    }
    assert expiring["captured/"] == expiring["pipelines/captured/"] == 30


def test_the_longest_names_fit() -> None:
    project, entry = "a" * 15, "b" * 20
    chosen = {
        **CHOSEN,
        "project": project,
        "pipelines": [{"name": "main"}, {"name": entry}],
    }
    longest = resolve(Settings.model_validate(chosen))
    names = [one.properties["Name"] for one in longest.of_type("AWS::Events::Rule")]
    assert max(map(len, names)) <= 64
    (pipeline,) = [
        one.properties["EndpointName"]
        for one in longest.of_type("Custom::Pipeline")
        if one.properties["EndpointName"].endswith(entry)
    ]
    assert len(f"v99999-abcdef-{pipeline}") <= 63


SCALED: dict[str, Any] = CHOSEN | {
    "serving": {"instances": 2, "maximum_instances": 6, "target_invocations": 600}
}


@pytest.fixture(scope="module")
def scaled() -> ResolvedDeployment:
    """The same, with endpoints that scale."""
    return resolve(Settings.model_validate(SCALED))


@pytest.mark.parametrize("stack", STACKS)
def test_the_functions_are_told_of_scaling(
    approving: ResolvedDeployment, scaled: ResolvedDeployment, stack: str
) -> None:
    found, fixed = told(scaled, stack), told(approving, stack)
    assert (found.instances, found.maximum_instances, found.target_invocations) == (2, 6, 600)
    assert (fixed.maximum_instances, fixed.target_invocations) == (0, 0)
    assert scaled.get(stack, "Pipeline").properties["MaximumInstances"] == "6"
    assert "MaximumInstances" not in approving.get(stack, "Pipeline").properties


def test_the_manager_can_end_the_scaling_as_long_as_there_is_a_pipeline() -> None:
    """The policy is a resource of its own, which an update deletes after the pipeline's update."""
    made = root.build(Settings.model_validate(SCALED), Mode.DEV)
    assert "EndScalingPolicy" in made["pipeline"].resources["Pipeline"].DependsOn
    assert "EndScalingPolicy" in made["manager"].resources


@pytest.mark.parametrize("chosen", [True, False])
def test_functions_in_our_vpc_reach_application_auto_scaling(chosen: bool) -> None:
    services = ["sagemaker.api", "sagemaker.runtime"]
    services += ["application-autoscaling"] if chosen else []
    settings = SCALED | {"network": {"interface_endpoints": services}}
    made = root.build(Settings.model_validate(settings), Mode.DEV)["network"].resources
    endpoint = made["ApplicationAutoscalingEndpoint"].to_dict()
    assert endpoint.get("Condition") == (None if chosen else IN_THE_VPC)
    fixed = root.build(Settings.model_validate(CHOSEN), Mode.DEV)["network"].resources
    assert "ApplicationAutoscalingEndpoint" not in fixed


def test_the_function_reaches_the_endpoints_that_it_asks() -> None:
    few: dict[str, Any] = {
        "network": {"interface_endpoints": ["sagemaker.api"]},
        "studio": {"domain": "none"},
    }
    for deploy, reached in (("on-approval", True), ("pipeline", False)):
        made = resolve(Settings.model_validate({**few, "pipeline": {"deploy": deploy}}))
        services = [
            str(one.properties["ServiceName"]) for one in made.of_type("AWS::EC2::VPCEndpoint")
        ]
        assert any(one.endswith("sagemaker.runtime") for one in services) is reached
