"""Checks of the network: endpoint services in each zone, and conflicting private DNS names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.existing_vpc import ExistingVpc, network_of
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import code_of

_ZONE = "AvailabilityZone"


def zones(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that the stack's zones have every endpoint service that it creates."""
    if not context.endpoint_services("Interface"):
        return
    offered = _offered(context)
    if not offered:
        what = "the region lists no endpoint services"
        yield CheckFinding("endpoint services", Verdict.UNKNOWN, what)
        return
    services = context.endpoint_services("Interface")
    for service in services:
        if service not in offered:
            yield CheckFinding(
                "endpoint services",
                Verdict.PROBLEM,
                f"{service} is not offered in {context.target.region}",
                "its VPC endpoint cannot be created",
                "python build.py --config FILE.toml  # remove it from network.interface_endpoints",
            )
    zones = [set(offered[one]["AvailabilityZones"]) for one in services if one in offered]
    if zones:
        yield from _used(context, offered, sorted(set.intersection(*zones)))


def _offered(context: CheckContext) -> dict[str, Mapping[str, Any]]:
    pages = context.target.client("ec2").get_paginator("describe_vpc_endpoint_services")
    return {
        service["ServiceName"]: service
        for page in pages.paginate()
        for service in page["ServiceDetails"]
    }


def _used(
    context: CheckContext, offered: Mapping[str, Mapping[str, Any]], good: list[str]
) -> Iterator[CheckFinding]:
    """Check the zones that the stack would use."""
    used = _zones(context)
    if not used:
        return  # none of the existing VPC's subnets is there, which another check says
    bad = [zone for zone in used if zone not in good]
    if not bad:
        what = f"{', '.join(used)} have all {len(context.endpoint_services('Interface'))} services"
        yield CheckFinding("endpoint services", Verdict.OK, what)
        return
    missing = [
        f"{service} in {zone}"
        for zone in bad
        for service in context.endpoint_services("Interface")
        if service in offered and zone not in offered[service]["AvailabilityZones"]
    ]
    enough = len(good) >= context.zones
    chosen = " ".join(f"--set {_ZONE}{n}={zone}" for n, zone in enumerate(good[: context.zones], 1))
    yield CheckFinding(
        "endpoint services",
        Verdict.PROBLEM,
        f"not offered: {', '.join(missing)}",
        "the VPC endpoint's subnet is in a zone without the service, so creating it fails",
        "python build.py --config FILE.toml  # order network.subnets, or set endpoint_zones"
        if network_of(context)
        else f"python build.py deploy {chosen}"
        if enough
        else f"python build.py deploy --region REGION  # zones here that have all: {len(good)}",
    )


def _zones(context: CheckContext) -> list[str]:
    """Return the zones that were chosen, or those that ``Fn::GetAZs`` will return.

    In an existing VPC they are those of the subnets that get endpoints.

    It returns those with a default subnet or, if there are none, all zones (CloudFormation user
    guide, "Fn::GetAZs").
    """
    if network := network_of(context):
        subnets = ExistingVpc(context, network).endpoint_subnets
        return sorted({str(subnet["AvailabilityZone"]) for subnet in subnets})
    chosen = [context.values.get(f"{_ZONE}{n}", "") for n in range(1, context.zones + 1)]
    if all(chosen):
        return chosen
    client = context.target.client("ec2")
    subnets = client.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    default = {subnet["AvailabilityZone"] for subnet in subnets["Subnets"]}
    found = client.describe_availability_zones(
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
    )
    every = {zone["ZoneName"] for zone in found["AvailabilityZones"]}
    return sorted(default or every)[: context.zones]


def private_names(context: CheckContext) -> Iterator[CheckFinding]:
    """Check whether the VPC of ``--vpc-id`` has conflicting private DNS names."""
    network = network_of(context)
    if context.vpc is None and network:  # its other checks look at endpoints
        yield from _private_zones(context, network.vpc)
        return
    if context.vpc is None:
        what = "the stack creates its own VPC, which has no conflicting private names"
        yield CheckFinding("private DNS", Verdict.OK, what)
        return
    if not _vpc_exists(context, context.vpc):
        yield CheckFinding(
            "private DNS",
            Verdict.PROBLEM,
            f"{context.vpc} does not exist in {context.target.region} of this account",
            "nothing was looked up in it",
            f"aws ec2 describe-vpcs --region {context.target.region}  # lists the VPCs",
        )
        return
    services = set(context.endpoint_services("Interface"))
    conflicts = 0
    for endpoint in _endpoints(context, context.vpc):
        if endpoint.get("PrivateDnsEnabled") and endpoint["ServiceName"] in services:
            conflicts += 1
            yield _conflict(endpoint, context.vpc)
    for finding in _private_zones(context, context.vpc):
        conflicts += 1
        yield finding
    if not conflicts:
        what = f"{context.vpc} has no endpoint or private hosted zone with a conflicting name"
        yield CheckFinding("private DNS", Verdict.OK, what)


def _vpc_exists(context: CheckContext, vpc: str) -> bool:
    try:
        found = context.target.client("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"]
    except ClientError as error:
        if code_of(error) != "InvalidVpcID.NotFound":
            raise
        return False
    return any(one["VpcId"] == vpc for one in found)


def _endpoints(context: CheckContext, vpc: str) -> Iterator[Mapping[str, Any]]:
    pages = context.target.client("ec2").get_paginator("describe_vpc_endpoints")
    for page in pages.paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}]):
        yield from page["VpcEndpoints"]


def _conflict(endpoint: Mapping[str, Any], vpc: str) -> CheckFinding:
    name = endpoint["VpcEndpointId"]
    return CheckFinding(
        "private DNS",
        Verdict.PROBLEM,
        f"{vpc} has {name} for {endpoint['ServiceName']}, with private DNS enabled",
        "a private DNS name can exist only once in a VPC: a second endpoint conflicts with it",
        f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {name} --no-private-dns-enabled",
    )


def _private_zones(context: CheckContext, vpc: str) -> Iterator[CheckFinding]:
    """Yield private hosted zones that hide a service's name from the VPC."""
    region = context.target.region
    answer = context.target.client("route53").list_hosted_zones_by_vpc(VPCId=vpc, VPCRegion=region)
    names = {".".join(reversed(service.split("."))) for service in _dns_services(context)}
    for zone in answer["HostedZoneSummaries"]:
        owner = zone.get("Owner", {})
        if zone["Name"].rstrip(".") in names and not owner.get("OwningService"):
            yield CheckFinding(
                "private DNS",
                Verdict.PROBLEM,
                f"{vpc} has the private hosted zone {zone['Name']}",
                "its name is the private name of an interface endpoint",
                f"aws route53 disassociate-vpc-from-hosted-zone --hosted-zone-id "
                f"{zone['HostedZoneId']} --vpc VPCRegion={region},VPCId={vpc}",
            )


def _dns_services(context: CheckContext) -> list[str]:
    """Return the names of the services, which are their DNS names in reverse order.

    ``com.amazonaws.eu-west-1.sts`` is reached as ``sts.eu-west-1.amazonaws.com``.
    """
    return [
        service
        for service in context.endpoint_services("Interface")
        if service.startswith("com.amazonaws.")
    ]
