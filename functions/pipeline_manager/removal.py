"""Remove the pipeline and what its runs made, as far as it is still ours."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from functions.shared.errors import ResourceError, error_code, is_not_found
from pipeline.definition import OWNER_TAG

if TYPE_CHECKING:
    from functions.pipeline_manager.core import Pipeline
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

MODEL_NAMES: Final = "pipelines-"
"""How the names begin that SageMaker gives to the models of pipelines."""

_POLL_SECONDS = 10
_RUNNING = frozenset({"Executing", "Stopping"})
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})

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
class Removal:
    """The removal of one pipeline. It can stop at any point and be begun again.

    What runs made is looked for twice: in the steps of the pipeline's executions, and among all
    things there are, since the pipeline may be gone. Neither decides: a thing is ours by its own
    owner tag, a model package (it takes no tags) by its metadata. Things whose names cannot be ours
    are not even asked for their tags: the function has no right to.
    """

    pipeline: Pipeline
    deadline: Deadline

    def run(self) -> None:
        """Remove all that is ours; raise ``ResourceError`` if time runs out before that."""
        found = self.pipeline.describe()
        ours = found is not None and self.pipeline.is_ours(found["PipelineArn"])
        if ours:
            self._wait(self._stop_executions, "executions that are being stopped")
        made = self._find_made(ours)
        kept = self._remove_endpoints(made[ENDPOINT])
        self._remove(CONFIG, made[CONFIG], kept)
        self._remove(MODEL, made[MODEL], kept)
        self._remove_packages(made[PACKAGE])
        if ours:
            self._delete_pipeline()

    def _wait(self, look: Callable[[], int], what: str) -> None:
        """Look until nothing is left."""
        self.deadline.wait(lambda: not look(), _POLL_SECONDS, self._time_is_up(what))

    def _time_is_up(self, what: str) -> str:
        return (
            f"Pipeline {self.pipeline.properties.pipeline_name} still has {what}; the time was "
            "up. Delete the stack again to go on."
        )

    # Looking

    def _executions(self) -> list[Json]:
        return self._list(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.pipeline.properties.pipeline_name,
        )

    def _stop_executions(self) -> int:
        """Stop the executions that run; return how many have not ended yet."""
        running = [one for one in self._executions() if one["PipelineExecutionStatus"] in _RUNNING]
        for execution in running:
            if execution["PipelineExecutionStatus"] != "Stopping":
                self._stop(execution["PipelineExecutionArn"])
        return len(running)

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

    def _find_made(self, pipeline_is_ours: bool) -> dict[Kind, list[Thing]]:
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
            self.deadline.check(self._time_is_up("executions that were not looked through"))
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
        pages = self.pipeline.sagemaker.get_paginator(operation).paginate(**filters)
        try:
            return [one for page in pages for one in page[key]]
        except ClientError as error:
            if is_not_found(error):
                return []
            raise

    # Removing

    def _remove_endpoints(self, endpoints: list[Thing]) -> frozenset[str]:
        """Remove our endpoints; return what the others among them use, which has to stay.

        They are gone when this returns: their network interfaces block the network's deletion.
        """
        ours = [one for one in endpoints if self.pipeline.is_ours(one.arn)]
        kept = frozenset(
            name for one in endpoints if one not in ours for name in self._used_by(one)
        )
        self._wait(lambda: self._delete_endpoints(ours), "an endpoint that is being deleted")
        return kept

    def _delete_endpoints(self, endpoints: list[Thing]) -> int:
        """Ask for deletion of the endpoints that are left and rest; return how many are left."""
        left = 0
        for endpoint in endpoints:
            described = self._describe(ENDPOINT, endpoint.name)
            if described is None:
                continue
            left += 1
            if described["EndpointStatus"] not in _CHANGING:
                self._delete(ENDPOINT, endpoint)
        return left

    def _used_by(self, endpoint: Thing) -> Iterator[str]:
        """Yield the names, in lower case, of an endpoint's configuration and models."""
        described = self._describe(ENDPOINT, endpoint.name)
        config = described and described.get("EndpointConfigName")
        if not config:
            return
        LOG.info("%s is not ours: it stays, with %s", endpoint.name, config)
        yield config.lower()
        for variant in (self._describe(CONFIG, config) or {}).get("ProductionVariants", []):
            if "ModelName" in variant:
                yield variant["ModelName"].lower()

    def _remove(self, kind: Kind, things: list[Thing], kept: frozenset[str]) -> None:
        for number, thing in enumerate(things):
            self.deadline.check(self._time_is_up(f"up to {len(things) - number} {kind.words}"))
            if thing.name.lower() not in kept and self.pipeline.is_ours(thing.arn):
                self._delete(kind, thing)

    def _remove_packages(self, packages: list[Thing]) -> None:
        owner = self.pipeline.properties.owner
        for number, thing in enumerate(packages):
            self.deadline.check(self._time_is_up(f"up to {len(packages) - number} model packages"))
            described = self._describe_package(thing.arn)
            if described.get("CustomerMetadataProperties", {}).get(OWNER_TAG) != owner:
                LOG.info("%s is gone or not ours: it stays", thing.arn)
            else:
                self._call("delete_model_package", ModelPackageName=thing.arn)

    def _describe_package(self, arn: str) -> Json:
        return self._call("describe_model_package", ModelPackageName=arn) or {}

    def _describe(self, kind: Kind, name: str) -> Json | None:
        return self._call(f"describe_{kind.operation}", **{f"{kind.name}Name": name})

    def _delete(self, kind: Kind, thing: Thing) -> None:
        self._call(f"delete_{kind.operation}", **{f"{kind.name}Name": thing.name})

    def _call(self, operation: str, **names: str) -> Json | None:
        """Call SageMaker about one thing; return nothing if it is gone."""
        LOG.info("%s %s", operation, " ".join(names.values()))
        try:
            answer: Json = getattr(self.pipeline.sagemaker, operation)(**names)
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return answer

    def _delete_pipeline(self) -> None:
        name = self.pipeline.properties.pipeline_name
        token = self.pipeline.token("delete")
        try:
            self._call("delete_pipeline", PipelineName=name, ClientRequestToken=token)
        except ClientError as error:
            if error_code(error) != "ConflictException":
                raise
            raise ResourceError(
                f"Pipeline {name} cannot be deleted now: an execution was started meanwhile, or "
                "its deletion is under way. Delete the stack again."
            ) from None


def _thing(arn: str) -> Thing:
    return Thing(arn.rpartition("/")[2], arn)
