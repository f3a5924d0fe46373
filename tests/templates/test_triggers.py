"""Runs on a schedule, and messages of success: only where the settings say so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root

WEEKLY = "cron(0 6 ? * MON *)"
BOUNDARY = "arn:aws:iam::111122223333:policy/Boundary"
CHOSEN: dict[str, Any] = {
    "pipelines": [
        {"name": "main"},
        {"name": "churn", "schedule": ""},
        {"name": "fraud", "schedule": WEEKLY},
    ],
    "pipeline": {"schedule": "rate(7 days)", "success_messages": True},
    "security": {"permissions_boundary": BOUNDARY},
}
STACKS = ("pipeline", "ChurnPipeline", "FraudPipeline")


@pytest.fixture(scope="module")
def triggered() -> ResolvedDeployment:
    """Three pipelines that tell of success, of which two have a schedule."""
    return resolve(Settings.model_validate(CHOSEN))


def rules(deployment: ResolvedDeployment, stack: str) -> dict[str, Mapping[str, Any]]:
    """Return the properties of a stack's rules by logical id."""
    return {
        one.logical_id: one.properties
        for one in deployment.of_type("AWS::Events::Rule")
        if one.stack == stack
    }


def test_by_default_nothing_starts_a_run_and_nobody_is_told_of_success() -> None:
    settings = Settings.model_validate({"pipelines": [{"name": "main"}, {"name": "churn"}]})
    for template in root.build(settings, Mode.DEV).values():
        titles = [*template.resources, *template.parameters, *template.conditions]
        assert [one for one in titles if re.search("Schedule|Succe", one)] == []


def test_each_pipeline_tells_of_its_own_success(triggered: ResolvedDeployment) -> None:
    for stack, option in zip(STACKS, ("", " --pipeline churn", " --pipeline fraud"), strict=True):
        made = rules(triggered, stack)
        succeeded, failed = made["RunSucceededRule"], made["RunFailedRule"]
        own, other = (dict(one["EventPattern"]["detail"]) for one in (succeeded, failed))
        assert own.pop("currentPipelineExecutionStatus") == ["Succeeded"]
        assert other.pop("currentPipelineExecutionStatus") == ["Failed"]
        assert own == other
        (target,), (usual,) = succeeded["Targets"], failed["Targets"]
        assert target["Arn"] == usual["Arn"]
        filled = target["InputTransformer"]["InputTemplate"].replace("<run>", "arn:x")
        message = json.loads(filled.replace("<aws.events.event.json>", "{}"))
        assert f"python build.py history{option} arn:x" in message["alert"]
        assert f"python build.py status{option}" in message["alert"]


def test_a_schedule_starts_its_own_pipeline_with_a_role_of_its_own(
    triggered: ResolvedDeployment,
) -> None:
    for stack, expression in (("pipeline", "rate(7 days)"), ("FraudPipeline", WEEKLY)):
        rule = rules(triggered, stack)["RunScheduleRule"]
        role = triggered.get(stack, "ScheduleRole")
        (target,) = rule["Targets"]
        assert rule["ScheduleExpression"] == expression
        assert "EventPattern" not in rule
        name = triggered.get(stack, "Pipeline").properties["PipelineName"]
        assert target["Arn"].endswith(f":pipeline/{name}")
        assert target["RoleArn"].endswith(f":role/{role.reference}")
        assert "SageMakerPipelineParameters" not in target
        assert role.properties["PermissionsBoundary"] == BOUNDARY


def test_a_pipeline_without_schedule_has_neither_rule_nor_role(
    triggered: ResolvedDeployment,
) -> None:
    titles = [one.logical_id for one in triggered if one.stack == "ChurnPipeline"]
    assert "RunSucceededRule" in titles
    assert [one for one in titles if "Schedule" in one] == []


def test_the_queue_takes_what_any_of_the_rules_could_not_deliver(
    triggered: ResolvedDeployment,
) -> None:
    policy = triggered.get("security", "DeadLetterQueuePolicy").properties["PolicyDocument"]
    queue = triggered.outputs["security"]["DeadLetterQueue"]
    allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    made = triggered.of_type("AWS::Events::Rule")
    assert len(made) == 3 * 3 + 2
    for rule in made:
        arn = triggered.place.arn("events", f"rule/{rule.properties['Name']}")
        assert any(fnmatchcase(arn, pattern) for pattern in allowed), rule
        (target,) = rule.properties["Targets"]
        assert target["DeadLetterConfig"]["Arn"] == queue


def test_the_longest_names_of_rules_fit() -> None:
    project = "a" * 26
    chosen = {**CHOSEN, "project": project, "pipelines": [{"name": "main"}, {"name": "b" * 20}]}
    longest = resolve(Settings.model_validate(chosen)).of_type("AWS::Events::Rule")
    names = [one.properties["Name"] for one in longest]
    assert len(set(names)) == len(names) == 8
    assert max(map(len, names)) == 64
