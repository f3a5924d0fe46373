"""Carry out the decided steps; another call of the function may have been faster."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared.errors import error_code, is_not_found
from functions.shared.names import is_version_model
from functions.watch_model import metrics
from functions.watch_model.state import Publish, StartCheck, StartRun, Step

if TYPE_CHECKING:
    from functions.watch_model.properties import WatchModelProperties

LOG = logging.getLogger(__name__)

_DESCRIPTION_LENGTH: Final = 1024
"""Shorter than the service's limit of 3,072 ("API_UpdatePipelineExecution")."""
_MOST_KEYS: Final = 1000
_HIDDEN: Final = re.compile(r"(^|/)[._]")
_TABLE: Final = "InputData"
_MODEL: Final = "ModelArchive"
_LABELS: Final = "LabelData"
"""Parameters of the pipeline of predictions (``pipeline/prediction.py``)."""


@dataclass(frozen=True)
class Served:
    """What the endpoint serves: the archive's S3 URI, and the variant that gets the requests."""

    archive: str
    variant: str


@dataclass(frozen=True)
class Actor:
    """Starts executions, and publishes what checks found."""

    sagemaker: Any
    s3: Any
    properties: WatchModelProperties
    now: datetime

    def act(self, step: Step) -> None:
        """Carry out one step."""
        _ACTIONS[type(step)](self, step)

    # Checks

    def _publish(self, step: Publish) -> None:
        """Publish first: a check that is published twice does no harm, a lost one would."""
        kind = metrics.QUALITY_CHECK if step.check.is_quality_check else metrics.DRIFT_CHECK
        report = self._report(step.check.arn.rpartition("/")[2], kind)
        values, outcome = kind.values(report), kind.outcome(report)
        if values:
            print(metrics.line(self.properties.pipeline_name, values, self.now), flush=True)
        LOG.info("%s: %s", step.check.name, outcome)
        self._unless_gone(
            "update_pipeline_execution",
            PipelineExecutionArn=step.check.arn,
            PipelineExecutionDescription=" ".join(outcome.split())[:_DESCRIPTION_LENGTH],
        )

    def _report(self, execution: str, kind: metrics.Kind) -> dict[str, Any]:
        key = f"{self.properties.predictions_prefix}{execution}/{kind.file}"
        try:
            body = self.s3.get_object(Bucket=self.properties.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
            return {kind.finding: None, "reason": f"there is no {key}"}
        return dict(json.loads(body))

    def _start_check(self, step: StartCheck) -> None:
        """Start a check, unless nothing serves, nothing was captured, or there are no labels."""
        properties = self.properties
        served = self._served()
        if served is None:
            LOG.info("%s: the endpoint serves no version of the registry", step.name)
            return
        prefix = f"{properties.capture_prefix}{properties.endpoint_name}/{served.variant}/"
        prefix += step.folder
        if not self._has_files(prefix):
            LOG.info("%s: no request was captured under %s", step.name, prefix)
            return
        values = {_TABLE: f"s3://{properties.bucket}/{prefix}", _MODEL: served.archive}
        if step.with_labels:
            if not self._has_files(properties.labels_prefix):
                LOG.info("%s: there are no labels in %s", step.name, properties.labels_prefix)
                return
            values[_LABELS] = f"s3://{properties.bucket}/{properties.labels_prefix}"
        self._start(
            properties.predictions_pipeline,
            step.name,
            f"{'Quality' if step.with_labels else 'Drift'} check of {prefix}",
            step.name,
            PipelineParameters=[{"Name": name, "Value": one} for name, one in values.items()],
        )

    def _has_files(self, prefix: str) -> bool:
        """Tell whether there is a file, among the first keys, that jobs do not skip as hidden."""
        bucket = self.properties.bucket
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_MOST_KEYS)
        return any(
            one["Size"] and not _HIDDEN.search(one["Key"].removeprefix(prefix))
            for one in found.get("Contents", ())
        )

    def _served(self) -> Served | None:
        """Return what the endpoint serves; None without one, or if it serves something else."""
        try:
            endpoint = self.sagemaker.describe_endpoint(EndpointName=self.properties.endpoint_name)
            name = endpoint["EndpointConfigName"]
            config = self.sagemaker.describe_endpoint_config(EndpointConfigName=name)
            variant = config["ProductionVariants"][0]
            if not is_version_model(variant["ModelName"], self.properties.endpoint_name):
                return None
            model = self.sagemaker.describe_model(ModelName=variant["ModelName"])
            version = model["PrimaryContainer"]["ModelPackageName"]
            package = self.sagemaker.describe_model_package(ModelPackageName=version)
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        archive = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        return Served(archive, variant["VariantName"])

    # Runs

    def _start_run(self, step: StartRun) -> None:
        self._start(self.properties.pipeline_name, step.name, step.reason, step.token)

    def _start(self, pipeline: str, name: str, reason: str, token: str, **more: Any) -> None:
        LOG.info("start %s of %s: %s", name, pipeline, reason)
        self._unless_gone(
            "start_pipeline_execution",
            PipelineName=pipeline,
            PipelineExecutionDisplayName=name,
            PipelineExecutionDescription=" ".join(reason.split())[:_DESCRIPTION_LENGTH],
            ClientRequestToken=hashlib.sha256(f"{pipeline} {token}".encode()).hexdigest(),
            **more,
        )

    def _unless_gone(self, operation: str, **request: Any) -> None:
        """Call SageMaker; the pipeline is gone if its stack is being deleted."""
        try:
            getattr(self.sagemaker, operation)(**request)
        except ClientError as error:
            if not is_not_found(error):
                raise
            LOG.info("%s: the pipeline is gone", operation)


_ACTIONS: Final[Mapping[type[Step], Callable[[Actor, Any], None]]] = {
    Publish: Actor._publish,
    StartCheck: Actor._start_check,
    StartRun: Actor._start_run,
}
