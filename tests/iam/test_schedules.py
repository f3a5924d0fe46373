"""Runs on a schedule: EventBridge starts each pipeline by a role that can do nothing else."""

from __future__ import annotations

import json

import pytest

from generator import emit
from generator.policies import deployer
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.required import DERIVED, Required

EVENTS = "events.amazonaws.com"
MAIN, CHURN = "ScheduleRole", "ChurnPipeline/ScheduleRole"
RULES = {MAIN: "-run-schedule", CHURN: "-churn-due"}
PIPELINES = {MAIN: "", CHURN: "-churn"}
CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "pipeline": {"schedule": "rate(7 days)", "success_messages": True, "predictions": True},
    }
)
DEPLOYER = "arn:aws:iam::123456789012:user/deployer"


@pytest.fixture(scope="module")
def scheduled() -> Account:
    """Return a deployment whose two pipelines have a schedule."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(scheduled: Account) -> str:
    """Return the deployment's name."""
    return str(scheduled.deployment.parameters["pipeline"]["UniqueName"])


def starting(account: Account, who: str, pipeline: str) -> Request:
    """Return the request to start a run."""
    arn = account.place.arn("sagemaker", f"pipeline/{pipeline}")
    return Request(who, "sagemaker:StartPipelineExecution", arn)


def assuming(account: Account, role: str, rule: str, who: str = EVENTS) -> Request:
    """Return the request that a service makes on behalf of a rule."""
    context = {
        "aws:SourceArn": account.place.arn("events", f"rule/{rule}"),
        "aws:SourceAccount": account.place.account,
    }
    return Request(who, "sts:AssumeRole", account.role_arn(role), context)


def undelivered(account: Account, rule: str) -> Request:
    """Return the request that hands an event over to the queue."""
    reference = account.deployment.get("security", "DeadLetterQueue").reference
    queue = account.place.arn("sqs", reference.rpartition("/")[2])
    context = {"aws:SourceArn": account.place.arn("events", f"rule/{rule}")}
    return Request(EVENTS, "sqs:SendMessage", queue, context)


@pytest.fixture(scope="module")
def needed(scheduled: Account, name: str) -> list[Required]:
    """Return what the rules need."""
    found = []
    for role, rule in RULES.items():
        found.append(assuming(scheduled, role, f"{name}{rule}"))
        found.append(starting(scheduled, role, f"{name}{PIPELINES[role]}"))
    ends = (*RULES.values(), "-run-succeeded", "-churn-ok")
    found += [undelivered(scheduled, f"{name}{end}") for end in ends]
    return [Required(DERIVED, one, "schedule") for one in found]


def test_eventbridge_starts_each_pipeline(scheduled: Account, needed: list[Required]) -> None:
    assert refused(scheduled, needed) == []


@pytest.fixture(scope="module")
def attempts(scheduled: Account, name: str) -> dict[str, Request]:
    """Return what nobody may do because there are schedules, by what is wanted."""
    by_rule = assuming(scheduled, MAIN, f"{name}-run-schedule")
    elsewhere = "arn:aws:events:eu-west-1:999999999999:rule/x"
    pipeline = scheduled.place.arn("sagemaker", f"pipeline/{name}")
    run = f"{pipeline}/execution/abcdefghijkl"
    passing = {"iam:PassedToService": EVENTS}
    passed = {
        f"{who} passes {role}": Request(who, "iam:PassRole", scheduled.role_arn(role), passing)
        for who in scheduled.roles
        for role in RULES
    }
    return passed | {
        "the schedule of main starts churn": starting(scheduled, MAIN, f"{name}-churn"),
        "the schedule of churn starts main": starting(scheduled, CHURN, name),
        "a schedule starts predictions": starting(scheduled, MAIN, f"{name}-predict"),
        "a schedule starts another deployment's pipeline": starting(
            scheduled, MAIN, "tabular-0123456789ab"
        ),
        "a schedule changes its pipeline": Request(MAIN, "sagemaker:UpdatePipeline", pipeline),
        "a schedule stops a run": Request(MAIN, "sagemaker:StopPipelineExecution", run),
        "another pipeline's rule uses the role": assuming(scheduled, MAIN, f"{name}-churn-due"),
        "the rule for failures uses the role": assuming(scheduled, MAIN, f"{name}-run-failed"),
        "another account's rule uses the role": by_rule.but(
            context={"aws:SourceArn": elsewhere, "aws:SourceAccount": "999999999999"}
        ),
        "another account is said to own the rule": by_rule.but(
            context={"aws:SourceAccount": "999999999999"}
        ),
        "SageMaker uses the role": by_rule.but(who="sagemaker.amazonaws.com"),
        "EventBridge Scheduler uses the role": by_rule.but(who="scheduler.amazonaws.com"),
        "a person uses the role": by_rule.but(who="StudioRole"),
        "another rule fills the queue": undelivered(scheduled, f"{name}-other"),
        "another deployment's rule fills the queue": undelivered(
            scheduled, "tabular-0123456789ab-run-schedule"
        ),
    }


def test_every_attack_is_refused(scheduled: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(scheduled, attempts) == []


def test_every_attack_would_succeed_without_policies(
    scheduled: Account, attempts: dict[str, Request]
) -> None:
    assumed = {wants: one for wants, one in attempts.items() if one.action != "sts:AssumeRole"}
    assert impossible(scheduled, assumed) == []


def deployers(settings: Settings) -> list[Json]:
    """Return the policies of who deploys these settings."""
    templates = [emit.as_dict(one) for one in root.build(settings, Mode.DEV).values()]
    texts = deployer.policies(settings, templates)
    return [json.loads(text) for path, text in texts.items() if deployer.NAME in path]


def test_only_with_a_schedule_the_deployer_passes_a_role_to_eventbridge(scheduled: Account) -> None:
    role = f"arn:aws:iam::{scheduled.place.account}:role/tabular-PipelineStack-1-ScheduleRole-1"
    for settings, allowed in ((CHOSEN, True), (Settings(), False)):
        for service, may in ((EVENTS, allowed), ("scheduler.amazonaws.com", False)):
            policies = tuple(deployers(settings))
            context = {"iam:PassedToService": service}
            request = Request(DEPLOYER, "iam:PassRole", role, context, extra=policies)
            (verdict,) = scheduled.ask([request])
            assert verdict.allowed is may
