"""Properties of ``Custom::Pipeline``, ``PredictionPipeline`` and ``Trials``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pipeline.definition import Environment


@dataclass(frozen=True, kw_only=True)
class PipelineProperties(Environment):
    """The pipeline's environment, with the hash of its job scripts instead of their prefix.

    The template sets ``SourceHash``; ``code_prefix`` is derived from it and is not a property.
    """

    RETIRED: ClassVar[frozenset[str]] = frozenset({"PreprocessImage"})

    source_hash: str
    trials: bool = False
    """Whether this stands for the endpoint on which approved versions are tried, and no more."""
    predicts: bool = False
    """Whether this is the pipeline of batch predictions, whose executions leave files only."""
    maximum_instances: int = 0
    """Most instances of the endpoint, if the function that deploys has it scale; or 0."""
    asynchronous: bool = False
    """Whether the endpoint answers requests from S3, and an alarm starts its first instance."""
    code_prefix: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the prefix of a frozen instance."""
        object.__setattr__(self, "code_prefix", f"code/{self.source_hash}")


class PredictionPipelineProperties(PipelineProperties):
    """Properties of ``Custom::PredictionPipeline``: the same, and ``predicts`` is true.

    It has a type of its own, so that who counts, prices or draws pipelines sees those that train.
    """


class TrialsProperties(PipelineProperties):
    """Properties of ``Custom::Trials``: the same, and ``trials`` is true.

    The rules that begin trials depend on it and are deleted before it, also when an update takes
    them out of the stack: no trial begins after its deletion.
    """
