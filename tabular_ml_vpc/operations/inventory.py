"""What remains of a stack after its deletion: each resource is checked, not assumed deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.target import Target, code_of, is_denied, message_of

_ABSENT: Final = (
    *("NotFound", "NoSuch", "404", "NonExistent", "ResourceNotFound", "DoesNotExist"),
    *("InvalidGroup.NotFound", "InvalidGroupId"),
)


@dataclass(frozen=True)
class PlannedDeletion:
    """A resource to be deleted: its place in the stack, and its name in AWS."""

    place: str
    type: str
    physical_id: str


@dataclass(frozen=True)
class Leftover:
    """A resource that still exists: why, and the command that removes it."""

    place: str
    type: str
    physical_id: str
    reason: str
    command: str

    def as_json(self) -> dict[str, str]:
        """Return plain values."""
        return {
            "place": self.place,
            "type": self.type,
            "physical_id": self.physical_id,
            "reason": self.reason,
            "command": self.command,
        }


@dataclass(frozen=True)
class _Kind:
    """How to find a resource of a type, and how to remove it by hand.

    In the command, ``{}`` is its physical id; of an ARN, ``{1}`` and ``{2}`` are parts of the path.
    """

    service: str
    find: Callable[[Any, str], Any]
    command: str


def _call(operation: str, argument: str) -> Callable[[Any, str], Any]:
    return lambda client, name: getattr(client, operation)(**{argument: name})


def _ids(operation: str, argument: str, key: str) -> Callable[[Any, str], Any]:
    return lambda client, name: bool(getattr(client, operation)(**{argument: [name]})[key])


def _flow_log(client: Any, name: str) -> bool:
    return bool(client.describe_flow_logs(FlowLogIds=[name])["FlowLogs"])


def _vpc_endpoint(client: Any, name: str) -> bool:
    found = client.describe_vpc_endpoints(VpcEndpointIds=[name])["VpcEndpoints"]
    return any(endpoint["State"].lower() != "deleted" for endpoint in found)


def _log_group(client: Any, name: str) -> bool:
    groups = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(group["logGroupName"] == name for group in groups)


def _key(client: Any, name: str) -> bool:
    return str(client.describe_key(KeyId=name)["KeyMetadata"]["KeyState"]) != "PendingDeletion"


def _alias(client: Any, name: str) -> bool:
    pages = client.get_paginator("list_aliases").paginate()
    return any(alias["AliasName"] == name for page in pages for alias in page["Aliases"])


def _alarm(client: Any, name: str) -> bool:
    return bool(client.describe_alarms(AlarmNames=[name])["MetricAlarms"])


def _path(physical_id: str) -> list[str]:
    """Return the parts of an ARN's path, the kind first."""
    return physical_id.rpartition(":")[2].split("/")


def _package_domain(client: Any, arn: str) -> Any:
    return client.describe_domain(domain=_path(arn)[1])


def _package_repository(client: Any, arn: str) -> Any:
    _, domain, repository = _path(arn)
    return client.describe_repository(domain=domain, repository=repository)


_EMPTY_AND_DELETE: Final = (
    "aws s3api delete-objects --bucket {} --delete "
    '"$(aws s3api list-object-versions --bucket {} --max-items 1000 --output json --query '
    "'{Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}')\"; "
    "aws s3api delete-bucket --bucket {}"
)
"""Deletes up to 1,000 versions; `aws s3 rb --force` keeps old versions, and so the bucket."""

_KINDS: Final[dict[str, _Kind]] = {
    "AWS::S3::Bucket": _Kind("s3", _call("head_bucket", "Bucket"), _EMPTY_AND_DELETE),
    "AWS::KMS::Key": _Kind("kms", _key, "aws kms schedule-key-deletion --key-id {}"),
    "AWS::KMS::Alias": _Kind("kms", _alias, "aws kms delete-alias --alias-name {}"),
    "AWS::Logs::LogGroup": _Kind(
        "logs", _log_group, "aws logs delete-log-group --log-group-name {}"
    ),
    "AWS::IAM::Role": _Kind(
        "iam", _call("get_role", "RoleName"), "aws iam delete-role --role-name {}"
    ),
    "AWS::IAM::ManagedPolicy": _Kind(
        "iam", _call("get_policy", "PolicyArn"), "aws iam delete-policy --policy-arn {}"
    ),
    "AWS::Lambda::Function": _Kind(
        "lambda",
        _call("get_function_configuration", "FunctionName"),
        "aws lambda delete-function --function-name {}",
    ),
    "AWS::SNS::Topic": _Kind(
        "sns", _call("get_topic_attributes", "TopicArn"), "aws sns delete-topic --topic-arn {}"
    ),
    "AWS::SQS::Queue": _Kind(
        "sqs", _call("get_queue_attributes", "QueueUrl"), "aws sqs delete-queue --queue-url {}"
    ),
    "AWS::Events::Rule": _Kind(
        "events", _call("describe_rule", "Name"), "aws events delete-rule --name {}"
    ),
    "AWS::CloudWatch::Alarm": _Kind(
        "cloudwatch", _alarm, "aws cloudwatch delete-alarms --alarm-names {}"
    ),
    "AWS::CloudWatch::Dashboard": _Kind(
        "cloudwatch",
        _call("get_dashboard", "DashboardName"),
        "aws cloudwatch delete-dashboards --dashboard-names {}",
    ),
    "AWS::EC2::VPC": _Kind(
        "ec2", _ids("describe_vpcs", "VpcIds", "Vpcs"), "aws ec2 delete-vpc --vpc-id {}"
    ),
    "AWS::EC2::Subnet": _Kind(
        "ec2",
        _ids("describe_subnets", "SubnetIds", "Subnets"),
        "aws ec2 delete-subnet --subnet-id {}",
    ),
    "AWS::EC2::SecurityGroup": _Kind(
        "ec2",
        _ids("describe_security_groups", "GroupIds", "SecurityGroups"),
        "aws ec2 delete-security-group --group-id {}",
    ),
    "AWS::EC2::RouteTable": _Kind(
        "ec2",
        _ids("describe_route_tables", "RouteTableIds", "RouteTables"),
        "aws ec2 delete-route-table --route-table-id {}",
    ),
    "AWS::EC2::VPCEndpoint": _Kind(
        "ec2", _vpc_endpoint, "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {}"
    ),
    "AWS::EC2::FlowLog": _Kind("ec2", _flow_log, "aws ec2 delete-flow-logs --flow-log-ids {}"),
    "AWS::SageMaker::Domain": _Kind(
        "sagemaker",
        _call("describe_domain", "DomainId"),
        "aws sagemaker delete-domain --retention-policy HomeEfsFileSystem=Delete --domain-id {}",
    ),
    "AWS::SageMaker::StudioLifecycleConfig": _Kind(
        "sagemaker",
        _call("describe_studio_lifecycle_config", "StudioLifecycleConfigName"),
        "aws sagemaker delete-studio-lifecycle-config --studio-lifecycle-config-name {}",
    ),
    "AWS::CodeArtifact::Domain": _Kind(
        "codeartifact", _package_domain, "aws codeartifact delete-domain --domain {1}"
    ),
    "AWS::CodeArtifact::Repository": _Kind(
        "codeartifact",
        _package_repository,
        "aws codeartifact delete-repository --domain {1} --repository {2}",
    ),
    "AWS::SageMaker::ModelPackageGroup": _Kind(
        "sagemaker",
        _call("describe_model_package_group", "ModelPackageGroupName"),
        "aws sagemaker delete-model-package-group --model-package-group-name {}",
    ),
    "pipeline": _Kind(
        "sagemaker",
        _call("describe_pipeline", "PipelineName"),
        "aws sagemaker delete-pipeline --pipeline-name {}",
    ),
    "endpoint": _Kind(
        "sagemaker",
        _call("describe_endpoint", "EndpointName"),
        "aws sagemaker delete-endpoint --endpoint-name {}",
    ),
    "endpoint configuration": _Kind(
        "sagemaker",
        _call("describe_endpoint_config", "EndpointConfigName"),
        "aws sagemaker delete-endpoint-config --endpoint-config-name {}",
    ),
    "model": _Kind(
        "sagemaker",
        _call("describe_model", "ModelName"),
        "aws sagemaker delete-model --model-name {}",
    ),
}


def left_of(
    target: Target,
    planned: Iterable[PlannedDeletion],
    reasons: Callable[[PlannedDeletion], str],
    unseen: list[PlannedDeletion],
) -> list[Leftover]:
    """Return the resources that still exist; types that are part of others are left out.

    Resources that the caller has no permission to read are added to ``unseen``.
    """
    return [
        Leftover(
            resource.place,
            resource.type,
            resource.physical_id,
            reasons(resource),
            _command(target, resource),
        )
        for resource in planned
        if resource.type in _KINDS and _exists(target, resource, unseen)
    ]


def _command(target: Target, resource: PlannedDeletion) -> str:
    command = _KINDS[resource.type].command.replace("{}", resource.physical_id)
    for number, part in enumerate(_path(resource.physical_id)):
        command = command.replace(f"{{{number}}}", part)
    return f"{command} --region {target.region}"


def _exists(target: Target, resource: PlannedDeletion, unseen: list[PlannedDeletion]) -> bool:
    kind = _KINDS[resource.type]
    try:
        return kind.find(target.client(kind.service), resource.physical_id) is not False
    except ClientError as error:
        if is_denied(error) or code_of(error) == "403":
            unseen.append(resource)
            return False
        if _says_absent(error):
            return False
        raise


def _says_absent(error: ClientError) -> bool:
    code, text = code_of(error), message_of(error)
    return any(part in code for part in _ABSENT) or (
        code in {"ValidationException", "ValidationError"}
        and any(part in text for part in ("not find", "not exist", "not found"))
    )
