"""Remove the pipeline and what its runs created, as far as it is still ours.

The number of calls depends on what is ours, not on how many resources the account has, except if
our pipeline is gone (``_sweep``). Each round begins with what remains, and removes before it looks
for more, so that repeated deletions finish at any rate of calls that AWS allows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.pipeline_manager.resources import ManagedResource, Resources, model_of
from functions.pipeline_manager.runs import Runs, execution_of, identity
from functions.shared import scaling
from functions.shared.aws import listed, pages
from functions.shared.errors import ResourceError, error_code
from functions.shared.names import is_version_model, trial_name
from pipeline.definition import OWNER_TAG
from pipeline.types import Json

if TYPE_CHECKING:
    from functions.pipeline_manager.core import ManagedPipeline
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 10
_LAST_SECONDS = 60
_SWEEP_SECONDS: Final = 120
"""How long to search all models for ours if our pipeline is gone."""
_STEP = "-CreateModel-"
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_IN_PROGRESS = "in-progress"


@dataclass
class Removal:
    """The removal of one pipeline, which can be interrupted and repeated at any point.

    A resource is ours by its owner tag, a model package (which has no tags) by its metadata; anyone
    who changes that takes ownership, and the resource is kept. A model's name contains the id of
    the execution that created it: its tags are read only if our pipeline does not know that one. A
    model of an approved version is named after the version and the endpoint.
    The policy of the function's role denies the removal of a resource that lost its tag.
    """

    pipeline: ManagedPipeline
    deadline: Deadline
    scaling: Any = None
    """Application Auto Scaling; None if the endpoint's fleet does not scale."""
    alarms: Any = None
    """CloudWatch; None if no alarm starts the endpoint's first instance."""
    kept: set[str] = field(default_factory=set)
    """Names, in lower case, of the resources that an endpoint of another owner uses."""
    executions: dict[str, Json] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    """ARNs, in lower case, of the resources that this round has checked."""
    resources: Resources = field(init=False)

    def __post_init__(self) -> None:
        """Use the pipeline's client."""
        self.resources = Resources(self.pipeline.sagemaker)

    def run(self) -> None:
        """Remove everything that is ours; raise ``ResourceError`` if time runs out."""
        pipeline = self.pipeline.describe()
        ours = pipeline is not None and self.pipeline.is_ours(pipeline["PipelineArn"])
        runs = Runs(self.pipeline)
        if ours:
            failure = self.pipeline.unfinished("executions that are being stopped")
            self.deadline.wait(lambda: not runs.stop(), _POLL_SECONDS, failure)
            self.executions = {
                identity(execution["PipelineExecutionArn"]): execution for execution in runs.all()
            }
        if not self.pipeline.properties.predicts:
            self._remove_made(runs if ours else None)
        if ours:
            self._delete_pipeline()

    def end_trial(self) -> None:
        """Remove our trial endpoint: what deploys approved versions would have, and goes."""
        failure = f"Time ran out: the endpoint {self._trial} still exists. Update the stack again."
        self._remove_endpoints(self._trial, failure=failure)

    def end_scaling(self) -> None:
        """Deregister the endpoint's scalable target if it is ours; the fleet stays as it is.

        The alarm that starts the first instance has our endpoint's name, and goes as well.
        """
        target = scaling.describe(self.scaling, self._endpoint)
        tags = scaling.tags_of(self.scaling, target) if target else {}
        if tags.get(OWNER_TAG) == self.pipeline.properties.owner:
            scaling.deregister(self.scaling, self._endpoint)
        if self.alarms:
            scaling.delete_alarm(self.alarms, self._endpoint)

    def _remove_made(self, runs: Runs | None) -> None:
        """Remove what runs created; without ``runs``, our pipeline is gone."""
        if self.scaling:
            self.end_scaling()
        failure = self.pipeline.unfinished("an endpoint that is being deleted")
        self._remove_endpoints(self._endpoint, self._trial, failure=failure)
        self._remove_all(self._configs(), "endpoint configurations")
        self._remove_all(self._versions(), "models")
        self._remove_all(self._packages(), "model packages")
        if runs:
            self._remove_leftovers(runs)
        else:
            self._sweep()

    # The endpoints

    @property
    def _endpoint(self) -> str:
        return self.pipeline.properties.endpoint_name

    @property
    def _trial(self) -> str:
        return trial_name(self._endpoint)

    def _remove_endpoints(self, *names: str, failure: str) -> None:
        """Remove our endpoints, or record what another owner's endpoint uses, which must be kept.

        Waits until ours are gone: their network interfaces block the network's deletion.
        """
        ours = [name for name in names if self._is_our_endpoint(name)]
        self.deadline.wait(
            lambda: not sum(map(self._delete_endpoint, ours)), _POLL_SECONDS, failure
        )

    def _is_our_endpoint(self, name: str) -> bool:
        endpoint = self.resources.describe("endpoint", name)
        if endpoint is None:
            return False
        if self.pipeline.is_ours(endpoint["EndpointArn"]):
            return True
        self.kept.update(self._used_by(endpoint))
        return False

    def _delete_endpoint(self, name: str) -> int:
        """Request the endpoint's deletion unless it is changing; return 0 if it is gone."""
        endpoint = self.resources.describe("endpoint", name)
        if endpoint is None:
            return 0
        if endpoint["EndpointStatus"] not in _CHANGING:
            try:
                self.resources.delete(ManagedResource("endpoint", name, endpoint["EndpointArn"]))
            except ClientError as error:  # it started to change, or another delivery is deleting it
                if _IN_PROGRESS not in str(error):
                    raise
        return 1

    def _used_by(self, endpoint: Json) -> Iterator[str]:
        """Yield the names, in lower case, of the configuration and models of a kept endpoint."""
        config = endpoint.get("EndpointConfigName")
        if not config or endpoint["EndpointStatus"] == "Deleting":
            return
        LOG.info("%s is not ours: kept, with %s", endpoint["EndpointName"], config)
        yield config.lower()
        yield from (model.lower() for model in self.resources.models_of(config))

    # Resources found by name

    def _configs(self) -> list[ManagedResource]:
        """Return the configurations named after our endpoint; SageMaker adds a suffix."""
        configs = listed(
            self.pipeline.sagemaker,
            "list_endpoint_configs",
            "EndpointConfigs",
            NameContains=self._endpoint,
        )
        return [
            ManagedResource(
                "endpoint_config", config["EndpointConfigName"], config["EndpointConfigArn"]
            )
            for config in configs
        ]

    def _versions(self) -> list[ManagedResource]:
        """Return the models of approved versions; those of configurations are gone by now."""
        models = listed(
            self.pipeline.sagemaker, "list_models", "Models", NameContains=f"-{self._endpoint}"
        )
        return [
            ManagedResource("model", model["ModelName"], model["ModelArn"])
            for model in models
            if is_version_model(model["ModelName"], self._endpoint)
        ]

    def _packages(self) -> list[ManagedResource]:
        group = self.pipeline.properties.model_package_group
        packages = listed(
            self.pipeline.sagemaker,
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=group,
        )
        arns = [str(package["ModelPackageArn"]) for package in packages]
        return [ManagedResource("model_package", arn.rpartition("/")[2], arn) for arn in arns]

    def _remove_all(self, resources: list[ManagedResource], words: str) -> None:
        for number, resource in enumerate(resources):
            self.deadline.check(
                self.pipeline.unfinished(f"up to {len(resources) - number} {words}")
            )
            self._remove(resource)

    def _remove(self, resource: ManagedResource) -> None:
        """Remove a resource if it is ours; the models of a configuration are removed first."""
        if resource.arn.lower() in self.done:
            return
        self.done.add(resource.arn.lower())
        if resource.name.lower() in self.kept or not self._is_ours(resource):
            LOG.info("%s is not ours or is in use: kept", resource.arn)
            return
        if resource.kind == "endpoint_config":
            for model in self.resources.models_of(resource.name):
                self._remove(model_of(model, resource.arn))
        self.resources.delete(resource)

    def _is_ours(self, resource: ManagedResource) -> bool:
        if resource.kind == "model_package":
            described = self.resources.describe(resource.kind, resource.arn) or {}
            owner = described.get("CustomerMetadataProperties", {}).get(OWNER_TAG)
            return bool(owner == self.pipeline.properties.owner)
        if resource.kind == "model" and not is_version_model(resource.name, self._endpoint):
            execution = execution_of(resource.name)
            if not execution or execution in self.executions:
                return bool(execution)
        return self.pipeline.is_ours(resource.arn)

    # Resources found through the steps of runs, or not at all

    def _remove_leftovers(self, runs: Runs) -> None:
        """Remove what steps of runs created and no listing shows, such as models without endpoint.

        Runs whose model was just removed are skipped. If a whole round removes nothing, the rest is
        left: it costs nothing, unlike a deletion that never finishes.
        """
        checked = {execution_of(arn.rpartition("/")[2]) for arn in self.done}
        remaining = [execution for key, execution in self.executions.items() if key not in checked]
        remaining.sort(key=lambda execution: execution["PipelineExecutionStatus"] == "Succeeded")
        for number, execution in enumerate(remaining):
            if self.deadline.remaining_seconds() <= _LAST_SECONDS:
                self._leave(len(remaining) - number)
                return
            for resource in runs.made_by(execution["PipelineExecutionArn"]):
                if self._could_be_ours(resource):
                    self._remove(resource)

    def _leave(self, executions: int) -> None:
        if self.resources.removed:
            what = f"up to {executions} executions that were not checked"
            raise ResourceError(self.pipeline.unfinished(what))
        LOG.warning("%d executions were not checked for models", executions)

    def _could_be_ours(self, resource: ManagedResource) -> bool:
        """Tell by the name; the function may not read the tags of other resources."""
        endpoint = self._endpoint.lower()
        group = self.pipeline.properties.model_package_group.lower()
        name = resource.name.lower()
        return {
            "endpoint_config": endpoint in name,
            "model": bool(execution_of(name)),
            "model_package": resource.arn.lower().endswith(f":model-package/{group}/{name}"),
        }[resource.kind]

    def _sweep(self) -> None:
        """Search all models that pipelines created for our tag, for a limited time.

        There is no other way to find them if our pipeline was deleted by hand. They cost nothing.
        """
        until = self.deadline.remaining_seconds() - _SWEEP_SECONDS
        models = pages(self.pipeline.sagemaker, "list_models", "Models", NameContains=_STEP)
        for model in models:
            if self.deadline.remaining_seconds() <= max(until, _LAST_SECONDS):
                LOG.warning("not all models of the account were checked")
                return
            if execution_of(model["ModelName"]):
                self._remove(ManagedResource("model", model["ModelName"], model["ModelArn"]))

    def _delete_pipeline(self) -> None:
        name = self.pipeline.properties.pipeline_name
        token = self.pipeline.token("delete")
        try:
            self.resources.call("delete_pipeline", PipelineName=name, ClientRequestToken=token)
        except ClientError as error:
            if error_code(error) != "ConflictException":
                raise
            raise ResourceError(
                f"Pipeline {name} cannot be deleted now: an execution was started in the meantime, "
                "or its deletion is in progress. Delete the stack again."
            ) from None
