"""The runs of a pipeline: stop them, and list what they created."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from functions.pipeline_manager.resources import ManagedResource
from functions.shared.aws import listed
from functions.shared.errors import error_code, is_not_found
from pipeline.types import Json

if TYPE_CHECKING:
    from functions.pipeline_manager.core import ManagedPipeline

LOG = logging.getLogger(__name__)

_MODEL_NAME: Final = re.compile(r"pipelines-([a-z0-9]+)-", re.IGNORECASE)
"""Prefix of the names that SageMaker gives to pipelines' models; the execution id follows."""

_RUNNING = frozenset({"Executing", "Stopping"})
_MADE = {"EndpointConfig": "endpoint_config", "Model": "model", "RegisterModel": "model_package"}


@dataclass(frozen=True)
class Runs:
    """The executions of our pipeline."""

    pipeline: ManagedPipeline

    def stop(self) -> int:
        """Stop the running executions; return how many have not ended yet."""
        running = [
            execution
            for execution in self.all()
            if execution["PipelineExecutionStatus"] in _RUNNING
        ]
        for execution in running:
            if execution["PipelineExecutionStatus"] != "Stopping":
                self._stop(execution["PipelineExecutionArn"])
        return len(running)

    def all(self) -> list[Json]:
        """Return the executions in the order of the listing."""
        return listed(
            self.pipeline.sagemaker,
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.pipeline.properties.pipeline_name,
        )

    def made_by(self, execution: str) -> Iterator[ManagedResource]:
        """Yield what the steps of an execution created, except for jobs and the endpoint."""
        steps = listed(
            self.pipeline.sagemaker,
            "list_pipeline_execution_steps",
            "PipelineExecutionSteps",
            PipelineExecutionArn=execution,
        )
        for step in steps:
            for metadata, kind in _MADE.items():
                if arn := step.get("Metadata", {}).get(metadata, {}).get("Arn"):
                    yield ManagedResource(kind, arn.rpartition("/")[2], arn)

    def _stop(self, arn: str) -> None:
        LOG.info("stopping %s", arn)
        token = self.pipeline.token(arn)
        try:
            self.pipeline.sagemaker.stop_pipeline_execution(
                PipelineExecutionArn=arn, ClientRequestToken=token
            )
        except ClientError as error:  # it may have ended in the meantime
            if error_code(error) != "ConflictException" and not is_not_found(error):
                raise


def execution_of(model: str) -> str:
    """Return the id of the execution that created a model, from the model's name, or empty."""
    match = _MODEL_NAME.match(model)
    return match[1].lower() if match else ""


def identity(execution: str) -> str:
    """Return the id of an execution, the last part of its ARN."""
    return execution.rpartition("/")[2].lower()
