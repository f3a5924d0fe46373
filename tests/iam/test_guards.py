"""The Denies that keep jobs inside are about all actions that they can be about, and no other."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from generator.resolved import resolve
from generator.settings import PIPELINE_HOURS, Limits, Mode, Settings
from generator.stacks import root as root_stack
from tests.iam.account import Account
from tests.iam.derived import steps
from tests.iam.required import Required
from tests.iam.simulator import data

POLICY = "identity/JobsStayInsidePolicy"
SPENDING = "identity/SpendingLimitsPolicy"
STUDIO_ITSELF = ("CreateDomain", "UpdateDomain", "CreateUserProfile", "UpdateUserProfile")
"""Not jobs or models: the deployer makes Studio, with subnets and groups of its own."""

EXEMPT = {
    "sagemaker:VpcSubnets": {*STUDIO_ITSELF, "CreateEndpointConfig"},
    "sagemaker:VpcSecurityGroupIds": {*STUDIO_ITSELF, "CreateEndpointConfig"},
    "sagemaker:NetworkIsolation": {"CreateEndpointConfig"},
    "sagemaker:InterContainerTrafficEncryption": set(),
    "sagemaker:VolumeKmsKeyArn": {"CreateDomain"},
    "sagemaker:OutputKmsKeyArn": set(),
}
"""Actions that list a key and are not denied without it: our endpoint's configuration names no
subnets and no isolation, its model does."""


def actions_with(key: str) -> set[str]:
    """Return the actions of SageMaker that list a condition key."""
    actions = data("actions/sagemaker").values()
    return {
        action["name"]
        for action in actions
        if key in action["conditionKeys"]
        or any(key in resource["conditionKeys"] for resource in action["resourceTypes"])
    }


def statements_about(account: Account, key: str) -> list[dict[str, Any]]:
    return [
        statement
        for statement in account.documents[POLICY].policy["Statement"]
        if any(key in keys for keys in statement["Condition"].values())
    ]


def expand(patterns: list[str]) -> set[str]:
    """Return the actions that patterns such as `sagemaker:CreateAutoMLJob*` stand for."""
    names = [action["name"] for action in data("actions/sagemaker").values()]
    return {
        name
        for name in names
        for pattern in patterns
        if fnmatchcase(name, pattern.removeprefix("sagemaker:"))
    }


@pytest.mark.parametrize("key", EXEMPT)
def test_a_deny_is_about_actions_that_send_its_key(account: Account, key: str) -> None:
    statements = statements_about(account, key)
    assert statements
    for statement in statements:
        assert expand(statement["Action"]) - actions_with(key) == set(), statement["Sid"]


@pytest.mark.parametrize("key", EXEMPT)
def test_no_kind_of_job_is_forgotten(account: Account, key: str) -> None:
    for statement in statements_about(account, key):
        forgotten = actions_with(key) - expand(statement["Action"])
        assert forgotten - EXEMPT[key] == set(), statement["Sid"]


@pytest.mark.parametrize("key", ["sagemaker:InstanceTypes", "sagemaker:MaxRuntimeInSeconds"])
def test_spending_is_bounded_wherever_its_key_is_sent(account: Account, key: str) -> None:
    statements = [
        statement
        for statement in account.documents[SPENDING].policy["Statement"]
        if any(key in keys for keys in statement["Condition"].values())
    ]
    for statement in statements:
        assert expand(statement["Action"]) <= actions_with(key), statement["Sid"]
    bounded = {
        action
        for statement in statements
        if "Null" not in statement["Condition"]
        for action in expand(statement["Action"])
    }
    assert bounded == actions_with(key) - set(STUDIO_ITSELF)


def test_the_settings_say_which_instance_types_pass(calls: list[Required]) -> None:
    """One list makes the parameters' patterns and the Denies."""
    settings = Settings(limits=Limits(job_instance_types=("ml.m5.xlarge", "ml.g5.xlarge")))
    account = Account.of(resolve(settings))
    request = next(
        call.request
        for call in calls
        if call.request.who == "StudioRole" and "CreateTrainingJob" in call.request.action
    )
    typed = [
        request.but(context={"sagemaker:InstanceTypes": [name]})
        for name in ("ml.m5.xlarge", "ml.g5.xlarge", "ml.m5.large")
    ]
    assert [verdict.allowed for verdict in account.ask(typed)] == [True, True, False]
    root = root_stack.build(settings, Mode.DEV)["root"].to_dict()["Parameters"]
    assert root["TrainingInstanceType"]["AllowedPattern"] == r"^ml\.(m5\.xlarge)$"
    assert root["TrainingInstanceType"]["Default"] == "ml.m5.xlarge"


@pytest.mark.parametrize("name", ["VolumeKmsKey", "OutputKmsKey"])
def test_both_names_of_a_key_stand_in_one_block(account: Account, name: str) -> None:
    names = {f"sagemaker:{name}", f"sagemaker:{name}Arn"}
    (statement,) = statements_about(account, f"sagemaker:{name}")
    assert list(statement["Condition"]) == ["StringNotEquals"]
    assert statement["Condition"]["StringNotEquals"].keys() == names


def test_the_denies_are_in_force_before_the_roles_may_do_anything(account: Account) -> None:
    """The rights come in stacks that wait for outputs of the network's."""
    managed = account.deployment.of_type("AWS::IAM::ManagedPolicy")
    guards = [one for one in managed if f"identity/{one.logical_id}" in (POLICY, SPENDING)]
    assert [one.stack for one in guards] == ["network", "network"]
    roles = account.documents[POLICY].roles
    assert account.documents[SPENDING].roles == roles
    others = [one for one in managed if one not in guards]
    for one in others:
        assert not set(account.documents[f"identity/{one.logical_id}"].roles) & set(roles), one
    assert set(roles) == {"PipelineRole", "StudioRole"}
    rights = {
        one.stack: one.logical_id
        for one in account.deployment.of_type("AWS::IAM::RolePolicy")
        if f"identity/{one.logical_id}" in account.documents
        and set(account.documents[f"identity/{one.logical_id}"].roles) & set(roles)
    }
    assert set(rights) == {"studio", "pipeline"}


def test_the_pipelines_own_jobs_fit_the_shortest_limit(account: Account) -> None:
    asked = [
        arguments["StoppingCondition"]["MaxRuntimeInSeconds"]
        for _, kind, arguments in steps(account)
        if kind in ("Processing", "Training")
    ]
    assert max(asked) == PIPELINE_HOURS * 3600
