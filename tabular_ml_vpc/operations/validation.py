"""What CloudFormation's validation found before a deployment.

Source: "Validate stack deployments", CloudFormation user guide, and "DescribeEvents".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.operation import Cause
from tabular_ml_vpc.operations.target import Target, is_denied

_KIND = "VALIDATION_ERROR"
_REFERS = "Call DescribeEvents"
_PERMISSION = "cloudformation:DescribeEvents"


@dataclass(frozen=True)
class ValidationEvent:
    """One finding: at a path in the template, why, and whether it stops the deployment."""

    logical_id: str
    type: str
    path: str
    reason: str
    fatal: bool = True

    def __str__(self) -> str:
        place = self.path or self.logical_id
        return f"{place}: {self.reason}" if place else self.reason

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "logical_id": self.logical_id,
            "type": self.type,
            "path": self.path,
            "reason": self.reason,
            "fatal": self.fatal,
        }


def of_change_set(target: Target, arn: str, stack_id: str) -> tuple[ValidationEvent, ...]:
    """Return what the validation of a change set found; what could not be read is one finding."""
    return _read(target, ChangeSetName=arn, StackName=stack_id)


def of_stack(target: Target, stack_id: str) -> tuple[ValidationEvent, ...]:
    """Return what the validations of a stack's operations found."""
    return _read(target, StackName=stack_id)


def explained(target: Target, cause: Cause) -> Cause:
    """Return the cause with what the validation found, if CloudFormation only refers to that."""
    if _REFERS not in cause.reason:
        return cause
    found = of_stack(target, cause.stack_id)
    errors = [event for event in found if event.fatal] or found
    if not errors:
        return cause
    reason = "; ".join(map(str, errors))
    return replace(cause, logical_id=errors[0].logical_id or cause.logical_id, reason=reason)


def _read(target: Target, **names: str) -> tuple[ValidationEvent, ...]:
    pages = target.client("cloudformation").get_paginator("describe_events").paginate(**names)
    try:
        rows = [row for page in pages for row in page["OperationEvents"]]
    except ClientError as error:
        if not is_denied(error):
            raise
        reason = f"validation events are unknown: no permission for {_PERMISSION}"
        return (ValidationEvent("", "", "", reason, fatal=False),)
    return tuple(_event(row) for row in rows if row.get("EventType") == _KIND)


def _event(row: Mapping[str, Any]) -> ValidationEvent:
    reason = row.get("ValidationStatusReason") or row.get("ValidationName", "it failed")
    return ValidationEvent(
        row.get("LogicalResourceId", ""),
        row.get("ResourceType", ""),
        row.get("ValidationPath", ""),
        " ".join(reason.split()),
        row.get("ValidationFailureMode") != "WARN",
    )
