"""The network: a VPC without a route to the internet, and private endpoints for AWS services."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from troposphere import (
    AWSHelperFn,
    AWSObject,
    Equals,
    GetAtt,
    GetAZs,
    If,
    Not,
    Select,
    Split,
    Sub,
    Tags,
    Template,
    awslambda,
    ec2,
    logs,
)

from functions.vpc_baseline.properties import VpcBaselineProperties
from generator.custom_resources import (
    IN_THE_VPC,
    FunctionContext,
    FunctionSpec,
    add_function,
    custom_resource,
)
from generator.policies import functions as permissions
from generator.policies.guards import Cluster, NetworkBoundary, keep_jobs_inside
from generator.policies.resources import (
    interface_endpoint_policy,
    registry_endpoint_policy,
    s3_endpoint_policy,
)
from generator.policies.spending import bound_spending
from generator.policies.statements import managed_policy, role_arn, role_policy, write_flow_logs
from generator.retention import retention
from generator.settings import (
    InterfaceEndpoint,
    Mode,
    Network,
    Settings,
    interface_endpoints,
    on_spark,
)
from generator.wiring import (
    EndpointId,
    Expression,
    KeyArn,
    OptionalText,
    QueueArn,
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
HTTPS = 443
NOWHERE = "127.0.0.1/32"
SUBNET_SIZES = {2: 1, 3: 2, 4: 2}
"""Additional prefix bits of a subnet, compared with the VPC's range."""
REGISTRIES = (InterfaceEndpoint.ECR_API, InterfaceEndpoint.ECR_DKR)
CLOUDFORMATION = "cloudformation"
S3 = "s3"
BASELINE_SECONDS = 120
"""Longer than all retries of one call that gets no response."""
FLOW_LOG_SECONDS = 60


@dataclass(frozen=True)
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
    studio_role: RoleName


@dataclass(frozen=True)
class Outputs:
    """The VPC, and one security group for each kind of network interface."""

    vpc_id: VpcId
    subnet_ids: SubnetIds
    s3_endpoint_id: EndpointId
    studio_security_group_id: SecurityGroupId
    jobs_security_group_id: SecurityGroupId
    preprocess_security_group_id: SecurityGroupId
    functions_security_group_id: SecurityGroupId


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: VPC without internet, private endpoints")
    inputs = declare(Inputs, template)
    template.add_condition(ZONES_CHOSEN, Not(Equals(inputs.availability_zones, "")))
    template.add_condition(IN_THE_VPC, Equals(inputs.functions_in_the_vpc, "yes"))
    vpc = add(template, _vpc(settings.network.cidr, inputs.unique_name))
    subnets = add_all(template, _subnets(vpc, settings.network, inputs))
    s3_endpoint = _add_s3_endpoint(template, vpc, subnets, inputs.unique_name, settings.network)
    baseline = _add_baseline(template, vpc, inputs, settings, mode)
    groups = _add_security_groups(template, vpc, baseline, spark=on_spark(settings))
    endpoint_subnets = subnets[: settings.network.endpoint_zones]
    add_all(template, _interface_endpoints(vpc, endpoint_subnets, groups, settings))
    _add_flow_log(template, vpc, inputs, settings, mode)
    outputs = Outputs(
        vpc_id=VpcId(vpc.ref()),
        subnet_ids=SubnetIds([subnet.ref() for subnet in subnets]),
        s3_endpoint_id=EndpointId(s3_endpoint.ref()),
        studio_security_group_id=SecurityGroupId(GetAtt(groups.studio, "GroupId")),
        jobs_security_group_id=SecurityGroupId(GetAtt(groups.jobs, "GroupId")),
        preprocess_security_group_id=SecurityGroupId(GetAtt(groups.preprocess, "GroupId")),
        functions_security_group_id=SecurityGroupId(GetAtt(groups.functions, "GroupId")),
    )
    add_all(template, _guards(inputs, outputs, settings))
    publish(outputs, template)
    return StackTemplate("network", template, Inputs, Outputs)


def _guards(inputs: Inputs, network: Outputs, settings: Settings) -> list[AWSObject]:
    """Return the policies that keep jobs in this network and within the spending limits.

    They are in force before later stacks grant the roles any permission. Each is a managed policy,
    because together they exceed the size of one.
    """
    cluster = Cluster(network.preprocess_security_group_id, inputs.pipeline_role)
    boundary = NetworkBoundary(
        network.subnet_ids,
        network.jobs_security_group_id,
        inputs.key_arn,
        cluster if on_spark(settings) else None,
    )
    roles = [inputs.pipeline_role, inputs.studio_role]
    return [
        managed_policy(
            "JobsStayInsidePolicy",
            "No job or model outside the VPC, without our key, unisolated, or with plain traffic",
            roles,
            keep_jobs_inside(boundary),
        ),
        managed_policy(
            "SpendingLimitsPolicy",
            "No job, endpoint or app on an instance type, or for a time, that was not allowed",
            roles,
            bound_spending(settings.limits),
        ),
    ]


def _vpc(cidr: IPv4Network, name: UniqueName) -> ec2.VPC:
    return ec2.VPC(
        "Vpc",
        CidrBlock=str(cidr),
        EnableDnsHostnames=True,
        EnableDnsSupport=True,
        Tags=_named(name, "vpc"),
    )


def _named(name: UniqueName, what: str) -> Tags:
    """Return the tag that the console shows as the resource's name."""
    return Tags(Name=Sub(f"${{Name}}-{what}", Name=name))


def _subnets(vpc: ec2.VPC, network: Network, inputs: Inputs) -> list[ec2.Subnet]:
    """Return one isolated subnet in each zone: a quarter of the range each, or half for two."""
    ranges = network.cidr.subnets(prefixlen_diff=SUBNET_SIZES[network.zones])
    return [
        ec2.Subnet(
            f"Subnet{number}",
            AvailabilityZone=_zone(inputs.availability_zones, number - 1),
            CidrBlock=str(cidr),
            MapPublicIpOnLaunch=False,
            Tags=_named(inputs.unique_name, f"isolated-{number}"),
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
        ec2.RouteTable("RouteTable", Tags=_named(name, "isolated"), VpcId=vpc.ref()),
    )
    for number, subnet in enumerate(subnets, start=1):
        association = ec2.SubnetRouteTableAssociation(
            f"Subnet{number}RouteTableAssociation", RouteTableId=table.ref(), SubnetId=subnet.ref()
        )
        add(template, association)
    return add(
        template,
        ec2.VPCEndpoint(
            "S3Endpoint",
            **_endpoint_policy(S3, network),
            RouteTableIds=[table.ref()],
            ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
            VpcEndpointType="Gateway",
            VpcId=vpc.ref(),
        ),
    )


def _add_baseline(
    template: Template, vpc: ec2.VPC, inputs: Inputs, settings: Settings, mode: Mode
) -> AWSObject:
    """Add the custom resource that closes the default security group and finds the S3 prefixes.

    Its function runs outside the VPC, which has no EC2 endpoint.
    """
    context = FunctionContext(
        mode=mode,
        settings=settings,
        key_arn=inputs.key_arn,
        dead_letter_queue=inputs.dead_letter_queue,
    )
    spec = FunctionSpec(
        package="vpc_baseline",
        description="Closes the VPC's default security group and finds the S3 prefix list",
        role=inputs.vpc_baseline_role,
        permissions=permissions.vpc_baseline(VpcId(vpc.ref())),
        timeout_seconds=BASELINE_SECONDS,
    )
    function: awslambda.Function = add_function(template, spec, context)
    values: dict[str, Expression] = {"vpc_id": vpc.ref(), "service": "s3"}
    return add(template, custom_resource("VpcBaseline", VpcBaselineProperties, values, function))


@dataclass(frozen=True)
class _Groups:
    """The security groups of the clients, and of the endpoints that they use.

    Preprocess has its own if it runs on a cluster; otherwise it uses that of all jobs.
    """

    endpoints: ec2.SecurityGroup
    studio: ec2.SecurityGroup
    jobs: ec2.SecurityGroup
    preprocess: ec2.SecurityGroup
    functions: ec2.SecurityGroup


def _add_security_groups(
    template: Template, vpc: ec2.VPC, baseline: AWSObject, *, spark: bool
) -> _Groups:
    """Add the groups: clients can reach the endpoints and S3 over HTTPS, and nothing else.

    Instances of a Spark cluster can also reach each other.
    """
    jobs = add(template, _group("Jobs", "SageMaker jobs and models", vpc))
    groups = _Groups(
        endpoints=add(template, _group("Endpoints", "Interface endpoints", vpc)),
        studio=add(template, _group("Studio", "Apps of SageMaker Studio", vpc)),
        jobs=jobs,
        preprocess=add(template, _group("Spark", "Instances of a Spark cluster", vpc))
        if spark
        else jobs,
        functions=add(template, _group("Functions", "Functions of custom resources", vpc)),
    )
    prefix_list = GetAtt(baseline, "S3PrefixListId")
    clients = [groups.studio, groups.jobs, groups.functions]
    if spark:
        clients.append(groups.preprocess)
        add_all(template, _among_themselves(groups.preprocess))
    for client in clients:
        add_all(template, _ways_out(client, groups.endpoints, prefix_list))
    return groups


def _among_themselves(group: ec2.SecurityGroup) -> list[AWSObject]:
    """Allow traffic among the members of a group, on every port.

    Spark's driver and executors, YARN and HDFS choose ports when they start, and traffic that
    SageMaker encrypts between instances is not TCP: it uses UDP 500 and protocol 50 (SageMaker
    developer guide, "Give SageMaker AI Processing Jobs Access to Resources in Your Amazon VPC" and
    "Protect Communications Between ML Compute Instances in a Distributed Training Job").
    """
    own, everything = GetAtt(group, "GroupId"), "-1"
    return [
        ec2.SecurityGroupEgress(
            "SparkToSpark",
            Description="The cluster's instances to each other",
            GroupId=own,
            DestinationSecurityGroupId=own,
            IpProtocol=everything,
        ),
        ec2.SecurityGroupIngress(
            "SparkFromSpark",
            Description="The cluster's instances from each other",
            GroupId=own,
            SourceSecurityGroupId=own,
            IpProtocol=everything,
        ),
    ]


def _group(title: str, description: str, vpc: ec2.VPC) -> ec2.SecurityGroup:
    """Return a group that allows no traffic in or out.

    A group without an inline egress rule keeps AWS's default, which allows everything
    ("AWS::EC2::SecurityGroup", CloudFormation Template Reference); rules that are separate
    resources do not remove it. The group therefore has an inline rule that leads nowhere.
    """
    nowhere = ec2.SecurityGroupRule(
        CidrIp=NOWHERE,
        IpProtocol="-1",
        Description="Replaces the default rule, which allows everything",
    )
    return ec2.SecurityGroup(
        f"{title}SecurityGroup",
        GroupDescription=description,
        SecurityGroupEgress=[nowhere],
        VpcId=vpc.ref(),
    )


def _ways_out(
    client: ec2.SecurityGroup, endpoints: ec2.SecurityGroup, prefix_list: AWSHelperFn
) -> list[AWSObject]:
    name = str(client.title).removesuffix("SecurityGroup")
    https: dict[str, Any] = {"FromPort": HTTPS, "ToPort": HTTPS, "IpProtocol": "tcp"}
    return [
        ec2.SecurityGroupEgress(
            f"{name}ToEndpoints",
            Description="HTTPS to the interface endpoints",
            GroupId=GetAtt(client, "GroupId"),
            DestinationSecurityGroupId=GetAtt(endpoints, "GroupId"),
            **https,
        ),
        ec2.SecurityGroupIngress(
            f"EndpointsFrom{name}",
            Description=f"HTTPS from {client.GroupDescription}",
            GroupId=GetAtt(endpoints, "GroupId"),
            SourceSecurityGroupId=GetAtt(client, "GroupId"),
            **https,
        ),
        ec2.SecurityGroupEgress(
            f"{name}ToS3",
            Description="HTTPS to S3 through the gateway endpoint",
            GroupId=GetAtt(client, "GroupId"),
            DestinationPrefixListId=prefix_list,
            **https,
        ),
    ]


def _interface_endpoints(
    vpc: ec2.VPC, subnets: list[ec2.Subnet], groups: _Groups, settings: Settings
) -> list[ec2.VPCEndpoint]:
    """Return the endpoints that the settings need, and CloudFormation's if functions need it."""
    services: dict[str, dict[str, Any]] = {
        str(service): {} for service in interface_endpoints(settings)
    }
    services[CLOUDFORMATION] = {"Condition": IN_THE_VPC}
    return [
        ec2.VPCEndpoint(
            f"{_title(service)}Endpoint",
            **_endpoint_policy(service, settings.network),
            PrivateDnsEnabled=True,
            SecurityGroupIds=[GetAtt(groups.endpoints, "GroupId")],
            ServiceName=service_name(service),
            SubnetIds=[subnet.ref() for subnet in subnets],
            VpcEndpointType="Interface",
            VpcId=vpc.ref(),
            **attributes,
        )
        for service, attributes in services.items()
    ]


def _endpoint_policy(service: str, network: Network) -> dict[str, Any]:
    """Return an endpoint's policy, or nothing for AWS's default, which allows everything."""
    if service in network.endpoints_without_policy:
        return {}
    if service == S3:
        return {"PolicyDocument": s3_endpoint_policy()}
    registry = service in REGISTRIES
    return {
        "PolicyDocument": registry_endpoint_policy() if registry else interface_endpoint_policy()
    }


def service_name(service: str) -> Sub:
    """Return an endpoint service's name; only Studio's does not begin with ``com.amazonaws``.

    Source: SageMaker developer guide, "Connect to Studio through an interface VPC endpoint".
    """
    if service == InterfaceEndpoint.SAGEMAKER_STUDIO:
        return Sub("aws.sagemaker.${AWS::Region}.studio")
    return Sub(f"com.amazonaws.${{AWS::Region}}.{service}")


def _title(service: str) -> str:
    return "".join(part.capitalize() for part in service.replace("-", ".").split("."))


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
            Tags=_named(inputs.unique_name, "flow-log"),
            TrafficType="ALL",
        ),
    )
