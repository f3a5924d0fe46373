"""The resources of the emulated SageMaker: a table of kinds on top of botocore's model.

The Create, Describe, Update, Delete and List operations of each kind follow from its input and
output shapes in botocore, so every property is kept. `sagemaker_api.py` has the rest of the
service's behavior. Deletions of endpoints, domains, profiles and apps take a moment, as on AWS.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import botocore.loaders
import botocore.model
from ministack.core.responses import get_account_id, get_region

from tabular_ml_vpc.local.emulator.types import Fields

DELETION_SECONDS = 0.3


class ApiError(Exception):
    """An error of the SageMaker API: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        """Store the code separately: it becomes the `__type` of the answer."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Kind:
    """One kind of resource: its keys in requests, its ARN, and its status after creation."""

    name: str
    keys: tuple[str, ...]
    arn: str
    status_field: str = ""
    status: str = ""
    lingers: bool = False

    @property
    def arn_field(self) -> str:
        """Return the field of the answers that holds the ARN."""
        return f"{self.name}Arn"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Model", ("ModelName",), "model/{ModelName}"),
        Kind("EndpointConfig", ("EndpointConfigName",), "endpoint-config/{EndpointConfigName}"),
        Kind(
            "Endpoint",
            ("EndpointName",),
            "endpoint/{EndpointName}",
            "EndpointStatus",
            "InService",
            lingers=True,
        ),
        Kind(
            "ModelPackageGroup",
            ("ModelPackageGroupName",),
            "model-package-group/{ModelPackageGroupName}",
            "ModelPackageGroupStatus",
            "Completed",
        ),
        Kind(
            "ModelPackage",
            ("ModelPackageName",),
            "model-package/{ModelPackageGroupName}/{ModelPackageVersion}",
            "ModelPackageStatus",
            "Completed",
        ),
        Kind(
            "StudioLifecycleConfig",
            ("StudioLifecycleConfigName",),
            "studio-lifecycle-config/{StudioLifecycleConfigName}",
        ),
        Kind("Pipeline", ("PipelineName",), "pipeline/{PipelineName}", "PipelineStatus", "Active"),
        Kind("Domain", ("DomainId",), "domain/{DomainId}", "Status", "InService", lingers=True),
        Kind(
            "UserProfile",
            ("DomainId", "UserProfileName"),
            "user-profile/{DomainId}/{UserProfileName}",
            "Status",
            "InService",
            lingers=True,
        ),
        Kind(
            "Space",
            ("DomainId", "SpaceName"),
            "space/{DomainId}/{SpaceName}",
            "Status",
            "InService",
            lingers=True,
        ),
        Kind(
            "App",
            ("DomainId", "UserProfileName", "SpaceName", "AppType", "AppName"),
            "app/{DomainId}/{owner}/{AppType}/{AppName}",
            "Status",
            "InService",
            lingers=True,
        ),
        Kind(
            "ProcessingJob",
            ("ProcessingJobName",),
            "processing-job/{ProcessingJobName}",
            "ProcessingJobStatus",
            "Completed",
        ),
        Kind(
            "TrainingJob",
            ("TrainingJobName",),
            "training-job/{TrainingJobName}",
            "TrainingJobStatus",
            "Completed",
        ),
        Kind(
            "PipelineExecution",
            ("PipelineExecutionArn",),
            "pipeline/{PipelineName}/execution/{id}",
            "PipelineExecutionStatus",
            "Executing",
        ),
    )
}


@dataclass
class Record:
    """One resource: the fields for Describe, its tags, and when a deletion takes effect."""

    kind: Kind
    arn: str
    fields: Fields
    tags: dict[str, str] = field(default_factory=dict)
    gone_at: float = 0.0


def load_model() -> botocore.model.ServiceModel:
    """Load botocore's description of the SageMaker API."""
    loader = botocore.loaders.Loader()
    return botocore.model.ServiceModel(loader.load_service_model("sagemaker", "service-2"))


def arn_of(path: str) -> str:
    """Return the ARN of a SageMaker resource in the account and region of the request."""
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{path}"


class Store:
    """All resources of all accounts and regions, by ARN."""

    def __init__(self) -> None:
        """Start empty."""
        self.records: dict[str, Record] = {}

    def all(self, kind: str) -> list[Record]:
        """Return the records of a kind in the request's account and region, oldest first."""
        self._settle()
        prefix = arn_of("")
        return [
            record
            for arn, record in list(self.records.items())
            if record.kind.name == kind and arn.startswith(prefix)
        ]

    def find(self, kind: str, request: Fields) -> Record | None:
        """Return the record that a request names by its keys (a model package by its ARN)."""
        keys = KINDS[kind].keys
        requested = {key: request.get(key) for key in keys}
        for record in self.all(kind):
            if requested == {key: record.fields.get(key) for key in keys}:
                return record
            if len(keys) == 1 and requested[keys[0]] == record.arn:
                return record
        return None

    def add(self, kind: str, fields: Fields) -> Record:
        """Create a record; `fields` contain everything that its ARN needs."""
        described = KINDS[kind]
        arn = arn_of(described.arn.format_map(fields))
        now = time.time()
        record = Record(
            described,
            arn,
            {
                **fields,
                described.arn_field: arn,
                "CreationTime": now,
                "LastModifiedTime": now,
                **({described.status_field: described.status} if described.status_field else {}),
            },
            {tag["Key"]: tag["Value"] for tag in fields.get("Tags") or []},
        )
        record.fields.pop("Tags", None)
        self.records[arn] = record
        return record

    def remove(self, record: Record) -> None:
        """Delete a record; kinds that linger have the status `Deleting` for a moment."""
        if not record.kind.lingers:
            del self.records[record.arn]
            return
        record.fields[record.kind.status_field] = "Deleting"
        record.gone_at = time.time() + DELETION_SECONDS

    def _settle(self) -> None:
        """Complete deletions whose time has come; as on AWS, an app is then listed as Deleted."""
        now = time.time()
        for arn, record in list(self.records.items()):
            if record.gone_at and record.gone_at <= now:
                if record.kind.name == "App":
                    record.fields["Status"] = "Deleted"
                else:
                    self.records.pop(arn, None)


def unique_id(prefix: str, size: int) -> str:
    """Return an identifier like those of the service: a prefix, lower-case letters and digits."""
    return prefix + secrets.token_hex(size)[:size]


def check_input(shape: Any, value: Any, path: str = "") -> list[str]:
    """Return the errors in a request: missing or unknown members, enums, patterns, sizes."""
    if shape.type_name == "structure":
        missing = [name for name in shape.required_members if name not in value]
        unknown = [name for name in value if name not in shape.members]
        found = [f"{path}.{name} is required" for name in missing]
        found += [f"{path}.{name} is not a parameter" for name in unknown]
        for name in set(value) & set(shape.members):
            found += check_input(shape.members[name], value[name], f"{path}.{name}")
        return found
    if shape.type_name == "list":
        return [
            problem
            for number, item in enumerate(value)
            for problem in check_input(shape.member, item, f"{path}[{number}]")
        ]
    if shape.type_name == "string" and isinstance(value, str):
        return _check_string(shape.metadata, value, path)
    return []


def _check_string(rules: Fields, value: str, path: str) -> list[str]:
    problems = []
    if rules.get("enum") and value not in rules["enum"]:
        problems.append(f"{path} {value!r} is not one of {', '.join(rules['enum'])}")
    if len(value) > rules.get("max", len(value)) or len(value) < rules.get("min", 0):
        problems.append(f"{path} has {len(value)} characters")
    pattern = rules.get("pattern")
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
        problems.append(f"{path} {value!r} does not match {pattern}")
    return problems
