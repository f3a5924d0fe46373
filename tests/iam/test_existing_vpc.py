"""What a person who deploys into an existing VPC may do in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator import emit
from generator.policies import deployer
from generator.settings import Mode
from generator.stacks.root import build
from pipeline.types import Json
from tests.existing_vpc import EXISTING, EXISTING_WITH_OURS, GROUP, ROUTE_TABLE, VPC, settings
from tests.iam.test_deployer import TAG, A, ask

EC2 = f"arn:aws:ec2:eu-west-1:{A}"
ADD_RULE = ("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/{GROUP}")


def policies(network: dict[str, Any]) -> list[Json]:
    """Return the deployer's own policies for a network."""
    chosen = settings(network)
    templates = [emit.as_dict(one) for one in build(chosen, Mode.DEV).values()]
    texts = deployer.policies(chosen, templates)
    return [json.loads(text) for path, text in texts.items() if deployer.NAME in path]


@pytest.fixture(scope="module")
def usual() -> list[Json]:
    return policies(EXISTING)


@pytest.fixture(scope="module")
def with_ours() -> list[Json]:
    return policies(EXISTING_WITH_OURS)


def test_nobody_may_create_networks_who_need_not(usual: list[Json]) -> None:
    allowed = {
        action
        for policy in usual
        for statement in policy["Statement"]
        for action in statement["Action"]
    }
    created = {name for name in allowed if name.startswith("ec2:Create")}
    assert created == {"ec2:CreateSecurityGroup", "ec2:CreateTags"}
    assert not {name for name in allowed if "FlowLogs" in name or "RouteTable" in name} - {
        "ec2:DescribeRouteTables"
    }


@pytest.mark.parametrize(("vpc", "allowed"), [(VPC, True), ("vpc-0a1b2c3d4e5f60719", False)])
def test_security_groups_are_created_in_that_vpc_only(
    usual: list[Json], vpc: str, allowed: bool
) -> None:
    assert ask(usual, "ec2:CreateSecurityGroup", f"{EC2}:vpc/{vpc}") is allowed


def test_their_groups_get_rules_only_if_the_settings_say_so(
    usual: list[Json], with_ours: list[Json]
) -> None:
    assert not ask(usual, *ADD_RULE)
    assert ask(with_ours, *ADD_RULE)
    assert not ask(with_ours, ADD_RULE[0], f"{EC2}:security-group/sg-00000000")
    assert ask(usual, ADD_RULE[0], f"{EC2}:security-group/sg-1", **{TAG: "tabular"})


def test_our_endpoint_may_be_changed_in_their_table(with_ours: list[Json]) -> None:
    assert ask(with_ours, "ec2:ModifyVpcEndpoint", f"{EC2}:route-table/{ROUTE_TABLE}")
    assert not ask(with_ours, "ec2:ModifyVpcEndpoint", f"{EC2}:vpc-endpoint/vpce-theirs")
    assert not ask(with_ours, "ec2:CreateVpcEndpoint", f"{EC2}:route-table/rtb-00000000")
