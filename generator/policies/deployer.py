"""Permissions of the person who deploys, so that nobody needs AdministratorAccess.

The schema of each resource type lists the actions that its handlers call ("Resource type schema",
CloudFormation CLI user guide); cfn-lint ships the schemas. From them, for the types and properties
in the templates, this module derives what CloudFormation does with the permissions of the caller or
of a service role. Known errors in the schemas are corrected, and the actions are scoped to names
that begin with the project's name, as the root stack's name must. The ARNs leave the partition open
(IAM user guide, "IAM JSON policy elements: Resource"); an account is in one partition. The result
follows the documentation and has not been tested on AWS.

``policies`` returns three kinds of document: managed policies, as many as needed, for a person who
deploys with their own permissions or for CloudFormation's service role; and, for the second case,
the policy of a person who then only calls CloudFormation, and the role's trust policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from generator.cfn import schemas
from generator.policies import existing, existing_vpc
from generator.policies.documents import (
    FOLDER,
    MANAGED_POLICY_CHARACTERS,
    document,
    sagemaker,
    size,
    statement,
    text,
)
from generator.policies.jobs import ENDPOINT_LOGS
from generator.settings import (
    PROJECT_TAG,
    Settings,
    all_choices,
    any_named_is_scheduled,
    main_is_scheduled,
)
from generator.settings_studio import Studio
from pipeline.types import Json

NAME: Final = "deployer-policy"
ARTIFACT_BUCKETS: Final = "tabular-artifacts-*"
"""Name of the bucket of `python build.py deploy` (``tabular_ml_vpc.operations.artifacts``)."""

PropertiesByType = Mapping[str, Sequence[Mapping[str, Any]]]
"""The properties of all resources, by type."""


@dataclass(frozen=True)
class Scope:
    """Where actions are allowed; the first scope with a matching pattern applies to an action."""

    sid: str
    patterns: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Feature:
    """Actions that a handler calls only for resources with one of these properties.

    This excludes reads of its own service, which it makes whether or not the property is set.
    """

    kind: str
    properties: tuple[str, ...]
    actions: tuple[str, ...]


FEATURES: Final = (
    Feature(
        "CodeArtifact::Domain",
        ("PermissionsPolicyDocument",),
        ("codeartifact:PutDomain*", "codeartifact:DeleteDomainPermissionsPolicy"),
    ),
    Feature(
        "CodeArtifact::Repository",
        ("PermissionsPolicyDocument",),
        ("codeartifact:PutRepository*", "codeartifact:DeleteRepositoryPermissionsPolicy"),
    ),
    Feature(
        "CodeArtifact::Repository",
        ("Upstreams",),
        ("codeartifact:AssociateWithDownstreamRepository",),
    ),
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
    "s3:REST.PUT.OBJECT": "not an action",
    "s3:DeleteBucketEncryption": "not an action; PutEncryptionConfiguration permits it",
    "s3:DeleteBucketLifecycle": "not an action; PutLifecycleConfiguration permits it",
    "s3:DeleteObject": "our own function empties buckets",
    "sagemaker:CreateApp": "RStudio's, which the domain does not have",
    "sagemaker:DeleteApp": "RStudio's, which the domain does not have",
    "sagemaker:DescribeApp": "RStudio's, which the domain does not have",
    "sagemaker:DescribeImage": "the domain has no images of its own",
    "sagemaker:DescribeImageVersion": "the domain has no images of its own",
}
"""Actions in schemas that our resources do not need, with the reason."""

MISSING_IN_SCHEMAS: Final = {
    "cloudformation:ContinueUpdateRollback": "deploy --repair",
    "cloudformation:CreateChangeSet": "aws cloudformation deploy",
    "cloudformation:DeleteChangeSet": "aws cloudformation deploy",
    "cloudformation:DescribeChangeSet": "aws cloudformation deploy",
    "cloudformation:DescribeEvents": "what CloudFormation's validation found",
    "cloudformation:DescribeStackDriftDetectionStatus": "drift",
    "cloudformation:DescribeStackEvents": "aws cloudformation deploy, and its progress",
    "cloudformation:DescribeStackResource": "inspecting the stacks",
    "cloudformation:DescribeStackResourceDrifts": "drift",
    "cloudformation:DescribeStackResources": "inspecting the stacks",
    "cloudformation:DetectStackDrift": "drift",
    "cloudformation:DetectStackResourceDrift": "drift (inferred)",
    "cloudformation:ExecuteChangeSet": "aws cloudformation deploy",
    "cloudformation:GetTemplateSummary": "aws cloudformation deploy",
    "cloudformation:ListStackResources": "inspecting the stacks",
    "cloudformation:RollbackStack": "deploy --repair",
    "cloudformation:TagResource": "stacks are tagged",
    "cloudformation:UntagResource": "stacks are tagged",
    "cloudformation:ValidateTemplate": "tabular_ml_vpc.operations.deployment.validate",
    "ec2:DescribeAccountAttributes": "zones by default: template reference, 'Fn::GetAZs'",
    "ec2:DescribeAvailabilityZones": "zones by default: template reference, 'Fn::GetAZs'",
    "ec2:GetSecurityGroupsForVpc": "endpoints in a VPC",
    "lambda:InvokeFunction": "custom resources (inferred)",
    "kms:ReEncryptFrom": "encrypted log groups are created with the caller's access to the key",
    "kms:ReEncryptTo": "encrypted log groups are created with the caller's access to the key",
    "logs:FilterLogEvents": "deploy shows the end of the log behind a failure",
    "route53:AssociateVPCWithHostedZone": "private names of interface endpoints (dependent action)",
    "s3:PutObject": "templates and functions are uploaded",
}
"""Actions that no schema lists, with what needs them."""

IDENTITY_CENTER: Final = (
    "sso:CreateApplication",
    "sso:CreateManagedApplicationInstance",
    "sso:DeleteApplication",
    "sso:DeleteManagedApplicationInstance",
    "sso:DescribeApplication",
    "sso:GetManagedApplicationInstance",
    "sso:PutApplicationAccessScope",
    "sso:PutApplicationAssignmentConfiguration",
    "sso:PutApplicationAuthenticationMethod",
    "sso:PutApplicationGrant",
)
"""What the domain's application in IAM Identity Center needs (inferred).

No document lists it for SageMaker. These are the actions that AWS documents for other services that
create an application there (such as "Getting started with trusted identity propagation for EMR
Serverless"), and the older ones for managed applications (Service Authorization Reference).
"""


def policies(settings: Settings, templates: Iterable[Json]) -> dict[str, str]:
    """Return the documents by path, for templates as CloudFormation reads them.

    Raises:
        ValueError: an action has no scope here; a new resource type requires a decision.

    """
    statements = [
        *_statements(settings, actions(resources_of(templates))),
        *_reading_boundary(settings),
        *existing_vpc.statements(settings.network),
        *existing.reading(settings),
    ]
    documents = _split(statements)
    names = [NAME, *(f"{NAME}-{number}" for number in range(2, len(documents) + 1))]
    named = dict(zip(names, documents, strict=True))
    named["deployer-with-service-role"] = document(_of_person(settings))
    named["deployer-service-role-trust"] = document(_trust())
    return {f"{FOLDER}/{name}.json": text(policy) for name, policy in named.items()}


def resources_of(templates: Iterable[Json]) -> PropertiesByType:
    """Return the properties of each resource, by type without its ``AWS::``."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for template in templates:
        for resource in template["Resources"].values():
            kind = resource["Type"]
            if kind.startswith("AWS::"):
                found[kind.removeprefix("AWS::")].append(resource.get("Properties", {}))
    return found


def actions(resources: PropertiesByType) -> list[str]:
    """Return the actions that CloudFormation calls to create, update and delete the resources."""
    found = {
        _corrected(action)
        for kind in resources
        for action in _of_handlers(f"AWS::{kind}")
        if not _is_of_unused_feature(kind, action, resources[kind])
    }
    missing = {*MISSING_IN_SCHEMAS, *_of_sign_in(resources)}
    return sorted((found - WRONG_IN_SCHEMAS.keys()) | missing)


def _of_sign_in(resources: PropertiesByType) -> tuple[str, ...]:
    """Return what a domain needs whose people sign in with IAM Identity Center."""
    modes = [domain.get("AuthMode") for domain in resources.get("SageMaker::Domain", ())]
    return IDENTITY_CENTER if "SSO" in modes else ()


def _of_handlers(kind: str) -> frozenset[str]:
    """Return the actions that a type's handlers call."""
    return frozenset(action for actions in schemas.handlers(kind).values() for action in actions)


def _reads_of_handlers(kind: str) -> frozenset[str]:
    """Return the read actions of a type's own service that its handlers call, corrected.

    Every creation and update ends with a read, and a schema does not say which of its actions are
    called only for some resources.
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
    """Return an action with IAM's prefix for EFS, and its name in the reference's case."""
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
    """Return where each action is allowed. Our names begin with the project's name."""
    return (
        *_of_stacks(settings),
        *_of_roles(settings),
        *_of_keys(settings),
        *_of_data(settings),
        *_of_sagemaker(settings),
        *_of_messages(settings),
    )


def _of_stacks(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of stacks, and what is in the network."""
    name = settings.project
    return (
        Scope("Artifacts", ("s3:*Object", "s3:GetObjectVersion"), _objects(ARTIFACT_BUCKETS)),
        Scope("Anywhere", _ANYWHERE, ("*",)),
        Scope(
            "Stacks",
            ("cloudformation:*",),
            (f"arn:*:cloudformation:*:*:stack/{name}*/*",),
        ),
        Scope("Network", _EC2_CREATES, existing_vpc.created_in(settings.network) or ("*",)),
        Scope("NetworkOfTheProject", ("ec2:*",), ("*",), _ours(settings)),
    )


def _of_roles(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of roles and policies."""
    name = settings.project
    passed = {
        "StringEquals": {
            "iam:PassedToService": [
                *(["events.amazonaws.com"] if _scheduled(settings) else []),
                "lambda.amazonaws.com",
                "sagemaker.amazonaws.com",
                *([] if settings.network.is_existing else ["vpc-flow-logs.amazonaws.com"]),
            ]
        }
    }
    roles = (f"arn:*:iam::*:role/{name}*",)
    return (
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
    )


def _of_keys(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of keys."""
    name = settings.project
    perhaps_ours = {"StringEqualsIfExists": {f"aws:ResourceTag/{PROJECT_TAG}": name}}
    keys = ("arn:*:kms:*:*:key/*",)
    return (
        Scope(
            "MakeKey",
            ("kms:CreateKey",),
            ("*",),
            _tagged_ours(settings),
        ),
        Scope("Aliases", ("kms:*Alias",), (f"arn:*:kms:*:*:alias/{name}*", "arn:*:kms:*:*:key/*")),
        Scope("LookAtNewKey", _LOOK_AT_NEW_KEY, keys),
        Scope("NewKey", _NEW_KEY, keys, perhaps_ours),
        Scope("GrantKeyToAws", ("kms:CreateGrant",), keys, _TO_AWS),
        Scope("UseKeyThroughServices", _USE_KEY, keys, _THROUGH_SERVICES),
        Scope("Key", ("kms:*",), keys, _ours(settings)),
    )


def _of_data(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of functions, data and packages."""
    name = settings.project
    return (
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
        Scope("MakePackages", ("codeartifact:Create*",), ("*",), _tagged_ours(settings)),
        Scope("Packages", ("codeartifact:*",), _packages(name)),
    )


def _of_sagemaker(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of SageMaker, and what a domain brings with it."""
    name = settings.project
    return (
        Scope(
            "LifecycleConfigs",
            ("sagemaker:*StudioLifecycleConfig",),
            sagemaker(f"studio-lifecycle-config/{name}*"),
        ),
        Scope("Studio", _STUDIO, sagemaker(*_studio(settings.studio), "image/*")),
        Scope("SignIn", ("sso:*",), _SIGN_IN),
        Scope("Users", ("identitystore:*",), _USERS),
        Scope("Registry", ("sagemaker:*Group*",), sagemaker(f"model-package-group/{name}*")),
        Scope(
            "SageMakerTags",
            ("sagemaker:*Tags",),
            sagemaker(*_tagged(settings)),
        ),
        Scope(
            "HomeFileSystem",
            ("elasticfilesystem:*",),
            ("arn:*:elasticfilesystem:*:*:file-system/*",),
        ),
        Scope("PrivateNames", ("route53:*",), ("arn:*:route53:::hostedzone/*",)),
    )


def _of_messages(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of alerts."""
    name = settings.project
    return (
        Scope("Rules", ("events:*",), (f"arn:*:events:*:*:rule/{name}*",)),
        *_of_dashboards(settings),
        Scope("Alarms", ("cloudwatch:*",), (_alarms(name),)),
        Scope("Topics", ("sns:*",), (f"arn:*:sns:*:*:{name}*",)),
        Scope("Queues", ("sqs:*",), (f"arn:*:sqs:*:*:{name}*",)),
    )


def _of_dashboards(settings: Settings) -> tuple[Scope, ...]:
    """Return the scopes of dashboards, which belong to no region, and of all tags in CloudWatch."""
    if not any(one.watching.dashboard for one in all_choices(settings)):
        return ()
    dashboards = f"arn:*:cloudwatch::*:dashboard/{settings.project}*"
    return (
        Scope("Dashboards", ("cloudwatch:*Dashboard*",), (dashboards,)),
        Scope("CloudWatchTags", _CLOUDWATCH_TAGS, (_alarms(settings.project), dashboards)),
    )


def _alarms(name: str) -> str:
    return f"arn:*:cloudwatch:*:*:alarm:{name}*"


def _ours(settings: Settings) -> dict[str, Any]:
    return {"StringEquals": {f"aws:ResourceTag/{PROJECT_TAG}": settings.project}}


def _tagged_ours(settings: Settings) -> dict[str, Any]:
    return {"StringEquals": {f"aws:RequestTag/{PROJECT_TAG}": settings.project}}


def _scheduled(settings: Settings) -> bool:
    """Tell whether EventBridge gets a role: that of a schedule."""
    return main_is_scheduled(settings) or any_named_is_scheduled(settings)


def _packages(name: str) -> tuple[str, ...]:
    """Return the ARNs of CodeArtifact domains that begin with a name, and of what is in them."""
    kinds = (f"domain/{name}*", f"repository/{name}*/*", f"package-group/{name}*/*")
    return tuple(f"arn:*:codeartifact:*:*:{kind}" for kind in kinds)


def _tagged(settings: Settings) -> Iterator[str]:
    """Yield the resources of SageMaker that CloudFormation tags."""
    yield from (*_studio(settings.studio), f"model-package-group/{settings.project}*")
    if settings.packages.available:
        yield f"studio-lifecycle-config/{settings.project}*"


_ANYWHERE: Final = (
    "codeartifact:ListDomains",
    "codeartifact:ListRepositories",
    "sagemaker:ListStudioLifecycleConfigs",
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:GetTemplateSummary",
    "cloudformation:ListStacks",
    "cloudformation:ValidateTemplate",
    "cloudwatch:ListDashboards",
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
    "sso:*ManagedApplicationInstance",
    "sso:ListInstances",
)
"""Actions that support no resource, or none whose ARN contains our name."""
_SIGN_IN: Final = (
    "arn:*:sso:::instance/*",
    "arn:*:sso::*:application/*",
    "arn:*:sso::aws:applicationProvider/*",
)
"""The organization's IAM Identity Center, whose ids are not known to us."""
_USERS: Final = ("arn:*:identitystore:::user/*", "arn:*:identitystore::*:identitystore/*")
_CLOUDWATCH_TAGS: Final = (
    "cloudwatch:ListTagsForResource",
    "cloudwatch:TagResource",
    "cloudwatch:UntagResource",
)
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
"""Actions called right after ``CreateKey``.

A tag can take five minutes to take effect ("ABAC for AWS KMS"), and CloudFormation does not wait
for it. These actions are therefore allowed on any key whose own policy delegates to IAM. They
describe a key, and do not reveal what it encrypts.
"""
_NEW_KEY: Final = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource")
"""Actions on a key that is being created or rolled back, whose tags have no effect yet.

They are allowed on our keys, and on keys without a project tag. ``CreateKey`` needs the first of
them to check that nobody is locked out ("Allow a user to create KMS keys"). Later tags are sent
without the first ones, so that a condition on the request's tags is not possible.
"""
_USE_KEY: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
_THROUGH_SERVICES: Final = {
    "StringLike": {"kms:ViaService": ["elasticfilesystem.*", "logs.*", "sagemaker.*"]}
}
"""As in the key's own policy; with any tag, because a tag may not have taken effect yet."""
_TO_AWS: Final = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
_STUDIO: Final = ("sagemaker:*Domain", "sagemaker:*UserProfile")


def _studio(studio: Studio) -> tuple[str, ...]:
    """Return the patterns of what the stack creates in Studio: new ids have no name of ours."""
    if studio.owns_domain:
        return "domain/*", "user-profile/*"
    return tuple(f"user-profile/{studio.domain}/{one.name}" for one in studio.everyone)


def _bounded(settings: Settings) -> Json:
    """Allow only roles with the permissions boundary, if the settings have one."""
    boundary = settings.security.permissions_boundary
    return {"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else {}


def _reading_boundary(settings: Settings) -> Iterator[Json]:
    """Yield the permission to check the boundary (`doctor`, `deploy`), if there is one."""
    boundary = settings.security.permissions_boundary
    if boundary:
        yield statement("ReadBoundary", ("iam:GetPolicy", "iam:GetPolicyVersion"), (boundary,))


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
            yield statement(scope.sid, found[scope.sid], scope.resources, scope.condition)


def _scope_of(action: str, scopes: Iterable[Scope]) -> Scope:
    for scope in scopes:
        if any(fnmatchcase(action, pattern) for pattern in scope.patterns):
            return scope
    raise ValueError(
        f"{action} is needed to deploy but has no scope in generator/policies/deployer.py"
    )


def _split(statements: Sequence[Json]) -> list[Json]:
    """Return the statements in order, in as few documents as possible."""
    documents: list[list[Json]] = [[]]
    for one in statements:
        if size(document([*documents[-1], one])) > MANAGED_POLICY_CHARACTERS:
            documents.append([])
        documents[-1].append(one)
    return [document(held) for held in documents]


def _of_person(settings: Settings) -> list[Json]:
    """Return a person's permissions if CloudFormation has a service role: none on resources."""
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
        statement("Anywhere", sorted(anywhere), ["*"]),
        statement("Stacks", sorted((names - anywhere) | own), [stacks]),
        statement("PassServiceRole", ["iam:PassRole"], [role], to_cloudformation),
        statement("Artifacts", artifacts, [bucket, f"{bucket}/*"]),
        *existing_vpc.reading(settings.network),
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
