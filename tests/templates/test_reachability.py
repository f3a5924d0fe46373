"""Whether the functions in the VPC reach what they call; no emulator checks that.

For every API that a function calls there must be an endpoint in the VPC, the endpoint's policy
must let the call through, and the security groups the packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from generator.resolved import resolve
from generator.settings import Mode, Settings

BY_LAMBDA_ITSELF = {"logs", "xray", "sqs", "kms", "ec2", "iam"}
"""Used by Lambda and S3 on the function's behalf, from outside the VPC, or no API at all."""
ENDPOINT = {"sagemaker": "sagemaker.api", "cloudformation": "cloudformation", "s3": "s3"}
"""The endpoint service of each API that functions call ("AWS services that integrate with AWS
PrivateLink", VPC user guide)."""
HTTPS = 443

Statement = dict[str, Any]


@pytest.fixture(scope="module")
def inside() -> ResolvedDeployment:
    return resolve(parameters={"FunctionsInTheVpc": "yes"})


def functions_in_the_vpc(deployment: ResolvedDeployment) -> list[ResolvedResource]:
    functions = deployment.of_type("AWS::Lambda::Function")
    return [function for function in functions if "VpcConfig" in function.properties]


def rights(deployment: ResolvedDeployment, function: ResolvedResource) -> Iterator[tuple[str, str]]:
    """Yield the actions, with a resource each, that the function's role allows."""
    role = function.properties["Role"].rsplit("/", 1)[-1]
    for policy in deployment.of_type("AWS::IAM::RolePolicy"):
        if policy.properties["RoleName"] == role:
            for statement in policy.properties["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield from ((a, r) for a in statement["Action"] for r in statement["Resource"])


def endpoint_of(deployment: ResolvedDeployment, service: str) -> ResolvedResource:
    names = {
        endpoint.properties["ServiceName"].split(f"{deployment.place.region}.")[-1]: endpoint
        for endpoint in deployment.of_type("AWS::EC2::VPCEndpoint")
    }
    return names[ENDPOINT[service]]


def lets_through(
    endpoint: ResolvedResource, action: str, resource: str, context: dict[str, str]
) -> bool:
    """Tell whether some statement of the endpoint's policy allows the call, and none denies it."""
    found = [
        one["Effect"]
        for one in endpoint.properties["PolicyDocument"]["Statement"]
        if _matches(one, action, resource, context)
    ]
    return "Allow" in found and "Deny" not in found


def _matches(one: Statement, action: str, resource: str, context: dict[str, str]) -> bool:
    return (
        any(fnmatchcase(action, pattern) for pattern in _list(one["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in _list(one["Resource"]))
        and all(
            _holds(operator, key, _list(wanted), context)
            for operator, block in one.get("Condition", {}).items()
            for key, wanted in block.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], context: dict[str, str]) -> bool:
    if key not in context:
        return operator.endswith("IfExists") or "Not" in operator
    same = any(fnmatchcase(context[key], one) for one in wanted)
    return not same if "Not" in operator else same


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_api_that_functions_call_has_an_endpoint_that_lets_the_call_through(
    inside: ResolvedDeployment,
) -> None:
    account = inside.place.account
    context = {"aws:PrincipalAccount": account, "aws:ResourceAccount": account}
    functions = functions_in_the_vpc(inside)
    assert len(functions) == 4
    for function in functions:
        called = set()
        for action, resource in rights(inside, function):
            service = action.split(":")[0]
            if service in BY_LAMBDA_ITSELF:
                continue
            called.add(service)
            endpoint = endpoint_of(inside, service)
            assert lets_through(endpoint, action, resource, context), (function, action, resource)
        assert "cloudformation" in called, function  # every function reads its stack's status


def test_answers_reach_cloudformation(inside: ResolvedDeployment) -> None:
    """The URL is signed by CloudFormation, whose account and bucket are not ours."""
    foreign = {"aws:PrincipalAccount": "999999999999", "aws:ResourceAccount": "999999999999"}
    endpoint = endpoint_of(inside, "s3")
    bucket = "arn:aws:s3:::cloudformation-custom-resource-response-euwest1"
    assert lets_through(endpoint, "s3:PutObject", f"{bucket}/answer", foreign)
    assert not lets_through(endpoint, "s3:PutObject", "arn:aws:s3:::theirs/data", foreign)
    assert not lets_through(endpoint, "s3:GetObject", "arn:aws:s3:::theirs/data", foreign)


def reaches(deployment: ResolvedDeployment, group: str, peer: str, value: str) -> bool:
    """Tell whether HTTPS may leave `group` for a peer."""
    return any(
        rule.properties["GroupId"] == group
        and rule.properties.get(peer) == value
        and rule.properties["FromPort"] <= HTTPS <= rule.properties["ToPort"]
        for rule in deployment.of_type("AWS::EC2::SecurityGroupEgress")
    )


def admits(deployment: ResolvedDeployment, group: str, source: str) -> bool:
    """Tell whether `group` lets HTTPS in from the group `source`."""
    return any(
        rule.properties["GroupId"] == group
        and rule.properties.get("SourceSecurityGroupId") == source
        and rule.properties["FromPort"] <= HTTPS <= rule.properties["ToPort"]
        for rule in deployment.of_type("AWS::EC2::SecurityGroupIngress")
    )


@pytest.mark.parametrize("client", ["Studio", "Jobs", "Functions"])
def test_packets_pass_to_the_endpoints_and_to_s3(inside: ResolvedDeployment, client: str) -> None:
    group = inside.outputs["network"][f"{client}SecurityGroupId"]
    interfaces = [
        endpoint
        for endpoint in inside.of_type("AWS::EC2::VPCEndpoint")
        if endpoint.properties["VpcEndpointType"] == "Interface"
    ]
    for endpoint in interfaces:
        (guard,) = endpoint.properties["SecurityGroupIds"]
        assert reaches(inside, group, "DestinationSecurityGroupId", guard), endpoint
        assert admits(inside, guard, group), endpoint
    prefixes = {
        rule.properties["DestinationPrefixListId"]
        for rule in inside.of_type("AWS::EC2::SecurityGroupEgress")
        if "DestinationPrefixListId" in rule.properties
    }
    assert len(prefixes) == 1
    assert reaches(inside, group, "DestinationPrefixListId", prefixes.pop())


def test_the_s3_endpoint_is_on_the_way_of_every_subnet(inside: ResolvedDeployment) -> None:
    tables = set(endpoint_of(inside, "s3").properties["RouteTableIds"])
    associated = {
        one.properties["SubnetId"]: one.properties["RouteTableId"]
        for one in inside.of_type("AWS::EC2::SubnetRouteTableAssociation")
    }
    subnets = {subnet.reference for subnet in inside.of_type("AWS::EC2::Subnet")}
    assert set(associated) == subnets
    assert set(associated.values()) == tables


def test_functions_outside_the_vpc_have_no_network_and_need_no_endpoint() -> None:
    outside = resolve(parameters={"FunctionsInTheVpc": "no"})
    assert functions_in_the_vpc(outside) == []
    services = {one.properties["ServiceName"] for one in outside.of_type("AWS::EC2::VPCEndpoint")}
    assert not any(service.endswith(".cloudformation") for service in services)


def test_the_network_outlives_everything_that_answers_from_inside_it() -> None:
    """A stack with a function in the VPC reads the network's outputs, so it is deleted first."""
    from generator.emit import as_dict  # noqa: PLC0415 - the wires, before they are resolved
    from generator.stacks import root  # noqa: PLC0415

    template = as_dict(root.build(Settings(), Mode.DEV)["root"])
    for stack in ("StorageStack", "StudioStack", "PipelineStack"):
        subnets = template["Resources"][stack]["Properties"]["Parameters"]["SubnetIds"]
        assert subnets == {"Fn::GetAtt": ["NetworkStack", "Outputs.SubnetIds"]}
