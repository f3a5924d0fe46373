"""The permissions that a SageMaker request needs: actions, resource ARNs and condition keys.

Source: "Actions, resources, and condition keys for Amazon SageMaker AI", Service Authorization
Reference. Passing a role needs iam:PassRole; tags on creation need AddTags.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import AuthError, EvalContext, enforce
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from tabular_ml_vpc.local.emulator import scaling
from tabular_ml_vpc.local.emulator.sagemaker_store import KINDS, Store, arn_of
from tabular_ml_vpc.local.emulator.types import Fields

VERBS = ("Create", "Describe", "Update", "Delete")
ROLE_FIELDS = ("RoleArn", "ExecutionRoleArn", "ExecutionRole")

# Requests for resources other than the one in their name.
PATHS = {
    "CreatePresignedDomainUrl": ("user-profile/{DomainId}/{UserProfileName}",),
    "ListModelPackages": ("model-package/{ModelPackageGroupName}/*",),
    "ListPipelineExecutions": ("pipeline/{PipelineName}",),
    "StartPipelineExecution": ("pipeline/{PipelineName}",),
    "InvokeEndpoint": ("endpoint/{EndpointName}",),
    "InvokeEndpointAsync": ("endpoint/{EndpointName}",),
    "UpdateEndpointWeightsAndCapacities": ("endpoint/{EndpointName}",),
    "StopProcessingJob": ("processing-job/{ProcessingJobName}",),
    "StopTrainingJob": ("training-job/{TrainingJobName}",),
    "CreateEndpoint": ("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
    "UpdateEndpoint": ("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
    "CreateModelPackage": (
        "model-package/{ModelPackageGroupName}/*",
        "model-package-group/{ModelPackageGroupName}",
    ),
}

AccessCheck = tuple[str, str, Fields]


def refusal(
    store: Store, operation: str, request: Fields, access_key: str, region: str
) -> tuple[str, str, Any] | None:
    """Return the first denied action with its resource and result, or None."""
    for action, arn, context in checks(store, operation, request):
        service = action.partition(":")[0]
        result = enforce(access_key, action, service, region, arn, context)
        if result is not None and not isinstance(result, AuthError):
            return action, arn, result
    return None


def denial_of_role(store: Store, role_arn: str, operation: str, request: Fields) -> str:
    """Return why a role does not allow a request of SageMaker's; empty if it does.

    A role that does not exist is not checked: small tests use any name.
    """
    return _denial(role_arn, checks(store, operation, request))


def denial_of_alarm(role_arn: str, alarm: str) -> str:
    """Return why a role cannot describe an alarm; empty if it can, or if it does not exist.

    Source: "Auto-Rollback Configuration and Monitoring", SageMaker developer guide: "Ensure that
    your IAM execution role has permission to perform the cloudwatch:DescribeAlarms action".
    """
    return _denial(role_arn, [_describing(alarm)])


def _describing(alarm: str) -> AccessCheck:
    arn = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{alarm}"
    return "cloudwatch:DescribeAlarms", arn, {}


def _denial(role_arn: str, needed: list[AccessCheck]) -> str:
    """Return the first of these permissions that a role lacks; empty if it has all."""
    account, name = get_account_id(), role_arn.rsplit("/", 1)[-1]
    if name not in iam._roles:
        return ""
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    for action, arn, keys in needed:
        context = EvalContext(
            principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/SageMaker",
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=arn,
            region=get_region(),
            service_context={key.lower(): value for key, value in keys.items()},
        )
        if iam_evaluator.evaluate(context, policies, *limits).decision != "Allow":
            return f"{role_arn} is not authorized to perform: {action} on resource: {arn}"
    return ""


def checks(store: Store, operation: str, request: Fields) -> list[AccessCheck]:
    """Return all permissions that a request needs."""
    arns = _resources(store, operation, request)
    context = _context(request) | _of_space(store, request)
    found: list[AccessCheck] = []
    for arn in arns:
        tags = store.records[arn].tags if arn in store.records else {}
        keys = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        keys |= {f"sagemaker:ResourceTag/{key}": value for key, value in tags.items()}
        found.append((f"sagemaker:{operation}", arn, {**context, **keys}))
    if operation == "DeleteEndpoint":
        found += [_deregistering(one) for one in scaling.of_endpoint(request["EndpointName"])]
    if operation.startswith("Create") and request.get("Tags"):
        tagging = {**context, "sagemaker:TaggingAction": operation}
        found.append(("sagemaker:AddTags", arns[0], tagging))
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    found += [("iam:PassRole", role, passed) for role in _roles(request)]
    rollback = (request.get("DeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return found + [_describing(alarm["AlarmName"]) for alarm in rollback.get("Alarms", [])]


def _deregistering(target: Fields) -> AccessCheck:
    """Return what a deletion needs besides if the endpoint scales.

    The real message is another one (awslabs/stable-diffusion-aws-extension, issue 161).
    """
    tags = {f"aws:ResourceTag/{key}": value for key, value in target["Tags"].items()}
    action = "application-autoscaling:DeregisterScalableTarget"
    return action, target["ScalableTargetARN"], tags


def _roles(request: Fields) -> list[str]:
    return sorted({request[name] for name in ROLE_FIELDS if name in request})


def _resources(store: Store, operation: str, request: Fields) -> list[str]:
    """Return the ARNs of a request's resources; `*` if the action has no resource type."""
    for name in ("ResourceArn", "PipelineExecutionArn", "ModelPackageArn"):
        if name in request:
            return [request[name]]
    names = _Names(request)
    paths = PATHS.get(operation)
    if paths:
        return [arn_of(path.format_map(names)) for path in paths]
    for verb in VERBS:
        kind = operation.removeprefix(verb)
        if operation.startswith(verb) and kind in KINDS:
            return [_own_arn(store, verb, kind, request)]
    return ["*"]


def _own_arn(store: Store, verb: str, kind: str, request: Fields) -> str:
    existing = store.find(kind, request) if verb != "Create" else None
    if existing:
        return existing.arn
    owner = request.get("SpaceName") or request.get("UserProfileName") or "*"
    return arn_of(KINDS[kind].arn.format_map(_Names({**request, "owner": owner})))


class _Names(dict[str, str]):
    """The fields of a request, with `*` for missing ones."""

    def __missing__(self, _key: str) -> str:
        return "*"


def _context(request: Fields) -> Fields:
    """Return the condition keys of a request."""
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or [] if "Value" in tag}
    context: Fields = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags or "TagKeys" in request:
        context["aws:TagKeys"] = [*tags, *request.get("TagKeys", [])]
    network = request.get("VpcConfig") or (request.get("NetworkConfig") or {}).get("VpcConfig")
    if network:
        context["sagemaker:VpcSubnets"] = network.get("Subnets", [])
        context["sagemaker:VpcSecurityGroupIds"] = network.get("SecurityGroupIds", [])
    settings = {**request, **(request.get("NetworkConfig") or {})}
    for key, name in (
        ("sagemaker:NetworkIsolation", "EnableNetworkIsolation"),
        ("sagemaker:InterContainerTrafficEncryption", "EnableInterContainerTrafficEncryption"),
    ):
        if name in settings:
            context[key] = str(settings[name]).lower()
    context |= {**_keys(request), **_machines(request), **_approval(request)}
    return context | _ownership(request, request.get("DomainId", ""))


def _of_space(store: Store, request: Fields) -> Fields:
    """Return the condition keys of the existing space that a request names."""
    space = store.find("Space", request) if "SpaceName" in request else None
    return _ownership(space.fields, request["DomainId"]) if space else {}


def _ownership(fields: Fields, domain: str) -> Fields:
    """Return the condition keys of a space's owner and of how it is shared."""
    found: Fields = {}
    if owner := (fields.get("OwnershipSettings") or {}).get("OwnerUserProfileName"):
        found["sagemaker:OwnerUserProfileArn"] = arn_of(f"user-profile/{domain}/{owner}")
    if sharing := (fields.get("SpaceSharingSettings") or {}).get("SharingType"):
        found["sagemaker:SpaceSharingType"] = sharing
    return found


def _keys(request: Fields) -> Fields:
    """Return the condition keys for the encryption of volumes and outputs."""
    machines = request.get("ResourceConfig") or (request.get("ProcessingResources") or {}).get(
        "ClusterConfig", {}
    )
    output = request.get("OutputDataConfig") or request.get("ProcessingOutputConfig") or {}
    found = {
        "sagemaker:VolumeKmsKeyArn": machines.get("VolumeKmsKeyId") or request.get("KmsKeyId"),
        "sagemaker:OutputKmsKeyArn": output.get("KmsKeyId"),
    }
    return {key: value for key, value in found.items() if value}


def _approval(request: Fields) -> Fields:
    """Return the condition keys for a model package's approval and metadata."""
    metadata = request.get("CustomerMetadataProperties") or {}
    found = {f"sagemaker:CustomerMetadataProperties/{key}": metadata[key] for key in metadata}
    for name in ("ModelApprovalStatus", "CustomerMetadataPropertiesToRemove"):
        if name in request:
            found[f"sagemaker:{name}"] = request[name]
    return found


def _machines(request: Fields) -> Fields:
    """Return the condition keys for instance types and the maximum run time."""
    cluster = (request.get("ProcessingResources") or {}).get("ClusterConfig")
    machines = [
        request.get("ResourceConfig") or cluster or request.get("ResourceSpec") or {},
        *request.get("ProductionVariants", []),
    ]
    types = [machine["InstanceType"] for machine in machines if "InstanceType" in machine]
    seconds = (request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
    found = {"sagemaker:InstanceTypes": types, "sagemaker:MaxRuntimeInSeconds": str(seconds or "")}
    return {key: value for key, value in found.items() if value}
