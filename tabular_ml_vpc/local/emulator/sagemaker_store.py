"""The resources of the emulated SageMaker: a table of kinds on top of botocore's model.

The Create, Describe, Update, Delete and List operations of each kind follow from its input and
output shapes in botocore, so every property is kept. `sagemaker_api.py` has the rest of the
service's behavior. Deletions of endpoints, domains, profiles and apps take a moment, as on AWS.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

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
            "Creating",
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


MODEL = load_model()
STORE = Store()
"""The resources of this emulator."""
