"""Identifiers as AWS gives them, made up: the same for the same resource each time.

What ``Ref`` and ``Fn::GetAtt`` return for each type is what "AWS resource and property types
reference" of the CloudFormation template reference says. A name that CloudFormation would make up
is the stack's name, the logical id and twelve letters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

Properties = Callable[[], Mapping[str, Any]]
"""Gives the resource's resolved properties; asked only where a name of the user's is in them."""


class UnknownAttributeError(ValueError):
    """A resource type, or attribute of it, whose identifiers are not known here."""


@dataclass(frozen=True)
class StackLocation:
    """The account and region, and the root stack's name, that a deployment is thought to have."""

    account: str = "123456789012"
    region: str = "eu-west-1"
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    stack_name: str = "demo"
    zones: str = "abc"
    """The letters of the Availability Zones that ``Fn::GetAZs`` gives, in its order."""

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Identity:
    """What names the resources of one stack."""

    place: StackLocation
    stack_name: str

    def digits(self, logical_id: str, length: int = 17) -> str:
        """Return hexadecimal digits that are a resource's own."""
        return sha256(f"{self.stack_name}/{logical_id}".encode()).hexdigest()[:length]

    def uuid(self, logical_id: str) -> str:
        """Return a UUID that is a resource's own."""
        digits = self.digits(logical_id, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def named(self, logical_id: str) -> str:
        """Return a name as CloudFormation makes one up, of 64 characters at most."""
        ending = f"-{self.digits(logical_id, 12).upper()}"
        return f"{self.stack_name}-{logical_id}"[: 64 - len(ending)] + ending

    def bucket_name(self, logical_id: str) -> str:
        """Return a bucket's name as CloudFormation makes one up."""
        return self.named(logical_id).lower()

    def child(self, logical_id: str) -> Identity:
        """Return the identity of a nested stack."""
        return type(self)(self.place, self.named(logical_id))

    def pseudo(self, name: str) -> str:
        """Return the value of a pseudo parameter."""
        place = self.place
        stack = f"stack/{self.stack_name}/{self.uuid('')}"
        values = {
            "AWS::AccountId": place.account,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackId": place.arn("cloudformation", stack),
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": place.suffix,
        }
        if name not in values:
            raise UnknownAttributeError(f"{name} is not known here")
        return values[name]


class PlaceholderIdentity(Identity):
    """Names resources by placeholders such as ``${Key}``, for people, where no name is known yet.

    Two resources with the same logical id, in different stacks, have the same placeholder.
    """

    def digits(self, logical_id: str, length: int = 17) -> str:  # noqa: ARG002 - of any length
        """Return the placeholder."""
        return f"${{{logical_id}}}"

    def uuid(self, logical_id: str) -> str:
        """Return the placeholder; a stack's has the five parts that templates split."""
        return self.digits(logical_id) if logical_id else "0-0-0-0-${StackId}"

    def named(self, logical_id: str) -> str:
        """Return the placeholder."""
        return self.digits(logical_id)

    def bucket_name(self, logical_id: str) -> str:
        """Return the placeholder."""
        return self.digits(logical_id)


def reference(kind: str, logical_id: str, identity: Identity, properties: Properties) -> str:
    """Return what ``Ref`` gives for a resource."""
    place = identity.place
    if kind in _ID_PREFIXES:
        return f"{_ID_PREFIXES[kind]}-{identity.digits(logical_id)}"
    if kind in _NAME_PROPERTIES:
        name = properties().get(_NAME_PROPERTIES[kind])
        return _as_arn(kind, str(name or identity.named(logical_id)), place)
    if kind in _ARNS:
        service, path = _ARNS[kind]
        return place.arn(service, path.format_map(properties()))
    return _of_own_form(kind, logical_id, identity, properties)


def _of_own_form(kind: str, logical_id: str, identity: Identity, properties: Properties) -> str:
    place = identity.place
    match kind:
        case "AWS::KMS::Key":
            return identity.uuid(logical_id)
        case "AWS::S3::Bucket":
            return str(properties().get("BucketName") or identity.bucket_name(logical_id))
        case "AWS::SQS::Queue":
            queue = identity.named(logical_id)
            return f"https://sqs.{place.region}.{place.suffix}/{place.account}/{queue}"
        case _:
            return identity.named(logical_id)


_ID_PREFIXES: Final = {
    "AWS::EC2::FlowLog": "fl",
    "AWS::EC2::RouteTable": "rtb",
    "AWS::EC2::SecurityGroup": "sg",
    "AWS::EC2::SecurityGroupEgress": "sgr",
    "AWS::EC2::SecurityGroupIngress": "sgr",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::SubnetRouteTableAssociation": "rtbassoc",
    "AWS::EC2::VPC": "vpc",
    "AWS::EC2::VPCEndpoint": "vpce",
    "AWS::SageMaker::Domain": "d",
}
_ARNS: Final = {
    "AWS::CodeArtifact::Domain": ("codeartifact", "domain/{DomainName}"),
    "AWS::CodeArtifact::PackageGroup": ("codeartifact", "package-group/{DomainName}{Pattern}"),
    "AWS::CodeArtifact::Repository": ("codeartifact", "repository/{DomainName}/{RepositoryName}"),
}
"""Types whose ``Ref`` is an ARN made of their properties: the service, and the path."""
_NAME_PROPERTIES: Final = {
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupName",
    "AWS::SageMaker::StudioLifecycleConfig": "StudioLifecycleConfigName",
    "AWS::SageMaker::UserProfile": "UserProfileName",
}


def _as_arn(kind: str, name: str, place: StackLocation) -> str:
    """Three types give an ARN, and not a name, to ``Ref``."""
    match kind:
        case "AWS::IAM::ManagedPolicy":
            return f"arn:{place.partition}:iam::{place.account}:policy/{name}"
        case "AWS::SNS::Topic":
            return place.arn("sns", name)
        case "AWS::SageMaker::ModelPackageGroup":
            return place.arn("sagemaker", f"model-package-group/{name}")
        case _:
            return name


def attribute(
    kind: str, logical_id: str, name: str, identity: Identity, properties: Properties
) -> str:
    """Return what ``Fn::GetAtt`` gives.

    Raises:
        UnknownAttributeError: the type has no such attribute, or it is not known here.

    """
    known = _ATTRIBUTES.get((kind, name))
    if known is None:
        raise UnknownAttributeError(f"{logical_id}: {kind} has no known attribute {name}")
    return known(reference(kind, logical_id, identity, properties), identity.place, properties)


_Attribute = Callable[[str, StackLocation, Properties], str]


def _arn(service: str, resource: str) -> _Attribute:
    return lambda ref, place, _: place.arn(service, resource.format(ref))


def _same(ref: str, _place: StackLocation, _properties: Properties) -> str:
    return ref


def _last_part(ref: str, _place: StackLocation, _properties: Properties) -> str:
    return ref.rpartition("/")[2]


_ATTRIBUTES: Final[Mapping[tuple[str, str], _Attribute]] = {
    ("AWS::CloudWatch::Alarm", "Arn"): _arn("cloudwatch", "alarm:{}"),
    ("AWS::CodeArtifact::Domain", "Name"): _last_part,
    ("AWS::CodeArtifact::Repository", "Name"): _last_part,
    ("AWS::EC2::SecurityGroup", "GroupId"): _same,
    ("AWS::EC2::VPC", "VpcId"): _same,
    ("AWS::IAM::Role", "Arn"): lambda ref, place, properties: (
        f"arn:{place.partition}:iam::{place.account}:role{properties().get('Path', '/')}{ref}"
    ),
    ("AWS::KMS::Key", "Arn"): _arn("kms", "key/{}"),
    ("AWS::Lambda::Function", "Arn"): _arn("lambda", "function:{}"),
    ("AWS::Logs::LogGroup", "Arn"): _arn("logs", "log-group:{}:*"),
    ("AWS::S3::Bucket", "Arn"): lambda ref, place, _: f"arn:{place.partition}:s3:::{ref}",
    ("AWS::SNS::Topic", "TopicName"): lambda ref, _place, _: ref.rpartition(":")[2],
    ("AWS::SQS::Queue", "Arn"): lambda ref, place, _: place.arn("sqs", ref.rpartition("/")[2]),
    ("AWS::SQS::Queue", "QueueName"): lambda ref, _place, _: ref.rpartition("/")[2],
    ("AWS::SageMaker::Domain", "DomainArn"): _arn("sagemaker", "domain/{}"),
    ("AWS::SageMaker::Domain", "SingleSignOnApplicationArn"): lambda ref, place, _: (
        f"arn:{place.partition}:sso::{place.account}:application/ssoins-0000000000000000/"
        f"apl-{sha256(ref.encode()).hexdigest()[:16]}"
    ),
    ("AWS::SageMaker::Domain", "Url"): lambda ref, place, _: (
        f"https://{ref}.studio.{place.region}.sagemaker.aws"
    ),
    ("AWS::SageMaker::StudioLifecycleConfig", "StudioLifecycleConfigArn"): _arn(
        "sagemaker", "studio-lifecycle-config/{}"
    ),
    ("Custom::Pipeline", "PipelineArn"): lambda _ref, place, properties: place.arn(
        "sagemaker", f"pipeline/{properties()['PipelineName']}"
    ),
    ("Custom::Pipeline", "PipelineName"): lambda _ref, _place, properties: str(
        properties()["PipelineName"]
    ),
    ("Custom::PredictionPipeline", "PipelineArn"): lambda _ref, place, properties: place.arn(
        "sagemaker", f"pipeline/{properties()['PipelineName']}"
    ),
    ("Custom::VpcBaseline", "S3PrefixListId"): lambda _ref, _place, _: "pl-6da54004",
}
