"""The runs of a pipeline: stop them, and find what they made."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from functions.shared.aws import listed
from functions.shared.errors import error_code, is_not_found

if TYPE_CHECKING:
    from functions.pipeline_manager.core import Pipeline
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

MODEL_NAMES: Final = "pipelines-"
"""How the names begin that SageMaker gives to the models of pipelines."""

_RUNNING = frozenset({"Executing", "Stopping"})

Json = dict[str, Any]


class Kind(NamedTuple):
    """A kind of thing that runs make: its name in the API, in operations, and in words."""

    name: str
    operation: str
    words: str


ENDPOINT: Final = Kind("Endpoint", "endpoint", "endpoints")
CONFIG: Final = Kind("EndpointConfig", "endpoint_config", "endpoint configurations")
MODEL: Final = Kind("Model", "model", "models")
PACKAGE: Final = Kind("RegisterModel", "model_package", "model packages")


class Thing(NamedTuple):
    """One thing that a run may have made."""

    name: str
    arn: str


@dataclass(frozen=True)
class Runs:
    """The executions of one pipeline.

    What they made is looked for twice: in their steps, and among all things there are, since the
    pipeline may be gone. Neither decides whose a thing is. Things whose names cannot be the
    pipeline's are left out: the function has no right to ask for their tags.
    """

    pipeline: Pipeline
    deadline: Deadline

    def stop(self) -> int:
        """Stop the executions that run; return how many have not ended yet."""
        running = [one for one in self._executions() if one["PipelineExecutionStatus"] in _RUNNING]
        for execution in running:
            if execution["PipelineExecutionStatus"] != "Stopping":
                self._stop(execution["PipelineExecutionArn"])
        return len(running)

    def find_made(self, pipeline_is_ours: bool) -> dict[Kind, list[Thing]]:
        """Return what runs may have made, each thing once.

        Names in ARNs are in lower case, so the name that a listing gives is preferred.
        """
        found: dict[Kind, dict[str, Thing]] = defaultdict(dict)
        for kind, thing in (
            *(self._made_in_steps() if pipeline_is_ours else ()),
            *self._made_by_name(),
        ):
            if self._could_be_ours(kind, thing):
                found[kind][thing.arn.lower()] = thing
        return defaultdict(list, {kind: [*things.values()] for kind, things in found.items()})

    def _executions(self) -> list[Json]:
        return self._list(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.pipeline.properties.pipeline_name,
        )

    def _stop(self, arn: str) -> None:
        LOG.info("stopping %s", arn)
        token = self.pipeline.token(arn)
        try:
            self.pipeline.sagemaker.stop_pipeline_execution(
                PipelineExecutionArn=arn, ClientRequestToken=token
            )
        except ClientError as error:  # it may have ended meanwhile
            if error_code(error) != "ConflictException" and not is_not_found(error):
                raise

    def _could_be_ours(self, kind: Kind, thing: Thing) -> bool:
        """Tell by the name; SageMaker adds a suffix of its own to that of a configuration."""
        endpoint = self.pipeline.properties.endpoint_name.lower()
        group = self.pipeline.properties.model_package_group.lower()
        name = thing.name.lower()
        return {
            ENDPOINT: name == endpoint,
            CONFIG: endpoint in name,
            MODEL: name.startswith(MODEL_NAMES),
            PACKAGE: thing.arn.lower().endswith(f":model-package/{group}/{name}"),
        }[kind]

    def _made_in_steps(self) -> Iterator[tuple[Kind, Thing]]:
        kinds = (ENDPOINT, CONFIG, MODEL, PACKAGE)
        for execution in self._executions():
            self.deadline.check(self.pipeline.unfinished("executions that were not looked through"))
            arn = execution["PipelineExecutionArn"]
            steps = self._list(
                "list_pipeline_execution_steps", "PipelineExecutionSteps", PipelineExecutionArn=arn
            )
            for kind in kinds:
                for step in steps:
                    if made := step.get("Metadata", {}).get(kind.name, {}).get("Arn"):
                        yield kind, _thing(made)

    def _made_by_name(self) -> Iterator[tuple[Kind, Thing]]:
        endpoint = self.pipeline.properties.endpoint_name
        for kind, part in ((ENDPOINT, endpoint), (CONFIG, endpoint), (MODEL, MODEL_NAMES)):
            found = self._list(f"list_{kind.operation}s", f"{kind.name}s", NameContains=part)
            for one in found:
                yield kind, Thing(one[f"{kind.name}Name"], one[f"{kind.name}Arn"])
        group = self.pipeline.properties.model_package_group
        for one in self._list(
            "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group
        ):
            yield PACKAGE, _thing(one["ModelPackageArn"])

    def _list(self, operation: str, key: str, **filters: str) -> list[Json]:
        return listed(self.pipeline.sagemaker, operation, key, **filters)


def _thing(arn: str) -> Thing:
    return Thing(arn.rpartition("/")[2], arn)
