"""Which calls the functions make, and which rights those calls need on AWS.

The fakes hand every call here. A call becomes rights: actions on resource ARNs, with the condition
keys that a policy may ask for. `tests/iam` reads them from a file: run

    RECORD_CALLS=calls.json pytest tests/functions

and `load(path)` gives, for each function, what it needs. Sources, where no other is named: Service
Authorization Reference, "Actions, resources, and condition keys" of the service.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

PARTITION = "aws"
REGION = "eu-west-1"
ACCOUNT = "123456789012"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"

Parameters = Mapping[str, Any]
SESSION: pytest.StashKey[Recorder] = pytest.StashKey()
"""Where a session of pytest keeps the recorder, for `tests/iam`."""


@dataclass(frozen=True)
class Right:
    """One action on one resource; `context` holds condition keys of the request."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Call:
    """One request of a function, such as `s3:PutObject`, and the rights that it needs."""

    operation: str
    rights: tuple[Right, ...]

    @property
    def resources(self) -> tuple[str, ...]:
        """The identifiers of what the call is about."""
        return tuple(dict.fromkeys(right.resource for right in self.rights))


@dataclass
class Recorder:
    """The calls of each function, in the order in which they were made."""

    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))

    def record(self, function: str, service: str, operation: str, parameters: Parameters) -> None:
        """Note one call of a function."""
        rights = tuple(rights_of(service, operation, parameters))
        self.calls[function].append(Call(f"{service}:{operation}", rights))

    def rights(self, function: str) -> list[Right]:
        """Return each right that a function's calls needed, once."""
        return [*dict.fromkeys(right for call in self.calls[function] for right in call.rights)]

    def save(self, path: Path) -> None:
        """Write what `load` reads."""
        content = {
            function: [asdict(right) for right in self.rights(function)]
            for function in sorted(self.calls)
        }
        path.write_text(json.dumps(content, indent=2) + "\n")


def load(path: Path) -> dict[str, list[Right]]:
    """Return the rights of each function from a file that `Recorder.save` wrote."""
    content = json.loads(path.read_text())
    return {
        function: [
            Right(one["action"], one["resource"], tuple((k, v) for k, v in one["context"]))
            for one in rights
        ]
        for function, rights in content.items()
    }


def rights_of(service: str, operation: str, parameters: Parameters) -> list[Right]:
    """Return the rights that a request needs; raises `KeyError` for one that is not listed here."""
    return _RIGHTS[f"{service}:{operation}"](parameters)


def arn(service: str, resource: str) -> str:
    """Return the ARN of something in the account of the tests."""
    return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}"


Rights = Callable[[Parameters], list[Right]]


def _on_bucket(action: str) -> Rights:
    return lambda p: [Right(action, _bucket(p))]


def _on_object(*actions: str, reads: bool = False, key: tuple[str, ...] = ()) -> Rights:
    """Rights on an object; who reads also asks whether it is there ("API_HeadObject")."""

    def rights(p: Parameters) -> list[Right]:
        found = [Right(action, f"{_bucket(p)}/{p['Key']}") for action in actions]
        found += [Right("s3:ListBucket", _bucket(p))] if reads else []
        through = (("kms:ViaService", f"s3.{REGION}.amazonaws.com"),)
        return found + [Right(action, KEY_ARN, through) for action in key]

    return rights


def _put_object(p: Parameters) -> list[Right]:
    """`If-Match` asks for `s3:GetObject` as well ("API_PutObject")."""
    actions = ("s3:PutObject", *(["s3:GetObject"] if "IfMatch" in p else []))
    return _on_object(*actions, key=("kms:GenerateDataKey",))(p)


def _delete_object(p: Parameters) -> list[Right]:
    """A version has an action of its own ("API_DeleteObject")."""
    action = "s3:DeleteObjectVersion" if "VersionId" in p else "s3:DeleteObject"
    return _on_object(action)(p)


def _delete_objects(p: Parameters) -> list[Right]:
    """Both actions for a version ("API_DeleteObjects")."""
    return [
        Right(action, f"{_bucket(p)}/{one['Key']}")
        for one in p["Delete"]["Objects"]
        for action in (
            "s3:DeleteObject",
            *(["s3:DeleteObjectVersion"] if "VersionId" in one else []),
        )
    ]


def _bucket(p: Parameters) -> str:
    return f"arn:{PARTITION}:s3:::{p['Bucket']}"


def _anywhere(action: str) -> Rights:
    return lambda _p: [Right(action, "*")]


def _revoke(action: str) -> Rights:
    return lambda p: [Right(action, arn("ec2", f"security-group/{p['GroupId']}"))]


def _sagemaker(operation: str, pattern: str) -> Rights:
    """One right of the operation's name; `pattern` holds fields of the request."""
    return lambda p: [Right(f"sagemaker:{operation}", _filled(pattern, p))]


def _filled(pattern: str, p: Parameters) -> str:
    """Names are in lower case in SageMaker's ARNs, and an ARN may be given for a name."""
    name = pattern.format_map(p)
    return name if name.startswith("arn:") else arn("sagemaker", name.lower())


def _of_arn(operation: str, parameter: str) -> Rights:
    return lambda p: [Right(f"sagemaker:{operation}", p[parameter])]


def _write_pipeline(operation: str) -> Rights:
    """A pipeline is given a role, and tags ask for a right of their own (IAM user guide)."""

    def rights(p: Parameters) -> list[Right]:
        pipeline = _filled("pipeline/{PipelineName}", p)
        found = [Right(f"sagemaker:{operation}", pipeline)]
        if "RoleArn" in p:
            service = (("iam:PassedToService", "sagemaker.amazonaws.com"),)
            found.append(Right("iam:PassRole", p["RoleArn"], service))
        if p.get("Tags"):
            found.append(
                Right("sagemaker:AddTags", pipeline, (("sagemaker:TaggingAction", operation),))
            )
        return found

    return rights


def _add_tags(resource: str, operation: str) -> Right:
    """Tags in a request that creates something need a right of their own (IAM user guide)."""
    return Right("sagemaker:AddTags", resource, (("sagemaker:TaggingAction", operation),))


def _create_model(p: Parameters) -> list[Right]:
    model = _filled("model/{ModelName}", p)
    service = (("iam:PassedToService", "sagemaker.amazonaws.com"),)
    return [
        Right("sagemaker:CreateModel", model),
        _add_tags(model, "CreateModel"),
        Right("iam:PassRole", p["ExecutionRoleArn"], service),
    ]


def _create_endpoint_config(p: Parameters) -> list[Right]:
    config = _filled("endpoint-config/{EndpointConfigName}", p)
    return [
        Right("sagemaker:CreateEndpointConfig", config),
        _add_tags(config, "CreateEndpointConfig"),
    ]


def _create_endpoint(p: Parameters) -> list[Right]:
    """The service may use the volumes' key through a grant ("API_CreateEndpoint")."""
    endpoint = _filled("endpoint/{EndpointName}", p)
    config = _filled("endpoint-config/{EndpointConfigName}", p)
    return [
        Right("sagemaker:CreateEndpoint", endpoint),
        Right("sagemaker:CreateEndpoint", config),
        _add_tags(endpoint, "CreateEndpoint"),
        _GRANT,
    ]


def _update_endpoint(p: Parameters) -> list[Right]:
    """Who names alarms may see them ("Auto-Rollback Configuration and Monitoring")."""
    alarms = p.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
    return [
        Right("sagemaker:UpdateEndpoint", _filled("endpoint/{EndpointName}", p)),
        Right("sagemaker:UpdateEndpoint", _filled("endpoint-config/{EndpointConfigName}", p)),
        _GRANT,
        *(
            Right("cloudwatch:DescribeAlarms", arn("cloudwatch", f"alarm:{alarm['AlarmName']}"))
            for alarm in alarms
        ),
    ]


def _update_model_package(p: Parameters) -> list[Right]:
    status = (("sagemaker:ModelApprovalStatus", p["ModelApprovalStatus"]),)
    return [Right("sagemaker:UpdateModelPackage", p["ModelPackageArn"], status)]


_SCALING: Final = (
    ("application-autoscaling:scalable-dimension", "sagemaker:variant:DesiredInstanceCount"),
    ("application-autoscaling:service-namespace", "sagemaker"),
)
_VIA_SCALING: Final = (("aws:CalledViaLast", "application-autoscaling.amazonaws.com"),)


def _on_target(operation: str) -> Right:
    """A right on a scalable target, whose id is random."""
    target = arn("application-autoscaling", "scalable-target/0a1b2c")
    return Right(f"application-autoscaling:{operation}", target, _SCALING)


def _register_target(p: Parameters) -> list[Right]:
    """The caller may do what scaling does ("Permissions validation for ... target resources").

    The first one in an account creates a role ("Service-linked roles").
    """
    endpoint = arn("sagemaker", p["ResourceId"].rpartition("/variant/")[0])
    found = [
        _on_target("RegisterScalableTarget"),
        Right("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
        Right("sagemaker:DescribeEndpoint", endpoint),
    ]
    if tags := p.get("Tags"):
        asked = tuple((f"aws:RequestTag/{key}", value) for key, value in tags.items())
        found = [replace(found[0], context=(*_SCALING, *asked)), *found[1:]]
        found.append(replace(_on_target("TagResource"), context=asked))
        found.append(Right("iam:CreateServiceLinkedRole", _LINKED_ROLE, _LINKED))
    return found


def _put_scaling_policy(p: Parameters) -> list[Right]:
    """Target tracking makes two alarms ("Target tracking scaling policies")."""
    alarms = arn("cloudwatch", f"alarm:TargetTracking-{p['ResourceId']}-AlarmHigh-x")
    return [
        _on_target("PutScalingPolicy"),
        Right("cloudwatch:DescribeAlarms", alarms),
        Right("cloudwatch:PutMetricAlarm", alarms, _VIA_SCALING),
        Right("cloudwatch:DeleteAlarms", alarms, _VIA_SCALING),
    ]


def _deregister_target(p: Parameters) -> list[Right]:
    """Its policies and their alarms go with it ("API_DeregisterScalableTarget")."""
    alarms = arn("cloudwatch", f"alarm:TargetTracking-{p['ResourceId']}-AlarmHigh-x")
    return [
        _on_target("DeregisterScalableTarget"),
        Right("cloudwatch:DeleteAlarms", alarms, _VIA_SCALING),
    ]


_LINKED_ROLE: Final = (
    f"arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/"
    "sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_LINKED: Final = (("iam:AWSServiceName", "sagemaker.application-autoscaling.amazonaws.com"),)

_GRANT = Right("kms:CreateGrant", KEY_ARN, (("kms:GrantIsForAWSResource", "true"),))
_UPLOAD = _on_object("s3:PutObject", key=("kms:GenerateDataKey", "kms:Decrypt"))


def _on_alarms(operation: str) -> Rights:
    return lambda p: [
        Right(f"cloudwatch:{operation}", arn("cloudwatch", f"alarm:{name}"))
        for name in p["AlarmNames"]
    ]


_RIGHTS: dict[str, Rights] = {
    "application-autoscaling:DeregisterScalableTarget": _deregister_target,
    "application-autoscaling:DescribeScalableTargets": _anywhere(
        "application-autoscaling:DescribeScalableTargets"
    ),
    "application-autoscaling:DescribeScalingPolicies": _anywhere(
        "application-autoscaling:DescribeScalingPolicies"
    ),
    "application-autoscaling:ListTagsForResource": lambda p: [
        Right("application-autoscaling:ListTagsForResource", p["ResourceARN"])
    ],
    "application-autoscaling:PutScalingPolicy": _put_scaling_policy,
    "application-autoscaling:RegisterScalableTarget": _register_target,
    "cloudwatch:DeleteAlarms": _on_alarms("DeleteAlarms"),
    "cloudwatch:DescribeAlarms": _on_alarms("DescribeAlarms"),
    "cloudwatch:PutMetricAlarm": lambda p: [
        Right("cloudwatch:PutMetricAlarm", arn("cloudwatch", f"alarm:{p['AlarmName']}"))
    ],
    "cloudformation:DescribeStacks": lambda p: [
        Right("cloudformation:DescribeStacks", p["StackName"])
    ],
    "ec2:DescribeManagedPrefixLists": _anywhere("ec2:DescribeManagedPrefixLists"),
    "ec2:DescribeSecurityGroups": _anywhere("ec2:DescribeSecurityGroups"),
    "ec2:RevokeSecurityGroupEgress": _revoke("ec2:RevokeSecurityGroupEgress"),
    "ec2:RevokeSecurityGroupIngress": _revoke("ec2:RevokeSecurityGroupIngress"),
    "s3:AbortMultipartUpload": _on_object("s3:AbortMultipartUpload"),
    "s3:CompleteMultipartUpload": lambda p: _UPLOAD(p) + _put_object(p),
    "s3:CopyObject": lambda p: [
        Right(
            "s3:GetObject",
            f"arn:{PARTITION}:s3:::{p['CopySource']['Bucket']}/{p['CopySource']['Key']}",
        ),
        Right("kms:Decrypt", KEY_ARN, (("kms:ViaService", f"s3.{REGION}.amazonaws.com"),)),
        *_put_object(p),
    ],
    "s3:CreateMultipartUpload": _UPLOAD,
    "s3:DeleteObject": _delete_object,
    "s3:DeleteObjects": _delete_objects,
    "s3:GetBucketPolicy": _on_bucket("s3:GetBucketPolicy"),
    "s3:GetBucketTagging": _on_bucket("s3:GetBucketTagging"),
    "s3:GetObject": _on_object("s3:GetObject", reads=True, key=("kms:Decrypt",)),
    "s3:HeadBucket": _on_bucket("s3:ListBucket"),
    "s3:HeadObject": _on_object("s3:GetObject", reads=True),
    "s3:ListMultipartUploads": _on_bucket("s3:ListBucketMultipartUploads"),
    "s3:ListObjectsV2": _on_bucket("s3:ListBucket"),
    "s3:ListObjectVersions": _on_bucket("s3:ListBucketVersions"),
    "s3:PutBucketPolicy": _on_bucket("s3:PutBucketPolicy"),
    "s3:PutObject": _put_object,
    "s3:UploadPart": _UPLOAD,
    "sagemaker-runtime:InvokeEndpoint": _sagemaker("InvokeEndpoint", "endpoint/{EndpointName}"),
    "sagemaker-runtime:InvokeEndpointAsync": _sagemaker(
        "InvokeEndpointAsync", "endpoint/{EndpointName}"
    ),
    "sagemaker:AddTags": _of_arn("AddTags", "ResourceArn"),
    "sagemaker:CreateEndpoint": _create_endpoint,
    "sagemaker:CreateEndpointConfig": _create_endpoint_config,
    "sagemaker:CreateModel": _create_model,
    "sagemaker:CreatePipeline": _write_pipeline("CreatePipeline"),
    "sagemaker:DeleteApp": lambda p: [
        Right(
            "sagemaker:DeleteApp",
            arn(
                "sagemaker",
                f"app/{p['DomainId']}/{p.get('UserProfileName') or p.get('SpaceName')}"
                f"/{p['AppType'].lower()}/{p['AppName']}",
            ),
        )
    ],
    "sagemaker:DeleteEndpoint": _sagemaker("DeleteEndpoint", "endpoint/{EndpointName}"),
    "sagemaker:DeleteEndpointConfig": _sagemaker(
        "DeleteEndpointConfig", "endpoint-config/{EndpointConfigName}"
    ),
    "sagemaker:DeleteModel": _sagemaker("DeleteModel", "model/{ModelName}"),
    "sagemaker:DeleteModelPackage": _sagemaker("DeleteModelPackage", "{ModelPackageName}"),
    "sagemaker:DeletePipeline": _sagemaker("DeletePipeline", "pipeline/{PipelineName}"),
    "sagemaker:DeleteSpace": _sagemaker("DeleteSpace", "space/{DomainId}/{SpaceName}"),
    "sagemaker:DescribeEndpoint": _sagemaker("DescribeEndpoint", "endpoint/{EndpointName}"),
    "sagemaker:DescribeEndpointConfig": _sagemaker(
        "DescribeEndpointConfig", "endpoint-config/{EndpointConfigName}"
    ),
    "sagemaker:DescribeModel": _sagemaker("DescribeModel", "model/{ModelName}"),
    "sagemaker:DescribeModelPackage": _sagemaker("DescribeModelPackage", "{ModelPackageName}"),
    "sagemaker:DescribePipeline": _sagemaker("DescribePipeline", "pipeline/{PipelineName}"),
    "sagemaker:ListApps": _anywhere("sagemaker:ListApps"),
    "sagemaker:ListEndpointConfigs": _anywhere("sagemaker:ListEndpointConfigs"),
    "sagemaker:ListEndpoints": _anywhere("sagemaker:ListEndpoints"),
    "sagemaker:ListModelPackages": _sagemaker(
        "ListModelPackages", "model-package/{ModelPackageGroupName}/*"
    ),
    "sagemaker:ListModels": _anywhere("sagemaker:ListModels"),
    "sagemaker:ListPipelineExecutionSteps": _of_arn(
        "ListPipelineExecutionSteps", "PipelineExecutionArn"
    ),
    "sagemaker:ListPipelineExecutions": _sagemaker(
        "ListPipelineExecutions", "pipeline/{PipelineName}"
    ),
    "sagemaker:DeleteTags": _of_arn("DeleteTags", "ResourceArn"),
    "sagemaker:DeleteUserProfile": _sagemaker(
        "DeleteUserProfile", "user-profile/{DomainId}/{UserProfileName}"
    ),
    "sagemaker:ListUserProfiles": _anywhere("sagemaker:ListUserProfiles"),
    "sagemaker:ListSpaces": _anywhere("sagemaker:ListSpaces"),
    "sagemaker:ListTags": _of_arn("ListTags", "ResourceArn"),
    "sagemaker:StartPipelineExecution": _sagemaker(
        "StartPipelineExecution", "pipeline/{PipelineName}"
    ),
    "sagemaker:StopPipelineExecution": _of_arn("StopPipelineExecution", "PipelineExecutionArn"),
    "sagemaker:UpdateEndpoint": _update_endpoint,
    "sagemaker:UpdateModelPackage": _update_model_package,
    "sagemaker:UpdatePipelineExecution": _of_arn("UpdatePipelineExecution", "PipelineExecutionArn"),
    "sagemaker:UpdatePipeline": _write_pipeline("UpdatePipeline"),
}
