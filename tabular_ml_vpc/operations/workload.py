"""What a pipeline's runs have created: executions, the endpoint, models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from functions.shared.pausing import IN_PROGRESS
from generator import choice_outputs
from generator.cfn.expressions import NESTED
from pipeline.definition import OWNER_TAG
from pipeline.layout import MAIN
from pipeline.types import JsonView
from tabular_ml_vpc.operations import pipelines, stacks
from tabular_ml_vpc.operations.sagemaker import SageMakerReader
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target

PIPELINE: Final = "Custom::Pipeline"
_MODEL_NAMES: Final = "pipelines-"
_MOST: Final = 900
ON_APPROVAL: Final = "on-approval"
"""The setting ``pipeline.deploy`` and the output's value: a function deploys what was approved."""


@dataclass(frozen=True)
class Workload(SageMakerReader):
    """The SageMaker resources of one pipeline; an id is None if it does not exist (yet)."""

    name: str
    """The pipeline's name in the settings."""
    pipeline: str | None
    """The pipeline's name in SageMaker."""
    endpoint: str | None
    owner: str | None
    """The value of the tag that everything has that its runs create."""
    siblings: tuple[str, ...] = ()
    """The names of all pipelines of its stack."""
    on_approval: bool = False
    """Whether a function deploys what was approved; otherwise, only runs deploy."""
    pauses: str = ""
    """When the schedule pauses the endpoint, as an expression of EventBridge, or empty."""
    resumes: str = ""

    @classmethod
    def of(cls, target: Target, root: Stack, name: str | None) -> Workload:
        """Return the workload of a root stack's pipeline: the one named, or the only one.

        Raises:
            UsageError: there is no such pipeline, or there are several and none was named.

        """
        (found,) = cls.chosen(target, root, pipelines.choose(root, name))
        return found

    @classmethod
    def chosen(cls, target: Target, root: Stack, name: str | None) -> list[Workload]:
        """Return the workload of the pipeline that was named, or of all.

        It reads only these pipelines' stacks, not the whole tree.

        Raises:
            UsageError: there is no such pipeline.

        """
        known = pipelines.names(root)
        names = known if name is None else (pipelines.choose(root, name),)
        ids = {
            one.logical_id: one.physical_id
            for one in stacks.resources_of(target, root.id)
            if one.type == NESTED and one.exists
        }
        found = []
        for one in names:
            identity = ids.get(pipelines.stack_title(one))
            nested = stacks.find(target, identity) if identity else None
            found.append(cls._in(target, one, nested, root, known))
        return found

    @classmethod
    def each(cls, target: Target, node: StackNode) -> list[Workload]:
        """Return the workload of each pipeline in a stack's tree, in the settings' order."""
        known = pipelines.names(node.stack)
        found = {
            pipelines.name_of(above.title, known): above.stack
            for above, _ in node.holding(PIPELINE)
        }
        ordered = sorted(found, key=lambda name: known.index(name) if name in known else len(known))
        known = tuple(ordered)
        return [cls._in(target, name, found[name], node.stack, known) for name in ordered]

    @classmethod
    def _in(
        cls,
        target: Target,
        name: str,
        nested: Stack | None,
        root: Stack,
        siblings: tuple[str, ...],
    ) -> Workload:
        outputs = nested.outputs if nested else {}
        pipeline = outputs.get("PipelineName")
        endpoint = outputs.get("EndpointName", pipeline)  # a named pipeline's has its name
        owner = nested.id if nested else None
        if name != MAIN and pipeline:
            owner = f"{pipeline.removesuffix(f'-{name}')}/{name}"
        said = choice_outputs.read(root.outputs, name)
        on_approval = said.get(choice_outputs.DEPLOYMENT_MODE) == ON_APPROVAL
        pauses, resumes = (
            said.get(output, "") for output in (choice_outputs.PAUSES, choice_outputs.RESUMES)
        )
        return cls(target, name, pipeline, endpoint, owner, siblings, on_approval, pauses, resumes)

    @property
    def several(self) -> bool:
        """Return whether the stack has other pipelines, so that commands need the name."""
        return len(self.siblings) > 1

    def options(self) -> str:
        """Return the options that give another command the same pipeline."""
        chosen = f" {pipelines.OPTION} {self.name}" if self.several else ""
        return f"{self.target.options()}{chosen}"

    @property
    def creation(self) -> str:
        """Return what creates an endpoint that does not exist, with the command."""
        if self.on_approval:
            return f"approving a version creates it (`python build.py approve{self.options()}`)"
        return f"a run that passes the gate creates it (`python build.py run{self.options()}`)"

    def executions(self, limit: int | None = None) -> list[JsonView]:
        """Return the pipeline's executions, newest first, the first ``limit``."""
        if self.pipeline is None:
            return []
        found = self.listed(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=self.pipeline,
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        return list(islice(found, limit or _MOST))

    def steps(self, execution: str) -> Iterator[JsonView]:
        """Yield the steps of an execution, named by its ARN."""
        yield from self.listed(
            "list_pipeline_execution_steps",
            "PipelineExecutionSteps",
            PipelineExecutionArn=execution,
        )

    def running(self) -> list[JsonView]:
        """Return the executions in progress."""
        return [run for run in self.executions() if run["PipelineExecutionStatus"] in IN_PROGRESS]

    def endpoint_status(self) -> JsonView | None:
        """Return SageMaker's description of the endpoint, if it exists."""
        return self.described("describe_endpoint", EndpointName=self.endpoint)

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
            for item in self.listed(operation, key, NameContains=part)
            if self.is_ours(item[f"{kind}Arn"])
        ]

    def is_ours(self, arn: str) -> bool:
        """Return whether a run of this pipeline created it."""
        tags = self.listed("list_tags", "Tags", ResourceArn=arn)
        return any((tag["Key"], tag["Value"]) == (OWNER_TAG, self.owner) for tag in tags)
