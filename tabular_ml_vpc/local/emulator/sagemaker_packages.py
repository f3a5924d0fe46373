"""Model packages of the emulated SageMaker: versions, approvals, and the models made from them.

Source: "API_CreateModelPackage": for versioned models, ModelApprovalStatus "must be set to Approved
to deploy the model"; "API_ContainerDefinition" for ModelPackageName. AWS does not document the
message of the refusal.
"""

from __future__ import annotations

import time

from tabular_ml_vpc.local.emulator import sagemaker_events
from tabular_ml_vpc.local.emulator.sagemaker_store import STORE, ApiError, Record, named
from tabular_ml_vpc.local.emulator.types import Fields

PENDING = "PendingManualApproval"
APPROVED = "Approved"
METADATA = "CustomerMetadataProperties"
SERVED = "served"
"""The field of a model with its containers after the packages were looked up; not described."""


def fields_of_package(request: Fields) -> Fields:
    """Return the name and version of a new package, and the approval status it begins with."""
    group = request.get("ModelPackageGroupName", "")
    group_name = named("ModelPackageGroup", {"ModelPackageGroupName": group}).fields[
        "ModelPackageGroupName"
    ]
    held = packages_of(group_name)
    version = 1 + max((record.fields["ModelPackageVersion"] for record in held), default=0)
    return {
        "ModelPackageGroupName": group_name,
        "ModelPackageVersion": version,
        "ModelPackageName": f"{group_name}/{version}",
        "ModelApprovalStatus": request.get("ModelApprovalStatus", PENDING),
    }


def packages_of(group_name: str) -> list[Record]:
    """Return the packages of a group, oldest first."""
    return [
        record
        for record in STORE.all("ModelPackage")
        if record.fields["ModelPackageGroupName"] == group_name
    ]


def update(request: Fields) -> Fields:
    """Update a package as UpdateModelPackage does, and publish the event."""
    arn = request["ModelPackageArn"]
    record = named("ModelPackage", {"ModelPackageName": arn})
    changes = {
        name: value
        for name, value in request.items()
        if name not in ("ModelPackageArn", "ClientToken", f"{METADATA}ToRemove")
    }
    removed = request.get(f"{METADATA}ToRemove", [])
    if METADATA in request or removed:
        merged = {**record.fields.get(METADATA, {}), **request.get(METADATA, {})}
        changes[METADATA] = {key: value for key, value in merged.items() if key not in removed}
    record.fields.update(changes, LastModifiedTime=time.time())
    sagemaker_events.tell_of_package(record, changes)
    return {"ModelPackageArn": record.arn}


def fields_of_model(request: Fields) -> Fields:
    """Return what a new model serves; raises `ApiError` for a package that is not approved."""
    given = request.get("Containers") or [request.get("PrimaryContainer") or {}]
    return {SERVED: [_container(one) for one in given]}


def _container(given: Fields) -> Fields:
    """Return a container's definition, with what the package says about it."""
    if "ModelPackageName" not in given:
        return given
    package = named("ModelPackage", {"ModelPackageName": given["ModelPackageName"]})
    status = package.fields["ModelApprovalStatus"]
    if status != APPROVED:
        raise ApiError(
            "ValidationException",
            f"Cannot create a model from model package {package.arn}: its approval status is "
            f"{status}, not {APPROVED}",
        )
    found: Fields = package.fields.get("InferenceSpecification", {}).get("Containers", [{}])[0]
    environment = {**found.get("Environment", {}), **given.get("Environment", {})}
    return {**found, **given, "Environment": environment}
