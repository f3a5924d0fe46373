"""Remove the pipeline and what its runs made, as far as it is still ours.

The number of calls grows with what is ours: nothing is asked about things that cannot be, however
many there are in the account, but where our pipeline is gone (``_sweep``). Each round begins with
what is left, and removes before it looks for more, so that repeated deletions end at any rate of
calls that AWS allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from functions.pipeline_manager.runs import ManagedResource, Runs, execution_of, identity
from functions.shared.aws import listed, pages
from functions.shared.errors import ResourceError, error_code, is_not_found
from pipeline.definition import OWNER_TAG
from pipeline.types import Json

if TYPE_CHECKING:
    from functions.pipeline_manager.core import ManagedPipeline
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 10
_LAST_SECONDS = 60
_SWEEP_SECONDS: Final = 120
"""How long to look for models of ours among those of others, where our pipeline is gone."""
_STEP = "-CreateModel-"
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_IN_PROGRESS = "in-progress"
_NAMES = {"endpoint": "EndpointName", "endpoint_config": "EndpointConfigName"} | {
    "model": "ModelName",
    "model_package": "ModelPackageName",
}


@dataclass
class Removal:
    """The removal of one pipeline. It can stop at any point and be begun again.

    A thing is ours by its owner tag, a model package (it takes no tags) by its metadata: whoever
    changes that makes it theirs, and it stays. The name of a model says which execution made it:
    the tags are asked for only where that is none that our pipeline knows, and the policy of the
    function's role refuses the removal of whatever lost its tag.
    """

    pipeline: ManagedPipeline
    deadline: Deadline
    kept: set[str] = field(default_factory=set)
    """Names, in lower case, of what an endpoint that is not ours uses."""
    executions: dict[str, Json] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    """ARNs, in lower case, of what this round looked at."""
    removed: int = 0

    def run(self) -> None:
        """Remove all that is ours; raise ``ResourceError`` if time runs out before that."""
        found = self.pipeline.describe()
        ours = found is not None and self.pipeline.is_ours(found["PipelineArn"])
        runs = Runs(self.pipeline)
        if ours:
            self._wait(runs.stop, "executions that are being stopped")
            self.executions = {identity(one["PipelineExecutionArn"]): one for one in runs.all()}
        self._remove_endpoint()
        self._remove_all(self._configs(), "endpoint configurations")
        self._remove_all(self._packages(), "model packages")
        if ours:
            self._remove_leftovers(runs)
            self._delete_pipeline()
        else:
            self._sweep()

    def _wait(self, look: Callable[[], int], what: str) -> None:
        """Look until nothing is left."""
        self.deadline.wait(lambda: not look(), _POLL_SECONDS, self.pipeline.unfinished(what))

    # The endpoint

    def _remove_endpoint(self) -> None:
        """Remove our endpoint; of another one's, remember what it uses, which has to stay.

        It is gone when this returns: its network interfaces block the network's deletion.
        """
        name = self.pipeline.properties.endpoint_name
        found = self._describe("endpoint", name)
        if found is None:
            return
        if self.pipeline.is_ours(found["EndpointArn"]):
            self._wait(lambda: self._delete_endpoint(name), "an endpoint that is being deleted")
        else:
            self.kept.update(self._used_by(found))

    def _delete_endpoint(self, name: str) -> int:
        """Ask for the endpoint's deletion, unless it changes; return 0 if it is gone."""
        found = self._describe("endpoint", name)
        if found is None:
            return 0
        if found["EndpointStatus"] not in _CHANGING:
            try:
                self._delete(ManagedResource("endpoint", name, found["EndpointArn"]))
            except ClientError as error:  # it began to change, or another delivery deletes it
                if _IN_PROGRESS not in str(error):
                    raise
        return 1

    def _used_by(self, endpoint: Json) -> Iterator[str]:
        """Yield the names, in lower case, of the configuration and models of one that stays."""
        config = endpoint.get("EndpointConfigName")
        if not config or endpoint["EndpointStatus"] == "Deleting":
            return
        LOG.info("%s is not ours: it stays, with %s", endpoint["EndpointName"], config)
        yield config.lower()
        yield from (model.lower() for model in self._models_of(config))

    def _models_of(self, config: str) -> list[str]:
        described = self._describe("endpoint_config", config) or {}
        variants = described.get("ProductionVariants", [])
        return [variant["ModelName"] for variant in variants if "ModelName" in variant]

    # What is found by its name

    def _configs(self) -> list[ManagedResource]:
        """Return the configurations with our endpoint's name, to which SageMaker adds a suffix."""
        found = listed(
            self.pipeline.sagemaker,
            "list_endpoint_configs",
            "EndpointConfigs",
            NameContains=self.pipeline.properties.endpoint_name,
        )
        return [
            ManagedResource("endpoint_config", one["EndpointConfigName"], one["EndpointConfigArn"])
            for one in found
        ]

    def _packages(self) -> list[ManagedResource]:
        group = self.pipeline.properties.model_package_group
        found = listed(
            self.pipeline.sagemaker,
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=group,
        )
        arns = [str(one["ModelPackageArn"]) for one in found]
        return [ManagedResource("model_package", arn.rpartition("/")[2], arn) for arn in arns]

    def _remove_all(self, things: list[ManagedResource], words: str) -> None:
        for number, thing in enumerate(things):
            self.deadline.check(self.pipeline.unfinished(f"up to {len(things) - number} {words}"))
            self._remove(thing)

    def _remove(self, thing: ManagedResource) -> None:
        """Remove a thing if it is ours, and with a configuration its models, which go first."""
        if thing.arn.lower() in self.done:
            return
        self.done.add(thing.arn.lower())
        if thing.name.lower() in self.kept or not self._is_ours(thing):
            LOG.info("%s is not ours or in use: it stays", thing.arn)
            return
        if thing.kind == "endpoint_config":
            for model in self._models_of(thing.name):
                self._remove(_model(model, thing.arn))
        self._delete(thing)

    def _is_ours(self, thing: ManagedResource) -> bool:
        if thing.kind == "model_package":
            described = self._describe(thing.kind, thing.arn) or {}
            owner = described.get("CustomerMetadataProperties", {}).get(OWNER_TAG)
            return bool(owner == self.pipeline.properties.owner)
        if thing.kind == "model":
            execution = execution_of(thing.name)
            if not execution or execution in self.executions:
                return bool(execution)
        return self.pipeline.is_ours(thing.arn)

    # What is found by the steps of runs, or not at all

    def _remove_leftovers(self, runs: Runs) -> None:
        """Remove what steps of runs made and no listing shows, such as models without endpoint.

        Runs whose model went a moment ago are not asked. If a whole round goes by without a
        removal, the rest is left: it costs nothing, and a deletion that never ends does.
        """
        seen = {execution_of(arn.rpartition("/")[2]) for arn in self.done}
        waiting = [one for key, one in self.executions.items() if key not in seen]
        waiting.sort(key=lambda one: one["PipelineExecutionStatus"] == "Succeeded")
        for number, execution in enumerate(waiting):
            if self.deadline.remaining_seconds() <= _LAST_SECONDS:
                self._leave(len(waiting) - number)
                return
            for thing in runs.made_by(execution["PipelineExecutionArn"]):
                if self._could_be_ours(thing):
                    self._remove(thing)

    def _leave(self, executions: int) -> None:
        if self.removed:
            what = f"up to {executions} executions that were not looked through"
            raise ResourceError(self.pipeline.unfinished(what))
        LOG.warning("%d executions were not looked through for models of theirs", executions)

    def _could_be_ours(self, thing: ManagedResource) -> bool:
        """Tell by the name; the function has no right to ask about anything else."""
        endpoint = self.pipeline.properties.endpoint_name.lower()
        group = self.pipeline.properties.model_package_group.lower()
        name = thing.name.lower()
        return {
            "endpoint_config": endpoint in name,
            "model": bool(execution_of(name)),
            "model_package": thing.arn.lower().endswith(f":model-package/{group}/{name}"),
        }[thing.kind]

    def _sweep(self) -> None:
        """Look for models with our tag among all that pipelines made, for a while.

        Nothing else tells of them where our pipeline was deleted by hand. They cost nothing.
        """
        until = self.deadline.remaining_seconds() - _SWEEP_SECONDS
        found = pages(self.pipeline.sagemaker, "list_models", "Models", NameContains=_STEP)
        for one in found:
            if self.deadline.remaining_seconds() <= max(until, _LAST_SECONDS):
                LOG.warning("not all models of the account were looked at")
                return
            if execution_of(one["ModelName"]):
                self._remove(ManagedResource("model", one["ModelName"], one["ModelArn"]))

    # Calls

    def _describe(self, kind: str, name: str) -> Json | None:
        return self._call(f"describe_{kind}", **{_NAMES[kind]: name})

    def _delete(self, thing: ManagedResource) -> None:
        name = thing.arn if thing.kind == "model_package" else thing.name
        if self._call(f"delete_{thing.kind}", **{_NAMES[thing.kind]: name}) is not None:
            self.removed += 1

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


def _model(name: str, config_arn: str) -> ManagedResource:
    """Return a model by its name; its ARN is that of a configuration beside it, in lower case."""
    place = config_arn.partition(":endpoint-config/")[0]
    return ManagedResource("model", name, f"{place}:model/{name.lower()}")
