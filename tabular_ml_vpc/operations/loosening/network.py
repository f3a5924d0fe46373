"""What can be reached: rules of security groups, and functions outside the VPC.

Source: "Security group rules", Amazon VPC User Guide; a group without rules for outgoing traffic
allows all of it ("AWS::EC2::SecurityGroup", CloudFormation template reference).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from pipeline.types import Json, JsonView
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening

_GROUP: Final = "AWS::EC2::SecurityGroup"
_FUNCTION: Final = "AWS::Lambda::Function"
_ALL: Final = "-1"
_PROTOCOLS: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": _ALL}
_PORTS: Final = (0, 65_535)
_PEERS: Final = (
    "CidrIp",
    "CidrIpv6",
    "SourceSecurityGroupId",
    "SourceSecurityGroupName",
    "SourcePrefixListId",
    "DestinationSecurityGroupId",
    "DestinationPrefixListId",
)
_LOOPBACK: Final = ip_network("127.0.0.0/8")


class _Rule(NamedTuple):
    group: str
    direction: str
    protocol: str
    ports: tuple[int, int]
    peer: str

    def as_json(self) -> Json:
        first, last = self.ports
        return {
            "direction": self.direction,
            "protocol": "all" if self.protocol == _ALL else self.protocol,
            "ports": "all" if self.ports == _PORTS else f"{first}-{last}",
            "peer": self.peer,
        }


def loosenings(old: ResolvedDeployment | None, new: ResolvedDeployment) -> Iterator[Loosening]:
    """Yield the rules and functions that reach more than before."""
    known = {rule for one in old or () for rule in _rules(one)}
    before = {str(one) for one in old or ()}
    for resource in new:
        for rule in _rules(resource):
            if not _is_covered(rule, known):
                yield Loosening(
                    Kind.NETWORK,
                    str(resource),
                    f"rule of {rule.group}",
                    None,
                    rule.as_json(),
                    "more traffic can pass",
                )
        is_new = str(resource) not in before
        if is_new and resource.type == _FUNCTION and "VpcConfig" not in resource.properties:
            why = "the function runs outside the VPC"
            yield Loosening(Kind.NETWORK, str(resource), "VpcConfig", None, None, why)


def _rules(resource: ResolvedResource) -> Iterator[_Rule]:
    """Yield the rules of a group, or the one rule that a resource adds to a group."""
    properties = resource.properties
    for direction in ("Egress", "Ingress"):
        if resource.type == f"{_GROUP}{direction}":
            yield _rule(str(properties.get("GroupId")), direction, properties)
        elif resource.type == _GROUP:
            rules = properties.get(f"{_GROUP.rpartition(':')[2]}{direction}") or _default(direction)
            yield from (_rule(resource.reference, direction, one) for one in rules)


def _default(direction: str) -> list[Json]:
    return [{"IpProtocol": _ALL, "CidrIp": "0.0.0.0/0"}] if direction == "Egress" else []


def _rule(group: str, direction: str, properties: JsonView) -> _Rule:
    protocol = str(properties.get("IpProtocol", _ALL)).lower()
    first, last = (int(properties.get(name, -1)) for name in ("FromPort", "ToPort"))
    everything = protocol == _ALL or first < 0
    peers: list[Any] = [properties[name] for name in _PEERS if name in properties]
    return _Rule(
        group,
        direction.lower(),
        _PROTOCOLS.get(protocol, protocol),
        _PORTS if everything else (first, last),
        ", ".join(map(str, peers)),
    )


def _is_covered(rule: _Rule, known: set[_Rule]) -> bool:
    return _within(rule.peer, str(_LOOPBACK)) or any(_covers(one, rule) for one in known)


def _covers(wide: _Rule, narrow: _Rule) -> bool:
    return (
        (wide.group, wide.direction) == (narrow.group, narrow.direction)
        and wide.protocol in (_ALL, narrow.protocol)
        and wide.ports[0] <= narrow.ports[0]
        and wide.ports[1] >= narrow.ports[1]
        and _within(narrow.peer, wide.peer)
    )


def _within(narrow: str, wide: str) -> bool:
    """Return whether a peer is another one, or addresses within another one's."""
    if narrow == wide:
        return True
    try:
        left, right = ip_network(narrow), ip_network(wide)
    except ValueError:
        return False
    return left.version == right.version and left.subnet_of(right)  # type: ignore[arg-type]
