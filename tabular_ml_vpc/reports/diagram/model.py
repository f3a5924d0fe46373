"""What the pictures show of a deployment: read from its resources, with readable names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource

GROUP: Final = "AWS::EC2::SecurityGroup"
RULES: Final = ("AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress")
ENDPOINT: Final = "AWS::EC2::VPCEndpoint"

ICONS: Final[Mapping[str, str]] = {
    "AWS::CloudFormation::Stack": "cloudformation",
    "AWS::CloudWatch::Alarm": "cloudwatch",
    "AWS::CloudWatch::Dashboard": "cloudwatch",
    "AWS::EC2::FlowLog": "flowlog",
    "AWS::Events::Rule": "eventbridge",
    "AWS::IAM::Role": "iam",
    "AWS::IAM::RolePolicy": "iam",
    "AWS::KMS::Alias": "kms",
    "AWS::KMS::Key": "kms",
    "AWS::Lambda::Function": "lambda",
    "AWS::Logs::LogGroup": "cloudwatch",
    "AWS::S3::Bucket": "s3",
    "AWS::SNS::Subscription": "email",
    "AWS::SNS::Topic": "sns",
    "AWS::SQS::Queue": "sqs",
}
"""Icon of each type; the service's icon if the type has none of its own."""
_SERVICE_ICONS: Final = (
    ("AWS::CodeArtifact::", "codeartifact"),
    ("AWS::SageMaker::", "sagemaker"),
    ("Custom::Pipeline", "sagemaker"),
    ("Custom::PredictionPipeline", "sagemaker"),
    ("Custom::Trials", "sagemaker"),
    ("Custom::EmptyBucket", "s3"),
    ("Custom::SeedData", "s3"),
    ("Custom::ClearStudio", "sagemaker"),
    ("Custom::", "cloudformation"),
    ("AWS::EC2::", "vpc"),
    ("AWS::IAM::", "iam"),
    ("AWS::Logs::", "cloudwatch"),
    ("AWS::S3::", "s3"),
)
PLATED: Final = frozenset({"user", "email", "flowlog", "gateway"})
"""Icons that are dark outlines without a background."""
SPELLINGS: Final = {
    "api": "API",
    "cloudformation": "CloudFormation",
    "dkr": "Docker",
    "ecr": "ECR",
    "email": "email",
    "id": "ID",
    "nfs": "NFS",
    "sagemaker": "SageMaker",
    "sts": "STS",
    "studio": "Studio",
    "vpc": "VPC",
}
"""Words whose spelling differs from the logical id."""
_SHOWN: Final = 8
"""Characters of an id that tell it from others in a picture."""
SERVICES: Final[Mapping[str, tuple[str, str]]] = {
    "sagemaker.api": ("sagemaker", "SageMaker API"),
    "sagemaker.runtime": ("sagemaker", "SageMaker Runtime"),
    "sagemaker.studio": ("sagemaker", "SageMaker Studio"),
    "ecr.api": ("ecr", "ECR API"),
    "ecr.dkr": ("ecr", "ECR Docker"),
    "logs": ("cloudwatch", "CloudWatch Logs"),
    "monitoring": ("cloudwatch", "CloudWatch"),
    "sts": ("iam", "STS"),
    "cloudformation": ("cloudformation", "CloudFormation"),
    "kms": ("kms", "KMS"),
    "events": ("eventbridge", "EventBridge"),
    "sns": ("sns", "SNS"),
    "lambda": ("lambda", "Lambda"),
    "ssm": ("ssm", "Systems Manager"),
    "secretsmanager": ("secretsmanager", "Secrets Manager"),
    "athena": ("athena", "Athena"),
    "glue": ("glue", "Glue"),
    "codeartifact.api": ("codeartifact", "CodeArtifact API"),
    "codeartifact.repositories": ("codeartifact", "CodeArtifact"),
    "servicecatalog": ("servicecatalog", "Service Catalog"),
    "application-autoscaling": ("cloudwatch", "Application Auto Scaling"),
}
"""Icon and name of each service that can have an interface endpoint."""


@dataclass(frozen=True)
class Subnet:
    """A subnet: its id and name, its addresses (or the end of an existing one's id), its kind."""

    id: str
    name: str
    cidr: str
    kind: str


@dataclass(frozen=True)
class Client:
    """A security group of AWS clients: its members, and what its rules let them reach."""

    name: str
    inhabitants: tuple[ResolvedResource, ...]
    to_endpoints: bool
    to_s3: bool


@dataclass(frozen=True)
class Vpc:
    """The VPC as the pictures show it; ``name`` is its range, or the id of an existing one."""

    name: str
    exists: bool
    """Whether its owner created it, its subnets, and endpoints that are not known here."""
    subnets: tuple[Subnet, ...]
    clients: tuple[Client, ...]
    services: tuple[str, ...]
    """Services with an interface endpoint, by PrivateLink name."""
    endpoint_subnets: frozenset[str]
    creates_s3_gateway: bool

    @property
    def has_s3_gateway(self) -> bool:
        """Return whether there is an S3 gateway endpoint, ours or an existing one."""
        return self.exists or self.creates_s3_gateway


def vpc(deployment: ResolvedDeployment) -> Vpc:
    """Return the VPC, its subnets and endpoints, and what each security group can reach."""
    networks = deployment.of_type("AWS::EC2::VPC")
    endpoints = deployment.of_type(ENDPOINT)
    interfaces = [one for one in endpoints if one.properties["VpcEndpointType"] == "Interface"]
    guarded = {group for one in interfaces for group in one.properties["SecurityGroupIds"]}
    return Vpc(
        name=str(
            networks[0].properties["CidrBlock"] if networks else _outputs(deployment)["VpcId"]
        ),
        exists=not networks,
        subnets=tuple(_subnets(deployment) if networks else _existing_subnets(deployment)),
        clients=tuple(_joined(_clients(deployment, guarded | _groups_of_others(deployment)))),
        services=tuple(service_of(one) for one in interfaces),
        endpoint_subnets=frozenset(
            subnet for one in interfaces for subnet in one.properties["SubnetIds"]
        ),
        creates_s3_gateway=any(service_of(one) == "s3" for one in endpoints),
    )


def _outputs(deployment: ResolvedDeployment) -> Mapping[str, Any]:
    return deployment.outputs["network"]


def _subnets(deployment: ResolvedDeployment) -> Iterator[Subnet]:
    for one in deployment.of_type("AWS::EC2::Subnet"):
        cidr = str(one.properties["CidrBlock"])
        yield Subnet(one.reference, words(one.logical_id), cidr, "isolated")


def _existing_subnets(deployment: ResolvedDeployment) -> Iterator[Subnet]:
    for number, name in enumerate(str(_outputs(deployment)["SubnetIds"]).split(","), start=1):
        yield Subnet(name, f"Subnet {number}", f"...{name[-_SHOWN:]}", "existing")


def _groups_of_others(deployment: ResolvedDeployment) -> set[str]:
    """Return the groups of an existing VPC's endpoints: rules lead to them, and they exist."""
    ours = {one.reference for one in deployment.of_type(GROUP)}
    rules = deployment.of_type("AWS::EC2::SecurityGroupEgress")
    reached = {str(one.properties.get("DestinationSecurityGroupId", "")) for one in rules}
    return reached - ours - {""}


def alert_topics(deployment: ResolvedDeployment) -> list[ResolvedResource]:
    """Return the topics of alerts; those of an asynchronous endpoint tell of its answers."""
    topics = deployment.of_type("AWS::SNS::Topic")
    return [one for one in topics if one.logical_id == "AlertTopic"]


def service_of(endpoint: ResolvedResource) -> str:
    """Return the PrivateLink name of an endpoint's service."""
    name = str(endpoint.properties["ServiceName"])
    if re.fullmatch(r"aws\.sagemaker\.[^.]+\.studio", name):
        return "sagemaker.studio"
    return name.split(".", 3)[3]


def icon_of(kind: str) -> str:
    """Return the icon of a resource type."""
    if kind in ICONS:
        return ICONS[kind]
    return next((icon for prefix, icon in _SERVICE_ICONS if kind.startswith(prefix)), "account")


def words(name: str) -> str:
    """Return a logical id as words: ``RunFailedRule`` is ``Run failed rule``."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|[0-9]+", name)
    small = [part if part.isupper() else part.lower() for part in parts]
    text = " ".join(SPELLINGS.get(part, part) for part in small).replace("S 3", "S3")
    return text[0].upper() + text[1:]


def mentions(value: Any, text: str) -> bool:
    """Tell whether a property's value has a text in it, at any depth."""
    if isinstance(value, Mapping):
        return any(mentions(item, text) for item in value.values())
    if isinstance(value, list | tuple):
        return any(mentions(item, text) for item in value)
    return isinstance(value, str) and text in value


def _clients(deployment: ResolvedDeployment, guarded: set[str]) -> Iterator[Client]:
    """Yield the groups that are not the endpoints' own and that somebody is in."""
    egress = deployment.of_type("AWS::EC2::SecurityGroupEgress")
    for group in deployment.of_type(GROUP):
        inside = tuple(_inhabitants(deployment, group.reference))
        if group.reference in guarded or not inside:
            continue
        rules = [one.properties for one in egress if one.properties["GroupId"] == group.reference]
        yield Client(
            name=words(group.logical_id.removesuffix("SecurityGroup")),
            inhabitants=inside,
            to_endpoints=any(rule.get("DestinationSecurityGroupId") in guarded for rule in rules),
            to_s3=any("DestinationPrefixListId" in rule for rule in rules),
        )


def _joined(clients: Iterable[Client]) -> Iterator[Client]:
    """Yield clients with different names: pipelines have groups of one name, and equal rules."""
    named: dict[str, list[Client]] = {}
    for client in clients:
        named.setdefault(client.name, []).append(client)
    for first, *others in named.values():
        inside = [first.inhabitants, *(other.inhabitants for other in others)]
        yield replace(first, inhabitants=tuple(chain.from_iterable(inside)))


def _inhabitants(deployment: ResolvedDeployment, group: str) -> Iterator[ResolvedResource]:
    skipped = {*RULES, GROUP, ENDPOINT, "AWS::CloudFormation::Stack"}
    for resource in deployment:
        if resource.type not in skipped and mentions(resource.properties, group):
            yield resource
