"""What each kind of SageMaker's resources has of its own: fields, and what prevents a deletion."""

from __future__ import annotations

import json
from collections.abc import Callable

from ministack.core.responses import get_region
from ministack.services import s3

from tabular_ml_vpc.local.emulator import sagemaker_packages
from tabular_ml_vpc.local.emulator.sagemaker_store import STORE, ApiError, Record, named, unique_id
from tabular_ml_vpc.local.emulator.types import Fields

BUSY = ("Executing", "Stopping")

# Fields that a kind adds to the request's.


def _domain_fields(_request: Fields) -> Fields:
    domain_id = unique_id("d-", 12)
    url = f"https://{domain_id}.studio.{get_region()}.sagemaker.aws"
    return {"DomainId": domain_id, "Url": url}


def _endpoint_fields(request: Fields) -> Fields:
    named("EndpointConfig", request)
    settings = request.get("DeploymentConfig")
    return {"LastDeploymentConfig": settings} if settings else {}


def _app_fields(request: Fields) -> Fields:
    return {"owner": request.get("SpaceName") or request.get("UserProfileName")}


def fields_of_pipeline(request: Fields) -> Fields:
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


PREPARE: dict[str, Callable[[Fields], Fields]] = {
    "Domain": _domain_fields,
    "Model": sagemaker_packages.fields_of_model,
    "ModelPackage": sagemaker_packages.fields_of_package,
    "Endpoint": _endpoint_fields,
    "App": _app_fields,
    "Pipeline": fields_of_pipeline,
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


def _packages_in(record: Record) -> list[str]:
    name = record.fields["ModelPackageGroupName"]
    return [held.arn for held in sagemaker_packages.packages_of(name)]


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
    "ModelPackageGroup": ("ConflictException", _packages_in),
    "Pipeline": ("ConflictException", _busy_executions),
    "StudioLifecycleConfig": ("ResourceInUse", _domains_naming),
}
