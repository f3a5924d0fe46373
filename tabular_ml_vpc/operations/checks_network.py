"""Checks of the network: zones with every endpoint service, private names taken in a VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict

_ZONE = "AvailabilityZone"


def zones(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that the zones to be used have every endpoint service."""
    offered = _offered(patient)
    if not offered:
        what = "the region lists no endpoint services"
        yield CheckFinding("endpoint services", Verdict.UNKNOWN, what)
        return
    services = patient.endpoint_services("Interface")
    for service in services:
        if service not in offered:
            yield CheckFinding(
                "endpoint services",
                Verdict.PROBLEM,
                f"{service} is not offered in {patient.target.region}",
                "its VPC endpoint cannot be made",
                "python build.py --config FILE.toml  # without it in network.interface_endpoints",
            )
    common = set.intersection(
        *(set(offered[service]["AvailabilityZones"]) for service in services if service in offered)
    )
    yield from _used(patient, offered, sorted(common))


def _offered(patient: CheckContext) -> dict[str, Mapping[str, Any]]:
    pages = patient.target.client("ec2").get_paginator("describe_vpc_endpoint_services")
    return {one["ServiceName"]: one for page in pages.paginate() for one in page["ServiceDetails"]}


def _used(
    patient: CheckContext, offered: Mapping[str, Mapping[str, Any]], good: list[str]
) -> Iterator[CheckFinding]:
    """Judge the zones that the stack would use."""
    used = _zones(patient)
    bad = [zone for zone in used if zone not in good]
    if not bad:
        what = f"{', '.join(used)} have all {len(patient.endpoint_services('Interface'))} services"
        yield CheckFinding("endpoint services", Verdict.OK, what)
        return
    missing = [
        f"{service} in {zone}"
        for zone in bad
        for service in patient.endpoint_services("Interface")
        if service in offered and zone not in offered[service]["AvailabilityZones"]
    ]
    enough = len(good) >= patient.zones
    chosen = " ".join(f"--set {_ZONE}{n}={zone}" for n, zone in enumerate(good[: patient.zones], 1))
    yield CheckFinding(
        "endpoint services",
        Verdict.PROBLEM,
        f"not offered: {', '.join(missing)}",
        "the VPC endpoint's subnet lies in a zone without the service, and its creation fails",
        f"python build.py deploy {chosen}"
        if enough
        else f"python build.py deploy --region REGION  # here only {len(good)} zones have them all",
    )


def _zones(patient: CheckContext) -> list[str]:
    """Return the zones that were chosen, or those that ``Fn::GetAZs`` will give.

    It gives those with a default subnet, or all where there is none (CloudFormation user guide,
    "Fn::GetAZs").
    """
    chosen = [patient.values.get(f"{_ZONE}{n}", "") for n in range(1, patient.zones + 1)]
    if all(chosen):
        return chosen
    client = patient.target.client("ec2")
    subnets = client.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    default = {one["AvailabilityZone"] for one in subnets["Subnets"]}
    found = client.describe_availability_zones(
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
    )
    every = {one["ZoneName"] for one in found["AvailabilityZones"]}
    return sorted(default or every)[: patient.zones]


def private_names(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check whether a VPC that was named has endpoints whose private names would clash."""
    if patient.vpc is None:
        what = "the stack makes a VPC of its own: no private name is taken in it"
        yield CheckFinding("private DNS", Verdict.OK, what)
        return
    wanted = set(patient.endpoint_services("Interface"))
    clashes = 0
    for one in _endpoints(patient, patient.vpc):
        if one.get("PrivateDnsEnabled") and one["ServiceName"] in wanted:
            clashes += 1
            yield _clash(one, patient.vpc)
    for zone in _private_zones(patient, patient.vpc):
        clashes += 1
        yield zone
    if not clashes:
        what = f"{patient.vpc} has no endpoint or private zone with the names that are needed"
        yield CheckFinding("private DNS", Verdict.OK, what)


def _endpoints(patient: CheckContext, vpc: str) -> Iterator[Mapping[str, Any]]:
    pages = patient.target.client("ec2").get_paginator("describe_vpc_endpoints")
    for page in pages.paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}]):
        yield from page["VpcEndpoints"]


def _clash(endpoint: Mapping[str, Any], vpc: str) -> CheckFinding:
    name = endpoint["VpcEndpointId"]
    return CheckFinding(
        "private DNS",
        Verdict.PROBLEM,
        f"{vpc} has {name} for {endpoint['ServiceName']} with its private name",
        "a private DNS name can exist once in a VPC: a second endpoint conflicts with it",
        f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {name} --no-private-dns-enabled",
    )


def _private_zones(patient: CheckContext, vpc: str) -> Iterator[CheckFinding]:
    """Yield private hosted zones that hide a service's name from the VPC."""
    region = patient.target.region
    answer = patient.target.client("route53").list_hosted_zones_by_vpc(VPCId=vpc, VPCRegion=region)
    names = {".".join(reversed(one.split("."))) for one in _dns_services(patient)}
    for zone in answer["HostedZoneSummaries"]:
        owner = zone.get("Owner", {})
        if zone["Name"].rstrip(".") in names and not owner.get("OwningService"):
            yield CheckFinding(
                "private DNS",
                Verdict.PROBLEM,
                f"{vpc} has the private hosted zone {zone['Name']}",
                "it has the name that an interface endpoint wants to have",
                f"aws route53 disassociate-vpc-from-hosted-zone --hosted-zone-id "
                f"{zone['HostedZoneId']} --vpc VPCRegion={region},VPCId={vpc}",
            )


def _dns_services(patient: CheckContext) -> list[str]:
    """Return the services' names, which are their DNS names read backwards.

    ``com.amazonaws.eu-west-1.sts`` is reached as ``sts.eu-west-1.amazonaws.com``.
    """
    return [
        service
        for service in patient.endpoint_services("Interface")
        if service.startswith("com.amazonaws.")
    ]
