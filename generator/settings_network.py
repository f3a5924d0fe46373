"""Settings of the network: a VPC that the stack creates, or one that exists."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from generator.settings_section import Section


class InterfaceEndpoint(StrEnum):
    """AWS services, besides S3, that the subnets can reach, by PrivateLink name."""

    SAGEMAKER_API = "sagemaker.api"
    SAGEMAKER_RUNTIME = "sagemaker.runtime"
    SAGEMAKER_STUDIO = "sagemaker.studio"
    ECR_API = "ecr.api"
    ECR_DKR = "ecr.dkr"
    LOGS = "logs"
    STS = "sts"
    KMS = "kms"
    MONITORING = "monitoring"
    EVENTS = "events"
    SNS = "sns"
    LAMBDA = "lambda"
    SSM = "ssm"
    SECRETS_MANAGER = "secretsmanager"
    ATHENA = "athena"
    GLUE = "glue"
    CODEARTIFACT_API = "codeartifact.api"
    CODEARTIFACT_REPOSITORIES = "codeartifact.repositories"
    SERVICE_CATALOG = "servicecatalog"
    APPLICATION_AUTOSCALING = "application-autoscaling"


STANDARD_ENDPOINTS = (
    InterfaceEndpoint.SAGEMAKER_API,
    InterfaceEndpoint.SAGEMAKER_RUNTIME,
    InterfaceEndpoint.SAGEMAKER_STUDIO,
    InterfaceEndpoint.ECR_API,
    InterfaceEndpoint.ECR_DKR,
    InterfaceEndpoint.LOGS,
    InterfaceEndpoint.STS,
)
REQUIRED_ENDPOINTS = (InterfaceEndpoint.SAGEMAKER_API, InterfaceEndpoint.SAGEMAKER_RUNTIME)
"""Studio in VpcOnly mode does not work without them (SageMaker developer guide, "Connect Studio
in a VPC to external resources"). Without a domain in the VPC, only our functions need the first."""


class EndpointProfile(StrEnum):
    """Named sets of interface endpoints; `build.py cost` prices them."""

    MINIMAL = "minimal"
    """The minimum for Studio."""
    STANDARD = "standard"
    """Seven: also Studio's private address, container images, logs and the caller's identity."""
    FULL = "full"
    """Every available service."""


ENDPOINT_PROFILES: dict[EndpointProfile, tuple[InterfaceEndpoint, ...]] = {
    EndpointProfile.MINIMAL: REQUIRED_ENDPOINTS,
    EndpointProfile.STANDARD: STANDARD_ENDPOINTS,
    EndpointProfile.FULL: tuple(InterfaceEndpoint),
}

POLICED_ENDPOINTS = ("s3", "cloudformation", *InterfaceEndpoint)
"""All possible endpoints; each has a policy unless the settings say otherwise."""

_TAKEN_RANGES = {
    IPv4Network("0.0.0.0/8"): "this network",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("169.254.0.0/16"): "link-local addresses",
    IPv4Network("172.17.0.0/16"): "Docker's range, which SageMaker uses",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
"""Ranges that no VPC can have, and 172.17.0.0/16 (Amazon VPC User Guide, "VPC CIDR blocks")."""

_HEX: Final = "[0-9a-f]{8}([0-9a-f]{9})?$"
_VPC: Final = f"^$|^vpc-{_HEX}"
_ENDPOINT: Final = f"^$|^vpce-{_HEX}"
_SUBNET: Final = f"^subnet-{_HEX}"
_ROUTE_TABLE: Final = f"^rtb-{_HEX}"
_GROUP: Final = f"^sg-{_HEX}"
IN_WORDS: Final = {
    _VPC: "must be empty or the id of a VPC, such as vpc-0a1b2c3d4e5f60718",
    _ENDPOINT: "must be empty or the id of a VPC endpoint, such as vpce-0a1b2c3d4e5f60718",
    _SUBNET: "must be the id of a subnet, such as subnet-0a1b2c3d4e5f60718",
    _ROUTE_TABLE: "must be the id of a route table, such as rtb-0a1b2c3d4e5f60718",
    _GROUP: "must be the id of a security group, such as sg-0a1b2c3d4e5f60718",
}
"""What each pattern allows, in words, for error messages."""

SubnetId = Annotated[str, Field(pattern=_SUBNET)]
RouteTableId = Annotated[str, Field(pattern=_ROUTE_TABLE)]
GroupId = Annotated[str, Field(pattern=_GROUP)]

S3: Final = "s3"
FEWEST_SUBNETS: Final = 2
"""SageMaker and Lambda want two, in different zones."""
MOST_SUBNETS: Final = 16
"""What VpcConfig of a job takes (SageMaker API reference, "VpcConfig")."""


class CreatedEndpointPolicy(StrEnum):
    """The policy of an endpoint that the stack creates in an existing VPC."""

    OPEN = "open"
    """AWS's default: everything passes, as without the endpoint."""
    ACCOUNT = "account"
    """This account's principals and resources only, whichever workload calls."""


class Network(Section):
    """The VPC."""

    cidr: IPv4Network = IPv4Network("10.38.0.0/16")
    """Address range of the VPC, from /16 to /24."""
    zones: int = Field(default=2, ge=2, le=3, strict=True)
    """Number of Availability Zones, one isolated subnet in each."""
    endpoint_zones: int = Field(default=2, ge=1, le=3, strict=True)
    """Number of zones in which each interface endpoint has a network interface; each one costs."""
    interface_endpoints: tuple[InterfaceEndpoint, ...] = STANDARD_ENDPOINTS
    """AWS services, besides S3, that the subnets can reach: the name of a profile or a list. Each
    endpoint costs (see `python build.py cost`). The CloudFormation endpoint is added if our own
    functions run in the VPC."""
    endpoints_without_policy: tuple[str, ...] = Field(
        default=(), json_schema_extra={"items": {"enum": list(map(str, POLICED_ENDPOINTS))}}
    )
    """Endpoints that allow all traffic, for services that an organization shares between accounts.
    All others allow only this account's principals and resources."""
    vpc: str = Field(default="", pattern=_VPC)
    """Id of an existing VPC in which to deploy (docs/own-vpc.md). The stack then creates only
    security groups in it, and what the settings below name. Empty: the stack creates its VPC."""
    subnets: tuple[SubnetId, ...] = Field(default=(), max_length=MOST_SUBNETS)
    """Ids of the existing VPC's subnets to use: at least two, in different zones."""
    s3_endpoint: str = Field(default="", pattern=_ENDPOINT)
    """Id of the existing VPC's S3 gateway endpoint, the only way on which roles reach the data."""
    endpoint_security_groups: tuple[GroupId, ...] = ()
    """Ids of the security groups of the existing VPC's interface endpoints, to which our security
    groups allow HTTPS. Those groups must allow HTTPS from the subnets; `doctor` checks that."""
    add_endpoint_rules: bool = Field(default=False, strict=True)
    """Add a rule to each of endpoint_security_groups for each of our security groups."""
    create_endpoints: tuple[str, ...] = Field(
        default=(), json_schema_extra={"items": {"enum": list(map(str, POLICED_ENDPOINTS))}}
    )
    """Endpoints to create in the existing VPC. They affect everything else in it: `doctor` says
    how."""
    created_endpoint_clients: tuple[IPv4Network, ...] = ()
    """Address ranges that may use created interface endpoints: usually the existing VPC's. All
    traffic of the VPC to those services goes through them, so others would lose the services."""
    route_tables: tuple[RouteTableId, ...] = ()
    """Ids of the existing VPC's route tables that get a route to a created S3 endpoint."""
    created_endpoint_policy: CreatedEndpointPolicy = CreatedEndpointPolicy.OPEN
    """What endpoints created in an existing VPC allow: open, everything, as other workloads need
    it; or account, this account's principals and resources only (not for those in
    endpoints_without_policy)."""

    @field_validator("created_endpoint_clients", mode="before")
    @classmethod
    def _are_ranges(cls, values: object) -> object:
        return [_as_range(one) for one in values] if isinstance(values, list | tuple) else values

    @field_validator("cidr", mode="before")
    @classmethod
    def _is_a_range(cls, value: object) -> object:
        return _as_range(value)

    @field_validator("cidr")
    @classmethod
    def _fits_a_vpc(cls, cidr: IPv4Network) -> IPv4Network:
        if not 16 <= cidr.prefixlen <= 24:  # noqa: PLR2004 - the message states the limits
            raise ValueError("must be a range from /16 to /24, such as 10.38.0.0/16")
        for taken, use in _TAKEN_RANGES.items():
            if cidr.overlaps(taken):
                raise ValueError(f"must not overlap {taken} ({use}); a range such as 10.38.0.0/16")
        return cidr

    @field_validator(
        "interface_endpoints",
        mode="before",
        json_schema_input_type=EndpointProfile | tuple[InterfaceEndpoint, ...],
    )
    @classmethod
    def _profile_is_its_endpoints(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value not in tuple(EndpointProfile):
            raise ValueError(f"must be {', '.join(EndpointProfile)} or a list of services")
        return ENDPOINT_PROFILES[EndpointProfile(value)]

    @property
    def is_existing(self) -> bool:
        """Return whether the VPC exists already."""
        return bool(self.vpc)

    @property
    def policed(self) -> frozenset[str]:
        """Return the endpoints that get a policy of ours, if they are created."""
        if self.is_existing and self.created_endpoint_policy is CreatedEndpointPolicy.OPEN:
            return frozenset()
        return frozenset(POLICED_ENDPOINTS) - frozenset(self.endpoints_without_policy)

    @field_validator("endpoints_without_policy", "create_endpoints")
    @classmethod
    def _are_endpoints(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in POLICED_ENDPOINTS]:
            raise ValueError(f"{unknown[0]} is not one of {', '.join(POLICED_ENDPOINTS)}")
        return names

    @field_validator("interface_endpoints")
    @classmethod
    def _are_enough(cls, endpoints: tuple[InterfaceEndpoint, ...]) -> tuple[InterfaceEndpoint, ...]:
        if InterfaceEndpoint.SAGEMAKER_API not in endpoints:
            raise ValueError("must include sagemaker.api, which Studio and our functions need")
        if len(set(endpoints)) < len(endpoints):
            raise ValueError("must not name an endpoint twice")
        return endpoints

    @field_validator("subnets", "endpoint_security_groups", "create_endpoints", "route_tables")
    @classmethod
    def _are_named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("must not name anything twice")
        return names

    @model_validator(mode="after")
    def _are_of_one_vpc(self) -> Network:
        contradictions = _contradictions_in_theirs if self.is_existing else _contradictions_in_ours
        for problem in contradictions(self):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _endpoints_lie_in_zones(self) -> Network:
        if not self.is_existing and self.endpoint_zones > self.zones:
            raise ValueError(
                f"endpoint_zones ({self.endpoint_zones}) must not be greater than zones "
                f"({self.zones})"
            )
        return self


def _as_range(value: object) -> object:
    try:
        return IPv4Network(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"must be a range such as 10.38.0.0/16: {error}") from None


_OF_OURS: Final = ("cidr", "zones", "interface_endpoints")
"""Settings of a VPC that the stack creates."""
_OF_THEIRS: Final = (
    "subnets",
    "s3_endpoint",
    "endpoint_security_groups",
    "add_endpoint_rules",
    "create_endpoints",
    "created_endpoint_clients",
    "route_tables",
    "created_endpoint_policy",
)
"""Settings of a VPC that exists."""


def _contradictions_in_ours(network: Network) -> Iterator[str]:
    """Yield settings that have no effect in a VPC that the stack creates."""
    for name in _OF_THEIRS:
        if getattr(network, name) != Network.model_fields[name].get_default():
            yield f"{name} is for an existing VPC, but vpc is empty; set vpc or remove {name}"


def _contradictions_in_theirs(network: Network) -> Iterator[str]:
    """Yield settings that contradict each other, or leave out a necessity, in an existing VPC."""
    for name in _OF_OURS:
        if name in network.model_fields_set:
            instead = "create_endpoints" if name == "interface_endpoints" else "subnets"
            yield f"{name} is for a VPC that the stack creates, but vpc is set; use {instead}"
    count = len(network.subnets)
    if count < FEWEST_SUBNETS:
        yield f"subnets has {count} of at least {FEWEST_SUBNETS}, in different zones"
    if network.endpoint_zones > count:
        yield f"endpoint_zones ({network.endpoint_zones}) exceeds the number of subnets ({count})"
    yield from _contradictions_of_s3(network)
    yield from _contradictions_of_interfaces(network)


def _contradictions_of_s3(network: Network) -> Iterator[str]:
    creates = S3 in network.create_endpoints
    if creates and network.s3_endpoint:
        yield "s3_endpoint names an endpoint, and create_endpoints creates another; remove one"
    if not creates and not network.s3_endpoint:
        yield "set s3_endpoint, or add s3 to create_endpoints: the data is in S3"
    if creates and not network.route_tables:
        yield "route_tables must name the tables that get a route to the created S3 endpoint"
    if not creates and network.route_tables:
        yield "route_tables is for a created S3 endpoint, but create_endpoints has no s3"


def _contradictions_of_interfaces(network: Network) -> Iterator[str]:
    if network.add_endpoint_rules and not network.endpoint_security_groups:
        yield "add_endpoint_rules needs endpoint_security_groups"
    creates = sorted({*network.create_endpoints} - {S3})
    if creates and not network.created_endpoint_clients:
        yield (
            f"created_endpoint_clients must have the VPC's ranges: all its traffic to {creates[0]} "
            "would go through the created endpoint"
        )
    if network.created_endpoint_clients and not creates:
        yield "created_endpoint_clients is for created interface endpoints; there are none"
    api = InterfaceEndpoint.SAGEMAKER_API
    if not network.endpoint_security_groups and api not in network.create_endpoints:
        yield (
            f"Studio and our functions need {api}: name the security groups of the endpoints that "
            "exist in endpoint_security_groups, or add them to create_endpoints"
        )


def missing_for_studio(network: Network) -> str:
    """Return what to change so that Studio works in the VPC, or an empty text."""
    setting = "create_endpoints" if network.is_existing else "interface_endpoints"
    given = [str(name) for name in getattr(network, setting)]
    missing = [name for name in REQUIRED_ENDPOINTS if name not in given]
    if not missing or network.endpoint_security_groups:
        return ""
    return (
        f"network.{setting}: got {given}: must include {' and '.join(missing)}, which Studio needs"
    )
