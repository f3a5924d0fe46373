"""Endpoints that are paused on a schedule: what wakes the function, what it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from functions.pause_endpoint.properties import ACTIONS, PauseEndpointProperties
from functions.shared.properties import from_event
from generator.cfn.evaluator import ResolvedDeployment
from generator.choice_outputs import PAUSES, RESUMES
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root

EVENT_TIME = "2026-01-30T18:00:00Z"
EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"
CHOSEN: dict[str, Any] = {
    "pipelines": [{"name": "main"}, {"name": "churn"}],
    "serving": {"pause": EVENING, "resume": MORNING},
}
ON_APPROVAL = {**CHOSEN, "pipeline": {"deploy": "on-approval"}}
STACKS = {"pipeline": "", "ChurnPipeline": "-churn"}
TITLES = {"pause": "PauseRule", "resume": "ResumeRule", "resumed": "ResumedRule"}


@pytest.fixture(scope="module")
def pausing() -> ResolvedDeployment:
    """Two pipelines whose endpoints are paused."""
    return resolve(Settings.model_validate(CHOSEN))


@pytest.fixture(scope="module")
def name(pausing: ResolvedDeployment) -> str:
    """The deployment's name."""
    return str(pausing.parameters["pipeline"]["UniqueName"])


def rule(deployment: ResolvedDeployment, stack: str, action: str) -> Mapping[str, Any]:
    """Return the properties of the rule for an action."""
    return deployment.get(stack, TITLES[action]).properties


def told(deployment: ResolvedDeployment, stack: str, action: str) -> PauseEndpointProperties:
    """Return what the function is told by the rule for an action."""
    (target,) = rule(deployment, stack, action)["Targets"]
    transformer = target["InputTransformer"]
    assert transformer["InputPathsMap"] == {"time": "$.time"}
    text = transformer["InputTemplate"].replace("<time>", EVENT_TIME)
    return from_event(PauseEndpointProperties, json.loads(text))


@pytest.mark.parametrize("deploy", ["pipeline", "on-approval", "none"])
def test_by_default_nothing_of_it_exists(deploy: str) -> None:
    chosen = {"pipelines": CHOSEN["pipelines"], "pipeline": {"deploy": deploy}}
    for template in root.build(Settings.model_validate(chosen), Mode.DEV).values():
        titles = [*template.resources, *template.parameters, *template.outputs]
        assert [one for one in titles if "Pause" in one or "Resume" in one] == []


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("action", ACTIONS)
def test_the_function_is_told_what_is_the_pipelines_own(
    pausing: ResolvedDeployment, name: str, stack: str, action: str
) -> None:
    own, made = f"{name}{STACKS[stack]}", pausing.get(stack, "Pipeline").properties
    assert told(pausing, stack, action) == PauseEndpointProperties(
        endpoint_name=own, owner=made["Owner"], action=action, time=EVENT_TIME, pipeline_name=own
    )
    assert (own, own) == (made["EndpointName"], made["PipelineName"])


def test_runs_that_do_not_deploy_do_not_matter() -> None:
    approving = resolve(Settings.model_validate(ON_APPROVAL))
    for stack in STACKS:
        for action in ACTIONS:
            assert told(approving, stack, action).pipeline_name == ""


@pytest.mark.parametrize("stack", STACKS)
def test_two_schedules_and_the_endpoint_wake_it(
    pausing: ResolvedDeployment, name: str, stack: str
) -> None:
    assert rule(pausing, stack, "pause")["ScheduleExpression"] == EVENING
    assert rule(pausing, stack, "resume")["ScheduleExpression"] == MORNING
    pattern = rule(pausing, stack, "resumed")["EventPattern"]
    assert pattern["detail-type"] == ["SageMaker Endpoint State Change"]
    assert pattern["detail"]["EndpointName"] == [f"{name}{STACKS[stack]}"]
    assert pattern["detail"]["EndpointStatus"] == ["IN_SERVICE", "InService"]


def test_a_pause_is_not_delivered_late(pausing: ResolvedDeployment) -> None:
    for stack in STACKS:
        ages = {
            action: rule(pausing, stack, action)["Targets"][0]["RetryPolicy"]
            for action in ("pause", "resume")
        }
        assert int(ages["pause"]["MaximumEventAgeInSeconds"]) == 3600
        assert int(ages["resume"]["MaximumEventAgeInSeconds"]) == 12 * 3600


def test_lambda_has_time_to_repeat_an_event(pausing: ResolvedDeployment) -> None:
    repeated = [
        one.properties
        for one in pausing.of_type("AWS::Lambda::EventInvokeConfig")
        if one.logical_id == "PauseEndpointDeliveries"
    ]
    assert len(repeated) == 2
    for properties in repeated:
        assert int(properties["MaximumEventAgeInSeconds"]) >= 600
        assert "MaximumRetryAttempts" not in properties


def test_only_the_rules_of_its_own_pipelines_may_invoke_a_function(
    pausing: ResolvedDeployment, name: str
) -> None:
    allowed: dict[str, list[str]] = {}
    for one in pausing.of_type("AWS::Lambda::Permission"):
        assert one.properties["Principal"] == "events.amazonaws.com"
        assert one.properties["SourceAccount"] == pausing.place.account
        allowed.setdefault(one.properties["FunctionName"], []).append(one.properties["SourceArn"])

    def may(rule_name: str, function: str) -> bool:
        arn = pausing.place.arn("events", f"rule/{rule_name}")
        return any(fnmatchcase(arn, pattern) for pattern in allowed[function])

    functions = {
        stack: str(rule(pausing, stack, "pause")["Targets"][0]["Arn"]).rpartition(":")[2]
        for stack in STACKS
    }
    assert set(functions.values()) == set(allowed)
    assert len(allowed) == 2
    for stack in STACKS:
        for action in ACTIONS:
            assert may(rule(pausing, stack, action)["Name"], functions[stack])
    for action in ACTIONS:
        assert not may(rule(pausing, "ChurnPipeline", action)["Name"], functions["pipeline"])
        assert not may(rule(pausing, "pipeline", action)["Name"], functions["ChurnPipeline"])
    for function in allowed:
        for other in ("run-failed", "churn-run", "other", "x-tick"):
            assert not may(f"{name}-{other}", function)
        assert not may("other-off", function)


def test_what_a_rule_cannot_deliver_goes_to_the_queue(pausing: ResolvedDeployment) -> None:
    policy = pausing.get("security", "DeadLetterQueuePolicy").properties["PolicyDocument"]
    allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    queue = pausing.parameters["pipeline"]["DeadLetterQueue"]
    for stack in STACKS:
        for action in ACTIONS:
            made = rule(pausing, stack, action)
            assert made["Targets"][0]["DeadLetterConfig"]["Arn"] == queue
            arn = pausing.place.arn("events", f"rule/{made['Name']}")
            assert any(fnmatchcase(arn, pattern) for pattern in allowed)


def test_the_rules_are_deleted_before_the_pipeline_whose_deletion_removes_the_rest() -> None:
    for template in ("pipeline", "named-pipeline"):
        stack = root.build(Settings.model_validate(CHOSEN), Mode.DEV)[template]
        for title in TITLES.values():
            assert "Pipeline" in stack.resources[title].DependsOn


def test_commands_read_from_outputs_when_the_schedule_undoes_what_they_did() -> None:
    template = root.build(Settings.model_validate(CHOSEN), Mode.DEV)["root"]
    assert template.outputs[PAUSES].Value == EVENING
    assert template.outputs[RESUMES].Value == MORNING


def test_the_longest_names_fit() -> None:
    chosen = {
        **CHOSEN,
        "project": "a" * 26,
        "pipelines": [{"name": "main"}, {"name": "b" * 20}],
    }
    longest = resolve(Settings.model_validate(chosen))
    names = [one.properties["Name"] for one in longest.of_type("AWS::Events::Rule")]
    assert max(map(len, names)) == 64
