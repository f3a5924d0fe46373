"""CloudFormation's SageMaker types, over the emulated SageMaker API.

Properties, create-only ones and attributes as in "AWS::SageMaker::Domain", "::UserProfile" and
"::ModelPackageGroup", CloudFormation Template Reference.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ministack.services.cloudformation import provisioners

from generator.emulator.sagemaker_api import MODEL, STORE, operate
from generator.emulator.sagemaker_store import ApiError, Fields

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ResourceType:
    """A CloudFormation type: its kind, its Ref, attributes, and what a change replaces."""

    kind: str
    ref: str
    attributes: dict[str, str]
    create_only: tuple[str, ...]
    keys: tuple[str, ...]


TYPES = (
    ResourceType(
        "Domain",
        "DomainId",
        {"DomainArn": "DomainArn", "DomainId": "DomainId", "Url": "Url"},
        ("AuthMode", "DomainName", "KmsKeyId"),
        ("DomainId",),
    ),
    ResourceType(
        "UserProfile",
        "UserProfileName",
        {"UserProfileArn": "UserProfileArn"},
        ("DomainId", "UserProfileName", "SingleSignOnUserIdentifier", "SingleSignOnUserValue"),
        ("DomainId", "UserProfileName"),
    ),
    ResourceType(
        "ModelPackageGroup",
        "ModelPackageGroupArn",
        {
            "ModelPackageGroupArn": "ModelPackageGroupArn",
            "CreationTime": "CreationTime",
            "ModelPackageGroupStatus": "ModelPackageGroupStatus",
        },
        ("ModelPackageGroupName", "ModelPackageGroupDescription"),
        ("ModelPackageGroupName",),
    ),
)


def _numbers(shape: Any, value: Any) -> Any:
    """Turn digits and true/false into numbers and booleans where the API's shape has those."""
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


def _handlers(described: ResourceType) -> dict[str, Any]:
    kind = described.kind

    def record(physical_id: str, props: Fields) -> Fields:
        keys = {key: props[key] for key in described.keys if key in props}
        if kind == "Domain":
            keys = {"DomainId": physical_id}
        return keys

    def outcome(fields: Fields) -> tuple[str, Fields]:
        attributes = {name: str(fields[field]) for name, field in described.attributes.items()}
        return fields[described.ref], attributes

    def create(_logical_id: str, props: Fields, _stack: str) -> tuple[str, Fields]:
        operation = f"Create{kind}"
        unknown = set(props) - set(MODEL.operation_model(operation).input_shape.members)
        if unknown:
            raise ValueError(f"extraneous key {sorted(unknown)} is not permitted")
        made = operate(operation, _request(operation, props))
        arn = made[f"{kind}Arn"]
        return outcome(STORE.records[arn].fields)

    def update(physical_id: str, old: Fields, new: Fields, stack: str) -> tuple[str, Fields]:
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if changed & set(described.create_only):
            return create("", new, stack)
        named = record(physical_id, new)
        if changed - {"Tags"}:
            request = _request(f"Update{kind}", {**new, **named})
            operate(f"Update{kind}", request)
        found = STORE.find(kind, named)
        if found is None:
            raise ApiError("ResourceNotFound", f"{kind} {physical_id} does not exist")
        if "Tags" in changed:
            found.tags = {tag["Key"]: tag["Value"] for tag in new.get("Tags") or []}
        return outcome(found.fields)

    def delete(physical_id: str, props: Fields) -> None:
        named = record(physical_id, props)
        if STORE.find(kind, named) is None:
            return
        operate(f"Delete{kind}", named)
        while STORE.find(kind, named):
            time.sleep(POLL_SECONDS)

    return {"create": create, "update": update, "delete": delete}


def register() -> None:
    """Register the three types; their tags include those of the stack."""
    for described in TYPES:
        name = f"AWS::SageMaker::{described.kind}"
        provisioners._RESOURCE_HANDLERS[name] = _handlers(described)
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
