"""Which tables a run read: those versions of its ``InputData`` that it can have seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from pipeline.run_parameters import INPUT
from tabular_ml_vpc.operations.forget.versions import Version
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution, now
from tabular_ml_vpc.operations.target import in_words, is_denied

_MOST: Final = 900


@dataclass(frozen=True)
class RunTable:
    """The versions of objects that a run's table can have consisted of, or why that is unknown."""

    versions: tuple[Version, ...] = ()
    unknown: str = ""


@dataclass
class Runs:
    """The runs of one pipeline, with the versions of all objects in the data bucket."""

    pipeline: DeployedPipeline
    bucket: str
    versions: tuple[Version, ...]
    _known: dict[str, Execution] | None = None

    def table(self, run: str) -> RunTable:
        """Return what a run read, by its id."""
        execution = self._executions().get(run)
        if execution is None:
            return RunTable(unknown="SageMaker does not list this run")
        try:
            uri = self.pipeline.parameters(execution.arn).get(INPUT, "")
        except ClientError as error:
            if not is_denied(error):
                raise
            return RunTable(unknown=in_words(error))
        start = f"s3://{self.bucket}/"
        if not uri.startswith(start):
            return RunTable(unknown=f"its table is not in this bucket: {uri}")
        found = tuple(seen(self.versions, uri.removeprefix(start), execution))
        return RunTable(found, "" if found else f"its table no longer exists: {uri}")

    def _executions(self) -> dict[str, Execution]:
        if self._known is None:
            found = self.pipeline.newest(_MOST) if self.pipeline.workload.pipeline else []
            self._known = {run.id: run for run in found}
        return self._known


def seen(versions: Iterable[Version], key: str, run: Execution) -> Iterable[Version]:
    """Yield the versions of a table that were current while a run was in progress."""
    ended = now() if run.running else run.changed
    for version in versions:
        existed = version.modified <= ended
        replaced = version.superseded is not None and version.superseded < run.started
        if existed and not replaced and _is_of(version.key, key):
            yield version


def _is_of(key: str, table: str) -> bool:
    """Return whether an object is of a table: the object itself, or one in a folder, not hidden."""
    if key == table:
        return True
    folder = f"{table.rstrip('/')}/"
    parts = key.removeprefix(folder).split("/")
    return key.startswith(folder) and not any(part.startswith((".", "_")) for part in parts)
