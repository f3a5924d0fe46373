"""The network: a VPC without a route to the internet, and private endpoints for AWS services."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from troposphere import Equals, GetAtt, GetAZs, If, Not, Select, Split, Template, ec2, logs

from generator.custom_resources import IN_THE_VPC
from generator.policies.statements import role_arn, role_policy, write_flow_logs
from generator.retention import retention
from generator.settings import Mode, Settings, endpoints_of_functions, interface_endpoints
from generator.settings_network import Network
from generator.stacks.network_endpoints import interface_endpoint, s3_gateway
from generator.stacks.network_parts import (
    EndpointGroup,
    Outputs,
    Place,
    add_baseline,
    add_client_groups,
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
    OptionalText,
    QueueArn,
    RoleList,
    RoleName,
    SecurityGroupId,
    StackTemplate,
    SubnetIds,
    UniqueName,
    VpcId,
    YesNo,
    add,
    add_all,
    declare,
    publish,
)

ZONES_CHOSEN = "ZonesAreChosen"
SUBNET_SIZES = {2: 1, 3: 2, 4: 2}
"""Additional prefix bits of a subnet, compared with the VPC's range."""
FLOW_LOG_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs from the root."""

    unique_name: UniqueName
    availability_zones: OptionalText
    functions_in_the_vpc: YesNo
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    flow_logs_role: RoleName
    vpc_baseline_role: RoleName
    pipeline_role: RoleName
    deploy_model_role: RoleName | None = None
    studio_role: RoleName | None = None
    persona_roles: RoleList | None = None


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: VPC without internet, private endpoints")
    inputs = declare(Inputs, template, roles_not_needed(settings))
    template.add_condition(ZONES_CHOSEN, Not(Equals(inputs.availability_zones, "")))
    template.add_condition(IN_THE_VPC, Equals(inputs.functions_in_the_vpc, "yes"))
    network = settings.network
    vpc = add(template, _vpc(network.cidr, inputs.unique_name))
    vpc_id = VpcId(vpc.ref())
    subnets = add_all(template, _subnets(vpc, network, inputs))
    s3_endpoint = _add_s3_endpoint(template, vpc, subnets, inputs.unique_name, network)
    prefix_list = add_baseline(template, vpc_id, inputs, settings, mode)
    endpoints = add(template, security_group("Endpoints", "Interface endpoints", vpc_id))
    endpoints_id = group_id(endpoints)
    groups = add_client_groups(template, vpc_id, settings)
    reached = [EndpointGroup("Endpoints", endpoints_id)]
    add_all(template, ways_out(groups.all(), reached, prefix_list))
    in_zones = subnets[: network.endpoint_zones]
    _add_interface_endpoints(template, vpc, in_zones, endpoints_id, settings)
    _add_flow_log(template, vpc, inputs, settings, mode)
    place = Place(
        vpc_id, SubnetIds([subnet.ref() for subnet in subnets]), EndpointId(s3_endpoint.ref())
    )
    outputs = outputs_of(place, groups, endpoints_id, prefix_list, settings)
    add_all(template, guards(inputs, settings, outputs))
    publish(outputs, template)
    return StackTemplate("network", template, Inputs, Outputs)


def _vpc(cidr: IPv4Network, name: UniqueName) -> ec2.VPC:
    return ec2.VPC(
        "Vpc",
        CidrBlock=str(cidr),
        EnableDnsHostnames=True,
        EnableDnsSupport=True,
        Tags=named(name, "vpc"),
    )


def _subnets(vpc: ec2.VPC, network: Network, inputs: Inputs) -> list[ec2.Subnet]:
    """Return one isolated subnet in each zone: a quarter of the range each, or half for two."""
    ranges = network.cidr.subnets(prefixlen_diff=SUBNET_SIZES[network.zones])
    return [
        ec2.Subnet(
            f"Subnet{number}",
            AvailabilityZone=_zone(inputs.availability_zones, number - 1),
            CidrBlock=str(cidr),
            MapPublicIpOnLaunch=False,
            Tags=named(inputs.unique_name, f"isolated-{number}"),
            VpcId=vpc.ref(),
        )
        for number, cidr in zip(range(1, network.zones + 1), ranges, strict=False)
    ]


def _zone(chosen: OptionalText, index: int) -> If:
    return If(ZONES_CHOSEN, Select(index, Split(",", chosen)), Select(index, GetAZs("")))


def _add_s3_endpoint(
    template: Template,
    vpc: ec2.VPC,
    subnets: list[ec2.Subnet],
    name: UniqueName,
    network: Network,
) -> ec2.VPCEndpoint:
    """Add the subnets' shared route table, whose only route out of the VPC leads to S3."""
    table = add(
        template,
        ec2.RouteTable("RouteTable", Tags=named(name, "isolated"), VpcId=vpc.ref()),
    )
    for number, subnet in enumerate(subnets, start=1):
        association = ec2.SubnetRouteTableAssociation(
            f"Subnet{number}RouteTableAssociation", RouteTableId=table.ref(), SubnetId=subnet.ref()
        )
        add(template, association)
    return add(template, s3_gateway(network, vpc.ref(), [table.ref()]))


def _add_interface_endpoints(
    template: Template,
    vpc: ec2.VPC,
    subnets: list[ec2.Subnet],
    group: SecurityGroupId,
    settings: Settings,
) -> None:
    """Add the endpoints that the settings need, and those that functions in the VPC need."""
    of_functions = endpoints_of_functions(settings)
    for service in (*map(str, interface_endpoints(settings)), *of_functions):
        endpoint = interface_endpoint(
            service, settings, vpc.ref(), [subnet.ref() for subnet in subnets], group
        )
        if service in of_functions:
            endpoint.Condition = IN_THE_VPC
        add(template, endpoint)


def _add_flow_log(
    template: Template, vpc: ec2.VPC, inputs: Inputs, settings: Settings, mode: Mode
) -> None:
    """Add the VPC's flow log and its log group.

    The flow log refers to the group by name: the group's ``Arn`` ends in ``:*``, which a flow log
    accepts as destination but never delivers to (terraform-provider-aws issue 6373).
    """
    group = add(
        template,
        logs.LogGroup(
            "FlowLogsLogGroup",
            KmsKeyId=inputs.key_arn,
            RetentionInDays=settings.storage.log_retention_days,
            **retention(mode),
        ),
    )
    policy = role_policy(
        "FlowLogsPolicy",
        inputs.flow_logs_role,
        write_flow_logs(GetAtt(group, "Arn"), inputs.key_arn),
    )
    add(template, policy)
    add(
        template,
        ec2.FlowLog(
            "FlowLog",
            DeliverLogsPermissionArn=role_arn(inputs.flow_logs_role),
            DependsOn=[policy.title],
            LogGroupName=group.ref(),
            LogDestinationType="cloud-watch-logs",
            MaxAggregationInterval=FLOW_LOG_SECONDS,
            ResourceId=vpc.ref(),
            ResourceType="VPC",
            Tags=named(inputs.unique_name, "flow-log"),
            TrafficType="ALL",
        ),
    )
