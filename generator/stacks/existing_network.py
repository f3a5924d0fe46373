"""The network stack in a VPC that exists: our security groups, and the endpoints named for it.

Nothing of the VPC's owner is changed except what the settings name: ``create_endpoints``,
``route_tables`` and ``add_endpoint_rules`` (docs/own-vpc.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import Template

from generator.settings import Mode, Settings
from generator.settings_network import S3, Network
from generator.stacks.network_endpoints import interface_endpoint, s3_gateway
from generator.stacks.network_parts import (
    EndpointGroup,
    Outputs,
    Place,
    add_baseline,
    add_client_groups,
    from_range,
    group_id,
    guards,
    named,
    outputs_of,
    roles_not_needed,
    security_group,
    ways_out,
)
from generator.wiring import (
    EndpointId,
    KeyArn,
    QueueArn,
    RoleList,
    RoleName,
    SecurityGroupId,
    StackTemplate,
    SubnetIds,
    UniqueName,
    VpcId,
    add,
    add_all,
    declare,
    publish,
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs from the root."""

    unique_name: UniqueName
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    vpc_baseline_role: RoleName
    pipeline_role: RoleName
    deploy_model_role: RoleName | None = None
    studio_role: RoleName | None = None
    persona_roles: RoleList | None = None


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack; it has the outputs of one that creates its VPC."""
    template = Template(Description=f"{settings.project}: security groups in an existing VPC")
    inputs = declare(Inputs, template, roles_not_needed(settings))
    network = settings.network
    vpc = VpcId(network.vpc)
    prefix_list = add_baseline(template, None, inputs, settings, mode)
    groups = add_client_groups(template, vpc, settings, inputs.unique_name)
    own = _add_interface_endpoints(template, settings, inputs)
    reached = endpoint_groups(network, own)
    add_all(template, ways_out(groups.all(), reached, prefix_list))
    place = Place(vpc, SubnetIds([*network.subnets]), _s3_endpoint(template, network, inputs))
    outputs = outputs_of(place, groups, own, prefix_list, settings)
    add_all(template, guards(inputs, settings, outputs))
    publish(outputs, template)
    return StackTemplate("network", template, Inputs, Outputs)


def endpoint_groups(network: Network, own: SecurityGroupId | None) -> list[EndpointGroup]:
    """Return the groups of the endpoints that exist, and of our ``own`` endpoints, if any.

    A rule's logical id contains the group's id.
    """
    theirs = [
        EndpointGroup(group.replace("-", "").capitalize(), group, rules=network.add_endpoint_rules)
        for group in network.endpoint_security_groups
    ]
    return [*theirs, *([EndpointGroup("Endpoints", own)] if own else [])]


def has_own_endpoints(network: Network) -> bool:
    """Tell whether there are interface endpoints of ours: in our VPC, or created in theirs."""
    return not network.is_existing or bool(set(network.create_endpoints) - {S3})


def _s3_endpoint(template: Template, network: Network, inputs: Inputs) -> EndpointId:
    """Return the S3 endpoint that exists, or the one that is added."""
    if S3 not in network.create_endpoints:
        return EndpointId(network.s3_endpoint)
    endpoint = s3_gateway(network, network.vpc, network.route_tables)
    endpoint.Tags = named(inputs.unique_name, S3)
    return EndpointId(add(template, endpoint).ref())


def _add_interface_endpoints(
    template: Template, settings: Settings, inputs: Inputs
) -> SecurityGroupId | None:
    """Add the interface endpoints to create; return their security group's id, if there are any."""
    network = settings.network
    services = [service for service in network.create_endpoints if service != S3]
    if not services:
        return None
    group = add(
        template,
        security_group("Endpoints", "Interface endpoints", VpcId(network.vpc), inputs.unique_name),
    )
    add_all(template, [from_range(group, one) for one in network.created_endpoint_clients])
    own = group_id(group)
    subnets = network.subnets[: network.endpoint_zones]
    for service in services:
        endpoint = interface_endpoint(service, settings, network.vpc, subnets, own)
        endpoint.Tags = named(inputs.unique_name, service)
        add(template, endpoint)
    return own
