"""Application Auto Scaling, which ministack lacks: the scalable targets of endpoints.

Nothing scales by itself, and no alarms are made. What the caller of a registration or a policy has
to be allowed besides is checked as in "Permissions validation for Application Auto Scaling API
calls on target resources" and "Application Auto Scaling identity-based policy examples",
Application Auto Scaling user guide. Calls and errors as in the Application Auto Scaling API
Reference.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.iam_evaluator import AuthError, enforce
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id, extract_region

from tabular_ml_vpc.local.emulator.refusals import refusal
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, arn_of, named
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields

SERVICE = "application-autoscaling"
PREFIX = "AnyScaleFrontendService"
TARGETS: dict[str, Fields] = {}
"""The targets by resource id, such as `endpoint/demo/variant/AllTraffic`, each with its `Tags`."""
POLICIES: dict[str, Fields] = {}
"""The policies by resource id and name."""


def check_types(endpoint: Record, before: Record, after: Record) -> None:
    """Refuse another instance type of a registered variant.

    Source: "Update endpoints that use auto scaling", SageMaker developer guide.
    """
    variants = [one.fields["ProductionVariants"][0] for one in (before, after)]
    if variants[0].get("InstanceType") == variants[1].get("InstanceType"):
        return
    name = variants[0]["VariantName"]
    if f"endpoint/{endpoint.fields['EndpointName']}/variant/{name}" in TARGETS:
        raise ApiError(
            "ValidationException",
            f'The variant(s) "[{name}]" must be deregistered as scalable targets with AWS Auto '
            "Scaling before they can be removed or have their instance type modified.",
        )


def of_endpoint(name: str) -> list[Fields]:
    """Return the targets of an endpoint."""
    return [one for key, one in TARGETS.items() if key.startswith(f"endpoint/{name}/")]


def forget(record: Record) -> None:
    """Deregister the targets of an endpoint that is deleted.

    Only who may deregister them can delete it (`sagemaker_access.py`). Source: "Delete endpoints
    configured for auto scaling", SageMaker developer guide.
    """
    for target in of_endpoint(record.fields["EndpointName"]):
        _deregister(target)


def policy(arn: str) -> Fields | None:
    """Return the policy of that ARN, such as an alarm calls."""
    return next((one for one in POLICIES.values() if one["PolicyARN"] == arn), None)


def _register(request: Fields) -> Fields:
    """Register a target, or change its limits; only a new one takes tags."""
    resource = request["ResourceId"]
    _check_exists(resource, request.get("MinCapacity", 1))
    found = TARGETS.get(resource)
    if found is not None and request.get("Tags"):
        raise ApiError("ValidationException", f"{resource} is registered: use TagResource")
    if found is None:
        found = TARGETS[resource] = {
            "ScalableTargetARN": _arn(f"scalable-target/{secrets.token_hex(18)}"),
            "RoleARN": f"arn:aws:iam::{get_account_id()}:role/aws-service-role/{SERVICE}",
            "CreationTime": time.time(),
            "Tags": request.get("Tags", {}),
        }
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity")
    found.update({name: request[name] for name in names if name in request})
    if not 0 <= found["MinCapacity"] <= found["MaxCapacity"]:
        raise ApiError("ValidationException", "MinCapacity must not be greater than MaxCapacity")
    return {"ScalableTargetARN": found["ScalableTargetARN"]}


def _check_exists(resource: str, fewest: int) -> None:
    _, endpoint, _, variant = resource.split("/")
    record = named("Endpoint", {"EndpointName": endpoint})
    variants = [one["VariantName"] for one in record.fields.get("ProductionVariants", [])]
    if record.gone_at or variant not in variants:
        raise ApiError("ValidationException", f"{resource} does not exist")
    if fewest == 0 and "AsyncInferenceConfig" not in record.fields:
        raise ApiError("ValidationException", "MinCapacity must be at least 1")


def _deregister(request: Fields) -> Fields:
    _target(request)
    del TARGETS[request["ResourceId"]]
    for key in [key for key in POLICIES if key.startswith(f"{request['ResourceId']}#")]:
        del POLICIES[key]
    return {}


def _target(request: Fields) -> Fields:
    if request["ResourceId"] not in TARGETS:
        text = f"No scalable target registered for {request['ResourceId']}"
        raise ApiError("ObjectNotFoundException", text)
    return TARGETS[request["ResourceId"]]


def _describe_targets(request: Fields) -> Fields:
    wanted = request.get("ResourceIds") or [*TARGETS]
    shown = [TARGETS[one] for one in wanted if one in TARGETS]
    return {"ScalableTargets": [{k: v for k, v in one.items() if k != "Tags"} for one in shown]}


def _put_policy(request: Fields) -> Fields:
    _target(request)
    name = request["PolicyName"]
    key = f"{request['ResourceId']}#{name}"
    path = f"scalingPolicy:{secrets.token_hex(8)}:resource/sagemaker/{key}"
    made = {"PolicyARN": _arn(path), "CreationTime": time.time()}
    if key in POLICIES:
        made = {field: POLICIES[key][field] for field in made}
    POLICIES[key] = request | made
    return {"PolicyARN": made["PolicyARN"], "Alarms": []}


def _delete_policy(request: Fields) -> Fields:
    if POLICIES.pop(f"{request['ResourceId']}#{request['PolicyName']}", None) is None:
        raise ApiError("ObjectNotFoundException", f"no policy {request['PolicyName']}")
    return {}


def _describe_policies(request: Fields) -> Fields:
    found = [
        one
        for one in POLICIES.values()
        if request.get("ResourceId", one["ResourceId"]) == one["ResourceId"]
        and one["PolicyName"] in request.get("PolicyNames", [one["PolicyName"]])
    ]
    return {"ScalingPolicies": found}


def _list_tags(request: Fields) -> Fields:
    for one in TARGETS.values():
        if one["ScalableTargetARN"] == request["ResourceARN"]:
            return {"Tags": one["Tags"]}
    raise ApiError("ResourceNotFoundException", f"{request['ResourceARN']} does not exist")


def _arn(path: str) -> str:
    return f"arn:aws:{SERVICE}:{get_region()}:{get_account_id()}:{path}"


CALLS: dict[str, Callable[[Fields], Fields]] = {
    "RegisterScalableTarget": _register,
    "DeregisterScalableTarget": _deregister,
    "DescribeScalableTargets": _describe_targets,
    "PutScalingPolicy": _put_policy,
    "DeleteScalingPolicy": _delete_policy,
    "DescribeScalingPolicies": _describe_policies,
    "ListTagsForResource": _list_tags,
}
ON_TARGETS = frozenset(CALLS) - {"DescribeScalableTargets", "DescribeScalingPolicies"}
SIZE = "sagemaker:UpdateEndpointWeightsAndCapacities"
OF_SAGEMAKER = {"RegisterScalableTarget": (SIZE, "sagemaker:DescribeEndpoint")}
OF_ALARMS = {
    "PutScalingPolicy": (
        *("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"),
        "cloudwatch:DeleteAlarms",
    ),
    "DeregisterScalableTarget": ("cloudwatch:DeleteAlarms",),
}

Check = tuple[str, str, Fields]
"""An action, its resource, and condition keys."""


def _checks(operation: str, request: Fields) -> Iterator[Check]:
    """Yield what a caller has to be allowed."""
    resource = request.get("ResourceId", "")
    target = TARGETS.get(resource, {})
    arn = request.get("ResourceARN") or target.get("ScalableTargetARN", "")
    arn = (arn or _arn("scalable-target/new")) if operation in ON_TARGETS else "*"
    given = {f"aws:RequestTag/{key}": value for key, value in request.get("Tags", {}).items()}
    owned = {f"aws:ResourceTag/{key}": value for key, value in target.get("Tags", {}).items()}
    named = {
        f"{SERVICE}:service-namespace": request.get("ServiceNamespace", ""),
        f"{SERVICE}:scalable-dimension": request.get("ScalableDimension", ""),
    }
    yield f"{SERVICE}:{operation}", arn, {**named, **given, **owned}
    if given:
        yield f"{SERVICE}:TagResource", arn, {**given, **owned}
    for action in OF_SAGEMAKER.get(operation, ()):
        yield action, arn_of(resource.rpartition("/variant/")[0]), {}
    alarm = f"alarm:TargetTracking-{resource}-AlarmHigh-{secrets.token_hex(4)}"
    via = {"aws:CalledViaLast": f"{SERVICE}.amazonaws.com"}
    if request.get("PolicyType") == "StepScaling":  # the caller makes the alarm
        return
    for action in OF_ALARMS.get(operation, ()):
        yield action, f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:{alarm}", via


async def handle(
    _method: str, _path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> ApiResponse:
    """Answer one signed request, if the caller may make it."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    call, request = CALLS.get(operation), json.loads(body or b"{}")
    if call is None:
        return _failed("UnknownOperationException", f"{operation} is not emulated")
    if denied := _denial(operation, request, headers, query):
        return denied
    try:
        return _answer(200, call(request))
    except ApiError as error:
        return _failed(error.code, str(error))


def _denial(
    operation: str, request: Fields, headers: dict[str, str], query: dict[str, Any]
) -> ApiResponse | None:
    caller, region = extract_access_key_id(headers, query), extract_region(headers, query)
    for action, resource, context in _checks(operation, request):
        service = action.partition(":")[0]
        result = enforce(caller, action, service, region, resource, context)
        if result is not None and not isinstance(result, AuthError):
            return refusal(service, action, resource, result, headers)
    return None


def _failed(code: str, message: str) -> ApiResponse:
    return _answer(400, {"__type": code, "message": message})


def _answer(status: int, content: Fields) -> ApiResponse:
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    return status, kind, json.dumps(content).encode()


def register() -> None:
    """Route the service's requests here."""
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [PREFIX], "credential_scope": SERVICE}
    app.SERVICE_HANDLERS[SERVICE] = handle
