"""Read what there is: executions, and the table; nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared.aws import pages
from functions.shared.errors import error_code
from functions.shared.names import SEED_OWNER
from functions.watch_model.state import Execution, Snapshot, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.watch_model.properties import WatchModelProperties

_NEWEST: Final = 100
"""How many executions are looked at."""
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True)
class Observer:
    """Reads the state of one pipeline."""

    sagemaker: Any
    s3: Any
    properties: WatchModelProperties

    def snapshot(self, now: datetime) -> Snapshot:
        """Return all that the decision depends on; what nothing depends on is not read."""
        properties = self.properties
        beside = self._executions(properties.predictions_pipeline) if properties.checks else ()
        return Snapshot(
            now=now,
            runs=self._executions(properties.pipeline_name) if properties.starts_runs else (),
            checks=tuple(one for one in beside if one.is_check),
            quality_checks=tuple(one for one in beside if one.is_quality_check),
            table=self._table() if properties.new_data_minutes else None,
        )

    def _executions(self, pipeline: str) -> tuple[Execution, ...]:
        """Return a pipeline's newest executions, newest first; none if it is gone."""
        found = pages(
            self.sagemaker,
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=pipeline,
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        return tuple(map(_execution, islice(found, _NEWEST)))

    def _table(self) -> Table | None:
        """Return the table, if there is one."""
        place = {"Bucket": self.properties.bucket, "Key": self.properties.table_key}
        try:
            head = self.s3.head_object(**place)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return Table(
            changed=head["LastModified"].astimezone(UTC),
            etag=head["ETag"],
            seeded=SEED_OWNER in head.get("Metadata", {}),
        )


def _execution(found: Mapping[str, Any]) -> Execution:
    return Execution(
        arn=found["PipelineExecutionArn"],
        status=found["PipelineExecutionStatus"],
        started=found["StartTime"].astimezone(UTC),
        name=found.get("PipelineExecutionDisplayName", ""),
        description=found.get("PipelineExecutionDescription", ""),
    )
