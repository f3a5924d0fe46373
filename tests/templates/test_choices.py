"""Pipelines that are deployed, served and watched differently: each has its own, and no more."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any, Final

import pytest

from functions.deploy_model.properties import DeployModelProperties
from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from generator import choice_outputs
from generator.cfn.evaluator import ResolvedDeployment
from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.definition import build
from tests.templates.test_several import attached

EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"
MAIN: Final[dict[str, Any]] = {"name": "main"}
CHURN: Final[dict[str, Any]] = {
    "name": "churn",
    "deploy": "on-approval",
    "serving": {"instances": 2, "shift": "canary", "capture_percent": 10, "champion_margin": 0.0},
    "watching": {"drift_hours": 24, "latency_milliseconds": 500},
}
FRAUD: Final[dict[str, Any]] = {
    "name": "fraud",
    "serving": {"pause": EVENING, "resume": MORNING},
    "watching": {"dashboard": True},
}
STACKS: Final = {"main": "pipeline", "churn": "ChurnPipeline", "fraud": "FraudPipeline"}
DEPLOYING: Final = {"ApprovalRule", "EndpointChangeRule", "ReviewRule", "TickRule"}
PAUSING: Final = {"PauseRule", "ResumeRule", "ResumedRule"}
WATCHING: Final = {"WatchTickRule", "DriftCheckedRule", "DriftCheckFailedRule"}


def settings(*pipelines: dict[str, Any], **others: Any) -> Settings:
    chosen = {"pipeline": {"predictions": True}, **others, "pipelines": list(pipelines)}
    return Settings.model_validate(chosen)


def emitted(found: Settings) -> dict[str, dict[str, Any]]:
    return {name: as_dict(one) for name, one in root.build(found, Mode.DEV).items()}


@pytest.fixture(scope="module")
def mixed() -> ResolvedDeployment:
    """One pipeline as all are by default, one on approval, one paused."""
    return resolve(settings(MAIN, CHURN, FRAUD))


@pytest.mark.parametrize(
    ("pipeline", "own"),
    [("main", set[str]()), ("churn", DEPLOYING | WATCHING), ("fraud", PAUSING)],
)
def test_only_the_rules_of_its_choices_wake_functions_for_a_pipeline(
    mixed: ResolvedDeployment, pipeline: str, own: set[str]
) -> None:
    rules = {
        one.logical_id
        for one in mixed.of_type("AWS::Events::Rule")
        if one.stack == STACKS[pipeline]
    }
    assert rules & (DEPLOYING | PAUSING | WATCHING) == own


def test_main_has_no_function_that_only_others_need(mixed: ResolvedDeployment) -> None:
    functions = {(one.stack, one.logical_id) for one in mixed.of_type("AWS::Lambda::Function")}
    for name in ("DeployModel", "PauseEndpoint", "WatchModel"):
        assert ("manager", f"{name}Function") in functions
        assert ("pipeline", f"{name}Function") not in functions
    roles = {one.logical_id for one in mixed.of_type("AWS::IAM::Role")}
    assert {"DeployNamedModelRole", "PauseNamedEndpointRole", "WatchNamedModelRole"} <= roles
    assert roles.isdisjoint({"DeployModelRole", "PauseEndpointRole", "WatchModelRole"})


def test_named_pipelines_need_no_function_that_only_main_needs() -> None:
    made = resolve(settings(CHURN | {"name": "main"}, {"name": "sales"}))
    roles = {one.logical_id for one in made.of_type("AWS::IAM::Role")}
    assert {"DeployModelRole", "WatchModelRole"} <= roles
    assert roles.isdisjoint({"DeployNamedModelRole", "WatchNamedModelRole"})


def test_a_run_does_what_its_pipeline_chose(mixed: ResolvedDeployment) -> None:
    found = {}
    for pipeline, stack in STACKS.items():
        properties = mixed.get(stack, "Pipeline").properties
        texts = {name: str(value) for name, value in properties.items()}
        found[pipeline] = json.dumps(build(from_event(PipelineProperties, texts)))
    for pipeline in ("main", "fraud"):
        assert '"Type": "Endpoint"' in found[pipeline]
        assert 'ApprovalStatus"}' in found[pipeline]
    assert '"Type": "Endpoint"' not in found["churn"]
    assert '"ModelApprovalStatus": "PendingManualApproval"' in found["churn"]


def test_the_shared_functions_are_told_what_each_pipeline_chose(mixed: ResolvedDeployment) -> None:
    (target,) = mixed.get("ChurnPipeline", "TickRule").properties["Targets"]
    deploying = from_event(DeployModelProperties, json.loads(target["Input"]))
    assert (deploying.instances, deploying.shift, deploying.capture_percent) == (2, "canary", 10)
    rule = mixed.get("FraudPipeline", "PauseRule").properties
    assert rule["ScheduleExpression"] == EVENING
    (target,) = rule["Targets"]
    told = json.loads(target["InputTransformer"]["InputTemplate"])
    assert told["PipelineName"] == told["EndpointName"]  # a run could deploy to it


def test_alarms_and_dashboards_are_those_that_a_pipeline_chose(mixed: ResolvedDeployment) -> None:
    alarms = {(one.stack, one.logical_id) for one in mixed.of_type("AWS::CloudWatch::Alarm")}
    for alarm in ("EndpointLatencyAlarm", "DriftAlarm"):
        assert [stack for stack, name in alarms if name == alarm] == ["ChurnPipeline"]
    assert [one.stack for one in mixed.of_type("AWS::CloudWatch::Dashboard")] == ["FraudPipeline"]


def test_what_no_rule_can_deliver_goes_to_the_queue(mixed: ResolvedDeployment) -> None:
    policy = mixed.get("security", "DeadLetterQueuePolicy").properties["PolicyDocument"]
    allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    for rule in mixed.of_type("AWS::Events::Rule"):
        arn = mixed.place.arn("events", f"rule/{rule.properties['Name']}")
        assert any(fnmatchcase(arn, pattern) for pattern in allowed), rule


def test_captured_requests_of_any_pipeline_expire(mixed: ResolvedDeployment) -> None:
    rules = mixed.get("storage", "DataBucket").properties["LifecycleConfiguration"]["Rules"]
    assert "pipelines/captured/" in {rule.get("Prefix") for rule in rules}


def test_pipelines_with_the_same_choices_share_a_template() -> None:
    sales, loans = {**CHURN, "name": "sales"}, {"name": "loans"}
    names = emitted(settings(MAIN, CHURN, FRAUD, sales, loans)).keys()
    assert {name for name in names if name.startswith("named-pipeline")} == {
        "named-pipeline",
        "named-pipeline-of-churn",
        "named-pipeline-of-fraud",
    }


def test_another_pipeline_with_the_same_choices_changes_nothing_but_what_names_it() -> None:
    before = emitted(settings(MAIN, CHURN, FRAUD))
    after = emitted(settings(MAIN, CHURN, FRAUD, {**FRAUD, "name": "loans"}))
    assert {name for name, one in after.items() if before.get(name) != one} == {"root"}


def test_choices_that_state_what_holds_for_all_change_no_template() -> None:
    stated = {"deploy": "pipeline", "serving": {"instances": 1}, "watching": {"idle_hours": 0}}
    usual, same = ({"name": "churn", **one} for one in ({}, stated))
    one, other = (emitted(settings(MAIN, entry)) for entry in (usual, same))
    assert {name for name in one if one[name] != other[name]} == {"root"}  # the record
    assert one["root"]["Resources"] == other["root"]["Resources"]


def test_the_outputs_say_of_each_pipeline_what_is_true_of_it(mixed: ResolvedDeployment) -> None:
    outputs = mixed.outputs["root"]
    assert choice_outputs.DEPLOYMENT_MODE not in outputs
    assert choice_outputs.PAUSES not in outputs
    assert choice_outputs.read(outputs, "churn") == {"DeploymentMode": "on-approval"}
    assert choice_outputs.read(outputs, "fraud") == {
        "EndpointPauses": EVENING,
        "EndpointResumes": MORNING,
    }


def test_a_pipeline_that_turns_off_what_main_chose_says_so() -> None:
    chosen = {"pipeline": {"deploy": "on-approval"}, "serving": FRAUD["serving"]}
    off = {"deploy": "pipeline", "serving": {"pause": "", "resume": ""}}
    made = resolve(settings(MAIN, {"name": "churn", **off}, {"name": "sales"}, **chosen))
    outputs = made.outputs["root"]
    assert choice_outputs.read(outputs, "churn") == {}
    assert choice_outputs.read(outputs, "main") == choice_outputs.read(outputs, "sales") == outputs
    assert outputs["EndpointPauses"] == EVENING


# The denial for people


def denied(deployment: ResolvedDeployment) -> set[str]:
    """Return what people may not register, as patterns of names."""
    return {
        str(resource).rpartition("model-package-group/")[2]
        for policy in deployment.of_type("AWS::IAM::ManagedPolicy")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Sid"] == "DecideNothing"
        for resource in statement["Resource"]
        if "model-package-group/" in str(resource)
    }


@pytest.mark.parametrize(
    ("approved", "rests"),
    [
        (("main", "churn", "fraud"), {"", "-*"}),
        (("main",), {""}),
        (("churn", "fraud"), {"-*"}),
        (("main", "fraud"), {"", "-fraud"}),
        (("churn",), {"-churn"}),
        ((), set[str]()),
    ],
)
def test_people_are_denied_what_others_approve(approved: tuple[str, ...], rests: set[str]) -> None:
    entries = [
        {"name": name, "deploy": "on-approval" if name in approved else "pipeline"}
        for name in STACKS
    ]
    made = resolve(settings(*entries))
    name = made.parameters["pipeline"]["UniqueName"]
    assert denied(made) == {f"{name}{rest}" for rest in rests}


# Limits


def test_50_pipelines_that_all_differ_are_within_the_limits() -> None:
    entries = [
        {
            "name": f"p{number:02}{'x' * 17}",
            "deploy": "on-approval",
            "serving": {"pause": EVENING, "resume": f"cron({number} 7 ? * MON-FRI *)"},
        }
        for number in range(49)
    ]
    chosen = settings(
        MAIN | {"deploy": "on-approval"},
        *entries,
        {"name": "last"},
        project="a" * 15,
        studio={"people": [{"name": "ana", "persona": "ml-engineer"}], "personal_prefixes": True},
    )
    made = resolve(chosen, place=StackLocation(region="us-gov-west-1", partition="aws-us-gov"))
    assert len(denied(made)) == 50
    assert max(attached(made).values()) <= 10
    sizes = [
        size(one.properties["PolicyDocument"]) for one in made.of_type("AWS::IAM::ManagedPolicy")
    ]
    assert max(sizes) <= MANAGED_POLICY_CHARACTERS
    assert len(root.build(chosen, Mode.DEV)["root"].outputs) <= 200
