"""Properties of the function that checks requests and starts runs, as its rules pass them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRIFTED_COLUMNS: Final = "DriftedColumns"
LARGEST_PSI_RATIO: Final = "LargestPsiRatio"
"""The largest population stability index of a column, divided by its limit."""
ROWS: Final = "Rows"
QUALITY: Final = "Quality"
"""The quality gate's metric of captured answers, by labels that came later; higher is better."""
LABELED_ROWS: Final = "LabeledRows"
DRIFT_REPORT: Final = "drift/drift.json"
QUALITY_REPORT: Final = "quality/quality.json"
"""Where the reports of checks are, in the folder of an execution."""


@dataclass(frozen=True, kw_only=True)
class WatchModelProperties:
    """What is watched of one pipeline; the template makes a rule's input of it.

    With ``new_data_minutes``, a run starts when the object ``table_key`` has changed and has been
    left alone for so long. With ``drift_hours``, requests that were captured under
    ``capture_prefix`` are checked so often, by executions of ``predictions_pipeline``, which write
    under ``predictions_prefix``. With ``drift_cooldown_hours``, a run starts when drift was found,
    at most once in so many hours. With ``quality_days``, the answers of a day are measured so many
    days after its end by the labels under ``labels_prefix``, if there are any. 0 means never.
    Prefixes and keys are in ``bucket``.
    """

    pipeline_name: str
    bucket: str
    table_key: str = ""
    new_data_minutes: int = 0
    endpoint_name: str = ""
    predictions_pipeline: str = ""
    drift_hours: int = 0
    capture_prefix: str = ""
    predictions_prefix: str = ""
    drift_cooldown_hours: int = 0
    quality_days: int = 0
    labels_prefix: str = ""

    @property
    def checks(self) -> bool:
        """Whether captured requests are checked."""
        return bool(self.drift_hours or self.quality_days)

    @property
    def starts_runs(self) -> bool:
        """Whether anything starts runs."""
        return bool(self.new_data_minutes or self.drift_cooldown_hours)
