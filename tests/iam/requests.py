"""What an API request needs: the actions, resources and condition keys that AWS authorizes.

Sources: Service Authorization Reference, and for what a caller needs besides the action of the
request's name, the document in `implicit.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.functions.recorder import KEY_ARN, rights_of
from tests.iam.account import Account, Request

Parameters = Mapping[str, Any]

ENDPOINTS: Final = {
    "application-autoscaling": "ApplicationAutoscalingEndpoint",
    "cloudformation": "CloudformationEndpoint",
    "ecr": "EcrDkrEndpoint",
    "logs": "LogsEndpoint",
    "s3": "S3Endpoint",
    "sagemaker": "SagemakerApiEndpoint",
    "sts": "StsEndpoint",
}
"""The endpoint that a request of a service goes through, from inside the VPC."""
RUNTIME: Final = "SagemakerRuntimeEndpoint"

_TRUE = {True: "true", False: "false"}
_NAMES: Final = {
    "ProcessingJob": ("processing-job", "ProcessingJobName"),
    "TrainingJob": ("training-job", "TrainingJobName"),
    "Model": ("model", "ModelName"),
    "EndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "Endpoint": ("endpoint", "EndpointName"),
    "Pipeline": ("pipeline", "PipelineName"),
    "ModelPackageGroup": ("model-package-group", "ModelPackageGroupName"),
}
_WITH_CONFIG: Final = ("CreateEndpoint", "UpdateEndpoint")
_OF_A_PIPELINE: Final = (
    "StartPipelineExecution",
    "ListPipelineExecutions",
)
_OF_AN_EXECUTION: Final = (
    "DescribePipelineExecution",
    "DescribePipelineDefinitionForExecution",
    "ListPipelineExecutionSteps",
    "ListPipelineParametersForExecution",
    "StopPipelineExecution",
)


def through(account: Account, action: str) -> str:
    """Return the endpoint that a request goes through from inside the VPC, if there is one."""
    if action.startswith("sagemaker:Invoke"):
        return RUNTIME
    endpoint = ENDPOINTS.get(action.partition(":")[0], "")
    return endpoint if endpoint in account.deployment.stacks["network"] else ""


def of_request(
    account: Account, who: str, operation: str, parameters: Parameters, inside: bool
) -> list[Request]:
    """Return what a request such as `sagemaker:CreateModel` needs; `inside` the VPC or not."""
    found = [*_needs(account, operation, parameters)]
    return [
        Request(who, action, arn, context, through(account, action) if inside else "")
        for action, arn, context in found
    ]


Need = tuple[str, str, dict[str, Any]]


def _needs(account: Account, operation: str, parameters: Parameters) -> Iterator[Need]:
    service, _, name = operation.partition(":")
    if service == "sagemaker" and (arns := list(_sagemaker_arns(account, name, parameters))):
        context = _context(name, parameters)
        yield from ((operation, arn, context) for arn in arns)
        yield from _passed_roles(parameters)
        if name.startswith("Create") and parameters.get("Tags"):
            tags = {key: context[key] for key in context if key.startswith("aws:")}
            yield "sagemaker:AddTags", arns[0], {**tags, "sagemaker:TaggingAction": name}
        return
    if service == "logs":
        stream = f":log-stream:{parameters['logStreamName']}" if name == "GetLogEvents" else ""
        group = f"log-group:{parameters['logGroupName']}{stream}"
        yield operation, account.place.arn("logs", group), {}
        return
    if name == "ListObjectsV2":
        bucket = f"arn:{account.place.partition}:s3:::{parameters['Bucket']}"
        yield "s3:ListBucket", bucket, {"s3:prefix": parameters["Prefix"]}
        return
    for right in rights_of(service, name, parameters):
        arn = right.resource.replace(KEY_ARN, account.key_arn)
        yield right.action, arn, {**dict(right.context), **_of_objects(right.action, parameters)}


def _sagemaker_arns(account: Account, name: str, parameters: Parameters) -> Iterator[str]:
    if name == "InvokeEndpoint":
        yield _arn(account, "endpoint", parameters["EndpointName"])
    elif name in _OF_A_PIPELINE:
        yield _arn(account, "pipeline", parameters["PipelineName"])
    elif name in _OF_AN_EXECUTION:
        yield parameters["PipelineExecutionArn"]
    elif name == "CreateModelPackage":
        yield _arn(account, "model-package", f"{parameters['ModelPackageGroupName']}/1")
    elif name == "DescribeModelPackage":
        yield parameters["ModelPackageName"]
    elif name in ("ListModelPackageGroups", "ListPipelines", "Search"):
        yield "*"
    else:
        yield from _named(account, name, parameters)


def _named(account: Account, name: str, parameters: Parameters) -> Iterator[str]:
    """An operation's name ends with what it is about; creating an endpoint asks for its config."""
    for verb in ("Create", "Describe", "Stop", "Update"):
        kind = name.removeprefix(verb)
        if name.startswith(verb) and kind in _NAMES and _NAMES[kind][1] in parameters:
            yield _arn(account, _NAMES[kind][0], parameters[_NAMES[kind][1]])
    if name in _WITH_CONFIG:
        yield _arn(account, "endpoint-config", parameters["EndpointConfigName"])


def _arn(account: Account, kind: str, name: str) -> str:
    """SageMaker writes names in lower case in ARNs."""
    return account.place.arn("sagemaker", f"{kind}/{name.lower()}")


def _passed_roles(parameters: Parameters) -> Iterator[Need]:
    service = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    for name in ("RoleArn", "ExecutionRoleArn"):
        if name in parameters:
            yield "iam:PassRole", parameters[name], service


def _context(name: str, parameters: Parameters) -> dict[str, Any]:
    """Return the condition keys of a request that creates a job, model or endpoint."""
    if not name.startswith("Create"):
        return {}
    values = {
        **_network(parameters),
        **_keys(parameters),
        **_machines(parameters),
        **_tags(parameters),
    }
    if name == "CreateModelPackage":
        values["sagemaker:ModelApprovalStatus"] = parameters["ModelApprovalStatus"]
    return {key: value for key, value in values.items() if value is not None}


def _network(parameters: Parameters) -> dict[str, Any]:
    settings = {**parameters, **parameters.get("NetworkConfig", {})}
    vpc = settings.get("VpcConfig", {})
    return {
        "sagemaker:VpcSubnets": vpc.get("Subnets"),
        "sagemaker:VpcSecurityGroupIds": vpc.get("SecurityGroupIds"),
        "sagemaker:NetworkIsolation": _TRUE.get(settings.get("EnableNetworkIsolation")),  # type: ignore[arg-type]
        "sagemaker:InterContainerTrafficEncryption": _TRUE.get(
            settings.get("EnableInterContainerTrafficEncryption")  # type: ignore[arg-type]
        ),
    }


def _keys(parameters: Parameters) -> dict[str, Any]:
    cluster = parameters.get("ProcessingResources", {}).get("ClusterConfig", {})
    machines = parameters.get("ResourceConfig") or cluster
    outputs = parameters.get("OutputDataConfig") or parameters.get("ProcessingOutputConfig") or {}
    return {
        "sagemaker:VolumeKmsKeyArn": machines.get("VolumeKmsKeyId") or parameters.get("KmsKeyId"),
        "sagemaker:OutputKmsKeyArn": outputs.get("KmsKeyId"),
    }


def _machines(parameters: Parameters) -> dict[str, Any]:
    cluster = parameters.get("ProcessingResources", {}).get("ClusterConfig", {})
    machines = [
        parameters.get("ResourceConfig") or cluster,
        *parameters.get("ProductionVariants", []),
    ]
    seconds = parameters.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    return {
        "sagemaker:InstanceTypes": [
            one["InstanceType"] for one in machines if "InstanceType" in one
        ]
        or None,
        "sagemaker:MaxRuntimeInSeconds": seconds and str(seconds),
    }


def _tags(parameters: Parameters) -> dict[str, Any]:
    tags = parameters.get("Tags") or []
    found: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return {**found, "aws:TagKeys": [tag["Key"] for tag in tags] or None}


def _of_objects(action: str, parameters: Parameters) -> dict[str, Any]:
    """Return the condition keys of a request to S3."""
    names = {
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
    if action != "s3:PutObject":
        return {}
    return {key: parameters[name] for name, key in names.items() if name in parameters}
