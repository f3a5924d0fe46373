"""The pipelines that an update adds to a stack or removes from it, and what goes with one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.expressions import NESTED
from generator.policies.jobs import ENDPOINT_LOGS
from pipeline import layout
from tabular_ml_vpc.operations import pipelines
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.forget.versions import KINDS
from tabular_ml_vpc.operations.inventory import Leftover, PlannedDeletion, left_of
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_MANAGER: Final = "ManagerStack"
"""The nested stack of the function that manages all pipelines besides ``main``."""


@dataclass(frozen=True)
class RemovedPipeline:
    """A pipeline whose nested stack is removed, with all that its runs created but its data."""

    name: str
    pipeline: str | None
    """Its name in SageMaker; None if it was never complete."""
    endpoint: str | None
    """The status of its endpoint, if it has one."""
    running: int
    """How many of its runs are in progress, and would be stopped."""
    kept: tuple[str, ...]
    """The S3 addresses of its folders, which stay."""

    @property
    def setting(self) -> str:
        """Return the name of its settings, as the root template records them."""
        return f"pipelines.{self.name}"

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "name": self.name,
            "pipeline": self.pipeline,
            "endpoint_status": self.endpoint,
            "runs_in_progress": self.running,
            "kept": list(self.kept),
        }


def added(root_template: Mapping[str, Any], changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the names of the pipelines that changes add, given the planned root template."""
    titles = _titles(changes, ChangeAction.ADD)
    return tuple(
        name for name in pipelines.planned(root_template) if pipelines.stack_title(name) in titles
    )


def removed(
    target: Target, node: StackNode, changes: Iterable[Change]
) -> tuple[RemovedPipeline, ...]:
    """Return the pipelines that changes remove from a deployed stack."""
    titles = _titles(changes, ChangeAction.REMOVE)
    if not titles:
        return ()
    bucket = node.stack.outputs.get("DataBucket", "")
    return tuple(
        _removed(workload, bucket)
        for workload in Workload.each(target, node)
        if pipelines.stack_title(workload.name) in titles
    )


def removes_manager(changes: Iterable[Change]) -> bool:
    """Return whether changes remove the function that has to delete the pipelines they remove.

    The order in which CloudFormation then deletes the function's rights is not documented.
    """
    return _MANAGER in _titles(changes, ChangeAction.REMOVE)


def in_the_way(target: Target, node: StackNode, names: Iterable[str]) -> list[Leftover]:
    """Return log groups that earlier pipelines of these names left, as they do in mode prod.

    CloudFormation cannot create a log group that exists.
    """
    unique = node.stack.outputs.get("PipelineName")
    if unique is None:
        return []
    groups = [
        PlannedDeletion(
            f"{pipelines.stack_title(name)}/EndpointLogGroup",
            "AWS::Logs::LogGroup",
            f"{ENDPOINT_LOGS}/{unique}-{name}",
        )
        for name in names
    ]
    return left_of(target, groups, lambda _: "an earlier pipeline of this name left it", [])


def _removed(workload: Workload, bucket: str) -> RemovedPipeline:
    endpoint = workload.endpoint_status()
    kinds = (*KINDS, layout.CHAMPION)
    return RemovedPipeline(
        workload.name,
        workload.pipeline,
        str(endpoint["EndpointStatus"]) if endpoint else None,
        len(workload.running()),
        tuple(f"s3://{bucket}/{layout.folder(kind, workload.name)}" for kind in kinds),
    )


def _titles(changes: Iterable[Change], action: ChangeAction) -> set[str]:
    return {one.logical_id for one in changes if one.type == NESTED and one.action is action}
