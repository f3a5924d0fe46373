"""Remove the pipeline and what its runs made, as far as it is still ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.pipeline_manager.runs import CONFIG, ENDPOINT, MODEL, PACKAGE, Kind, Runs, Thing
from functions.shared.errors import ResourceError, error_code, is_not_found
from pipeline.definition import OWNER_TAG

if TYPE_CHECKING:
    from functions.pipeline_manager.core import Pipeline
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 10
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})

Json = dict[str, Any]


@dataclass(frozen=True)
class Removal:
    """The removal of one pipeline. It can stop at any point and be begun again.

    A thing that a run made is ours by its own owner tag, a model package (it takes no tags) by its
    metadata: whoever changes that makes it theirs, and it stays.
    """

    pipeline: Pipeline
    deadline: Deadline

    def run(self) -> None:
        """Remove all that is ours; raise ``ResourceError`` if time runs out before that."""
        found = self.pipeline.describe()
        ours = found is not None and self.pipeline.is_ours(found["PipelineArn"])
        runs = Runs(self.pipeline, self.deadline)
        if ours:
            self._wait(runs.stop, "executions that are being stopped")
        made = runs.find_made(ours)
        kept = self._remove_endpoints(made[ENDPOINT])
        self._remove(CONFIG, made[CONFIG], kept)
        self._remove(MODEL, made[MODEL], kept)
        self._remove_packages(made[PACKAGE])
        if ours:
            self._delete_pipeline()

    def _wait(self, look: Callable[[], int], what: str) -> None:
        """Look until nothing is left."""
        self.deadline.wait(lambda: not look(), _POLL_SECONDS, self.pipeline.unfinished(what))

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
        """Yield the names, in lower case, of the configuration and models of one that stays."""
        described = self._describe(ENDPOINT, endpoint.name) or {}
        config = described.get("EndpointConfigName")
        if not config or described["EndpointStatus"] == "Deleting":
            return
        LOG.info("%s is not ours: it stays, with %s", endpoint.name, config)
        yield config.lower()
        for variant in (self._describe(CONFIG, config) or {}).get("ProductionVariants", []):
            if "ModelName" in variant:
                yield variant["ModelName"].lower()

    def _remove(self, kind: Kind, things: list[Thing], kept: frozenset[str]) -> None:
        for number, thing in enumerate(things):
            self.deadline.check(
                self.pipeline.unfinished(f"up to {len(things) - number} {kind.words}")
            )
            if thing.name.lower() not in kept and self.pipeline.is_ours(thing.arn):
                self._delete(kind, thing)

    def _remove_packages(self, packages: list[Thing]) -> None:
        owner = self.pipeline.properties.owner
        for number, thing in enumerate(packages):
            self.deadline.check(
                self.pipeline.unfinished(f"up to {len(packages) - number} model packages")
            )
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
