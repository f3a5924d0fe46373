"""The model package versions that a pipeline's runs registered, and their approval status.

Sources: "API_ListModelPackages", "API_DescribeModelPackage" and "API_UpdateModelPackage", SageMaker
API Reference. A version in a group has no tags of its own, so that its metadata says whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from pipeline import layout, run_parameters
from pipeline.definition import OWNER_TAG
from pipeline.types import JsonView
from tabular_ml_vpc.operations import advice, stacks
from tabular_ml_vpc.operations.runs import serving
from tabular_ml_vpc.operations.runs.results import REPORT, is_number, report_of
from tabular_ml_vpc.operations.runs.serving import Serving
from tabular_ml_vpc.operations.target import Target, is_denied, message_of
from tabular_ml_vpc.operations.workload import Workload

APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
PENDING: Final = run_parameters.PENDING
LONGEST_COMMENT: Final = 1024
"""Characters of ``ApprovalDescription``, which has one line."""
_LATEST_ARCHIVES: Final = 20
"""How many of the newest versions are searched for the archive of a serving model."""


@dataclass(frozen=True)
class Listed:
    """A version as the registry lists it."""

    number: int
    arn: str
    status: str


@dataclass(frozen=True)
class Version:
    """A version with all that is known of it; its time is UTC."""

    number: int
    arn: str
    status: str
    registered: datetime
    comment: str
    owner: str
    """The value of the tag of everything that the same pipeline created; empty without one."""
    archive: str
    """S3 URI of the model."""
    metrics: str
    """S3 URI of the model's quality, which is beside the report of its evaluation."""

    @classmethod
    def of(cls, found: JsonView) -> Version:
        """Read the answer of DescribeModelPackage."""
        containers = found.get("InferenceSpecification", {}).get("Containers") or [{}]
        quality = found.get("ModelMetrics", {}).get("ModelQuality", {})
        return cls(
            number=int(found["ModelPackageVersion"]),
            arn=found["ModelPackageArn"],
            status=found.get("ModelApprovalStatus", PENDING),
            registered=found["CreationTime"].astimezone(UTC),
            comment=found.get("ApprovalDescription", ""),
            owner=found.get("CustomerMetadataProperties", {}).get(OWNER_TAG, ""),
            archive=containers[0].get("ModelDataUrl", ""),
            metrics=quality.get("Statistics", {}).get("S3Uri", ""),
        )


@dataclass(frozen=True)
class Gated:
    """The gate's metric of a model, and its value on the test data."""

    metric: str
    value: float


@dataclass(frozen=True)
class Registry:
    """The model package group of one pipeline; ``bucket`` has its evaluations."""

    workload: Workload
    bucket: str

    @classmethod
    def open(cls, target: Target, name: str | None) -> Registry:
        """Return that of the pipeline that was named, or of the only one.

        Raises:
            CommandError: there is no stack, or the pipeline does not exist yet.
            UsageError: there is no such pipeline, or there are several and none was named.

        """
        root = stacks.need(target)
        found = cls(Workload.of(target, root, name), root.outputs.get("DataBucket", ""))
        if found.workload.pipeline is None:
            raise CommandError(
                f"{target.stack} has no pipeline: `python build.py status{target.options()}` says "
                "how it stands"
            )
        return found

    @classmethod
    def each(cls, target: Target, name: str | None) -> list[Registry]:
        """Return that of the pipeline that was named, or of all; raises as ``open`` does."""
        root = stacks.need(target)
        bucket = root.outputs.get("DataBucket", "")
        return [cls(workload, bucket) for workload in Workload.chosen(target, root, name)]

    def listed(self) -> list[Listed]:
        """Return all versions, the newest first.

        Raises:
            CommandError: they may not be listed.

        """
        group = self.workload.pipeline
        if group is None:
            return []
        found = self.workload.listed(
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=group,
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        versions = [
            Listed(
                int(one["ModelPackageVersion"]), one["ModelPackageArn"], one["ModelApprovalStatus"]
            )
            for one in found
        ]
        self.workload.check_seen()
        return sorted(versions, key=lambda one: one.number, reverse=True)

    def read(self, one: Listed) -> Version | None:
        """Return what is known of a version; None if it was deleted meanwhile.

        Raises:
            CommandError: it may not be read.

        """
        found = self.workload.described("describe_model_package", ModelPackageName=one.arn)
        self.workload.check_seen()
        return Version.of(found) if found else None

    def find(self, number: int) -> Version:
        """Return a version.

        Raises:
            UsageError: there is no such version.

        """
        known = self.listed()
        one = next((one for one in known if one.number == number), None)
        found = self.read(one) if one else None
        if found is None:
            newest = ", ".join(str(one.number) for one in known[:3]) or "none"
            raise UsageError(
                f"VERSION: {self.workload.pipeline} has no version {number}; its newest versions "
                f"are: {newest}"
            )
        return found

    def ours(self, status: str) -> Iterator[Version]:
        """Yield the versions of a status that this pipeline's runs registered, the newest first."""
        for one in self.listed():
            found = self.read(one) if one.status == status else None
            if found and self.owns(found):
                yield found

    def owns(self, version: Version) -> bool:
        """Return whether a run of this pipeline registered a version."""
        return version.owner != "" and version.owner == self.workload.owner

    def served(self, now: Serving) -> Version | None:
        """Return the version that the endpoint serves, whoever deployed it; None if unknown."""
        if now.version is not None:
            return next(
                (self.read(one) for one in self.listed() if one.number == now.version), None
            )
        archive = serving.archive_of(self.workload, now.configuration)
        newest = self.listed()[:_LATEST_ARCHIVES] if archive else []
        return next((one for one in map(self.read, newest) if one and one.archive == archive), None)

    def run_of(self, version: Version) -> str:
        """Return the id of the run that registered a version; empty if it is not known."""
        start = self._evaluations
        folder, _, rest = version.metrics.removeprefix(start).partition("/")
        return folder if version.metrics.startswith(start) and rest else ""

    def gated(self, version: Version) -> Gated | None:
        """Return the gate's metric of a version, if its evaluation can be read.

        Only this pipeline's evaluations are read: a registered URI could lead anywhere else.
        """
        if not self.run_of(version):
            return None
        place = version.metrics.rpartition("/")[0].removeprefix(f"s3://{self.bucket}/")
        try:
            answer = self.workload.target.client("s3").get_object(
                Bucket=self.bucket,
                Key=f"{place}/{REPORT}",
                ExpectedBucketOwner=self.workload.target.account,
            )
            gate = report_of(answer["Body"].read()).get("gate", {})
        except (ClientError, ValueError, RecursionError):
            return None
        value = gate.get("value")
        return Gated(str(gate.get("metric")), float(value)) if is_number(value) else None

    @property
    def _evaluations(self) -> str:
        """The beginning of the S3 URIs of what this pipeline's runs computed."""
        return f"s3://{self.bucket}/{layout.folder(layout.PROCESSED, self.workload.name)}"

    def decide(self, version: Version, status: str, comment: str | None) -> None:
        """Set the approval status of a version.

        The comment replaces that of an earlier decision, which is about another status.

        Raises:
            CommandError: the caller may not.

        """
        said = {"ApprovalDescription": comment or ""} if comment or version.comment else {}
        try:
            self.workload.sagemaker.update_model_package(
                ModelPackageArn=version.arn, ModelApprovalStatus=status, **said
            )
        except ClientError as error:
            if not is_denied(error):
                raise
            raise CommandError(
                f"no permission to decide about version {version.number}: whoever may has the "
                "policy templates/approver-policy.json; people in Studio and the pipeline's role "
                "cannot (sagemaker:UpdateModelPackage: "
                f"{advice.flat(message_of(error))})"
            ) from error
