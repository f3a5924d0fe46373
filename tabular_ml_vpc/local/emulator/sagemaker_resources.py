"""CloudFormation's SageMaker types, on top of the emulated SageMaker API.

Properties, create-only ones and attributes as in "AWS::SageMaker::Domain", "::UserProfile",
"::ModelPackageGroup" and "::StudioLifecycleConfig", CloudFormation Template Reference.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.sagemaker_api import operate
from tabular_ml_vpc.local.emulator.sagemaker_store import MODEL, STORE, ApiError, Record
from tabular_ml_vpc.local.emulator.types import Fields, Made

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ResourceType:
    """A CloudFormation type: its kind, Ref, attributes, create-only properties and keys."""

    kind: str
    ref: str
    attributes: tuple[str, ...]
    create_only: tuple[str, ...]
    keys: tuple[str, ...]

    def create(self, _logical_id: str, props: Fields, _stack: str) -> Made:
        """Create the resource; raises if the API does not have a property."""
        operation = f"Create{self.kind}"
        unknown = set(props) - set(MODEL.operation_model(operation).input_shape.members)
        if unknown:
            raise ValueError(f"extraneous key {sorted(unknown)} is not permitted")
        made = operate(operation, _request(operation, props))
        return self._made(STORE.records[made[f"{self.kind}Arn"]])

    def update(self, physical_id: str, old: Fields, new: Fields, stack: str) -> Made:
        """Update in place, or replace if a create-only property changed."""
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if changed & set(self.create_only):
            return self.create("", new, stack)
        named = self._named(physical_id, new)
        if changed - {"Tags"}:
            operation = f"Update{self.kind}"
            operate(operation, _request(operation, {**new, **named}))
        found = STORE.find(self.kind, named)
        if found is None:
            raise ApiError("ResourceNotFound", f"{self.kind} {physical_id} does not exist")
        if "Tags" in changed:
            found.tags = {tag["Key"]: tag["Value"] for tag in new.get("Tags") or []}
        return self._made(found)

    def delete(self, physical_id: str, props: Fields) -> None:
        """Delete the resource and wait until it is deleted."""
        named = self._named(physical_id, props)
        if STORE.find(self.kind, named) is None:
            return
        operate(f"Delete{self.kind}", named)
        while STORE.find(self.kind, named):
            time.sleep(POLL_SECONDS)

    def _named(self, physical_id: str, props: Fields) -> Fields:
        if self.kind == "Domain":
            return {"DomainId": physical_id}
        return {key: props[key] for key in self.keys if key in props}

    def _made(self, record: Record) -> Made:
        values = {name: str(record.fields[name]) for name in self.attributes}
        return record.fields[self.ref], values


TYPES = (
    ResourceType(
        "Domain",
        "DomainId",
        ("DomainArn", "DomainId", "Url"),
        ("AuthMode", "DomainName", "KmsKeyId", "VpcId"),
        ("DomainId",),
    ),
    ResourceType(
        "UserProfile",
        "UserProfileName",
        ("UserProfileArn",),
        ("DomainId", "UserProfileName", "SingleSignOnUserIdentifier", "SingleSignOnUserValue"),
        ("DomainId", "UserProfileName"),
    ),
    ResourceType(
        "ModelPackageGroup",
        "ModelPackageGroupArn",
        ("ModelPackageGroupArn", "CreationTime", "ModelPackageGroupStatus"),
        ("ModelPackageGroupName", "ModelPackageGroupDescription"),
        ("ModelPackageGroupName",),
    ),
    ResourceType(
        "StudioLifecycleConfig",
        "StudioLifecycleConfigName",
        ("StudioLifecycleConfigArn",),
        (
            "StudioLifecycleConfigAppType",
            "StudioLifecycleConfigContent",
            "StudioLifecycleConfigName",
            "Tags",
        ),
        ("StudioLifecycleConfigName",),
    ),
)


def _numbers(shape: Any, value: Any) -> Any:
    """Convert text to numbers and booleans where the API's shape requires them."""
    if shape.type_name == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: _numbers(members[k], v) if k in members else v for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_numbers(shape.member, item) for item in value]
    if shape.type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    if shape.type_name == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    return value


def _request(operation: str, props: Fields) -> Fields:
    shape = MODEL.operation_model(operation).input_shape
    sent = {name: value for name, value in props.items() if name in shape.members}
    request: Fields = _numbers(shape, sent)
    return request


def register() -> None:
    """Register the types; their tags include those of the stack."""
    for described in TYPES:
        name = f"AWS::SageMaker::{described.kind}"
        provisioners._RESOURCE_HANDLERS[name] = {
            "create": described.create,
            "update": described.update,
            "delete": described.delete,
        }
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
