"""What users and the pipeline have created: runs, endpoint, models, apps, spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError
from pipeline.definition import OWNER_TAG
from pipeline.types import JsonView
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target, code_of, is_denied

PIPELINE: Final = "Custom::Pipeline"
DOMAIN: Final = "AWS::SageMaker::Domain"
_ABSENT: Final = frozenset({"ResourceNotFound", "ValidationException", "ResourceNotFoundException"})
_RUNNING: Final = frozenset({"Executing", "Stopping"})
_GONE: Final = frozenset({"Deleted", "Deleting"})
_MODEL_NAMES: Final = "pipelines-"
_POLLS: Final = 900


@dataclass(frozen=True)
class Workload:
    """The SageMaker resources of one stack; a name is None if the resource does not exist (yet)."""

    target: Target
    pipeline: str | None
    endpoint: str | None
    domain: str | None
    owner: str | None
    unseen: set[str] = field(default_factory=set)
    """Operations without permission: their results are unknown."""

    @classmethod
    def of(cls, target: Target, node: StackNode) -> Workload:
        """Return the workload of a stack's tree, from the ids of its resources."""
        above = next((found.stack for found, _ in node.holding(PIPELINE)), None)
        outputs = above.outputs if above else {}
        domains = [one.physical_id for _, one in node.holding(DOMAIN) if one.exists]
        return cls(
            target,
            outputs.get("PipelineName"),
            outputs.get("EndpointName"),
            domains[0] if domains else None,
            above.id if above else None,
        )

    @property
    def sagemaker(self) -> Any:
        """Return the SageMaker client."""
        return self.target.client("sagemaker")

    def executions(self, limit: int | None = None) -> list[JsonView]:
        """Return the pipeline's executions, newest first, the first ``limit``."""
        if self.pipeline is None:
            return []
        found = self._list(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.pipeline,
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        return list(islice(found, limit or _POLLS))

    def steps(self, execution: str) -> Iterator[JsonView]:
        """Yield the steps of an execution, named by its ARN."""
        yield from self._list(
            "list_pipeline_execution_steps",
            "PipelineExecutionSteps",
            PipelineExecutionArn=execution,
        )

    def running(self) -> list[JsonView]:
        """Return the executions in progress."""
        return [run for run in self.executions() if run["PipelineExecutionStatus"] in _RUNNING]

    def endpoint_status(self) -> JsonView | None:
        """Return SageMaker's description of the endpoint, if it exists."""
        return self._describe("describe_endpoint", EndpointName=self.endpoint)

    def domain_status(self) -> JsonView | None:
        """Return SageMaker's description of the domain, if it exists."""
        return self._describe("describe_domain", DomainId=self.domain)

    def apps(self) -> list[JsonView]:
        """Return Studio's running apps."""
        found = self._of_domain("list_apps", "Apps")
        return [app for app in found if app["Status"] not in _GONE]

    def spaces(self) -> list[JsonView]:
        """Return Studio's spaces."""
        return [*self._of_domain("list_spaces", "Spaces")]

    def made_by_runs(self) -> list[tuple[str, str]]:
        """Return the kind and name of endpoints, configurations and models with our owner tag."""
        kinds = (
            ("endpoint", "list_endpoints", "Endpoints", "Endpoint", self.endpoint),
            (
                "endpoint configuration",
                "list_endpoint_configs",
                "EndpointConfigs",
                "EndpointConfig",
                self.endpoint,
            ),
            ("model", "list_models", "Models", "Model", _MODEL_NAMES),
        )
        return [
            (words, item[f"{kind}Name"])
            for words, operation, key, kind, part in kinds
            if part
            for item in self._list(operation, key, NameContains=part)
            if self.is_ours(item[f"{kind}Arn"])
        ]

    def delete_apps_and_spaces(self, sleep: Callable[[float], None]) -> None:
        """Delete the domain's apps, then its spaces, and wait until they are deleted.

        Raises:
            CommandError: they are not deleted in time.

        """
        self._delete_all(self._apps_left, self._delete_app, sleep)
        self._delete_all(self.spaces, self._delete_space, sleep)

    def _apps_left(self) -> list[JsonView]:
        return [app for app in self._of_domain("list_apps", "Apps") if app["Status"] != "Deleted"]

    def _delete_all(
        self,
        left: Callable[[], list[JsonView]],
        delete: Callable[[JsonView], None],
        sleep: Callable[[float], None],
    ) -> None:
        for _ in range(_POLLS):
            found = left()
            if not found:
                return
            for item in found:
                if item["Status"] != "Deleting":
                    delete(item)
            sleep(self.target.poll_seconds)
        raise CommandError(
            "apps and spaces are still being deleted; run the command again to continue"
        )

    def _delete_app(self, app: JsonView) -> None:
        owner = {key: app[key] for key in ("UserProfileName", "SpaceName") if app.get(key)}
        self._ask(
            "delete_app",
            DomainId=self.domain,
            AppType=app["AppType"],
            AppName=app["AppName"],
            **owner,
        )

    def _delete_space(self, space: JsonView) -> None:
        self._ask("delete_space", DomainId=self.domain, SpaceName=space["SpaceName"])

    def _ask(self, operation: str, **names: Any) -> None:
        """Request one deletion; a busy or deleted resource is checked again at the next poll."""
        try:
            getattr(self.sagemaker, operation)(**names)
        except ClientError as error:
            if code_of(error) not in _ABSENT | {"ResourceInUse"}:
                raise

    def is_ours(self, arn: str) -> bool:
        """Return whether a run of this stack's pipeline created it."""
        tags = self._list("list_tags", "Tags", ResourceArn=arn)
        return any((tag["Key"], tag["Value"]) == (OWNER_TAG, self.owner) for tag in tags)

    def _of_domain(self, operation: str, key: str) -> Iterator[JsonView]:
        if self.domain is None:
            return iter(())
        return self._list(operation, key, DomainIdEquals=self.domain)

    def _list(self, operation: str, key: str, **filters: Any) -> Iterator[JsonView]:
        try:
            for page in self.sagemaker.get_paginator(operation).paginate(**filters):
                yield from page[key]
        except ClientError as error:
            self._ignore(operation, error)

    def _describe(self, operation: str, **names: str | None) -> JsonView | None:
        if None in names.values():
            return None
        try:
            found: JsonView = getattr(self.sagemaker, operation)(**names)
        except ClientError as error:
            self._ignore(operation, error)
            return None
        return found

    def _ignore(self, operation: str, error: ClientError) -> None:
        """Ignore a missing resource; note a missing permission."""
        if is_denied(error):
            self.unseen.add(operation)
        elif code_of(error) not in _ABSENT:
            raise error
