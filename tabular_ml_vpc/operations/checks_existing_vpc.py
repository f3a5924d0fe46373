"""Checks of an existing VPC: what it must have, and what the stack would change for others.

``doctor`` shows the findings; ``deploy`` stops at a problem before anything is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from generator import record
from generator.settings import CLOUDFORMATION, PACKAGE_ENDPOINTS
from generator.settings_network import REQUIRED_ENDPOINTS, InterfaceEndpoint
from pipeline.types import JsonView
from tabular_ml_vpc.operations.checks_existing_endpoints import interfaces, s3
from tabular_ml_vpc.operations.existing_vpc import (
    HTTPS,
    ExistingVpc,
    acl_allows,
    network_of,
    ways_to_the_internet,
)
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict

NAME: Final = "existing VPC"
FEWEST_ADDRESSES: Final = 16
"""Free addresses that a subnet should have: for functions, jobs, endpoints and Studio's apps."""
EPHEMERAL: Final = (1024, 32768, 65535)
"""Ports that answers arrive at (VPC user guide, "Ephemeral ports"): first, Linux's first, last."""


def existing_vpc(context: CheckContext) -> Iterator[CheckFinding]:
    """Check the VPC that the settings name; nothing if the stack creates its own."""
    network = network_of(context)
    if network is None:
        return
    vpc = ExistingVpc(context, network)
    if not vpc.exists:
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"{vpc.id} does not exist in {context.target.region} of this account",
            "nothing can be created in it",
            f"aws ec2 describe-vpcs --region {context.target.region}  # lists the VPCs",
        )
        return
    yield from _dns(vpc)
    yield from _shared(vpc)
    yield from _subnets(vpc)
    yield from _routes(vpc)
    yield from s3(vpc)
    yield from interfaces(vpc, needed(context))
    yield from _acls(vpc)


def moved(deployed: JsonView, planned: JsonView) -> str:
    """Return why a deployed stack cannot go into another VPC; empty if it stays in its own.

    Both are root templates.
    """
    before, after = (_vpc_of(template) for template in (deployed, planned))
    if before == after:
        return ""
    return (
        f"network.vpc: got {after!r}, but the stack is in {before or 'a VPC of its own'}: moving "
        "it would replace Studio's domain with its spaces, all security groups and the network of "
        "every function; deploy a second stack with --stack-name, and copy the data"
    )


def _vpc_of(template: JsonView) -> str:
    return str(record.recorded(template).get("network.vpc", ""))


def needed(context: CheckContext) -> list[str]:
    """Return the services without whose endpoint Studio, pip or the functions do not work."""
    inside = context.values.get("FunctionsInTheVpc", "yes") == "yes"
    scales = any("MaximumInstances" in one for one in context.properties("Custom::Pipeline"))
    of_scaling = [str(InterfaceEndpoint.APPLICATION_AUTOSCALING)] if scales else []
    of_all = [str(InterfaceEndpoint.SAGEMAKER_API), CLOUDFORMATION]
    of_functions = [*of_all, *of_scaling] if inside else []
    of_studio = REQUIRED_ENDPOINTS if context.properties("AWS::SageMaker::Domain") else ()
    installing = context.properties("AWS::SageMaker::StudioLifecycleConfig")
    of_pip = PACKAGE_ENDPOINTS if installing else ()
    return list(dict.fromkeys([*map(str, (*of_studio, *of_pip)), *of_functions]))


def _dns(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    off = [name for name, value in vpc.dns.items() if not value]
    if not off:
        yield CheckFinding(NAME, Verdict.OK, f"{vpc.id} has DNS support and DNS hostnames")
    for name in off:
        option = {"enableDnsSupport": "support", "enableDnsHostnames": "hostnames"}[name]
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"{vpc.id} has {name} switched off",
            "the private names of endpoints do not resolve without it; its owner must decide",
            f"aws ec2 modify-vpc-attribute --vpc-id {vpc.id} --enable-dns-{option}",
        )


def _shared(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    if vpc.is_shared:
        yield CheckFinding(
            NAME,
            Verdict.WARNING,
            f"{vpc.id} belongs to account {vpc.owner} and is shared with this one",
            "endpoints of the owner may not be visible here, and are then reported as unknown",
        )


def _subnets(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    """Check that the subnets are there, in two zones, with free addresses."""
    for name in vpc.network.subnets:
        if name not in vpc.subnets:
            yield CheckFinding(
                "subnets",
                Verdict.PROBLEM,
                f"{name} is not a subnet of {vpc.id}",
                "nothing can be created in it",
                f"aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc.id}",
            )
    zones = [one["AvailabilityZone"] for one in vpc.subnets.values()]
    if len(set(zones)) < 2:  # noqa: PLR2004 - as the message says
        yield CheckFinding(
            "subnets",
            Verdict.PROBLEM,
            f"{', '.join(vpc.subnets)} are in {', '.join(sorted(set(zones))) or 'no zone'}",
            "SageMaker and Lambda need two Availability Zones",
            "python build.py --config FILE.toml  # change network.subnets",
        )
    yield from _same_zone(vpc)
    for name, subnet in vpc.subnets.items():
        free = int(subnet["AvailableIpAddressCount"])
        enough = free >= FEWEST_ADDRESSES
        yield CheckFinding(
            "subnets",
            Verdict.OK if enough else Verdict.WARNING,
            f"{name} in {subnet['AvailabilityZone']}: {free} free addresses",
            "" if enough else "each endpoint, job, app and group of functions takes some",
        )


def _same_zone(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    zones = [one["AvailabilityZone"] for one in vpc.endpoint_subnets]
    if set(vpc.network.create_endpoints) - {"s3"} and len(set(zones)) < len(zones):
        yield CheckFinding(
            "subnets",
            Verdict.PROBLEM,
            f"the first {len(zones)} subnets are not in different zones: {', '.join(zones)}",
            "an interface endpoint takes one subnet in each zone",
            "python build.py --config FILE.toml  # order network.subnets, or set endpoint_zones",
        )


def _routes(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    """Say whether a route leads out of the VPC, and what isolates the jobs then."""
    found = False
    for table in vpc.tables:
        name = str(table["RouteTableId"])
        ways = list(ways_to_the_internet(table)) if name in vpc.tables_used else []
        if ways:
            found = True
            yield CheckFinding(
                "routes",
                Verdict.WARNING,
                f"{name} of {', '.join(vpc.tables_used[name])} has routes to {', '.join(ways)}",
                "that nothing reaches the internet then rests on our security groups, which allow "
                "HTTPS to the endpoints' groups and S3's addresses only, on the isolation of jobs, "
                "and on the denies of the bucket; it is no property of the network",
            )
    if not found:
        yield CheckFinding("routes", Verdict.OK, "no route of the subnets leads out of the VPC")


def _acls(vpc: ExistingVpc) -> Iterator[CheckFinding]:
    """Check that network ACLs let requests out and their answers in."""
    peers = [str(one["CidrBlock"]) for one in vpc.subnets.values()]
    peers += vpc.s3_ranges
    blocked = False
    for subnet in vpc.subnets:
        acl = vpc.acl_of(subnet)
        if acl is None:
            continue
        name = acl["NetworkAclId"]
        out = [peer for peer in peers if not acl_allows(acl, peer, HTTPS, egress=True)]
        back = [
            peer
            for peer in peers
            if not all(acl_allows(acl, peer, port, egress=False) for port in EPHEMERAL)
        ]
        for denied, what in ((out, f"TCP {HTTPS} out to"), (back, "answers, TCP 1024-65535, from")):
            if denied:
                blocked = True
                yield CheckFinding(
                    "network ACLs",
                    Verdict.PROBLEM,
                    f"{name} of {subnet} blocks {what} {', '.join(denied)}",
                    "an ACL has no state: it must allow requests and their answers",
                    f"aws ec2 describe-network-acls --network-acl-ids {name}",
                )
    if not blocked:
        what = "those of the subnets let HTTPS out and its answers in"
        yield CheckFinding("network ACLs", Verdict.OK, what)
