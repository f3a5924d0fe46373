"""The VPC's default security group is closed; the S3 prefix list is found."""

from __future__ import annotations

import pytest

from functions.vpc_baseline.handler import handler
from tests.functions.fakes.ec2 import ANYWHERE, FakeEc2, Group
from tests.functions.world import World

PROPERTIES = {"VpcId": "vpc-1", "Service": "s3"}


@pytest.fixture
def ec2(world: World) -> FakeEc2:
    itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1"}]}
    ec2 = FakeEc2(
        Group("sg-1", "vpc-1", "default", inward=[itself]),
        Group("sg-2", "vpc-1", "studio", inward=[itself]),
        Group("sg-3", "vpc-2", "default", inward=[itself]),
    )
    world.backed_by(ec2=ec2)
    return ec2


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_default_group_of_the_vpc_loses_all_rules(
    world: World, ec2: FakeEc2, kind: str
) -> None:
    assert world.send(handler, kind, PROPERTIES).succeeded
    assert (ec2.groups["sg-1"].inward, ec2.groups["sg-1"].outward) == ([], [])


def test_other_groups_keep_their_rules(world: World, ec2: FakeEc2) -> None:
    world.send(handler, "Create", PROPERTIES)
    for name in ("sg-2", "sg-3"):
        assert len(ec2.groups[name].inward) == 1
        assert ec2.groups[name].outward == [ANYWHERE]


def test_the_prefix_list_is_returned(world: World, ec2: FakeEc2) -> None:
    assert ec2.prefix_lists["com.amazonaws.eu-west-1.s3"] == "pl-1"
    assert world.send(handler, "Create", PROPERTIES).data == {"S3PrefixListId": "pl-1"}


def test_the_same_event_closes_once(world: World, ec2: FakeEc2) -> None:
    first = world.send(handler, "Create", PROPERTIES)
    second = world.send(handler, "Create", PROPERTIES)
    assert first.body == second.body
    assert len(ec2.requested("RevokeSecurityGroupIngress")) == 1
    assert len(ec2.requested("RevokeSecurityGroupEgress")) == 1


def test_a_region_without_the_prefix_list_is_refused(world: World, ec2: FakeEc2) -> None:
    ec2.prefix_lists = {}
    put = world.send(handler, "Create", PROPERTIES)
    assert "com.amazonaws.eu-west-1.s3" in put.reason


@pytest.mark.usefixtures("ec2")
def test_a_vpc_that_does_not_exist_is_refused(world: World) -> None:
    put = world.send(handler, "Create", PROPERTIES | {"VpcId": "vpc-9"})
    assert put.reason == "Expected one default security group in VPC vpc-9, found 0."


def test_deletion_touches_nothing(world: World, ec2: FakeEc2) -> None:
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert ec2.requests == []


def test_a_delivery_beside_this_one_is_no_failure(world: World, ec2: FakeEc2) -> None:
    """Both read the rules; the other one is first to remove some of them."""
    group = ec2.groups["sg-1"]
    group.outward.append({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2})
    ec2.before["RevokeSecurityGroupIngress"] = [group.inward.clear]
    ec2.before["RevokeSecurityGroupEgress"] = [lambda: group.outward.remove(ANYWHERE)]
    assert world.send(handler, "Create", PROPERTIES).succeeded
    assert (group.inward, group.outward) == ([], [])
