"""Read what there is of one pipeline's endpoint, and carry out the decided steps.

Sources: "API_DeleteEndpoint", "API_CreateEndpoint".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from functions.pause_endpoint.core import (
    Config,
    Create,
    Delete,
    Endpoint,
    Mark,
    Note,
    Refuse,
    Snapshot,
    Step,
    Unmark,
)
from functions.pause_endpoint.properties import PAUSE
from functions.shared.aws import pages
from functions.shared.errors import ResourceError
from functions.shared.names import trial_name
from functions.shared.pausing import IN_PROGRESS, PAUSED_TAG, stamp
from functions.shared.sagemaker import described, tags_of
from pipeline.definition import OWNER_TAG

if TYPE_CHECKING:
    from functions.pause_endpoint.properties import PauseEndpointProperties

LOG = logging.getLogger(__name__)

_NEWEST: Final = 100
"""How many executions are looked at, the newest first: one in progress is not an old one."""


@dataclass(frozen=True)
class ScheduledEndpoint:
    """One pipeline's endpoint."""

    sagemaker: Any
    properties: PauseEndpointProperties
    now: datetime

    def snapshot(self) -> Snapshot:
        """Return all that the decision depends on."""
        name, sent = self.properties.endpoint_name, stamp(self.properties.sent.astimezone(UTC))
        found = described(self.sagemaker, "endpoint", EndpointName=name)
        endpoint = None if found is None else self._endpoint(found)
        if self.properties.action != PAUSE:
            paused = tuple(self._paused())
            return Snapshot(name=name, sent=sent, endpoint=endpoint, paused=paused)
        if found is None:
            return Snapshot(name=name, sent=sent)
        return Snapshot(
            name=name,
            sent=sent,
            endpoint=endpoint,
            serving=self._serving(str(found.get("EndpointConfigName", ""))),
            busy=self._busy(),
        )

    def act(self, step: Step) -> None:
        """Carry out one step.

        Raises:
            ResourceError: the step is to refuse.

        """
        _STEPS[type(step)](self, step)

    # What there is

    def _endpoint(self, found: Mapping[str, Any]) -> Endpoint:
        return Endpoint(
            name=found["EndpointName"],
            status=found["EndpointStatus"],
            created=stamp(found["CreationTime"].astimezone(UTC)),
            ours=self._are_ours(tags_of(self.sagemaker, found["EndpointArn"])),
        )

    def _serving(self, name: str) -> Config | None:
        """Return the configuration that serves, unless users have given the endpoint theirs."""
        if self.properties.endpoint_name not in name:
            return None
        found = described(self.sagemaker, "endpoint_config", EndpointConfigName=name)
        if found is None:
            return None
        arn = found["EndpointConfigArn"]
        return Config(name=name, arn=arn) if self._are_ours(tags_of(self.sagemaker, arn)) else None

    def _busy(self) -> str:
        """Say which run, or which trial of an approved version, may deploy to the endpoint."""
        trial = trial_name(self.properties.endpoint_name)
        if described(self.sagemaker, "endpoint", EndpointName=trial) is not None:
            return f"a version is being deployed (endpoint {trial})"
        if not self.properties.pipeline_name:
            return ""
        newest = pages(
            self.sagemaker,
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.properties.pipeline_name,
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        for run in islice(newest, _NEWEST):
            if run["PipelineExecutionStatus"] in IN_PROGRESS:
                identity = run["PipelineExecutionArn"].rpartition("/")[2]
                return f"execution {identity} is in progress and may deploy to it"
        return ""

    def _paused(self) -> Iterator[Config]:
        """Yield the paused configurations of ours."""
        for one in pages(
            self.sagemaker,
            "list_endpoint_configs",
            "EndpointConfigs",
            NameContains=self.properties.endpoint_name,
        ):
            name, arn = one["EndpointConfigName"], one["EndpointConfigArn"]
            tags = tags_of(self.sagemaker, arn)
            if self._are_ours(tags) and PAUSED_TAG in tags:
                yield Config(name=name, arn=arn, paused=tags[PAUSED_TAG])

    def _are_ours(self, tags: Mapping[str, str]) -> bool:
        return tags.get(OWNER_TAG) == self.properties.owner

    # Steps

    def _note(self, step: Note) -> None:
        LOG.info("%s", step.reason)

    def _refuse(self, step: Refuse) -> None:
        raise ResourceError(step.reason)

    def _mark(self, step: Mark) -> None:
        LOG.info("%s is paused", step.config.name)
        tags = [{"Key": PAUSED_TAG, "Value": stamp(self.now)}]
        self.sagemaker.add_tags(ResourceArn=step.config.arn, Tags=tags)

    def _unmark(self, step: Unmark) -> None:
        LOG.info("%s is no longer paused", step.config.name)
        self.sagemaker.delete_tags(ResourceArn=step.config.arn, TagKeys=[PAUSED_TAG])

    def _delete(self, _step: Delete) -> None:
        LOG.info("delete the endpoint %s", self.properties.endpoint_name)
        self.sagemaker.delete_endpoint(EndpointName=self.properties.endpoint_name)

    def _create(self, step: Create) -> None:
        name = self.properties.endpoint_name
        LOG.info("create the endpoint %s with %s", name, step.config.name)
        self.sagemaker.create_endpoint(
            EndpointName=name,
            EndpointConfigName=step.config.name,
            Tags=[{"Key": OWNER_TAG, "Value": self.properties.owner}],
        )


_STEPS: Final[Mapping[type[Step], Callable[[ScheduledEndpoint, Any], None]]] = {
    Note: ScheduledEndpoint._note,
    Refuse: ScheduledEndpoint._refuse,
    Mark: ScheduledEndpoint._mark,
    Unmark: ScheduledEndpoint._unmark,
    Delete: ScheduledEndpoint._delete,
    Create: ScheduledEndpoint._create,
}
