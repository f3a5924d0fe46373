"""The emulated SageMaker API: the service's behavior, on top of `sagemaker_store.py`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services import s3

from tabular_ml_vpc.local.emulator import endpoint_events, sagemaker_access, sagemaker_runs
from tabular_ml_vpc.local.emulator.refusals import refusal
from tabular_ml_vpc.local.emulator.sagemaker_store import (
    KINDS,
    ApiError,
    Record,
    Store,
    check_input,
    load_model,
    unique_id,
)
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields

PAGE = 10
BUSY = ("Executing", "Stopping")
AFTER: dict[str, Callable[[Record], None]] = {}
"""Called after an operation, by its name: with jobs, starts their processes."""

MODEL = load_model()
STORE = Store()

ApiOperation = Callable[[Fields], Fields]


def operate(operation: str, request: Fields) -> Fields:
    """Run one operation; raises ApiError. Also called by the CloudFormation resource types."""
    if operation not in MODEL.operation_names:
        raise ApiError("UnknownOperationException", f"unknown operation {operation}")
    shape = MODEL.operation_model(operation).input_shape
    problems = check_input(shape, request) if shape else []
    if problems:
        raise ApiError("ValidationException", "; ".join(problems))
    special = SPECIAL.get(operation)
    if special:
        return special(request)
    for verb, do in (
        ("Create", _create),
        ("Describe", _describe),
        ("Update", _update),
        ("Delete", _delete),
    ):
        if operation.startswith(verb) and operation.removeprefix(verb) in KINDS:
            return do(operation.removeprefix(verb), request)
    kind = operation.removeprefix("List").removesuffix("s")
    if operation.startswith("List") and kind in KINDS:
        return _list(kind, request)
    raise ApiError("UnknownOperationException", f"{operation} is not emulated")


def named(kind: str, request: Fields) -> Record:
    """Return the record that a request names; raises ApiError if it does not exist."""
    record = STORE.find(kind, request)
    if record is None:
        operation = MODEL.operation_model(f"Describe{kind}")
        known = {shape.name for shape in operation.error_shapes}
        code = "ResourceNotFound" if "ResourceNotFound" in known else "ValidationException"
        named = ", ".join(str(request[key]) for key in KINDS[kind].keys if key in request)
        raise ApiError(code, f'Could not find {kind} "{named}". It does not exist.')
    return record


def _create(kind: str, request: Fields) -> Fields:
    if kind not in ("ModelPackage", "Domain") and STORE.find(kind, request):
        code = "ResourceInUse" if kind in ("UserProfile", "Space", "App") else "ValidationException"
        raise ApiError(code, f"{kind} already exists: {request[KINDS[kind].keys[-1]]}")
    fields = dict(request)
    prepare = PREPARE.get(kind)
    if prepare:
        fields.update(prepare(request))
    record = STORE.add(kind, fields)
    _call_after(f"Create{kind}", record)
    return _shown(f"Create{kind}", record)


def _describe(kind: str, request: Fields) -> Fields:
    return _shown(f"Describe{kind}", named(kind, request))


def _shown(operation: str, record: Record) -> Fields:
    """Return the record's fields that the operation's output has."""
    shape = MODEL.operation_model(operation).output_shape
    return _members(shape, record.fields)


def _update(kind: str, request: Fields) -> Fields:
    record = named(kind, request)
    if kind == "Endpoint":
        _check_update_of_endpoint(record, request)
        record.fields["before"] = record.fields["EndpointConfigName"]
    if kind == "Pipeline":
        request = {**request, **_pipeline_fields(request)}
    record.fields.update(request)
    _call_after(f"Update{kind}", record)
    return _shown(f"Update{kind}", record)


def _check_update_of_endpoint(record: Record, request: Fields) -> None:
    """Reject an update unless the endpoint is in service ("API_UpdateEndpoint")."""
    named("EndpointConfig", {"EndpointConfigName": request["EndpointConfigName"]})
    status = record.fields["EndpointStatus"]
    if status == "Failed":
        raise ApiError("ValidationException", f"Cannot update failed endpoint {record.arn}")
    if status != "InService":
        raise ApiError("ValidationException", f"Cannot update in-progress endpoint {record.arn}")


def _deploy(record: Record) -> None:
    """Deploy, without jobs, as the model's name says: `broken` fails, `slow` takes a while."""
    before = record.fields.pop("before", None)
    record.fields.pop("FailureReason", None)
    config = named("EndpointConfig", record.fields).fields
    models = [variant["ModelName"] for variant in config["ProductionVariants"]]
    if any(sagemaker_runs.SLOW in model for model in models):
        record.fields["EndpointStatus"] = sagemaker_runs.DEPLOYING[before is not None]
        served = {"EndpointStatus": "InService"}
        threading.Timer(
            sagemaker_runs.DEPLOYING_SECONDS, lambda: record.fields.update(served)
        ).start()
    if not any(sagemaker_runs.BROKEN in model for model in models):
        return
    record.fields["FailureReason"] = "The primary container did not pass the ping health check."
    if before is None:
        record.fields["EndpointStatus"] = "Failed"
    else:
        record.fields["EndpointConfigName"] = before
    endpoint_events.publish(record, "RollingBack" if before else "Failed")


def _call_after(operation: str, record: Record) -> None:
    follow = AFTER.get(operation)
    if follow:
        follow(record)


def _delete(kind: str, request: Fields) -> Fields:
    record = named(kind, request)
    holder = HOLDS.get(kind)
    if holder:
        code, holds = holder
        held = holds(record)
        if held:
            raise ApiError(code, f"{record.arn} still has {', '.join(held)}")
    STORE.remove(record)
    _call_after(f"Delete{kind}", record)
    output = MODEL.operation_model(f"Delete{kind}").output_shape
    return {record.kind.arn_field: record.arn} if output else {}


def _list(kind: str, request: Fields) -> Fields:
    """List records, with the filters and the paging that our functions can use."""
    found = [record for record in STORE.all(kind) if _matches(record, request)]
    if request.get("SortOrder") == "Descending":
        found.reverse()
    output = MODEL.operation_model(f"List{kind}s").output_shape
    member = next(name for name in output.members if name != "NextToken")
    shape = output.members[member].member
    start = int(request.get("NextToken", 0))
    end = start + min(request.get("MaxResults", PAGE), 100)
    shown = [_members(shape, _with_summaries(record.fields)) for record in found[start:end]]
    more = {"NextToken": str(end)} if end < len(found) else {}
    return {member: shown, **more}


def _with_summaries(fields: Fields) -> Fields:
    """Add what lists call, for example, `OwnershipSettingsSummary` for `OwnershipSettings`."""
    return {f"{name}Summary": value for name, value in fields.items()} | fields


def _members(shape: Any, fields: Fields) -> Fields:
    """Return the fields that a shape has."""
    return {name: fields[name] for name in shape.members if name in fields}


def _matches(record: Record, request: Fields) -> bool:
    fields = record.fields
    name = str(fields.get(record.kind.keys[-1], ""))
    status = fields.get(record.kind.status_field)
    filters = {
        "DomainIdEquals": "DomainId",
        "UserProfileNameEquals": "UserProfileName",
        "SpaceNameEquals": "SpaceName",
        "SpaceNameContains": "SpaceName",
        "PipelineName": "PipelineName",
        "ModelPackageGroupName": "ModelPackageGroupName",
    }
    return (
        all(request[key] == fields.get(field) for key, field in filters.items() if key in request)
        and request.get("NameContains", "") in name
        and name.startswith(request.get("PipelineNamePrefix", ""))
        and request.get("StatusEquals", status) == status
    )


# Fields that a kind adds to the request's.


def _domain_fields(_request: Fields) -> Fields:
    domain_id = unique_id("d-", 12)
    url = f"https://{domain_id}.studio.{get_region()}.sagemaker.aws"
    return {"DomainId": domain_id, "Url": url}


def _package_fields(request: Fields) -> Fields:
    group = request.get("ModelPackageGroupName", "")
    group_name = named("ModelPackageGroup", {"ModelPackageGroupName": group}).fields[
        "ModelPackageGroupName"
    ]
    held = _packages_of(group_name)
    version = 1 + max((record.fields["ModelPackageVersion"] for record in held), default=0)
    return {
        "ModelPackageGroupName": group_name,
        "ModelPackageVersion": version,
        "ModelPackageName": f"{group_name}/{version}",
    }


def _packages_of(group_name: str) -> list[Record]:
    return [
        record
        for record in STORE.all("ModelPackage")
        if record.fields["ModelPackageGroupName"] == group_name
    ]


def _endpoint_fields(request: Fields) -> Fields:
    named("EndpointConfig", {"EndpointConfigName": request["EndpointConfigName"]})
    return {}


def _app_fields(request: Fields) -> Fields:
    return {"owner": request.get("SpaceName") or request.get("UserProfileName")}


def _pipeline_fields(request: Fields) -> Fields:
    """Return the definition, possibly from S3; raises if it is not JSON."""
    place = request.get("PipelineDefinitionS3Location")
    definition = request.get("PipelineDefinition")
    if place:
        data = s3._get_object_data(place["Bucket"], place["ObjectKey"])
        definition = (data or b"").decode()
    if definition is None:
        return {}
    try:
        json.loads(definition)
    except ValueError as problem:
        raise ApiError("ValidationException", f"Unable to parse pipeline: {problem}") from None
    return {"PipelineDefinition": definition}


AFTER.update(CreateEndpoint=_deploy, UpdateEndpoint=_deploy)

PREPARE: dict[str, Callable[[Fields], Fields]] = {
    "Domain": _domain_fields,
    "ModelPackage": _package_fields,
    "Endpoint": _endpoint_fields,
    "App": _app_fields,
    "Pipeline": _pipeline_fields,
}


# What prevents a deletion.


def _within(record: Record, kinds: tuple[str, ...], key: str) -> list[str]:
    value = record.fields[key]
    return [
        inner.arn
        for kind in kinds
        for inner in STORE.all(kind)
        if inner.fields["DomainId"] == record.fields["DomainId"]
        and (inner.fields.get(key) == value or _owner(inner) == value)
        and inner.fields.get("Status") != "Deleted"
    ]


def _owner(record: Record) -> str:
    settings = record.fields.get("OwnershipSettings") or {}
    return str(settings.get("OwnerUserProfileName", ""))


def _busy_executions(record: Record) -> list[str]:
    return [
        run.arn
        for run in STORE.all("PipelineExecution")
        if run.fields["PipelineName"] == record.fields["PipelineName"]
        and run.fields["PipelineExecutionStatus"] in BUSY
    ]


def _domains_naming(record: Record) -> list[str]:
    """Return the domains whose settings name a lifecycle configuration."""
    domains = [domain for domain in STORE.all("Domain") if not domain.gone_at]
    return [domain.arn for domain in domains if record.arn in json.dumps(domain.fields)]


HOLDS: dict[str, tuple[str, Callable[[Record], list[str]]]] = {
    "Domain": (
        "ResourceInUse",
        lambda record: _within(record, ("UserProfile", "Space", "App"), "DomainId"),
    ),
    "UserProfile": (
        "ResourceInUse",
        lambda record: _within(record, ("Space", "App"), "UserProfileName"),
    ),
    "Space": ("ResourceInUse", lambda record: _within(record, ("App",), "SpaceName")),
    "ModelPackageGroup": (
        "ConflictException",
        lambda record: [held.arn for held in _packages_of(record.fields["ModelPackageGroupName"])],
    ),
    "Pipeline": ("ConflictException", _busy_executions),
    "StudioLifecycleConfig": ("ResourceInUse", _domains_naming),
}


# Special operations.


def _tagged(request: Fields) -> Record:
    STORE.all("Model")
    for arn, record in list(STORE.records.items()):
        if arn.lower() == request["ResourceArn"].lower():
            return record
    raise ApiError("ResourceNotFound", f"Resource {request['ResourceArn']} does not exist")


def _list_tags(request: Fields) -> Fields:
    tags = [{"Key": key, "Value": value} for key, value in sorted(_tagged(request).tags.items())]
    start = int(request.get("NextToken", 0))
    end = start + request.get("MaxResults", 50)
    return {"Tags": tags[start:end], **({"NextToken": str(end)} if end < len(tags) else {})}


def _add_tags(request: Fields) -> Fields:
    record = _tagged(request)
    record.tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {"Tags": [{"Key": key, "Value": value} for key, value in record.tags.items()]}


def _delete_tags(request: Fields) -> Fields:
    record = _tagged(request)
    for key in request["TagKeys"]:
        record.tags.pop(key, None)
    return {}


def _address_of_studio(request: Fields) -> Fields:
    """Return a web address for an existing profile, as CreatePresignedDomainUrl does."""
    profile = named("UserProfile", request)
    url = STORE.find("Domain", request)
    address = url.fields["Url"] if url else ""
    return {"AuthorizedUrl": f"{address}/auth?token={profile.fields['UserProfileName']}"}


def _start(request: Fields) -> Fields:
    pipeline = named("Pipeline", request)
    run = sagemaker_runs.start(STORE, operate, pipeline, request)
    pipeline.fields["LastRunTime"] = run.fields["StartTime"]
    return {"PipelineExecutionArn": run.arn}


def _run_named(request: Fields) -> Record:
    return named("PipelineExecution", request)


def _stop(request: Fields) -> Fields:
    run = _run_named(request)
    if run.fields["PipelineExecutionStatus"] not in BUSY:
        raise ApiError("ConflictException", f"{run.arn} is not running")
    sagemaker_runs.stop(run)
    return {"PipelineExecutionArn": run.arn}


def _steps(request: Fields) -> Fields:
    steps = _run_named(request).fields["steps"]
    if request.get("SortOrder") == "Descending":
        steps = steps[::-1]
    start = int(request.get("NextToken", 0))
    end = start + min(request.get("MaxResults", PAGE), 100)
    more = {"NextToken": str(end)} if end < len(steps) else {}
    return {"PipelineExecutionSteps": steps[start:end], **more}


def _parameters_of_run(request: Fields) -> Fields:
    """Return the values that a run uses, including defaults."""
    run = _run_named(request)
    declared = json.loads(run.fields["PipelineDefinition"]).get("Parameters", [])
    values = {item["Name"]: item.get("DefaultValue") for item in declared}
    values |= {item["Name"]: item["Value"] for item in run.fields.get("PipelineParameters", [])}
    found = [{"Name": name, "Value": str(value)} for name, value in values.items()]
    start = int(request.get("NextToken", 0))
    end = start + min(request.get("MaxResults", PAGE), 100)
    more = {"NextToken": str(end)} if end < len(found) else {}
    return {"PipelineParameters": found[start:end], **more}


def _definition_for_run(request: Fields) -> Fields:
    return {"PipelineDefinition": _run_named(request).fields["PipelineDefinition"]}


SPECIAL: dict[str, ApiOperation] = {
    "CreatePresignedDomainUrl": _address_of_studio,
    "ListTags": _list_tags,
    "AddTags": _add_tags,
    "DeleteTags": _delete_tags,
    "StartPipelineExecution": _start,
    "StopPipelineExecution": _stop,
    "ListPipelineExecutionSteps": _steps,
    "ListPipelineParametersForExecution": _parameters_of_run,
    "DescribePipelineDefinitionForExecution": _definition_for_run,
}


def denial(
    operation: str, request: Fields, headers: dict[str, str], query: Fields
) -> ApiResponse | None:
    """Return the error for a caller without permission for the operation, or None."""
    key, region = extract_access_key_id(headers, query), extract_region(headers, query)
    found = sagemaker_access.refusal(STORE, operation, request, key, region)
    if found is None:
        return None
    action, arn, result = found
    return refusal("sagemaker", action, arn, result, headers)


async def handle(
    _method: str, _path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> ApiResponse:
    """Answer one signed request: check the caller's permissions, then run the operation."""
    operation = headers.get("x-amz-target", "").removeprefix("SageMaker.")
    request = json.loads(body or b"{}")
    denied = denial(operation, request, headers, query)
    if denied:
        return denied
    try:
        return _answer(200, operate(operation, request))
    except ApiError as error:
        return _answer(400, {"__type": error.code, "message": str(error)})


def _answer(status: int, content: Fields) -> ApiResponse:
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    return status, kind, json.dumps(content).encode()


def register() -> None:
    """Route SageMaker requests here; `handle` checks the caller's permissions."""
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker"]}
    app.SERVICE_HANDLERS["sagemaker"] = handle
