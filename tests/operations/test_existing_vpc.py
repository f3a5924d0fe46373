"""The checks of an existing VPC: what it lacks, and what the stack would change for others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from generator import emit
from generator.cfn.parameters import definitions
from generator.files import REPOSITORY
from generator.record import METADATA, metadata
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline.types import Json
from tabular_ml_vpc.operations import checks_network, checks_quotas, parameters
from tabular_ml_vpc.operations.checks_existing_vpc import existing_vpc, moved
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import Target
from tests.existing_vpc import (
    EXISTING,
    GROUP,
    RANGE,
    ROUTE_TABLE,
    S3_ENDPOINT,
    STS,
    SUBNETS,
    VPC,
    settings,
)
from tests.operations import canned

SERVICES = ("sagemaker.api", "sagemaker.runtime", "cloudformation", "ecr.api", "ecr.dkr", "logs")
OPEN: Json = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
ALLOW = {"Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "RuleNumber": 100}
DENY = ALLOW | {"RuleAction": "deny", "RuleNumber": 32767}
CREATES_S3 = {
    **{name: value for name, value in EXISTING.items() if name != "s3_endpoint"},
    "create_endpoints": ["s3"],
    "route_tables": [ROUTE_TABLE],
}


def endpoint(service: str, **more: Any) -> Json:
    name = f"com.amazonaws.eu-west-1.{service}"
    if service == "sagemaker.studio":
        name = "aws.sagemaker.eu-west-1.studio"
    return {
        "VpcEndpointId": f"vpce-{service}",
        "VpcId": VPC,
        "VpcEndpointType": "Interface",
        "ServiceName": name,
        "PrivateDnsEnabled": True,
        "Groups": [{"GroupId": GROUP}],
        "PolicyDocument": json.dumps(OPEN),
        **more,
    }


@cache
def _usual() -> str:
    subnets = [
        {"SubnetId": name, "VpcId": VPC, "AvailabilityZone": zone, "CidrBlock": cidr}
        | {"AvailableIpAddressCount": 200}
        for name, zone, cidr in zip(
            SUBNETS, ("eu-west-1a", "eu-west-1b"), ("10.0.0.0/24", "10.0.1.0/24"), strict=True
        )
    ]
    table = {
        "RouteTableId": ROUTE_TABLE,
        "VpcId": VPC,
        "Associations": [{"SubnetId": name} for name in SUBNETS],
        "Routes": [{"GatewayId": "local"}, {"GatewayId": S3_ENDPOINT}],
    }
    gateway: Json = {"VpcEndpointId": S3_ENDPOINT, "VpcEndpointType": "Gateway"}
    gateway |= {"RouteTableIds": [ROUTE_TABLE], "PrivateDnsEnabled": False, "Groups": []}
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": RANGE}]}
    acl = {"NetworkAclId": "acl-1", "VpcId": VPC, "IsDefault": True}
    acl["Entries"] = [one | {"Egress": way} for one in (ALLOW, DENY) for way in (True, False)]
    world = {
        "Vpcs": [{"VpcId": VPC, "CidrBlock": RANGE, "OwnerId": "123456789012"}],
        "Subnets": subnets,
        "RouteTables": [table],
        "VpcEndpoints": [
            endpoint("s3", **gateway),
            *(endpoint(name) for name in (*SERVICES, "sagemaker.studio", "sts")),
        ],
        "SecurityGroups": [{"GroupId": GROUP, "VpcId": VPC, "IpPermissions": [rule]}],
        "NetworkAcls": [acl],
        "PrefixLists": [
            {"PrefixListName": "com.amazonaws.eu-west-1.s3", "Cidrs": ["52.218.0.0/17"]}
        ],
        "Dns": True,
    }
    return json.dumps(world)


def usual() -> Json:
    """Return a VPC that has everything, by member of EC2's answers."""
    return json.loads(_usual())  # type: ignore[no-any-return]


@cache
def _templates(network: str) -> Json:
    made = build(settings(json.loads(network)), Mode.DEV)
    return {name: emit.as_dict(stack) for name, stack in made.items()}


def context(
    world: Json, network: Mapping[str, Any] = EXISTING, **more: canned.Answer
) -> CheckContext:
    def attribute(body: Mapping[str, Any]) -> Json:
        name = str(body["Attribute"])
        return {f"{name[0].upper()}{name[1:]}": {"Value": world["Dns"]}}

    answers: dict[str, canned.Answer] = {
        f"ec2.Describe{member}": {member: world[member]} for member in world if member != "Dns"
    }
    answers |= {
        "ec2.DescribeVpcAttribute": attribute,
        "sts.GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::1:user/me"},
        "cloudformation.DescribeStacks": canned.refusal(
            "ValidationError", "Stack with id tabular-life does not exist"
        ),
    }
    stacks = _templates(json.dumps(network))
    defaults = parameters.effective(definitions(stacks["root"]), {}, {})
    session = canned.session(answers | more)
    return CheckContext(Target(session, "tabular-life"), stacks, defaults)


def found(
    world: Json, network: Mapping[str, Any] = EXISTING, *verdicts: Verdict
) -> list[CheckFinding]:
    wanted = verdicts or (Verdict.PROBLEM,)
    return [one for one in existing_vpc(context(world, network)) if one.verdict in wanted]


def test_a_vpc_with_everything_has_no_problem_and_no_warning() -> None:
    assert found(usual(), EXISTING, Verdict.PROBLEM, Verdict.WARNING, Verdict.UNKNOWN) == []


def test_without_an_existing_vpc_nothing_is_looked_up() -> None:
    stacks = {name: emit.as_dict(one) for name, one in build(settings({}), Mode.DEV).items()}
    assert list(existing_vpc(CheckContext(Target(canned.session({}), "x"), stacks, {}))) == []


def break_zone(world: Json) -> None:
    world["Subnets"][1]["AvailabilityZone"] = "eu-west-1a"


def break_acl(world: Json) -> None:
    world["NetworkAcls"][0]["Entries"] = [
        ALLOW | {"Egress": True, "Protocol": "6", "PortRange": {"From": 443, "To": 443}},
        ALLOW | {"Egress": False, "Protocol": "6", "PortRange": {"From": 32768, "To": 65535}},
    ]


def without_endpoint(service: str) -> Any:
    def change(world: Json) -> None:
        world["VpcEndpoints"] = [
            one for one in world["VpcEndpoints"] if not one["ServiceName"].endswith(f".{service}")
        ]

    return change


def with_endpoint(service: str, **changes: Any) -> Any:
    def change(world: Json) -> None:
        for one in world["VpcEndpoints"]:
            if one["ServiceName"].endswith(f".{service}"):
                one.update(changes)

    return change


PROBLEMS: dict[str, tuple[Any, str, str]] = {
    "no such VPC": (lambda w: w.update(Vpcs=[]), f"{VPC} does not exist", "describe-vpcs"),
    "DNS is off": (
        lambda w: w.update(Dns=False),
        "enableDnsSupport switched off",
        "modify-vpc-attribute",
    ),
    "a subnet of another VPC": (
        lambda w: w["Subnets"].pop(),
        f"{SUBNETS[1]} is not a subnet of {VPC}",
        "describe-subnets",
    ),
    "one zone": (break_zone, "are in eu-west-1a", "network.subnets"),
    "an S3 endpoint that is not there": (
        without_endpoint("s3"),
        f"{S3_ENDPOINT} is not an endpoint",
        "describe-vpc-endpoints",
    ),
    "an S3 endpoint of the wrong kind": (
        with_endpoint("s3", VpcEndpointType="Interface"),
        "not the S3 gateway endpoint",
        "",
    ),
    "a table without a route to S3": (
        with_endpoint("s3", RouteTableIds=["rtb-other"]),
        f"no route in {ROUTE_TABLE}",
        f"--add-route-table-ids {ROUTE_TABLE}",
    ),
    "no endpoint for SageMaker": (
        without_endpoint("sagemaker.api"),
        "no endpoint for com.amazonaws.eu-west-1.sagemaker.api",
        "network.create_endpoints",
    ),
    "no endpoint for the functions": (
        without_endpoint("cloudformation"),
        "no endpoint for com.amazonaws.eu-west-1.cloudformation",
        "--set FunctionsInTheVpc=no",
    ),
    "no private name": (
        with_endpoint("sagemaker.runtime", PrivateDnsEnabled=False),
        "has no private DNS name",
        "--private-dns-enabled",
    ),
    "another security group": (
        with_endpoint("sagemaker.api", Groups=[{"GroupId": "sg-other"}]),
        "has sg-other, not in endpoint_security_groups",
        "network.endpoint_security_groups",
    ),
    "a closed security group": (
        lambda w: w["SecurityGroups"][0].update(IpPermissions=[]),
        f"{GROUP} does not allow HTTPS from 10.0.0.0/24, 10.0.1.0/24",
        f"authorize-security-group-ingress --group-id {GROUP}",
    ),
    "an ACL without answers": (
        break_acl,
        "acl-1 of subnet-0a1b2c3d4e5f60718 blocks answers",
        "describe-network-acls",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_would_fail_is_a_problem_with_the_command_that_helps(name: str) -> None:
    change, what, command = PROBLEMS[name]
    world = usual()
    change(world)
    problems = found(world)
    assert any(what in one.what and command in one.command for one in problems), problems


def test_the_endpoint_for_functions_is_not_needed_if_they_are_outside() -> None:
    world = usual()
    without_endpoint("cloudformation")(world)
    asked = context(world)
    outside = CheckContext(
        asked.target, asked.templates, {**asked.values, "FunctionsInTheVpc": "no"}
    )
    assert [one for one in existing_vpc(outside) if one.verdict is Verdict.PROBLEM] == []


@pytest.mark.parametrize(("inside", "missing"), [("yes", 1), ("no", 0)])
def test_functions_that_scale_endpoints_need_theirs_in_the_vpc(inside: str, missing: int) -> None:
    chosen = {
        "network": EXISTING,
        "pipeline": {"deploy": "on-approval"},
        "serving": {"maximum_instances": 3, "target_invocations": 60},
    }
    made = build(Settings.model_validate(chosen), Mode.DEV)
    usually = context(usual())
    asked = CheckContext(
        usually.target,
        {name: emit.as_dict(stack) for name, stack in made.items()},
        {**usually.values, "FunctionsInTheVpc": inside},
    )
    problems = [one for one in existing_vpc(asked) if one.verdict is Verdict.PROBLEM]
    assert len(problems) == missing
    for problem in problems:
        assert "no endpoint for com.amazonaws.eu-west-1.application-autoscaling" in problem.what
        assert "add application-autoscaling to network.create_endpoints" in problem.command


def test_zones_without_the_service_of_an_endpoint_to_create_are_a_problem() -> None:
    services = {
        "ServiceDetails": [
            {"ServiceName": "com.amazonaws.eu-west-1.sts", "AvailabilityZones": ["eu-west-1a"]}
        ]
    }
    answers: dict[str, canned.Answer] = {"ec2.DescribeVpcEndpointServices": services}
    (problem,) = checks_network.zones(context(usual(), EXISTING | STS, **answers))
    assert problem.what == "not offered: com.amazonaws.eu-west-1.sts in eu-west-1b"
    assert "order network.subnets" in problem.command


def test_a_rule_that_the_stack_adds_is_enough() -> None:
    world = usual()
    world["SecurityGroups"][0]["IpPermissions"] = []
    assert found(world, EXISTING | {"add_endpoint_rules": True}) == []


def test_a_shared_vpc_may_hide_its_owner_s_endpoints() -> None:
    world = usual()
    world["Vpcs"][0]["OwnerId"] = "999999999999"
    world["VpcEndpoints"] = []
    assert found(world) == []
    unknown = found(world, EXISTING, Verdict.UNKNOWN)
    assert f"{S3_ENDPOINT} is not an endpoint of {VPC}" in [one.what for one in unknown]


def test_a_route_to_the_internet_is_reported_with_what_is_true_then() -> None:
    world = usual()
    world["RouteTables"][0]["Routes"].append({"NatGatewayId": "nat-1"})
    (warning,) = found(world, EXISTING, Verdict.WARNING)
    assert f"{ROUTE_TABLE} of {', '.join(SUBNETS)} has routes to nat-1" in warning.what
    assert "no property of the network" in warning.why


def test_a_policy_of_their_own_is_pointed_out() -> None:
    world = usual()
    policy: Json = deepcopy(OPEN)
    policy["Statement"][0] |= {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}
    with_endpoint("s3", PolicyDocument=json.dumps(policy))(world)
    (warning,) = found(world, EXISTING, Verdict.WARNING)
    assert "has a policy of its own" in warning.what


OURS_ONLY = {"Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]}
OTHERS_ONLY = {"Action": "s3:*", "Resource": ["arn:aws:s3:::team-data", "arn:aws:s3:::team-data/*"]}


@pytest.mark.parametrize(
    ("service", "changes", "lacking"),
    [
        ("s3", OURS_ONLY, []),
        ("s3", OTHERS_ONLY, ["s3:GetObject on arn:aws:s3:::tabular-life-storagestack-*/*"]),
        (
            "s3",
            {"Action": "s3:*", "Resource": "arn:aws:s3:::tabular-*"},
            ["s3:PutObject on arn:aws:s3:::cloudformation-custom-resource-response-euwest1/*"],
        ),
        ("sagemaker.runtime", {"Action": "sagemaker:InvokeEndpointAsync"}, ["InvokeEndpoint on *"]),
    ],
)
def test_a_policy_that_certainly_stops_our_roles_is_a_problem(
    service: str, changes: Json, lacking: list[str]
) -> None:
    world = usual()
    policy = {"Statement": OPEN["Statement"][0] | changes}
    with_endpoint(service, PolicyDocument=json.dumps(policy))(world)
    problems = [one.what for one in found(world)]
    assert len(problems) == bool(lacking), problems
    assert all(one in problems[0] for one in lacking)


def test_an_endpoint_to_create_says_whom_it_affects() -> None:
    world = usual()
    without_endpoint("sts")(world)
    (warning,) = found(world, EXISTING | STS, Verdict.WARNING)
    assert "an endpoint for com.amazonaws.eu-west-1.sts will be created" in warning.what
    assert "all of the VPC's traffic to that service" in warning.why
    assert f"lets in {RANGE}; its policy allows everything" in warning.why
    page = (REPOSITORY / "docs/own-vpc.md").read_text(encoding="utf-8")
    assert f"endpoints: {warning.what}\n         {warning.why}\n" in page


def test_clients_that_would_lose_a_service_are_named() -> None:
    world = usual()
    without_endpoint("sts")(world)
    world["Vpcs"][0]["CidrBlockAssociationSet"] = [
        {"CidrBlock": RANGE},
        {"CidrBlock": "10.9.0.0/16"},
    ]
    warnings = [one.what for one in found(world, EXISTING | STS, Verdict.WARNING)]
    assert f"clients in 10.9.0.0/16 of {VPC} would lose com.amazonaws.eu-west-1.sts" in warnings


def test_a_second_endpoint_with_the_same_name_is_a_problem() -> None:
    (problem,) = found(usual(), EXISTING | STS)
    assert "vpce-sts has the private name of com.amazonaws.eu-west-1.sts" in problem.what


def test_a_gateway_to_create_says_which_subnets_it_affects() -> None:
    world = usual()
    without_endpoint("s3")(world)
    world["RouteTables"][0]["Associations"] += [{"SubnetId": "subnet-theirs"}, {"Main": True}]
    (warning,) = found(world, CREATES_S3, Verdict.WARNING)
    assert f"with a route in {ROUTE_TABLE}" in warning.what
    assert "all S3 traffic of" in warning.why
    assert "subnet-theirs, every subnet without a table of its own" in warning.why


def test_a_second_route_to_s3_is_a_problem() -> None:
    (problem,) = found(usual(), CREATES_S3)
    assert problem.what == f"{ROUTE_TABLE} has a route to S3 already, through {S3_ENDPOINT}"
    assert f"set network.s3_endpoint to {S3_ENDPOINT}" in problem.command


def test_a_table_that_is_left_out_is_a_problem() -> None:
    world = usual()
    without_endpoint("s3")(world)
    problems = [one.what for one in found(world, CREATES_S3 | {"route_tables": ["rtb-00000000"]})]
    assert f"rtb-00000000 is not a route table of {VPC}" in problems
    assert any(f"route_tables lacks {ROUTE_TABLE}" in one for one in problems)


def test_the_other_checks_ask_nothing_about_a_vpc_that_is_not_created() -> None:
    zones = {"route-53.ListHostedZonesByVPC": {"HostedZoneSummaries": [], "MaxItems": "100"}}
    asked = context(usual(), EXISTING, **zones)
    assert list(checks_network.zones(asked)) == []
    assert list(checks_network.private_names(asked)) == []

    def get(_body: object) -> Json:
        return {"Quota": {"QuotaCode": "L-1", "Value": 50.0}}

    answer: dict[str, canned.Answer] = {"service-quotas.GetServiceQuota": get}
    quotas = checks_quotas.vpcs(context(usual(), EXISTING, **answer))
    assert [one.what for one in quotas if "VPCs" in one.what] == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, EXISTING, f"got '{VPC}', but the stack is in a VPC of its own"),
        (EXISTING, {}, f"got '', but the stack is in {VPC}"),
        (EXISTING, EXISTING | {"vpc": "vpc-0a1b2c3d"}, "got 'vpc-0a1b2c3d'"),
        (EXISTING, EXISTING | STS, ""),
        ({}, {"zones": 3}, ""),
    ],
)
def test_a_deployed_stack_does_not_move_into_another_vpc(
    before: Json, after: Json, words: str
) -> None:
    deployed, planned = (
        {"Metadata": {METADATA: metadata(settings(one))}} for one in (before, after)
    )
    reason = moved(deployed, planned)
    assert words in reason
    assert bool(reason) is bool(words)
