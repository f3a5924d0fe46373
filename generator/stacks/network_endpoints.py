"""VPC endpoints and their policies, in a VPC of ours or an existing one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from troposphere import Sub, ec2

from generator.policies.resources import (
    interface_endpoint_policy,
    package_endpoint_policy,
    registry_endpoint_policy,
    s3_endpoint_policy,
)
from generator.settings import PACKAGE_ENDPOINTS, Settings
from generator.settings_network import S3, InterfaceEndpoint, Network
from generator.settings_packages import Packages
from generator.wiring import Expression, SecurityGroupId

_REGISTRIES: Final = (InterfaceEndpoint.ECR_API, InterfaceEndpoint.ECR_DKR)


def s3_gateway(
    network: Network, vpc_id: Expression, route_tables: Sequence[Expression]
) -> ec2.VPCEndpoint:
    """Return the gateway endpoint for S3; the route tables get a route to it."""
    return ec2.VPCEndpoint(
        "S3Endpoint",
        **_policy(S3, network, Packages()),
        RouteTableIds=list(route_tables),
        ServiceName=service_name(S3),
        VpcEndpointType="Gateway",
        VpcId=vpc_id,
    )


def interface_endpoint(
    service: str,
    settings: Settings,
    vpc_id: Expression,
    subnets: Sequence[Expression],
    group: SecurityGroupId,
) -> ec2.VPCEndpoint:
    """Return a service's interface endpoint, with its private DNS name."""
    return ec2.VPCEndpoint(
        f"{_title(service)}Endpoint",
        **_policy(service, settings.network, settings.packages),
        PrivateDnsEnabled=True,
        SecurityGroupIds=[group],
        ServiceName=service_name(service),
        SubnetIds=list(subnets),
        VpcEndpointType="Interface",
        VpcId=vpc_id,
    )


def _policy(service: str, network: Network, packages: Packages) -> dict[str, Any]:
    """Return an endpoint's policy, or nothing for AWS's default, which allows everything."""
    if service not in network.policed:
        return {}
    if service == S3:
        return {"PolicyDocument": s3_endpoint_policy()}
    if service in _REGISTRIES:
        return {"PolicyDocument": registry_endpoint_policy()}
    if service in PACKAGE_ENDPOINTS and packages.owner:
        of_owner = (packages.domain, packages.repository, packages.owner)
        return {"PolicyDocument": package_endpoint_policy(*of_owner)}
    return {"PolicyDocument": interface_endpoint_policy()}


def service_name(service: str) -> Sub:
    """Return an endpoint service's name, in the region of the stack."""
    return Sub(service_in("${AWS::Region}", service))


def service_in(region: str, service: str) -> str:
    """Return an endpoint service's name in a region; only Studio's begins with ``aws.sagemaker``.

    Source: SageMaker developer guide, "Connect to Studio through an interface VPC endpoint".
    """
    if service == InterfaceEndpoint.SAGEMAKER_STUDIO:
        return f"aws.sagemaker.{region}.studio"
    return f"com.amazonaws.{region}.{service}"


def _title(service: str) -> str:
    return "".join(part.capitalize() for part in service.replace("-", ".").split("."))
