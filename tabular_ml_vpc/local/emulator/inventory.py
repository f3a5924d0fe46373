"""All resources in the account, for every service that the templates and their functions use.

For tests: `inventory(session)` before a deployment and after its deletion must be equal.
Not included: keys that are pending deletion, earlier jobs and runs (AWS keeps that history), apps
with status Deleted, and deleted stacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session


def inventory(session: Session) -> dict[str, list[str]]:
    """Return sorted names or ARNs by kind; kinds without resources are left out."""
    found = {kind: sorted(names(session)) for kind, names in KINDS.items()}
    return {kind: names for kind, names in found.items() if names}


def _listed(service: str, operation: str, member: str, name: str) -> Callable[..., list[str]]:
    """Return a function that lists one kind; `name` is the field to return."""

    def names(session: Session) -> list[str]:
        client = session.client(service)
        if client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate()
        else:
            pages = [getattr(client, operation)()]
        return [_text(item, name) for page in pages for item in page.get(member, [])]

    return names


def _text(item: Any, name: str) -> str:
    return str(item[name]) if name else str(item)


def _not_default_groups(session: Session) -> list[str]:
    groups = session.client("ec2").describe_security_groups()["SecurityGroups"]
    return [group["GroupId"] for group in groups if group["GroupName"] != "default"]


def _own_vpcs(session: Session) -> list[str]:
    vpcs = session.client("ec2").describe_vpcs()["Vpcs"]
    return [vpc["VpcId"] for vpc in vpcs if not vpc.get("IsDefault")]


def _keys(session: Session) -> list[str]:
    client = session.client("kms")
    keys = [key["KeyId"] for key in client.list_keys()["Keys"]]
    states = {key: client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys}
    return [key for key, state in states.items() if state != "PendingDeletion"]


def _own_aliases(session: Session) -> list[str]:
    aliases = session.client("kms").list_aliases()["Aliases"]
    names = [alias["AliasName"] for alias in aliases]
    return [name for name in names if not name.startswith("alias/aws/")]


def _stacks(session: Session) -> list[str]:
    stacks = session.client("cloudformation").describe_stacks()["Stacks"]
    return [item["StackName"] for item in stacks if item["StackStatus"] != "DELETE_COMPLETE"]


def _apps(session: Session) -> list[str]:
    pages = session.client("sagemaker").get_paginator("list_apps").paginate()
    apps = [app for page in pages for app in page["Apps"]]
    return [f"{app['AppType']}/{app['AppName']}" for app in apps if app["Status"] != "Deleted"]


def _model_packages(session: Session) -> list[str]:
    client = session.client("sagemaker")
    groups = _listed(
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    )(session)
    packages = [
        package
        for group in groups
        for page in client.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group
        )
        for package in page["ModelPackageSummaryList"]
    ]
    return [package["ModelPackageArn"] for package in packages]


def _scalable_targets(session: Session) -> list[str]:
    client = session.client("application-autoscaling")
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return [one["ResourceId"] for one in targets]


KINDS: dict[str, Callable[..., list[str]]] = {
    "stacks": _stacks,
    "buckets": _listed("s3", "list_buckets", "Buckets", "Name"),
    "keys": _keys,
    "key aliases": _own_aliases,
    "roles": _listed("iam", "list_roles", "Roles", "RoleName"),
    "functions": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "log groups": _listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "topics": _listed("sns", "list_topics", "Topics", "TopicArn"),
    "subscriptions": _listed("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    "queues": _listed("sqs", "list_queues", "QueueUrls", ""),
    "alarms": _listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboards": _listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "rules": _listed("events", "list_rules", "Rules", "Name"),
    "vpcs": _own_vpcs,
    "security groups": _not_default_groups,
    "subnets": _listed("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "route tables": _listed("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    "vpc endpoints": _listed("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "flow logs": _listed("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    "network interfaces": _listed(
        "ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"
    ),
    "domains": _listed("sagemaker", "list_domains", "Domains", "DomainId"),
    "user profiles": _listed("sagemaker", "list_user_profiles", "UserProfiles", "UserProfileName"),
    "spaces": _listed("sagemaker", "list_spaces", "Spaces", "SpaceName"),
    "apps": _apps,
    "lifecycle configurations": _listed(
        "sagemaker",
        "list_studio_lifecycle_configs",
        "StudioLifecycleConfigs",
        "StudioLifecycleConfigName",
    ),
    "package domains": _listed("codeartifact", "list_domains", "domains", "name"),
    "package repositories": _listed("codeartifact", "list_repositories", "repositories", "name"),
    "pipelines": _listed("sagemaker", "list_pipelines", "PipelineSummaries", "PipelineName"),
    "models": _listed("sagemaker", "list_models", "Models", "ModelName"),
    "endpoint configurations": _listed(
        "sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"
    ),
    "endpoints": _listed("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    "scalable targets": _scalable_targets,
    "model package groups": _listed(
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
    "model packages": _model_packages,
}
