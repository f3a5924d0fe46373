"""What a person who deploys into an existing VPC needs there, beyond their own resources.

The tags that scope the other permissions on a network are on our resources only.
Source of resources and actions: "Actions, resources, and condition keys for Amazon EC2", Service
Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from generator.policies.documents import statement
from generator.settings_network import Network
from pipeline.types import Json

_LOOK: Final = (
    "ec2:DescribeNetworkAcls",
    "ec2:DescribePrefixLists",
    "ec2:DescribeRouteTables",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
)
"""What `doctor` and `deploy` read before anything is created; none supports a resource."""
_ADD_RULES: Final = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
)
_KINDS_WE_CREATE: Final = ("security-group", "vpc-endpoint")


def created_in(network: Network) -> tuple[str, ...]:
    """Return what may be involved in creating something; nothing if the stack creates its VPC."""
    if not network.is_existing:
        return ()
    endpoints = _endpoint_places(network) if network.create_endpoints else ()
    ours = (f"arn:*:ec2:*:*:{kind}/*" for kind in _KINDS_WE_CREATE)
    return (_arn("vpc", network.vpc), *endpoints, *ours)


def reading(network: Network) -> Iterator[Json]:
    """Yield the permission to check the VPC (`doctor`, `deploy`), if it exists already."""
    if network.is_existing:
        yield statement("LookAtExistingVpc", _LOOK, ("*",))


def statements(network: Network) -> Iterator[Json]:
    """Yield what is allowed on resources of the VPC's owner."""
    yield from reading(network)
    if network.add_endpoint_rules:
        groups = [_arn("security-group", one) for one in network.endpoint_security_groups]
        rules = "arn:*:ec2:*:*:security-group-rule/*"
        yield statement("AddEndpointRules", _ADD_RULES, (*groups, rules))
    if network.create_endpoints:
        yield statement("PlaceEndpoints", ("ec2:ModifyVpcEndpoint",), _endpoint_places(network))


def _endpoint_places(network: Network) -> tuple[str, ...]:
    """Return the owner's resources in which created endpoints are."""
    subnets = network.subnets[: network.endpoint_zones]
    return (
        *(_arn("subnet", one) for one in subnets),
        *(_arn("route-table", one) for one in network.route_tables),
    )


def _arn(kind: str, name: str) -> str:
    return f"arn:*:ec2:*:*:{kind}/{name}"
