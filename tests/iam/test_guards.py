"""The Denies that keep jobs inside are about all actions that they can be about, and no other."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.iam.account import Account
from tests.iam.simulator import data

POLICY = "identity/JobsStayInsidePolicy"
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


@pytest.mark.parametrize("name", ["VolumeKmsKey", "OutputKmsKey"])
def test_both_names_of_a_key_stand_in_one_block(account: Account, name: str) -> None:
    names = {f"sagemaker:{name}", f"sagemaker:{name}Arn"}
    (statement,) = statements_about(account, f"sagemaker:{name}")
    assert list(statement["Condition"]) == ["StringNotEquals"]
    assert statement["Condition"]["StringNotEquals"].keys() == names


def test_the_denies_are_in_force_before_the_roles_may_do_anything(account: Account) -> None:
    """The rights come in stacks that wait for outputs of the network's."""
    managed = account.deployment.of_type("AWS::IAM::ManagedPolicy")
    assert {one.stack for one in managed if f"identity/{one.logical_id}" == POLICY} == {"network"}
    roles = account.documents[POLICY].roles
    others = [one for one in managed if f"identity/{one.logical_id}" != POLICY]
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
