"""What is deployed into an existing VPC: nothing of its owner's, but for what the settings name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.settings_pipelines import Engine
from tests.existing_vpc import (
    EXISTING,
    EXISTING_WITH_OURS,
    GROUP,
    RANGE,
    ROUTE_TABLE,
    S3_ENDPOINT,
    STS,
    SUBNETS,
    VPC,
    settings,
)

OF_THE_OWNER = {
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::RouteTable", "AWS::EC2::Route"),
    *("AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::FlowLog", "AWS::EC2::NetworkAcl"),
}


@pytest.fixture(scope="module")
def alone() -> ResolvedDeployment:
    return resolve(settings())


@pytest.fixture(scope="module")
def with_ours() -> ResolvedDeployment:
    return resolve(settings(EXISTING_WITH_OURS))


def rules(deployment: ResolvedDeployment, direction: str, group: str) -> list[Mapping[str, Any]]:
    found = deployment.of_type(f"AWS::EC2::SecurityGroup{direction}")
    return [one.properties for one in found if one.properties["GroupId"] == group]


def test_by_default_only_security_groups_are_made(alone: ResolvedDeployment) -> None:
    made = {one.type for one in alone if one.type.startswith("AWS::EC2::")}
    rules_too = {"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"}
    assert made == {"AWS::EC2::SecurityGroup", *rules_too}
    assert rules(alone, "Ingress", GROUP) == rules(alone, "Egress", GROUP) == []
    groups = alone.of_type("AWS::EC2::SecurityGroup")
    assert {group.properties["VpcId"] for group in groups} == {VPC}
    assert all(group.properties["Tags"][0]["Key"] == "Name" for group in groups)


def test_their_default_security_group_stays_as_it_is(alone: ResolvedDeployment) -> None:
    (baseline,) = alone.of_type("Custom::VpcBaseline")
    assert "VpcId" not in baseline.properties
    assert "ec2:Revoke" not in json.dumps([one.properties for one in alone])


def test_no_flow_log_means_no_role_for_one(alone: ResolvedDeployment) -> None:
    assert "vpc-flow-logs" not in json.dumps([one.properties for one in alone])


def test_the_data_is_reached_through_their_s3_endpoint(alone: ResolvedDeployment) -> None:
    policies = [one.properties for one in alone.of_type("AWS::S3::BucketPolicy")]
    assert S3_ENDPOINT in json.dumps(policies)


def test_studio_jobs_and_functions_are_in_their_subnets(alone: ResolvedDeployment) -> None:
    (domain,) = alone.of_type("AWS::SageMaker::Domain")
    assert (domain.properties["VpcId"], domain.properties["SubnetIds"]) == (VPC, [*SUBNETS])
    functions = [one.properties for one in alone.of_type("AWS::Lambda::Function")]
    inside = [one["VpcConfig"]["SubnetIds"] for one in functions if "VpcConfig" in one]
    assert inside == [[*SUBNETS]] * 4
    (guard,) = [
        one for one in alone.of_type("AWS::IAM::ManagedPolicy") if "StayInside" in one.logical_id
    ]
    assert all(subnet in json.dumps(guard.properties) for subnet in SUBNETS)


def test_clients_reach_their_endpoints_and_s3_and_nothing_else(alone: ResolvedDeployment) -> None:
    for group in alone.of_type("AWS::EC2::SecurityGroup"):
        out = rules(alone, "Egress", group.reference)
        reached = {one.get("DestinationSecurityGroupId") for one in out}
        assert reached - {group.reference} == {GROUP, None}, group
        assert [bool(one.get("DestinationPrefixListId")) for one in out].count(True) == 1, group


def test_what_the_settings_name_is_made(with_ours: ResolvedDeployment) -> None:
    made = {one.type for one in with_ours}
    assert not made & OF_THE_OWNER
    endpoints = {
        one.logical_id: one.properties for one in with_ours.of_type("AWS::EC2::VPCEndpoint")
    }
    assert set(endpoints) == {"S3Endpoint", "StsEndpoint", "SagemakerStudioEndpoint"}
    assert endpoints["S3Endpoint"]["RouteTableIds"] == [ROUTE_TABLE]
    assert endpoints["StsEndpoint"]["SubnetIds"] == [*SUBNETS]
    assert len(rules(with_ours, "Ingress", GROUP)) == 3


def test_a_created_endpoint_is_open_to_other_workloads_unless_the_settings_say_otherwise(
    with_ours: ResolvedDeployment,
) -> None:
    policed = {
        one.logical_id
        for one in with_ours.of_type("AWS::EC2::VPCEndpoint")
        if "PolicyDocument" in one.properties
    }
    assert policed == {"S3Endpoint", "SagemakerStudioEndpoint"}
    (sts,) = resolve(settings(EXISTING | STS)).of_type("AWS::EC2::VPCEndpoint")
    assert "PolicyDocument" not in sts.properties


def test_others_in_the_vpc_reach_a_created_endpoint(with_ours: ResolvedDeployment) -> None:
    (group,) = {
        group
        for one in with_ours.of_type("AWS::EC2::VPCEndpoint")
        for group in one.properties.get("SecurityGroupIds", [])
    }
    found = rules(with_ours, "Ingress", group)
    assert [one["CidrIp"] for one in found if "CidrIp" in one] == [RANGE]
    assert {(one["FromPort"], one["ToPort"]) for one in found} == {(443, 443)}


def test_created_endpoints_are_in_as_many_subnets_as_the_settings_say() -> None:
    network = EXISTING | STS | {"endpoint_zones": 1}
    (sts,) = resolve(settings(network)).of_type("AWS::EC2::VPCEndpoint")
    assert sts.properties["SubnetIds"] == [SUBNETS[0]]


def test_a_cluster_reaches_their_endpoints_too() -> None:
    spark = resolve(settings(pipeline={"preprocess_engine": Engine.SPARK}), Mode.PROD)
    (group,) = [
        one
        for one in spark.of_type("AWS::EC2::SecurityGroup")
        if one.logical_id == "SparkSecurityGroup"
    ]
    assert GROUP in {
        one.get("DestinationSecurityGroupId") for one in rules(spark, "Egress", group.reference)
    }


def test_no_zones_are_asked_for(alone: ResolvedDeployment) -> None:
    asked = alone.parameters["root"]
    assert not [name for name in asked if name.startswith("AvailabilityZone")]
    assert "AvailabilityZone1" in resolve(Settings()).parameters["root"]
