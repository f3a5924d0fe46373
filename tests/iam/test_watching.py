"""Dashboards: whoever deploys makes them, an operator looks at them, nobody else does either."""

from __future__ import annotations

import json

import pytest

from generator import emit
from generator.policies import deployer, operator
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.test_deployer import resource_types

CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "watching": {"dashboard": True, "idle_hours": 24, "latency_milliseconds": 500},
    }
)
PERSON = "arn:aws:iam::123456789012:user/person"
MAKES = ("PutDashboard", "GetDashboard", "DeleteDashboards")
TAGS = ("ListTagsForResource", "TagResource", "UntagResource")
OTHER = "another-deployments-dashboard"


@pytest.fixture(scope="module")
def watched() -> Account:
    """Return a deployment with two dashboards."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def dashboards(watched: Account) -> list[str]:
    """Return the dashboards' ARNs, which have no region."""
    found = watched.deployment.of_type("AWS::CloudWatch::Dashboard")
    return [arn(watched, one.reference) for one in found]


def arn(account: Account, name: str) -> str:
    """Return a dashboard's ARN."""
    place = account.place
    return f"arn:{place.partition}:cloudwatch::{place.account}:dashboard/{name}"


def of_deployer(settings: Settings) -> tuple[Json, ...]:
    """Return the policies of who deploys these settings."""
    templates = [emit.as_dict(one) for one in root.build(settings, Mode.DEV).values()]
    texts = deployer.policies(settings, templates)
    return tuple(json.loads(text) for path, text in texts.items() if deployer.NAME in path)


def allowed(account: Account, policies: tuple[Json, ...], requests: dict[str, str]) -> set[str]:
    """Return the actions of CloudWatch that a person with these policies can call."""
    made = [
        Request(PERSON, f"cloudwatch:{action}", resource, extra=policies)
        for action, resource in requests.items()
    ]
    verdicts = account.ask(made)
    assert [one for one in verdicts if one.error or one.ignored] == []
    return {action for action, verdict in zip(requests, verdicts, strict=True) if verdict.allowed}


def test_whoever_deploys_makes_and_tags_the_dashboards(
    watched: Account, dashboards: list[str]
) -> None:
    assert len(dashboards) == 2
    policies = of_deployer(CHOSEN)
    for one in dashboards:
        on_it = dict.fromkeys((*MAKES, *TAGS), one)
        assert allowed(watched, policies, on_it) == set(on_it)
        assert allowed(watched, policies, {"ListDashboards": "*"}) == {"ListDashboards"}


def test_whoever_deploys_tags_alarms_as_without_dashboards(watched: Account) -> None:
    alarm = watched.place.arn("cloudwatch", "alarm:tabular-PipelineStack-1-DeadLetterAlarm-1")
    requests = dict.fromkeys((*TAGS, "PutMetricAlarm", "DeleteAlarms"), alarm)
    for settings in (CHOSEN, Settings()):
        assert allowed(watched, of_deployer(settings), requests) == set(requests)


def test_whoever_deploys_does_not_touch_other_dashboards(watched: Account) -> None:
    requests = dict.fromkeys((*MAKES, *TAGS), arn(watched, OTHER))
    assert allowed(watched, of_deployer(CHOSEN), requests) == set()


def test_without_dashboards_whoever_deploys_has_no_rights_on_any(
    watched: Account, dashboards: list[str]
) -> None:
    requests = dict.fromkeys((*MAKES, *TAGS), dashboards[0]) | {"ListDashboards": "*"}
    assert allowed(watched, of_deployer(Settings()), requests) == set()


def test_the_deployers_policies_are_still_managed_policies() -> None:
    for policy in of_deployer(CHOSEN):
        assert size(policy) <= MANAGED_POLICY_CHARACTERS


def test_an_operator_looks_at_the_dashboards_and_changes_none(
    watched: Account, dashboards: list[str]
) -> None:
    policies = (operator.policy(CHOSEN),)
    assert size(policies[0]) <= MANAGED_POLICY_CHARACTERS
    page = dict.fromkeys(("ListDashboards", "GetMetricData", "DescribeAlarms"), "*")
    for one in dashboards:
        assert allowed(watched, policies, dict.fromkeys(MAKES, one)) == {"GetDashboard"}
    assert allowed(watched, policies, page) == set(page)
    assert allowed(watched, policies, {"GetDashboard": arn(watched, OTHER)}) == set()


def test_without_dashboards_an_operator_looks_at_nothing_of_cloudwatch(
    watched: Account, dashboards: list[str]
) -> None:
    page = dict.fromkeys(("ListDashboards", "GetMetricData", "DescribeAlarms"), "*")
    requests = page | {"GetDashboard": dashboards[0]}
    assert allowed(watched, (operator.policy(Settings()),), requests) == set()


def test_what_an_operator_calls_on_everything_takes_no_dashboard() -> None:
    for statement in operator.policy(CHOSEN)["Statement"]:
        if statement["Sid"] == "LookAtMetrics":
            for action in statement["Action"]:
                assert not any("dashboard" in one for one in resource_types(action)), action


@pytest.mark.parametrize("action", MAKES)
def test_no_role_of_the_stack_has_rights_on_dashboards(
    action: str, watched: Account, dashboards: list[str]
) -> None:
    requests = [
        Request(who, f"cloudwatch:{action}", one) for who in watched.roles for one in dashboards
    ]
    assert [one.allowed for one in watched.ask(requests)].count(True) == 0
