"""Parts of the network in a VPC of ours or an existing one: security groups, guards, baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Final, Protocol

from troposphere import AWSHelperFn, AWSObject, GetAtt, Sub, Tags, Template, awslambda, ec2

from functions.vpc_baseline.properties import VpcBaselineProperties
from generator.custom_resources import FunctionContext, FunctionSpec, add_function, custom_resource
from generator.policies import functions as permissions
from generator.policies.approval import decided_by_others, leave_serving_to_others
from generator.policies.guards import Cluster, NetworkBoundary, keep_jobs_inside
from generator.policies.spending import bound_spending
from generator.policies.statements import managed_policy
from generator.settings import (
    Mode,
    Settings,
    main_choices,
    on_spark,
    shares_pipelines,
)
from generator.settings_network import S3
from generator.stacks import personas
from generator.wiring import (
    EndpointId,
    Expression,
    KeyArn,
    QueueArn,
    RoleList,
    RoleName,
    SecurityGroupId,
    SubnetIds,
    Text,
    UniqueName,
    VpcId,
    add,
    add_all,
)

HTTPS: Final = 443
NOWHERE: Final = "127.0.0.1/32"
BASELINE_SECONDS: Final = 120
"""Longer than all retries of one call that gets no response."""


class PartsInputs(Protocol):
    """The inputs that the parts need."""

    @property
    def key_arn(self) -> KeyArn:
        """Return the key."""

    @property
    def dead_letter_queue(self) -> QueueArn:
        """Return the queue for undeliverable events."""

    @property
    def vpc_baseline_role(self) -> RoleName:
        """Return the role of the baseline's function."""

    @property
    def pipeline_role(self) -> RoleName:
        """Return the pipeline's role."""

    @property
    def unique_name(self) -> UniqueName:
        """Return the deployment's name."""

    @property
    def deploy_model_role(self) -> RoleName | None:
        """Return the role of the function that deploys models on approval, if there is one."""

    @property
    def studio_role(self) -> RoleName | None:
        """Return data scientists' role, if there is Studio."""

    @property
    def persona_roles(self) -> RoleList | None:
        """Return the roles of other people, if there are any."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The VPC, and one security group for each kind of network interface.

    Studio has one if the stack creates its domain.
    """

    vpc_id: VpcId
    subnet_ids: SubnetIds
    s3_endpoint_id: EndpointId
    studio_security_group_id: SecurityGroupId | None = None
    jobs_security_group_id: SecurityGroupId
    preprocess_security_group_id: SecurityGroupId
    functions_security_group_id: SecurityGroupId
    endpoints_security_group_id: SecurityGroupId | None = None
    """That of our own endpoints, if there are any."""
    s3_prefix_list_id: Text | None = None
    """Both are outputs if there are pipelines besides ``main``, whose groups are their own."""


def named(name: UniqueName, what: str) -> Tags:
    """Return the tag that the console shows as the resource's name."""
    return Tags(Name=Sub(f"${{Name}}-{what}", Name=name))


def roles_not_needed(settings: Settings) -> list[str]:
    """Return the roles among a network's inputs that these settings do not need."""
    deploying = [] if main_choices(settings).on_approval else ["deploy_model_role"]
    return [*personas.not_needed(settings), *deploying]


def guards(inputs: PartsInputs, settings: Settings, outputs: Outputs) -> list[AWSObject]:
    """Return the policies that keep jobs in this network and within the spending limits.

    They are in force before later stacks grant the roles any permission. Each is a managed policy,
    because together they exceed the size of one.
    """
    cluster = Cluster(outputs.preprocess_security_group_id, inputs.pipeline_role)
    boundary = NetworkBoundary(
        outputs.subnet_ids,
        outputs.jobs_security_group_id,
        inputs.key_arn,
        cluster if on_spark(settings) else None,
    )
    people = personas.roles(settings, inputs.persona_roles).values()
    scientists = [inputs.studio_role] if inputs.studio_role else []
    in_studio = [*scientists, *people]
    roles = [
        inputs.pipeline_role,
        *in_studio,
        *([inputs.deploy_model_role] if inputs.deploy_model_role else []),
    ]
    policies: list[AWSObject] = [
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
            bound_spending(settings.limits, apps=settings.studio.in_use),
        ),
    ]
    for number, group in enumerate(decided_by_others(settings) if in_studio else [], 1):
        approvals = managed_policy(
            f"ApprovalsComeFromOthersPolicy{number if number > 1 else ''}",
            "No approval, and no other model on the endpoint, by those who train models",
            in_studio,
            leave_serving_to_others(inputs.unique_name, group),
        )
        policies.append(approvals)
    return policies


def add_baseline(
    template: Template, vpc: VpcId | None, inputs: PartsInputs, settings: Settings, mode: Mode
) -> AWSHelperFn:
    """Add the custom resource that finds the S3 prefixes; return the id of their list.

    It also closes the default security group of our ``vpc``; None is an existing one, whose group
    is not ours. Its function runs outside the VPC, which has no EC2 endpoint.
    """
    context = FunctionContext(
        mode=mode,
        settings=settings,
        key_arn=inputs.key_arn,
        dead_letter_queue=inputs.dead_letter_queue,
    )
    closes = "Closes the VPC's default security group and finds the S3 prefix list"
    spec = FunctionSpec(
        package="vpc_baseline",
        description=closes if vpc else "Finds the S3 prefix list",
        role=inputs.vpc_baseline_role,
        permissions=permissions.vpc_baseline(vpc),
        timeout_seconds=BASELINE_SECONDS,
    )
    function: awslambda.Function = add_function(template, spec, context)
    values: dict[str, Expression] = {"service": S3}
    if vpc:
        values["vpc_id"] = vpc
    resource = custom_resource("VpcBaseline", VpcBaselineProperties, values, function)
    return GetAtt(add(template, resource), "S3PrefixListId")


@dataclass(frozen=True)
class EndpointGroup:
    """A security group of interface endpoints; ``rules`` are added to it, unless it is not ours."""

    name: str
    id: Expression
    rules: bool = True


@dataclass(frozen=True)
class ClientGroups:
    """The security groups of the clients of AWS.

    Preprocess has its own if it runs on a cluster; otherwise it uses that of all jobs. Studio has
    one if the stack creates its domain.
    """

    studio: ec2.SecurityGroup | None
    jobs: ec2.SecurityGroup
    preprocess: ec2.SecurityGroup
    functions: ec2.SecurityGroup

    def all(self) -> list[ec2.SecurityGroup]:
        """Return each group once."""
        cluster = [] if self.preprocess is self.jobs else [self.preprocess]
        studio = [self.studio] if self.studio else []
        return [*studio, self.jobs, self.functions, *cluster]


def add_client_groups(
    template: Template, vpc: VpcId, settings: Settings, owner: UniqueName | None = None
) -> ClientGroups:
    """Add the groups, which allow nothing yet; with an ``owner``, their names tell whose they are.

    Instances of a Spark cluster can reach each other.
    """

    def group(title: str, description: str) -> ec2.SecurityGroup:
        return add(template, security_group(title, description, vpc, owner))

    spark = on_spark(settings)
    jobs = group("Jobs", "SageMaker jobs and models")
    groups = ClientGroups(
        studio=group("Studio", "Apps of SageMaker Studio") if settings.studio.owns_domain else None,
        jobs=jobs,
        preprocess=group("Spark", "Instances of a Spark cluster") if spark else jobs,
        functions=group("Functions", "Functions of custom resources"),
    )
    if spark:
        add_all(template, among_themselves(groups.preprocess))
    return groups


@dataclass(frozen=True)
class Place:
    """Where everything runs."""

    vpc: VpcId
    subnets: SubnetIds
    s3_endpoint: EndpointId


def outputs_of(
    place: Place,
    groups: ClientGroups,
    endpoints: SecurityGroupId | None,
    prefix_list: AWSHelperFn,
    settings: Settings,
) -> Outputs:
    """Return the outputs; ``endpoints`` is the security group of endpoints of ours, if any."""
    several = shares_pipelines(settings)
    return Outputs(
        vpc_id=place.vpc,
        subnet_ids=place.subnets,
        s3_endpoint_id=place.s3_endpoint,
        studio_security_group_id=group_id(groups.studio) if groups.studio else None,
        jobs_security_group_id=group_id(groups.jobs),
        preprocess_security_group_id=group_id(groups.preprocess),
        functions_security_group_id=group_id(groups.functions),
        endpoints_security_group_id=endpoints if several else None,
        s3_prefix_list_id=Text(prefix_list) if several else None,
    )


def group_id(group: ec2.SecurityGroup) -> SecurityGroupId:
    """Return the id of a security group of the stack."""
    return SecurityGroupId(GetAtt(group, "GroupId"))


def ways_out(
    clients: Sequence[ec2.SecurityGroup],
    endpoints: Sequence[EndpointGroup],
    prefix_list: AWSHelperFn,
) -> list[AWSObject]:
    """Return rules by which clients reach the endpoints and S3 over HTTPS, and nothing else."""
    return [
        rule
        for client in clients
        for rule in (
            *(one for group in endpoints for one in _to_endpoints(client, group)),
            _to_s3(client, prefix_list),
        )
    ]


def among_themselves(group: ec2.SecurityGroup) -> list[AWSObject]:
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


def security_group(
    title: str, description: str, vpc: VpcId, owner: UniqueName | None = None
) -> ec2.SecurityGroup:
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
    group = ec2.SecurityGroup(
        f"{title}SecurityGroup",
        GroupDescription=description,
        SecurityGroupEgress=[nowhere],
        VpcId=vpc,
    )
    if owner:
        group.Tags = named(owner, title.lower())
    return group


_OVER_HTTPS: Final[dict[str, Any]] = {"FromPort": HTTPS, "ToPort": HTTPS, "IpProtocol": "tcp"}


def _to_endpoints(client: ec2.SecurityGroup, endpoints: EndpointGroup) -> list[AWSObject]:
    """Return the rule in the client's group and, if it gets any, the one in the endpoints'."""
    egress = ec2.SecurityGroupEgress(
        f"{_name(client)}To{endpoints.name}",
        Description="HTTPS to the interface endpoints",
        GroupId=GetAtt(client, "GroupId"),
        DestinationSecurityGroupId=endpoints.id,
        **_OVER_HTTPS,
    )
    if not endpoints.rules:
        return [egress]
    ingress = ec2.SecurityGroupIngress(
        f"{endpoints.name}From{_name(client)}",
        Description=f"HTTPS from {client.GroupDescription}",
        GroupId=endpoints.id,
        SourceSecurityGroupId=GetAtt(client, "GroupId"),
        **_OVER_HTTPS,
    )
    return [egress, ingress]


def from_range(group: ec2.SecurityGroup, cidr: IPv4Network) -> AWSObject:
    """Return the rule by which a range reaches endpoints that others in the VPC use, too."""
    return ec2.SecurityGroupIngress(
        f"{_name(group)}From{re.sub('[^0-9]', 'x', str(cidr))}",
        Description="HTTPS from other clients in the VPC",
        GroupId=GetAtt(group, "GroupId"),
        CidrIp=str(cidr),
        **_OVER_HTTPS,
    )


def _to_s3(client: ec2.SecurityGroup, prefix_list: AWSHelperFn) -> AWSObject:
    return ec2.SecurityGroupEgress(
        f"{_name(client)}ToS3",
        Description="HTTPS to S3 through the gateway endpoint",
        GroupId=GetAtt(client, "GroupId"),
        DestinationPrefixListId=prefix_list,
        **_OVER_HTTPS,
    )


def _name(group: ec2.SecurityGroup) -> str:
    return str(group.title).removesuffix("SecurityGroup")
