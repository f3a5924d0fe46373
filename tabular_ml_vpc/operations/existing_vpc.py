"""What is in an existing VPC: subnets, routes, endpoints, security groups, network ACLs.

Reads only. What the stack itself created there does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import Any, Final

from generator import record
from generator.settings_network import Network
from generator.stacks.network_endpoints import service_in
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.findings import CheckContext, Verdict

HTTPS: Final = 443
_TCP: Final = ("6", "-1", "tcp")
_PREFIX: Final = "network."

Item = Mapping[str, Any]


def network_of(context: CheckContext) -> Network | None:
    """Return the settings of the network that the templates record, if the VPC exists."""
    chosen = record.recorded(context.templates["root"])
    values = {
        name.removeprefix(_PREFIX): value
        for name, value in chosen.items()
        if name.startswith(_PREFIX)
    }
    return Network.model_validate(values) if values.get("vpc") else None


@dataclass(frozen=True)
class ExistingVpc:
    """An existing VPC as EC2 describes it, read when it is asked for."""

    context: CheckContext
    network: Network

    @property
    def id(self) -> str:
        """Return the VPC's id."""
        return self.network.vpc

    @cached_property
    def _itself(self) -> list[Item]:
        return self._described("describe_vpcs", "Vpcs")

    @property
    def exists(self) -> bool:
        """Return whether the VPC is in this account and region, or shared with the account."""
        return bool(self._itself)

    @property
    def owner(self) -> str:
        """Return the id of the account that the VPC belongs to."""
        return str(self._itself[0].get("OwnerId") or self.context.target.account)

    @property
    def is_shared(self) -> bool:
        """Return whether another account owns the VPC, and shares subnets with this one."""
        return self.owner != self.context.target.account

    @property
    def invisible(self) -> Verdict:
        """Return the verdict on an endpoint that is not seen: its owner may not show it."""
        return Verdict.UNKNOWN if self.is_shared else Verdict.PROBLEM

    @property
    def ranges(self) -> list[str]:
        """Return the VPC's IPv4 ranges."""
        itself = self._itself[0]
        more = [str(one["CidrBlock"]) for one in itself.get("CidrBlockAssociationSet", [])]
        return list(dict.fromkeys([str(itself["CidrBlock"]), *more]))

    @cached_property
    def dns(self) -> dict[str, bool]:
        """Return the two attributes that private DNS names need."""
        client = self.context.target.client("ec2")
        found = {}
        for name in ("enableDnsSupport", "enableDnsHostnames"):
            answer = client.describe_vpc_attribute(VpcId=self.id, Attribute=name)
            found[name] = bool(answer[name[0].upper() + name[1:]]["Value"])
        return found

    @cached_property
    def subnets(self) -> dict[str, Item]:
        """Return the chosen subnets that are in the VPC, by id."""
        found = {one["SubnetId"]: one for one in self._described("describe_subnets", "Subnets")}
        return {name: found[name] for name in self.network.subnets if name in found}

    @property
    def endpoint_subnets(self) -> list[Item]:
        """Return the subnets in which created endpoints have an interface."""
        names = self.network.subnets[: self.network.endpoint_zones]
        return [self.subnets[name] for name in names if name in self.subnets]

    @cached_property
    def tables(self) -> list[Item]:
        """Return the VPC's route tables."""
        return self._described("describe_route_tables", "RouteTables")

    def table_of(self, subnet: str) -> Item | None:
        """Return a subnet's route table: its own, or the VPC's main one."""
        main = None
        for table in self.tables:
            for association in table.get("Associations", []):
                if association.get("SubnetId") == subnet:
                    return table
                if association.get("Main"):
                    main = table
        return main

    @cached_property
    def tables_used(self) -> dict[str, list[str]]:
        """Return the chosen subnets by the id of their route table."""
        used: dict[str, list[str]] = {}
        for subnet in self.subnets:
            if table := self.table_of(subnet):
                used.setdefault(str(table["RouteTableId"]), []).append(subnet)
        return used

    @property
    def endpoints(self) -> list[Item]:
        """Return the VPC's endpoints that are not this stack's."""
        return [one for one in self._endpoints if one["VpcEndpointId"] not in self._ours]

    def has_created(self, service: str) -> bool:
        """Return whether the stack has created an endpoint for a service already."""
        name = self.full_name(service)
        ours = (one for one in self._endpoints if one["VpcEndpointId"] in self._ours)
        return any(one["ServiceName"] == name for one in ours)

    @cached_property
    def _endpoints(self) -> list[Item]:
        return self._described("describe_vpc_endpoints", "VpcEndpoints")

    @cached_property
    def _ours(self) -> set[str]:
        """Return the ids of what the deployed stack created."""
        if self.context.stack is None:
            return set()
        tree = stacks.tree(self.context.target, self.context.stack)
        return {resource.physical_id for node in tree.walk() for resource in node.resources}

    def endpoint_for(self, service: str) -> Item | None:
        """Return the endpoint whose private name a service has in the VPC."""
        name = self.full_name(service)
        named = [one for one in self.endpoints if one["ServiceName"] == name]
        private = [one for one in named if one.get("PrivateDnsEnabled")]
        return next(iter(private or named), None)

    def full_name(self, service: str) -> str:
        """Return an endpoint service's name in the region, by its PrivateLink name."""
        return service_in(self.context.target.region, service)

    @cached_property
    def groups(self) -> dict[str, Item]:
        """Return the security groups of the VPC's endpoints, by id."""
        names = {group for one in self.endpoints for group in groups_of(one)}
        found = self._described("describe_security_groups", "SecurityGroups")
        return {one["GroupId"]: one for one in found if one["GroupId"] in names}

    def acl_of(self, subnet: str) -> Item | None:
        """Return a subnet's network ACL: its own, or the VPC's default one."""
        for acl in self._acls:
            if any(one["SubnetId"] == subnet for one in acl.get("Associations", [])):
                return acl
        return next((acl for acl in self._acls if acl.get("IsDefault")), None)

    @cached_property
    def _acls(self) -> list[Item]:
        return self._described("describe_network_acls", "NetworkAcls")

    @cached_property
    def s3_ranges(self) -> list[str]:
        """Return S3's addresses in the region, as ranges."""
        name = f"com.amazonaws.{self.context.target.region}.s3"
        pages = self.context.target.client("ec2").get_paginator("describe_prefix_lists").paginate()
        lists = [one for page in pages for one in page["PrefixLists"]]
        return [cidr for one in lists if one["PrefixListName"] == name for cidr in one["Cidrs"]]

    def _described(self, operation: str, member: str) -> list[Item]:
        """Return what an operation describes of this VPC."""
        pages = self.context.target.client("ec2").get_paginator(operation)
        filters = [{"Name": "vpc-id", "Values": [self.id]}]
        return [
            item
            for page in pages.paginate(Filters=filters)
            for item in page[member]
            if item["VpcId"] == self.id
        ]


def groups_of(endpoint: Item) -> list[str]:
    """Return the ids of an interface endpoint's security groups."""
    return [str(group["GroupId"]) for group in endpoint.get("Groups", [])]


def ways_to_the_internet(table: Item) -> Iterator[str]:
    """Yield the targets of routes that lead out of the VPC, other than to its endpoints."""
    keys = (
        *("GatewayId", "NatGatewayId", "TransitGatewayId", "EgressOnlyInternetGatewayId"),
        *("VpcPeeringConnectionId", "NetworkInterfaceId", "CarrierGatewayId", "LocalGatewayId"),
    )
    for route in table.get("Routes", []):
        target = next((str(route[key]) for key in keys if route.get(key)), "")
        if target and target != "local" and not target.startswith("vpce-"):
            yield target


def lets_in(group: Item, ranges: Iterable[str]) -> list[str]:
    """Return the ranges from which a security group's rules by address do not allow HTTPS."""
    allowed = [
        str(one["CidrIp"])
        for rule in group.get("IpPermissions", [])
        if _has_https(rule)
        for one in rule.get("IpRanges", [])
    ]
    return outside(ranges, allowed)


def outside(ranges: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return the ranges that are not within one of those allowed."""
    wide = list(allowed)
    return [one for one in ranges if not any(_within(one, other) for other in wide)]


def refers_elsewhere(group: Item) -> bool:
    """Return whether a rule for HTTPS names a prefix list, whose addresses are not known here."""
    rules = group.get("IpPermissions", [])
    return any(_has_https(rule) and rule.get("PrefixListIds") for rule in rules)


def _has_https(rule: Item) -> bool:
    if str(rule.get("IpProtocol")) not in _TCP:
        return False
    return int(rule.get("FromPort", 0)) <= HTTPS <= int(rule.get("ToPort", 65535))


def acl_allows(acl: Item, peer: str, port: int, *, egress: bool) -> bool:
    """Return whether a network ACL lets TCP through; its first matching entry decides."""
    entries: Sequence[Item] = [one for one in acl["Entries"] if bool(one["Egress"]) is egress]
    for entry in sorted(entries, key=lambda one: int(one["RuleNumber"])):
        if str(entry.get("Protocol")) not in _TCP or "CidrBlock" not in entry:
            continue
        ports = entry.get("PortRange") or {"From": 0, "To": 65535}
        if ports["From"] <= port <= ports["To"] and _within(peer, str(entry["CidrBlock"])):
            return str(entry["RuleAction"]) == "allow"
    return False


def _within(narrow: str, wide: str) -> bool:
    left, right = ip_network(narrow, strict=False), ip_network(wide, strict=False)
    return left.version == right.version and left.subnet_of(right)  # type: ignore[arg-type]
