"""Checks of the endpoints in an existing VPC: those that exist, and those that we would create."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from generator.settings import CLOUDFORMATION
from generator.settings_network import (
    S3,
    STANDARD_ENDPOINTS,
    CreatedEndpointPolicy,
    InterfaceEndpoint,
)
from tabular_ml_vpc.operations.checks_boundary import Need, allows
from tabular_ml_vpc.operations.existing_vpc import (
    ExistingVpc,
    Item,
    groups_of,
    lets_in,
    outside,
    refers_elsewhere,
)
from tabular_ml_vpc.operations.findings import CheckFinding, Verdict

_S3: Final = "S3 endpoint"
_INTERFACES: Final = "endpoints"
_GATEWAY: Final = "Gateway"
_SCALING: Final = str(InterfaceEndpoint.APPLICATION_AUTOSCALING)
_OF_FUNCTIONS: Final = (CLOUDFORMATION, _SCALING)
"""Services that only the stack's functions need."""


def s3(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    """Check the way to S3: the endpoint that exists, or what creating one would change."""
    if S3 in vpc.network.create_endpoints:
        yield from _created_s3(vpc)
        return
    name = vpc.network.s3_endpoint
    endpoint = next((one for one in vpc.endpoints if one["VpcEndpointId"] == name), None)
    if endpoint is None:
        yield CheckFinding(
            _S3,
            vpc.invisible,
            f"{name} is not an endpoint of {vpc.id}",
            "the data bucket would deny every job: it allows them through this endpoint only",
            f"aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values={vpc.id}",
        )
        return
    kind, service = endpoint["VpcEndpointType"], endpoint["ServiceName"]
    if kind != _GATEWAY or service != vpc.full_name(S3):
        yield CheckFinding(
            _S3,
            Verdict.PROBLEM,
            f"{name} is a {kind} endpoint for {service}, not the S3 gateway endpoint",
            "our security groups lead to S3's addresses, which only a gateway endpoint serves",
        )
        return
    yield from _routed(vpc, endpoint)
    yield from _policy(_S3, vpc, endpoint)


def _routed(vpc: ExistingVpc, endpoint: Item) -> Iterator[CheckFinding]:
    name = endpoint["VpcEndpointId"]
    missing = sorted(set(vpc.tables_used) - set(endpoint.get("RouteTableIds", [])))
    if not missing:
        what = f"{name} serves the route tables of all subnets"
        yield CheckFinding(_S3, Verdict.OK, what)
    for table in missing:
        yield CheckFinding(
            _S3,
            Verdict.PROBLEM,
            f"{name} has no route in {table}, the table of {', '.join(vpc.tables_used[table])}",
            "jobs there do not reach the data",
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {name} --add-route-table-ids {table}",
        )


def _created_s3(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    """Say what our S3 endpoint would change, and what prevents it."""
    given = vpc.network.route_tables
    known = {str(one["RouteTableId"]) for one in vpc.tables}
    for table in given:
        if table not in known:
            what = f"{table} is not a route table of {vpc.id}"
            yield CheckFinding(_S3, Verdict.PROBLEM, what, "it can get no route to S3")
    for table in sorted(set(vpc.tables_used) - set(given)):
        yield CheckFinding(
            _S3,
            Verdict.PROBLEM,
            f"route_tables lacks {table}, the table of {', '.join(vpc.tables_used[table])}",
            "jobs there would not reach the data",
            f"python build.py --config FILE.toml  # add {table} to network.route_tables",
        )
    for endpoint in vpc.endpoints:
        both = sorted(set(given) & set(endpoint.get("RouteTableIds", [])))
        if both and endpoint["ServiceName"] == vpc.full_name(S3):
            name = endpoint["VpcEndpointId"]
            yield CheckFinding(
                _S3,
                Verdict.PROBLEM,
                f"{', '.join(both)} has a route to S3 already, through {name}",
                "AWS refuses a second one",
                f"python build.py --config FILE.toml  # set network.s3_endpoint to {name}",
            )
    if vpc.has_created(S3):
        yield CheckFinding(_S3, Verdict.OK, "the stack has created its S3 gateway endpoint")
        return
    yield CheckFinding(
        _S3,
        Verdict.WARNING,
        f"an S3 gateway endpoint will be created, with a route in {', '.join(given)}",
        f"all S3 traffic of {', '.join(_subnets_of(vpc, given))} goes through it, interrupting "
        f"open connections once; {_allows(vpc, S3)}",
    )


def _subnets_of(vpc: ExistingVpc, tables: Sequence[str]) -> list[str]:
    """Return the subnets that use route tables, whoever's they are, in words."""
    found = [
        one
        for table in vpc.tables
        if table["RouteTableId"] in tables
        for one in table.get("Associations", [])
    ]
    named = [str(one["SubnetId"]) for one in found if one.get("SubnetId")]
    main = any(one.get("Main") for one in found)
    return [*named, *(["every subnet without a table of its own"] if main else [])]


def interfaces(vpc: ExistingVpc, needed: Sequence[str]) -> Iterator[CheckFinding]:
    """Check the interface endpoints: those needed, those that exist, those to create."""
    created = [one for one in vpc.network.create_endpoints if one != S3]
    for service in dict.fromkeys((*needed, *map(str, STANDARD_ENDPOINTS))):
        endpoint = vpc.endpoint_for(service)
        if service in created:
            continue
        if endpoint is None:
            yield _missing(vpc, service, required=service in needed)
        else:
            yield from _existing(vpc, endpoint, required=service in needed)
    for service in created:
        yield from _created(vpc, service)


def _missing(vpc: ExistingVpc, service: str, *, required: bool) -> CheckFinding:
    remedy = f"python build.py --config FILE.toml  # add {service} to network.create_endpoints"
    if service in _OF_FUNCTIONS:
        remedy += ", or: python build.py deploy --set FunctionsInTheVpc=no"
    return CheckFinding(
        _INTERFACES,
        vpc.invisible if required else Verdict.WARNING,
        f"{vpc.id} has no endpoint for {vpc.full_name(service)}",
        "Studio, pip or the stack's functions do not work without it"
        if required
        else "notebooks cannot call it (docs/commands/cost.md says what they give up)",
        remedy,
    )


def _existing(vpc: ExistingVpc, endpoint: Item, *, required: bool) -> Iterator[CheckFinding]:
    """Check that an endpoint has its private name, and that our groups reach it."""
    name, service = endpoint["VpcEndpointId"], endpoint["ServiceName"]
    worst = Verdict.PROBLEM if required else Verdict.WARNING
    if not endpoint.get("PrivateDnsEnabled"):
        yield CheckFinding(
            _INTERFACES,
            worst,
            f"{name} for {service} has no private DNS name",
            "clients look for the service at its usual name, and do not find the endpoint",
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {name} --private-dns-enabled",
        )
        return
    reached = [one for one in groups_of(endpoint) if one in vpc.network.endpoint_security_groups]
    if not reached:
        groups = ", ".join(groups_of(endpoint)) or "no security group"
        yield CheckFinding(
            _INTERFACES,
            worst,
            f"{name} for {service} has {groups}, not in endpoint_security_groups",
            "our security groups do not let their members reach it",
            "python build.py --config FILE.toml  # add one to network.endpoint_security_groups",
        )
        return
    closed = list(_closed(vpc, reached))
    yield from closed or [CheckFinding(_INTERFACES, Verdict.OK, f"{name} serves {service}")]
    yield from _policy(_INTERFACES, vpc, endpoint)


def _closed(vpc: ExistingVpc, groups: Sequence[str]) -> Iterator[CheckFinding]:
    """Yield what keeps our interfaces from an endpoint; rules of any of its groups are enough."""
    if vpc.network.add_endpoint_rules:
        return
    ranges = [str(one["CidrBlock"]) for one in vpc.subnets.values()]
    found = [vpc.groups[one] for one in groups if one in vpc.groups]
    for group in found:
        ranges = lets_in(group, ranges)
    if not ranges:
        return
    first = groups[0]
    commands = "; ".join(
        f"aws ec2 authorize-security-group-ingress --group-id {first} --protocol tcp --port 443 "
        f"--cidr {one}"
        for one in ranges
    )
    unsure = any(refers_elsewhere(group) for group in found) or not found
    yield CheckFinding(
        _INTERFACES,
        Verdict.WARNING if unsure else Verdict.PROBLEM,
        f"{', '.join(groups)} does not allow HTTPS from {', '.join(ranges)}",
        "our interfaces in those subnets do not reach the endpoint; or set "
        "network.add_endpoint_rules, and the stack adds rules for its own groups",
        commands,
    )


def _created(vpc: ExistingVpc, service: str) -> Iterator[CheckFinding]:
    """Say what an interface endpoint of ours would change for everything else in the VPC."""
    name = vpc.full_name(service)
    endpoint = vpc.endpoint_for(service)
    if endpoint is not None and endpoint.get("PrivateDnsEnabled"):
        yield CheckFinding(
            _INTERFACES,
            Verdict.PROBLEM,
            f"{endpoint['VpcEndpointId']} has the private name of {name} already",
            "AWS refuses a second endpoint with that name",
            f"python build.py --config FILE.toml  # remove {service} from network.create_endpoints",
        )
        return
    clients = ", ".join(map(str, vpc.network.created_endpoint_clients))
    if vpc.has_created(service):
        what = f"the stack has created its endpoint for {name}"
        yield CheckFinding(_INTERFACES, Verdict.OK, what)
    else:
        yield CheckFinding(
            _INTERFACES,
            Verdict.WARNING,
            f"an endpoint for {name} will be created, with its private name",
            f"all of the VPC's traffic to that service goes through it; its security group lets in "
            f"{clients}; {_allows(vpc, service)}",
        )
    left_out = outside(vpc.ranges, map(str, vpc.network.created_endpoint_clients))
    if left_out:
        yield CheckFinding(
            _INTERFACES,
            Verdict.WARNING,
            f"clients in {', '.join(left_out)} of {vpc.id} would lose {name}",
            "its name leads to the created endpoint, whose security group does not let them in",
            "python build.py --config FILE.toml  # add them to network.created_endpoint_clients",
        )


def _allows(vpc: ExistingVpc, service: str) -> str:
    network = vpc.network
    policy = network.created_endpoint_policy
    if policy is CreatedEndpointPolicy.OPEN or service in network.endpoints_without_policy:
        return "its policy allows everything"
    return "its policy allows this account's principals and resources only, whoever calls"


def _policy(check: str, vpc: ExistingVpc, endpoint: Item) -> Iterator[CheckFinding]:
    """Judge the policy that an endpoint's owner gave it, unless it allows everything."""
    text = endpoint.get("PolicyDocument") or ""
    if not text or _allows_everything(text):
        return
    name, service = endpoint["VpcEndpointId"], endpoint["ServiceName"]
    needs, statements = _needs(vpc, service), _statements(text)
    lacking = [f"{one.action} on {one.resource}" for one in needs if not allows(statements, one)]
    without = f", without {', '.join(lacking)}" if lacking else ""
    yield CheckFinding(
        check,
        Verdict.PROBLEM if lacking else Verdict.WARNING,
        f"{name} for {service} has a policy of its own{without}",
        "it must allow what our roles do (docs/own-vpc.md); its conditions are not examined here",
        f"aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {name} "
        "--query VpcEndpoints[0].PolicyDocument --output text",
    )


def _needs(vpc: ExistingVpc, service: str) -> list[Need]:
    """Return calls that the stack or its first run makes through an endpoint."""
    target = vpc.context.target
    buckets, region = f"arn:{target.partition}:s3:::", target.region
    data = f"{buckets}{target.stack.lower()}-storagestack-*"
    answers = f"{buckets}cloudformation-custom-resource-response-{region.replace('-', '')}/*"
    inside = vpc.context.values.get("FunctionsInTheVpc", "yes") == "yes"
    calls = {
        S3: [
            ("s3:GetObject", f"{data}/*"),
            ("s3:PutObject", f"{data}/*"),
            ("s3:ListBucket", data),
            *([("s3:PutObject", answers)] if inside else []),
        ],
        "sagemaker.api": [("sagemaker:CreatePipeline", "*"), ("sagemaker:ListSpaces", "*")],
        "sagemaker.runtime": [("sagemaker:InvokeEndpoint", "*")],
        CLOUDFORMATION: [("cloudformation:DescribeStacks", "*")],
        _SCALING: [("application-autoscaling:RegisterScalableTarget", "*")],
    }
    found = (calls[short] for short in calls if vpc.full_name(short) == service)
    return [Need("", action, resource) for action, resource in next(found, [])]


def _statements(text: str) -> list[Item]:
    found = json.loads(text)["Statement"]
    return found if isinstance(found, list) else [found]


def _allows_everything(text: str) -> bool:
    """Return whether a policy is AWS's default, or says the same."""
    return all(
        one["Effect"] == "Allow"
        and "Condition" not in one
        and one.get("Action") in ("*", ["*"])
        and one.get("Resource") in ("*", ["*"])
        and one.get("Principal") in ("*", {"AWS": "*"})
        for one in _statements(text)
    )
