"""Single properties that protect: which values are weaker than others.

A property is found by its name, however deep it is in a resource. What an absent property means
comes from its type in the CloudFormation template reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.empty_bucket.core import PERMISSION_TAG
from generator.cfn.evaluator import RETENTION, ResolvedDeployment, ResolvedResource
from generator.cfn.expressions import NESTED
from pipeline.types import JsonView
from tabular_ml_vpc.operations.loosening import lifecycle
from tabular_ml_vpc.operations.loosening.access import is_policy
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening

Weaker = Callable[[Any, Any], bool]
"""Tells whether the second value of a property protects less than the first; None: absent."""


@dataclass(frozen=True)
class _Protection:
    kind: Kind
    weaker: Weaker
    why: str


def _text(value: Any) -> str:
    return str(value).lower()


def _below(default: float) -> Weaker:
    def weaker(old: Any, new: Any) -> bool:
        before, after = (default if value is None else float(value) for value in (old, new))
        return after < before

    return weaker


def _above(default: float) -> Weaker:
    return lambda old, new: _below(default)(new, old)


def _ranked(*ranks: str, default: int = 0) -> Weaker:
    """Compare by rank, weakest first; a value without a rank is as weak as ``default``."""

    def rank(value: Any) -> int:
        return ranks.index(_text(value)) if _text(value) in ranks else default

    return lambda old, new: rank(new) < rank(old)


def _loses(value: str) -> Weaker:
    return lambda old, new: _text(old) == value.lower() != _text(new)


def _becomes(value: str) -> Weaker:
    return lambda old, new: _text(new) == value.lower() != _text(old)


def _differs(old: Any, new: Any) -> bool:
    """A value that was there is another one, or none: whether that is as strict is unknown."""
    return old is not None and old != new


def _arrives(old: Any, new: Any) -> bool:
    return new is not None and old != new


def _changes(old: Any, new: Any) -> bool:
    return bool(old != new)


def _disappears(old: Any, new: Any) -> bool:
    return old is not None and new is None


def _gains(old: Any, new: Any) -> bool:
    """A list has more items; some are joined by commas."""
    if old is None or new is None:
        return False
    before, after = (value.split(",") if isinstance(value, str) else value for value in (old, new))
    return not {*map(str, after)} <= {*map(str, before)}


def _go_elsewhere(old: Any, new: Any) -> bool:
    """A rule's targets that were there are missing, or are others."""
    before, after = ([one.get("Arn") for one in targets or ()] for targets in (old, new))
    return bool(before) and before != after


def _unversioned(old: Any, new: Any) -> bool:
    return _status(old) == "Enabled" != _status(new)


def _status(value: Any) -> str:
    return str((value or {}).get("Status", ""))


def _weaker_lock(old: Any, new: Any) -> bool:
    before, after = _lock(old), _lock(new)
    return after[0] < before[0] or after[1] < before[1]


def _lock(value: Any) -> tuple[int, float]:
    rule = ((value or {}).get("Rule") or {}).get("DefaultRetention") or {}
    days = float(rule.get("Days", 0)) + 365 * float(rule.get("Years", 0))
    return ("", "GOVERNANCE", "COMPLIANCE").index(rule.get("Mode", "")), days


_PLAIN: Final = "data is no longer encrypted with the same key"
_SOONER: Final = "data is deleted sooner"
_PUBLIC: Final = "the bucket can be opened to the public"
_OTHER_ROLE: Final = _Protection(Kind.RIGHTS, _arrives, "it runs with the rights of another role")
_KEYS: Final = (
    *("EncryptionKey", "KeyArn", "KmsKeyArn", "KmsKeyId", "KMSMasterKeyID", "KmsMasterKeyId"),
)
_ALERTS: Final = "alerts go elsewhere, or nowhere"
_SCRIPT: Final = "another script runs in every app of Studio when it starts"
_SOURCE: Final = "packages come from more sources"
_PACKAGE_GROUP: Final = "AWS::CodeArtifact::PackageGroup"
_PROTECTIONS: Final[Mapping[str, _Protection]] = {
    **{name: _Protection(Kind.ENCRYPTION, _differs, _PLAIN) for name in _KEYS},
    "SSEAlgorithm": _Protection(
        Kind.ENCRYPTION, _ranked("aes256", "aws:kms", "aws:kms:dsse"), _PLAIN
    ),
    **{
        name: _Protection(Kind.ENCRYPTION, _loses("true"), "data is encrypted no longer")
        for name in ("Encrypted", "SqsManagedSseEnabled", "EnableInterContainerTrafficEncryption")
    },
    "EnableKeyRotation": _Protection(
        Kind.ENCRYPTION, _loses("true"), "the key's material is renewed no longer"
    ),
    "RetentionInDays": _Protection(Kind.RETENTION, _below(math.inf), _SOONER),
    "MessageRetentionPeriod": _Protection(Kind.RETENTION, _below(345_600), _SOONER),
    "PendingWindowInDays": _Protection(
        Kind.RETENTION, _below(30), "less time to cancel the key's deletion"
    ),
    "VersioningConfiguration": _Protection(
        Kind.RETENTION, _unversioned, "what is overwritten or deleted is lost"
    ),
    "ObjectLockConfiguration": _Protection(
        Kind.RETENTION, _weaker_lock, "versions can be deleted sooner"
    ),
    "ReplicationConfiguration": _Protection(
        Kind.RETENTION, _differs, "objects may be copied no longer"
    ),
    "LifecycleConfiguration": _Protection(Kind.RETENTION, lifecycle.expires_more, _SOONER),
    **{
        name: _Protection(
            Kind.RETENTION,
            _ranked("delete", "snapshot", "retainexceptoncreate", "retain"),
            "it is no longer kept when it leaves the stack",
        )
        for name in RETENTION
    },
    **{
        name: _Protection(Kind.SETTING, _loses("true"), _PUBLIC)
        for name in (
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        )
    },
    "AccessControl": _Protection(Kind.SETTING, _arrives, _PUBLIC),
    "ObjectOwnership": _Protection(Kind.SETTING, _loses("BucketOwnerEnforced"), _PUBLIC),
    "LoggingConfiguration": _Protection(Kind.SETTING, _differs, "access may be logged no longer"),
    "AlarmActions": _Protection(Kind.SETTING, _differs, _ALERTS),
    "Targets": _Protection(Kind.SETTING, _go_elsewhere, _ALERTS),
    "TrafficType": _Protection(Kind.SETTING, _loses("ALL"), "less traffic is logged"),
    "NotebookOutputOption": _Protection(
        Kind.SETTING, _loses("Disabled"), "people can share notebooks with their output"
    ),
    "AuthMode": _Protection(
        Kind.SETTING, _loses("SSO"), "who may call CreatePresignedDomainUrl signs in as anybody"
    ),
    "ExecutionRoleIdentityConfig": _Protection(
        Kind.SETTING, _loses("USER_PROFILE_NAME"), "logs no longer say who did something"
    ),
    "CodeSigningConfigArn": _Protection(Kind.SETTING, _differs, "unsigned code may run"),
    "DeletionProtectionEnabled": _Protection(
        Kind.SETTING, _loses("true"), "it can be deleted by mistake"
    ),
    "DeleteSpaces": _Protection(
        Kind.SETTING, _becomes("true"), "people's files are deleted with the stack"
    ),
    PERMISSION_TAG: _Protection(
        Kind.SETTING, _arrives, "the bucket is emptied when the stack is deleted"
    ),
    "BuiltInLifecycleConfigArn": _Protection(Kind.SETTING, _arrives, _SCRIPT),
    "StudioLifecycleConfigContent": _Protection(Kind.SETTING, _changes, _SCRIPT),
    "RestrictionMode": _Protection(Kind.SETTING, _loses("BLOCK"), _SOURCE),
    **{
        name: _Protection(Kind.SETTING, _gains, _SOURCE)
        for name in ("ExternalConnections", "Upstreams")
    },
    "MaxSessionDuration": _Protection(Kind.TRUST, _above(3600), "sessions last longer"),
    "VpcConfig": _Protection(Kind.NETWORK, _disappears, "it runs outside the VPC"),
    "AppNetworkAccessType": _Protection(Kind.NETWORK, _loses("VpcOnly"), "apps reach the internet"),
    "EnableNetworkIsolation": _Protection(
        Kind.NETWORK, _loses("true"), "containers reach the network"
    ),
    **{
        name: _Protection(Kind.NETWORK, _gains, "it reaches more of the network")
        for name in ("SecurityGroupIds", "SecurityGroups", "SubnetIds")
    },
    **{
        name: _Protection(Kind.NETWORK, _becomes("true"), "it can be reached from the internet")
        for name in ("MapPublicIpOnLaunch", "PubliclyAccessible")
    },
    **dict.fromkeys(("DeliverLogsPermissionArn", "Role"), _OTHER_ROLE),
    "ExecutionRole": _Protection(
        Kind.RIGHTS, _changes, "it runs with the rights of another role, or of the domain's"
    ),
}
"""By the property's name; other names that end with ``RoleArn`` name a role."""


_KNOWN: Final = frozenset(
    {
        "AWS::CloudFormation::Stack",
        *(f"AWS::CloudWatch::{kind}" for kind in ("Alarm", "Dashboard")),
        *(f"AWS::CodeArtifact::{kind}" for kind in ("Domain", "PackageGroup", "Repository")),
        *(
            f"AWS::EC2::{kind}"
            for kind in ("FlowLog", "RouteTable", "Subnet", "VPC", "VPCEndpoint")
        ),
        "AWS::EC2::SubnetRouteTableAssociation",
        *(f"AWS::EC2::SecurityGroup{rule}" for rule in ("", "Egress", "Ingress")),
        "AWS::Events::Rule",
        *(f"AWS::IAM::{kind}" for kind in ("Group", "Role", "User")),
        *(f"AWS::IAM::{holder}Policy" for holder in ("", "Group", "Managed", "Role", "User")),
        *(f"AWS::KMS::{kind}" for kind in ("Alias", "Key")),
        *(f"AWS::Lambda::{kind}" for kind in ("EventInvokeConfig", "Function", "Permission")),
        "AWS::Logs::LogGroup",
        *(f"AWS::S3::Bucket{policy}" for policy in ("", "Policy")),
        *(f"AWS::SNS::{kind}" for kind in ("Subscription", "Topic", "TopicPolicy")),
        *(f"AWS::SQS::Queue{policy}" for policy in ("", "Policy")),
        *(f"AWS::SageMaker::{kind}" for kind in ("Domain", "ModelPackageGroup", "UserProfile")),
        "AWS::SageMaker::StudioLifecycleConfig",
        *(
            f"Custom::{kind}"
            for kind in (
                "ClearStudio",
                "EmptyBucket",
                "Pipeline",
                "PredictionPipeline",
                "SeedData",
                "Trials",
                "VpcBaseline",
            )
        ),
    }
)
"""Types that allow nothing but what is compared here, in ``access`` and in ``network``."""


def loosenings(old: ResolvedDeployment, new: ResolvedDeployment) -> Iterator[Loosening]:
    """Yield the properties that protect less than before, of resources that remain.

    What nested stacks hand on is compared where it is used. Whatever is new or changes about a
    resource of another type, such as a route or an access key, may allow anything.
    """
    before = {str(one): one for one in old}
    for resource in new:
        known = before.get(str(resource))
        if resource.type not in _KNOWN and (known is None or known != resource):
            yield _unknown(known, resource)
        if known and known.type == resource.type != NESTED:
            yield from _of_resource(known, resource)
    yield from _names_let_in(before, {str(one) for one in new})


def _names_let_in(before: Mapping[str, ResolvedResource], after: set[str]) -> Iterator[Loosening]:
    """Yield the groups that block packages and leave a domain that remains."""
    remaining = {one.reference for place, one in before.items() if place in after}
    for place, group in before.items():
        domain = group.reference.partition(":package-group/")[2].partition("/")[0]
        remains = any(one.endswith(f":domain/{domain}") for one in remaining)
        if group.type == _PACKAGE_GROUP and place not in after and remains:
            pattern = group.properties["Pattern"]
            yield Loosening(Kind.SETTING, place, "Pattern", pattern, None, _SOURCE)


def _unknown(old: ResolvedResource | None, new: ResolvedResource) -> Loosening:
    kind = Kind.NETWORK if new.type.startswith("AWS::EC2::") else Kind.SETTING
    before = dict(old.properties) if old else None
    why = "what this type allows is unknown to this command"
    return Loosening(kind, str(new), new.type, before, dict(new.properties), why)


def _of_resource(old: ResolvedResource, new: ResolvedResource) -> Iterator[Loosening]:
    before, after = (_attributes(one) | _nodes(one.properties) for one in (old, new))
    for path in {**before, **after}:
        name, was, would = path[-1], before.get(path), after.get(path)
        tested = _OTHER_ROLE if name.endswith("RoleArn") else _PROTECTIONS.get(name)
        if tested and tested.weaker(was, would):
            what = ".".join(path)
            yield Loosening(tested.kind, str(new), what, was, would, tested.why)


def _attributes(resource: ResolvedResource) -> dict[tuple[str, ...], Any]:
    """Return what protects a resource besides its properties, and the tag that lets it go."""
    tags = {tag["Key"]: tag["Value"] for tag in _listed_tags(resource)}
    found: dict[tuple[str, ...], Any] = {(name,): value for name, value in resource.kept.items()}
    if PERMISSION_TAG in tags:
        found["Tags", PERMISSION_TAG] = tags[PERMISSION_TAG]
    return found


def _listed_tags(resource: ResolvedResource) -> list[JsonView]:
    """Return the tags, unless the type takes them as an object."""
    tags = resource.properties.get("Tags", [])
    return tags if isinstance(tags, list) else []


def _nodes(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every property, however deep, by its path; policies are compared elsewhere."""
    if is_policy(value):
        return {}
    found: dict[tuple[str, ...], Any] = {}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            found[*path, name] = inner
            found |= _nodes(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found |= _nodes(inner, (*path, str(number)))
    return found
