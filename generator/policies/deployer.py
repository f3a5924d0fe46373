"""Rights of whoever deploys, so that nobody needs AdministratorAccess.

AWS says in each resource type's schema which actions its handlers call ("Resource type schema",
CloudFormation CLI user guide); cfn-lint brings the schemas along. From them, for the types and
properties that the templates have, comes what CloudFormation does with the caller's rights, or with
those of a service role. Corrected where the schemas are known to be wrong, and scoped to names that
begin with the project's: so has the root stack's name to. Any partition, which an ARN in a policy
may leave open (IAM user guide, "IAM JSON policy elements: Resource"); an account is in one.
Documented, not proved on AWS.

``policies`` gives three kinds of document: for whoever deploys alone, in as many managed policies
as it takes; and, where CloudFormation has a service role with those, for the person who then only
talks to CloudFormation, and the role's trust.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from generator.cfn import schemas
from generator.policies.jobs import ENDPOINT_LOGS
from generator.settings import PROJECT_TAG, Settings
from pipeline.types import Json

FOLDER: Final = "templates"
NAME: Final = "deployer-policy"
MANAGED_POLICY_CHARACTERS: Final = 6144
"""Without white space (IAM user guide, "IAM and AWS STS quotas")."""
ARTIFACT_BUCKETS: Final = "tabular-artifacts-*"
"""What `python build.py deploy` names its bucket (``tabular_ml_vpc.operations.artifacts``)."""

Resources = Mapping[str, Sequence[Mapping[str, Any]]]
"""The properties of all resources by type."""


@dataclass(frozen=True)
class Scope:
    """Where actions are allowed: the first scope with a matching pattern takes an action."""

    sid: str
    patterns: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Feature:
    """Actions that a handler calls only for resources with one of these properties.

    Not what it reads of its own service: that it asks for whether the property is there or not.
    """

    kind: str
    properties: tuple[str, ...]
    actions: tuple[str, ...]


FEATURES: Final = (
    Feature("EC2::Subnet", ("Ipv6CidrBlock",), ("ec2:*SubnetCidrBlock",)),
    Feature("EC2::VPC", ("InstanceTenancy",), ("ec2:ModifyVpcTenancy",)),
    Feature("EC2::VPC", ("VpcEncryptionControl",), ("ec2:CreateVpcEncryptionControl",)),
    Feature("EC2::VPCEndpoint", ("ServiceNetworkArn",), ("vpc-lattice:*",)),
    Feature("EC2::VPCEndpoint", ("ServiceRegion",), ("vpce:*",)),
    Feature("EC2::FlowLog", ("DestinationOptions",), ("logs:*LogDelivery", "autoscaling:*")),
    Feature("IAM::ManagedPolicy", ("Groups",), ("iam:*GroupPolicy",)),
    Feature("IAM::ManagedPolicy", ("Users",), ("iam:*UserPolicy",)),
    Feature("IAM::Role", ("PermissionsBoundary",), ("iam:*RolePermissionsBoundary",)),
    Feature("KMS::Key", ("Enabled",), ("kms:EnableKey", "kms:DisableKey")),
    Feature("Lambda::Function", ("CapacityProviderConfig",), ("lambda:PassCapacityProvider",)),
    Feature("Lambda::Function", ("CodeSigningConfigArn",), ("lambda:*FunctionCodeSigningConfig",)),
    Feature("Lambda::Function", ("FunctionScalingConfig",), ("lambda:PutFunctionScalingConfig",)),
    Feature("Lambda::Function", ("FileSystemConfigs",), ("elasticfilesystem:*", "s3files:*")),
    Feature("Lambda::Function", ("Layers",), ("lambda:GetLayerVersion",)),
    Feature("Lambda::Function", ("RecursiveLoop",), ("lambda:PutFunctionRecursionConfig",)),
    Feature(
        "Lambda::Function", ("ReservedConcurrentExecutions",), ("lambda:*FunctionConcurrency",)
    ),
    Feature(
        "Lambda::Function",
        ("RuntimeManagementConfig",),
        ("lambda:PutRuntimeManagementConfig", "lambda:AssociateRuntimeAlias"),
    ),
    Feature("Lambda::Function", ("PublishToLatestPublished",), ("lambda:PublishVersion",)),
    Feature("Logs::LogGroup", ("BearerTokenAuthenticationEnabled",), ("logs:PutBearer*",)),
    Feature("Logs::LogGroup", ("DataProtectionPolicy",), ("logs:*DataProtectionPolicy",)),
    Feature("Logs::LogGroup", ("DeletionProtectionEnabled",), ("logs:*DeletionProtection",)),
    Feature("Logs::LogGroup", ("FieldIndexPolicies",), ("logs:*IndexPolicy",)),
    Feature(
        "Logs::LogGroup",
        ("ResourcePolicyDocument",),
        ("logs:*ResourcePolicy", "logs:*LogDelivery", "firehose:*"),
    ),
    Feature("S3::Bucket", ("AbacStatus",), ("s3:PutBucketAbac",)),
    Feature("S3::Bucket", ("AccelerateConfiguration",), ("s3:PutAccelerateConfiguration",)),
    Feature("S3::Bucket", ("AccessControl",), ("s3:PutBucketAcl", "s3:PutObjectAcl")),
    Feature("S3::Bucket", ("AnalyticsConfigurations",), ("s3:*AnalyticsConfiguration",)),
    Feature("S3::Bucket", ("CorsConfiguration",), ("s3:PutBucketCORS", "s3:DeleteBucketCors")),
    Feature("S3::Bucket", ("IntelligentTieringConfigurations",), ("s3:PutIntelligentTiering*",)),
    Feature("S3::Bucket", ("InventoryConfigurations",), ("s3:PutInventoryConfiguration",)),
    Feature(
        "S3::Bucket",
        ("MetadataConfiguration", "MetadataTableConfiguration"),
        ("s3:*Metadata*Table*", "s3tables:*"),
    ),
    Feature("S3::Bucket", ("MetricsConfigurations",), ("s3:*MetricsConfiguration",)),
    Feature("S3::Bucket", ("NotificationConfiguration",), ("s3:PutBucketNotification",)),
    Feature(
        "S3::Bucket", ("ObjectLockEnabled", "ObjectLockConfiguration"), ("s3:Put*ObjectLock*",)
    ),
    Feature(
        "S3::Bucket",
        ("ReplicationConfiguration",),
        ("s3:PutReplicationConfiguration", "s3:*BucketReplication"),
    ),
    Feature(
        "S3::Bucket", ("WebsiteConfiguration",), ("s3:PutBucketWebsite", "s3:DeleteBucketWebsite")
    ),
    Feature("SNS::Subscription", ("SubscriptionRoleArn",), ("iam:GetRole",)),
    Feature("SNS::Topic", ("DeliveryStatusLogging",), ("iam:GetRole",)),
    Feature("SNS::Topic", ("DataProtectionPolicy",), ("sns:PutDataProtectionPolicy",)),
    Feature(
        "SageMaker::ModelPackageGroup",
        ("ModelPackageGroupPolicy",),
        ("sagemaker:PutModelPackageGroupPolicy", "sagemaker:DeleteModelPackageGroupPolicy"),
    ),
    Feature("SageMaker::UserProfile", ("SingleSignOnUserValue",), ("identitystore:*", "sso:*")),
    Feature("CloudFormation::Stack", ("EnableTerminationProtection",), ("*:UpdateTermination*",)),
    Feature("CloudFormation::Stack", ("StackPolicyBody",), ("cloudformation:SetStackPolicy",)),
)

WRONG_IN_SCHEMAS: Final = {
    "s3:REST.PUT.OBJECT": "is no action",
    "s3:DeleteBucketEncryption": "is no action; PutEncryptionConfiguration permits it",
    "s3:DeleteBucketLifecycle": "is no action; PutLifecycleConfiguration permits it",
    "s3:DeleteObject": "our own function empties buckets",
    "sagemaker:CreateApp": "RStudio's, which the domain does not have",
    "sagemaker:DeleteApp": "RStudio's, which the domain does not have",
    "sagemaker:DescribeApp": "RStudio's, which the domain does not have",
    "sagemaker:DescribeImage": "the domain has no images of its own",
    "sagemaker:DescribeImageVersion": "the domain has no images of its own",
}
"""Actions in schemas that our resources do not need, with the reason."""

MISSING_IN_SCHEMAS: Final = {
    "cloudformation:ContinueUpdateRollback": "deploy --mend",
    "cloudformation:CreateChangeSet": "aws cloudformation deploy",
    "cloudformation:DeleteChangeSet": "aws cloudformation deploy",
    "cloudformation:DescribeChangeSet": "aws cloudformation deploy",
    "cloudformation:DescribeStackDriftDetectionStatus": "drift",
    "cloudformation:DescribeStackEvents": "aws cloudformation deploy, and its progress",
    "cloudformation:DescribeStackResource": "looking at the stacks",
    "cloudformation:DescribeStackResourceDrifts": "drift",
    "cloudformation:DescribeStackResources": "looking at the stacks",
    "cloudformation:DetectStackDrift": "drift",
    "cloudformation:DetectStackResourceDrift": "drift (inferred)",
    "cloudformation:ExecuteChangeSet": "aws cloudformation deploy",
    "cloudformation:GetTemplateSummary": "aws cloudformation deploy",
    "cloudformation:ListStackResources": "looking at the stacks",
    "cloudformation:RollbackStack": "deploy --mend",
    "cloudformation:TagResource": "stacks are tagged",
    "cloudformation:UntagResource": "stacks are tagged",
    "cloudformation:ValidateTemplate": "tabular_ml_vpc.operations.deployment.validate",
    "ec2:DescribeAccountAttributes": "zones by default: template reference, 'Fn::GetAZs'",
    "ec2:DescribeAvailabilityZones": "zones by default: template reference, 'Fn::GetAZs'",
    "ec2:GetSecurityGroupsForVpc": "endpoints in a VPC",
    "lambda:InvokeFunction": "custom resources (inferred)",
    "kms:ReEncryptFrom": "encrypted log groups are made with the caller's right to the key",
    "kms:ReEncryptTo": "encrypted log groups are made with the caller's right to the key",
    "logs:FilterLogEvents": "deploy shows the end of the log behind a failure",
    "route53:AssociateVPCWithHostedZone": "private names of interface endpoints (dependent action)",
    "s3:PutObject": "templates and functions are uploaded",
}
"""Actions that no schema lists, with what needs them."""


def policies(settings: Settings, templates: Iterable[Json]) -> dict[str, str]:
    """Return the documents by path, for templates as CloudFormation reads them.

    Raises:
        ValueError: an action has no scope here: a new type of resource asks for a decision.

    """
    statements = [*_statements(settings, actions(resources_of(templates)))]
    documents = _split(statements)
    names = [NAME, *(f"{NAME}-{number}" for number in range(2, len(documents) + 1))]
    named = dict(zip(names, documents, strict=True))
    named["deployer-with-service-role"] = _document(_of_person(settings))
    named["deployer-service-role-trust"] = _document(_trust())
    return {
        f"{FOLDER}/{name}.json": json.dumps(document, indent=2) + "\n"
        for name, document in named.items()
    }


def resources_of(templates: Iterable[Json]) -> Resources:
    """Return the properties of each resource, by type without its ``AWS::``."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for template in templates:
        for resource in template["Resources"].values():
            kind = resource["Type"]
            if kind.startswith("AWS::"):
                found[kind.removeprefix("AWS::")].append(resource.get("Properties", {}))
    return found


def actions(resources: Resources) -> list[str]:
    """Return what CloudFormation calls to make, change and delete the resources."""
    found = {
        _corrected(action)
        for kind in resources
        for action in _of_handlers(f"AWS::{kind}")
        if not _is_of_unused_feature(kind, action, resources[kind])
    }
    return sorted((found - WRONG_IN_SCHEMAS.keys()) | MISSING_IN_SCHEMAS.keys())


def _of_handlers(kind: str) -> frozenset[str]:
    """Return the actions that a type's handlers call."""
    return frozenset(action for actions in schemas.handlers(kind).values() for action in actions)


def _reads_of_handlers(kind: str) -> frozenset[str]:
    """Return what a type's handlers read of its own service, corrected.

    Every creation and update ends with a read, and a schema does not say that one of its actions
    is called for some resources only.
    """
    own = kind.split("::")[1].lower()
    handlers = schemas.handlers(kind)
    return frozenset(
        action
        for operation in ("read", "list")
        for action in map(_corrected, handlers.get(operation, ()))
        if action.startswith((f"{own}:Get", f"{own}:List", f"{own}:Describe"))
    )


def _corrected(action: str) -> str:
    """Write ``efs:`` as IAM does, and names in the case that the reference has."""
    service, _, name = action.partition(":")
    names = {"GenerateDataKeyWithoutPlainText": "GenerateDataKeyWithoutPlaintext"}
    return f"{'elasticfilesystem' if service == 'efs' else service}:{names.get(name, name)}"


def _is_of_unused_feature(kind: str, action: str, all_properties: Sequence[Any]) -> bool:
    if action in _reads_of_handlers(f"AWS::{kind}"):
        return False
    features = [
        feature
        for feature in FEATURES
        if feature.kind == kind and any(fnmatchcase(action, one) for one in feature.actions)
    ]
    used = {name for properties in all_properties for name in properties}
    return bool(features) and not any(used.intersection(one.properties) for one in features)


def _scopes(settings: Settings) -> tuple[Scope, ...]:
    """Return where each action is allowed. Names of ours begin with the project's."""
    name = settings.project
    ours = {"StringEquals": {f"aws:ResourceTag/{PROJECT_TAG}": name}}
    perhaps_ours = {"StringEqualsIfExists": {f"aws:ResourceTag/{PROJECT_TAG}": name}}
    passed = {
        "StringEquals": {
            "iam:PassedToService": [
                "lambda.amazonaws.com",
                "sagemaker.amazonaws.com",
                "vpc-flow-logs.amazonaws.com",
            ]
        }
    }
    roles = (f"arn:*:iam::*:role/{name}*",)
    keys = ("arn:*:kms:*:*:key/*",)
    return (
        Scope("Artifacts", ("s3:*Object", "s3:GetObjectVersion"), _objects(ARTIFACT_BUCKETS)),
        Scope("Anywhere", _ANYWHERE, ("*",)),
        Scope(
            "Stacks",
            ("cloudformation:*",),
            (f"arn:*:cloudformation:*:*:stack/{name}*/*",),
        ),
        Scope("Network", _EC2_CREATES, ("*",)),
        Scope("NetworkOfTheProject", ("ec2:*",), ("*",), ours),
        Scope("PassRoles", ("iam:PassRole",), roles, passed),
        Scope(
            "SageMakersOwnRole",
            ("iam:CreateServiceLinkedRole",),
            ("arn:*:iam::*:role/aws-service-role/sagemaker.amazonaws.com/*",),
            {"StringEquals": {"iam:AWSServiceName": "sagemaker.amazonaws.com"}},
        ),
        Scope("Policies", _IAM_POLICIES, (f"arn:*:iam::*:policy/{name}*",)),
        Scope("Roles", _IAM_ROLES, roles, _bounded(settings)),
        Scope("ChangeRoles", ("iam:*",), roles),
        Scope(
            "MakeKey",
            ("kms:CreateKey",),
            ("*",),
            {"StringEquals": {f"aws:RequestTag/{PROJECT_TAG}": name}},
        ),
        Scope("Aliases", ("kms:*Alias",), (f"arn:*:kms:*:*:alias/{name}*", "arn:*:kms:*:*:key/*")),
        Scope("LookAtNewKey", _LOOK_AT_NEW_KEY, keys),
        Scope("NewKey", _NEW_KEY, keys, perhaps_ours),
        Scope("GrantKeyToAws", ("kms:CreateGrant",), keys, _TO_AWS),
        Scope("UseKeyThroughServices", _USE_KEY, keys, _THROUGH_SERVICES),
        Scope("Key", ("kms:*",), keys, ours),
        Scope("Functions", ("lambda:*",), (f"arn:*:lambda:*:*:function:{name}*",)),
        Scope(
            "LogGroups",
            ("logs:*",),
            (
                f"arn:*:logs:*:*:log-group:{name}*",
                f"arn:*:logs:*:*:log-group:{ENDPOINT_LOGS}/{name}*",
            ),
        ),
        Scope("Buckets", ("s3:*",), (f"arn:*:s3:::{name}*", f"arn:*:s3:::{ARTIFACT_BUCKETS}")),
        Scope("Studio", _STUDIO, _sagemaker("domain/*", "user-profile/*", "image/*")),
        Scope("Registry", ("sagemaker:*Group*",), _sagemaker(f"model-package-group/{name}*")),
        Scope(
            "SageMakerTags",
            ("sagemaker:*Tags",),
            _sagemaker("domain/*", "user-profile/*", f"model-package-group/{name}*"),
        ),
        Scope(
            "HomeFileSystem",
            ("elasticfilesystem:*",),
            ("arn:*:elasticfilesystem:*:*:file-system/*",),
        ),
        Scope("PrivateNames", ("route53:*",), ("arn:*:route53:::hostedzone/*",)),
        Scope("Rules", ("events:*",), (f"arn:*:events:*:*:rule/{name}*",)),
        Scope("Alarms", ("cloudwatch:*",), (f"arn:*:cloudwatch:*:*:alarm:{name}*",)),
        Scope("Topics", ("sns:*",), (f"arn:*:sns:*:*:{name}*",)),
        Scope("Queues", ("sqs:*",), (f"arn:*:sqs:*:*:{name}*",)),
    )


_ANYWHERE: Final = (
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:GetTemplateSummary",
    "cloudformation:ListStacks",
    "cloudformation:ValidateTemplate",
    "ec2:Describe*",
    "ec2:GetSecurityGroupsForVpc",
    "elasticfilesystem:CreateFileSystem",
    "events:ListRules",
    "iam:ListPolicies",
    "iam:ListRoles",
    "kms:ListAliases",
    "kms:ListKeys",
    "lambda:GetCodeSigningConfig",
    "lambda:ListFunctions",
    "logs:*LogDelivery",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "s3:ListAllMyBuckets",
    "sagemaker:ListDomains",
    "sagemaker:ListModelPackageGroups",
    "sagemaker:ListUserProfiles",
    "sns:ListSubscriptions",
    "sns:ListTopics",
    "sns:Unsubscribe",
    "sns:*SubscriptionAttributes",
    "sqs:ListQueues",
)
"""Actions for which AWS knows no resource, or none that has our name in it."""
_EC2_CREATES: Final = ("ec2:Create*",)
_IAM_POLICIES: Final = (
    "iam:*PolicyVersion*",
    "iam:CreatePolicy",
    "iam:DeletePolicy",
    "iam:GetPolicy",
    "iam:ListEntitiesForPolicy",
)
_IAM_ROLES: Final = ("iam:AttachRolePolicy", "iam:CreateRole", "iam:*RolePermissionsBoundary")
_LOOK_AT_NEW_KEY: Final = (
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:Get*",
    "kms:ListResourceTags",
)
"""What is called right after ``CreateKey``.

A tag may take five minutes to count ("ABAC for AWS KMS"), and stabilising does not wait for it: so
on any key whose own policy leaves it to IAM. They show a key, not what it encrypts.
"""
_NEW_KEY: Final = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource")
"""What changes a key that is being made, or is rolled back at once: no tag of it counts yet.

On our keys, and on those that have no tag of a project's. ``CreateKey`` asks for the first of them
when it checks that nobody is locked out ("Allow a user to create KMS keys"), and later tags are
sent without the first ones, so that what a request brings along cannot be the condition.
"""
_USE_KEY: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
_THROUGH_SERVICES: Final = {
    "StringLike": {"kms:ViaService": ["elasticfilesystem.*", "logs.*", "sagemaker.*"]}
}
"""As the key's own policy has it; with any tag, since that may not count yet."""
_TO_AWS: Final = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
_STUDIO: Final = ("sagemaker:*Domain", "sagemaker:*UserProfile")


def _bounded(settings: Settings) -> Json:
    """Let only bounded roles be made, where the organisation has a boundary."""
    boundary = settings.security.permissions_boundary
    return {"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else {}


def _sagemaker(*resources: str) -> tuple[str, ...]:
    return tuple(f"arn:*:sagemaker:*:*:{resource}" for resource in resources)


def _objects(bucket: str) -> tuple[str, ...]:
    return (f"arn:*:s3:::{bucket}/*",)


def _statements(settings: Settings, names: Iterable[str]) -> Iterator[Json]:
    """Yield a statement for each scope that has actions."""
    scopes = _scopes(settings)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_scope_of(name, scopes).sid].append(name)
    for scope in scopes:
        if found[scope.sid]:
            yield _statement(scope.sid, found[scope.sid], scope.resources, scope.condition)


def _scope_of(action: str, scopes: Iterable[Scope]) -> Scope:
    for scope in scopes:
        if any(fnmatchcase(action, pattern) for pattern in scope.patterns):
            return scope
    raise ValueError(
        f"{action} is needed to deploy, and has no scope in generator/policies/deployer.py"
    )


def _statement(
    sid: str, names: Iterable[str], resources: Sequence[str], condition: Json | None = None
) -> Json:
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(names),
        "Resource": list(resources) if len(resources) > 1 else resources[0],
    }
    return {**statement, **({"Condition": condition} if condition else {})}


def _document(statements: Sequence[Json]) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def size(document: Json) -> int:
    """Return how many characters IAM counts."""
    return len(json.dumps(document, separators=(",", ":")))


def _split(statements: Sequence[Json]) -> list[Json]:
    """Return as few documents as hold the statements in their order."""
    documents: list[list[Json]] = [[]]
    for statement in statements:
        if size(_document([*documents[-1], statement])) > MANAGED_POLICY_CHARACTERS:
            documents.append([])
        documents[-1].append(statement)
    return [_document(document) for document in documents]


def _of_person(settings: Settings) -> list[Json]:
    """What is left for a person where CloudFormation has a service role: no right to resources."""
    names = {name for name in MISSING_IN_SCHEMAS if name.startswith("cloudformation:")}
    own = {
        "cloudformation:CreateStack",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:UpdateStack",
    }
    anywhere = names.intersection(_ANYWHERE)
    stacks = f"arn:*:cloudformation:*:*:stack/{settings.project}*/*"
    role = f"arn:*:iam::*:role/{settings.project}-deployer"
    to_cloudformation = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    artifacts = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    bucket = f"arn:*:s3:::{ARTIFACT_BUCKETS}"
    return [
        _statement("Anywhere", sorted(anywhere), ["*"]),
        _statement("Stacks", sorted((names - anywhere) | own), [stacks]),
        _statement("PassServiceRole", ["iam:PassRole"], [role], to_cloudformation),
        _statement("Artifacts", artifacts, [bucket, f"{bucket}/*"]),
    ]


def _trust() -> list[Json]:
    return [
        {
            "Sid": "CloudFormation",
            "Effect": "Allow",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
