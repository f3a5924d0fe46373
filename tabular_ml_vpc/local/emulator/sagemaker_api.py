"""The emulated SageMaker API: the service's behavior, on top of `sagemaker_store.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.router import extract_access_key_id, extract_region

from tabular_ml_vpc.local.emulator import (
    sagemaker_access,
    sagemaker_events,
    sagemaker_packages,
    sagemaker_runs,
)
from tabular_ml_vpc.local.emulator.refusals import refusal
from tabular_ml_vpc.local.emulator.sagemaker_input import check_input
from tabular_ml_vpc.local.emulator.sagemaker_kinds import BUSY, HOLDS, PREPARE, fields_of_pipeline
from tabular_ml_vpc.local.emulator.sagemaker_store import (
    KINDS,
    MODEL,
    STORE,
    ApiError,
    Record,
    named,
)
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields

PAGE = 10
AFTER: dict[str, Callable[[Record], None]] = {
    "CreateModelPackage": sagemaker_events.tell_of_package,
}
"""Called after an operation, by its name: with jobs, starts their processes."""

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
    if kind == "Pipeline":
        request = {**request, **fields_of_pipeline(request)}
    record.fields.update(request)
    _call_after(f"Update{kind}", record)
    return _shown(f"Update{kind}", record)


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
    request = dict(request)
    if "ModelPackageGroupName" in request:  # or its ARN
        request["ModelPackageGroupName"] = request["ModelPackageGroupName"].rpartition("/")[2]
    filters = {
        "DomainIdEquals": "DomainId",
        "UserProfileNameEquals": "UserProfileName",
        "SpaceNameEquals": "SpaceName",
        "SpaceNameContains": "SpaceName",
        "PipelineName": "PipelineName",
        "ModelPackageGroupName": "ModelPackageGroupName",
        "ModelApprovalStatus": "ModelApprovalStatus",
    }
    return (
        all(request[key] == fields.get(field) for key, field in filters.items() if key in request)
        and request.get("NameContains", "") in name
        and name.startswith(request.get("PipelineNamePrefix", ""))
        and request.get("StatusEquals", status) == status
    )


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
    """Start a run; a repeated token starts none, and answers with the first one."""
    pipeline, token = named("Pipeline", request), request.get("ClientRequestToken")
    known = sagemaker_runs.started(STORE, pipeline, token) if token else None
    if known:
        return {"PipelineExecutionArn": known.arn}
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
    "UpdateModelPackage": sagemaker_packages.update,
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
