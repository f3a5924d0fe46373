"""Searches a stack for rows, and deletes what was derived from them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from generator.errors import CommandError
from pipeline import layout
from pipeline.prediction import SUFFIX
from tabular_ml_vpc.local.searching import searching
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.forget.finder import Finder, Observer
from tabular_ml_vpc.operations.forget.findings import Finding, Results
from tabular_ml_vpc.operations.forget.reader import Reader
from tabular_ml_vpc.operations.forget.sought import Sought
from tabular_ml_vpc.operations.forget.versions import (
    DERIVED,
    KINDS,
    Lifecycle,
    Version,
    listed,
    place_of,
)
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_AT_ONCE: Final = 1000
"""Versions in one request ("API_DeleteObjects")."""


@dataclass(frozen=True)
class Deletion:
    """What was deleted, and what was not and why."""

    deleted: tuple[Finding, ...]
    kept: tuple[tuple[Finding, str], ...]


@dataclass(frozen=True)
class StackSearch:
    """The data bucket of a stack, and the pipelines that it is searched for."""

    target: Target
    bucket: str
    workloads: tuple[Workload, ...]
    prefixes: tuple[str, ...]

    @classmethod
    def open(cls, target: Target, pipeline: str | None) -> StackSearch:
        """Return the search of a stack: of one pipeline's data, or of everything in the bucket.

        Raises:
            CommandError: there is no stack.
            UsageError: there is no such pipeline.

        """
        root = stacks.need(target)
        workloads = tuple(Workload.chosen(target, root, pipeline))
        kinds = [""] if pipeline is None else [layout.folder(k, pipeline) for k in KINDS]
        return cls(target, root.outputs["DataBucket"], workloads, tuple(kinds))

    def versions(self) -> list[Version]:
        """Return the versions of all objects, but those of the job scripts."""
        found = listed(self._s3, self.bucket, self.target.account, self.prefixes)
        return [version for version in found if version.place.kind != layout.CODE]

    def find(
        self, sought: Sought, versions: Sequence[Version], environment: Path, observe: Observer
    ) -> Results:
        """Search versions with the job environment in a folder.

        Raises:
            CommandError: the environment is missing, no table has the column, or there is no
                permission to read the registry or the endpoint.

        """
        self._check_permissions()
        results = Results(sought, self.bucket)
        lifecycle = Lifecycle.read(self._s3, self.bucket, self.target.account)
        pipelines = [DeployedPipeline(self.target, one) for one in self.workloads]
        with (
            searching(environment, sought.column, sought.values) as search,
            tempfile.TemporaryDirectory(prefix="forget-") as scratch,
        ):
            reader = Reader(self.target, self.bucket, sought, search, Path(scratch))
            return Finder(reader, versions, lifecycle, pipelines, results, observe).find()

    def _check_permissions(self) -> None:
        """Refuse to begin what would end, after all tables were read, for want of a permission."""
        for workload in self.workloads:
            workload.executions(1)
            workload.endpoint_status()
            group = workload.pipeline
            if group is not None:
                key = "ModelPackageSummaryList"
                found = workload.listed("list_model_packages", key, ModelPackageGroupName=group)
                next(found, None)
            workload.check_seen()

    def check_idle(self) -> None:
        """Refuse to delete what a run may be reading.

        Raises:
            CommandError: a run is in progress, or that is not known.

        """
        for workload in self.workloads:
            beside = replace(workload, pipeline=f"{workload.pipeline}{SUFFIX}")
            running = [*workload.running(), *(beside.running() if workload.pipeline else [])]
            workload.check_seen()
            if running:
                identity = str(running[0]["PipelineExecutionArn"]).rpartition("/")[2]
                raise CommandError(
                    f"execution {identity} is in progress and may read what --delete deletes: "
                    "nothing was deleted; wait until it has ended"
                )

    def delete(self, findings: Sequence[Finding]) -> Deletion:
        """Delete versions that runs or the endpoint wrote, for good, and nothing else.

        Raises:
            ValueError: one of them is something else.

        """
        names = [(one.name, one.version.id) for one in findings if one.version is not None]
        if len(names) < len(findings) or any(place_of(key).kind not in DERIVED for key, _ in names):
            raise ValueError("only versions of derived objects can be deleted")
        refused: dict[tuple[str, str], str] = {}
        for start in range(0, len(names), _AT_ONCE):
            refused |= self._deleted(names[start : start + _AT_ONCE])
        kept = tuple(
            (one, refused[name])
            for one, name in zip(findings, names, strict=True)
            if name in refused
        )
        gone = [one for one, name in zip(findings, names, strict=True) if name not in refused]
        return Deletion(tuple(gone), kept)

    def _deleted(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Delete some versions; return why the others were not deleted."""
        answer = self._s3.delete_objects(
            Bucket=self.bucket,
            ExpectedBucketOwner=self.target.account,
            Delete={"Objects": [{"Key": key, "VersionId": version} for key, version in names]},
        )
        return {
            (item["Key"], item.get("VersionId", "")): str(item.get("Message") or item.get("Code"))
            for item in answer.get("Errors", [])
        }

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")
