"""Settings of the pipelines: how their steps run, and the list of pipelines in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import combinations
from typing import Any, Final

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from functions.shared.properties import property_name
from generator import settings_schedule
from generator.settings_section import Section
from generator.settings_serving import Deployment, Serving
from generator.settings_watching import WatchingSettings
from pipeline.definition import CLUSTER_INSTANCES
from pipeline.layout import (
    ASYNCHRONOUS,
    CAPTURED,
    CHAMPION,
    CODE,
    MAIN,
    MODELS,
    PREDICTIONS,
    PROCESSED,
    RAW,
)
from pipeline.limits import ARGUMENT_CHARACTERS
from pipeline.prediction import SUFFIX
from pipeline.run_parameters import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    METRICS,
    PROBLEMS,
    PROCESSING_INSTANCE_TYPE_PATTERN,
    TRAINING_INSTANCE_TYPE_PATTERN,
    not_one_of,
    threshold_problem,
)

EMAIL_PATTERN: Final = r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$"
METRIC: Final = "auto"
THRESHOLD: Final = 0.7
"""Defaults of the root's parameters of the quality gate."""
MOST_PIPELINES: Final = 50
"""Each has an ingress rule in the endpoints' security group, and a Spark cluster has another one; a
group has 60 at most (Amazon VPC user guide, "Amazon VPC quotas")."""
LONGEST_NAMES: Final = 46
"""Most characters of the project's and a pipeline's name together: EventBridge allows 64 in a
rule name, which adds the 13 of the deployment's id, a hyphen and ``-run``."""
NAME_PATTERN: Final = r"^[a-z](-?[a-z0-9])*$"
NAME_RULE: Final = (
    "must be 1 to 20 lower-case letters, digits and single hyphens; it begins with a letter and "
    "does not end with a hyphen"
)
_FOLDERS: Final = (
    *(RAW, PROCESSED, MODELS, PREDICTIONS, CAPTURED, ASYNCHRONOUS, CHAMPION, CODE, "studio"),
)
"""What folders in the data bucket are called. Policies that do not know the bucket's name match
them anywhere in a key (generator/policies/operator.py): the models of a pipeline with such a name
would be raw tables, its raw tables would be models."""
_LABEL_CHARACTERS: Final = ARGUMENT_CHARACTERS - len("--label=")
_REFERENCE: Final = "{{"
"""Begins a dynamic reference, which CloudFormation would replace."""
INSTANCE_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "processing_instance_type": ("job_instance_types", PROCESSING_INSTANCE_TYPE_PATTERN),
    "training_instance_type": ("job_instance_types", TRAINING_INSTANCE_TYPE_PATTERN),
    "endpoint_instance_type": ("endpoint_instance_types", ENDPOINT_INSTANCE_TYPE_PATTERN),
}
"""For each instance type of a pipeline, the setting in ``limits``, and the pattern of its use."""


class Engine(StrEnum):
    """The engine that prepares the table before training."""

    ONE_MACHINE = "one-machine"
    """One isolated instance."""
    SPARK = "spark"
    """A cluster of instances, for tables of many files."""


class PipelineSettings(Section):
    """How the pipeline's steps run."""

    preprocess_engine: Engine = Engine.ONE_MACHINE
    """Engine of the Preprocess step: one-machine, or spark, a cluster for tables of many files. A
    cluster has no network isolation; docs/security.md describes what it can reach. Spark is
    available in most regions."""
    preprocess_instances: int = Field(default=CLUSTER_INSTANCES, ge=1, le=100, strict=True)
    """Number of instances in the Spark cluster. A run cannot change it: IAM has no condition key
    for the number of instances, so the deployment fixes it. Ignored with one-machine."""
    deploy: Deployment = Deployment.PIPELINE
    """What a run does with a model that passed the gate: pipeline (registers it, and deploys it if
    the run's parameter approves it), on-approval (registers it; it is tried and deployed when
    somebody has approved it, docs/approval.md) or none (registers it; no endpoint, no bill: predict
    with it by `build.py predict`). Changing it leaves an endpoint that serves as it is."""
    predictions: bool = Field(default=False, strict=True)
    """Whether each pipeline has another one beside it, for batch predictions (`build.py predict`).
    It costs nothing at rest."""
    success_messages: bool = Field(default=False, strict=True)
    """Whether the alert topic also reports runs that succeeded, not only what failed."""
    schedule: str = ""
    """When EventBridge starts a run of each pipeline with its default parameters, in UTC, such as
    rate(7 days) or cron(0 6 ? * MON *); empty: never (docs/triggers.md)."""
    on_new_data: bool = Field(default=False, strict=True)
    """Whether a run of each pipeline starts when the table at the default of InputData was replaced
    (docs/triggers.md)."""
    new_data_minutes: int = Field(default=10, ge=1, le=1440, strict=True)
    """Minutes for which that table must have been left alone before the run starts."""
    on_drift: bool = Field(default=False, strict=True)
    """Whether a run of each pipeline starts when a check of watching.drift_hours found drift."""
    drift_cooldown_hours: int = Field(default=168, ge=1, le=8760, strict=True)
    """Hours in which drift starts at most one run of a pipeline."""

    several: bool = Field(default=False, strict=True)
    """Deploy what pipelines besides main share even if there is none. Adding the first one then
    changes nothing else. Set it before you remove the last one: CloudFormation could otherwise take
    the manager's rights away before it has removed that pipeline (docs/pipelines.md)."""

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str) -> str:
        return settings_schedule.check(schedule)


class PipelineEntry(Section):
    """One pipeline; what it leaves out is as the root's parameter or ``[pipeline]`` says."""

    name: str = Field(pattern=NAME_PATTERN, max_length=20)
    """Name of the pipeline. main has the names and folders of an environment's only pipeline; any
    other one has its own stack, roles, security group, endpoint and folders."""
    label: str | None = None
    """Column to predict: the default of the run parameter LabelColumn."""
    problem: str | None = Field(default=None, json_schema_extra={"enum": [*PROBLEMS, None]})
    """Type of problem: the default of the run parameter ProblemType."""
    quality_metric: str | None = Field(default=None, json_schema_extra={"enum": [*METRICS, None]})
    """Metric of the quality gate; otherwise the parameter QualityMetric."""
    quality_threshold: float | None = Field(default=None, le=1, allow_inf_nan=False)
    """Minimum value of that metric; otherwise the parameter QualityThreshold."""
    processing_instance_type: str | None = None
    """Instance type of processing jobs; otherwise the parameter ProcessingInstanceType."""
    training_instance_type: str | None = None
    """Instance type of training jobs; otherwise the parameter TrainingInstanceType."""
    endpoint_instance_type: str | None = None
    """Instance type of the endpoint; otherwise the parameter EndpointInstanceType."""
    alert_email: str | None = Field(default=None, pattern=EMAIL_PATTERN)
    """Address notified about failed runs, or empty for none; otherwise the parameter AlertEmail."""
    preprocess_engine: Engine | None = None
    """Engine of the Preprocess step; otherwise pipeline.preprocess_engine."""
    preprocess_instances: int | None = Field(default=None, ge=1, le=100, strict=True)
    """Number of instances in the Spark cluster; otherwise pipeline.preprocess_instances."""
    schedule: str | None = None
    """When EventBridge starts a run, or empty for never; otherwise pipeline.schedule."""
    on_new_data: bool | None = Field(default=None, strict=True)
    """Whether a new table starts a run; otherwise pipeline.on_new_data."""
    deploy: Deployment | None = None
    """What a run does with a model that passed the gate; otherwise pipeline.deploy."""
    serving: Serving | None = None
    """A table [pipelines.serving] with what differs from [serving]."""
    watching: WatchingSettings | None = None
    """A table [pipelines.watching] with what differs from [watching]."""

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str | None) -> str | None:
        return None if schedule is None else settings_schedule.check(schedule)

    @property
    def is_main(self) -> bool:
        """Whether it has the names and folders of an environment's only pipeline."""
        return self.name == MAIN

    @property
    def chooses(self) -> bool:
        """Whether it decides for itself how its models are deployed, served or watched."""
        return bool(self.deploy or self.serving or self.watching)

    @field_validator("name")
    @classmethod
    def _leaves_room_for_predictions(cls, name: str) -> str:
        if f"-{name}".endswith(SUFFIX):
            raise ValueError(
                f"must not end in {SUFFIX.removeprefix('-')}: the pipeline of another one's batch "
                "predictions has such a name"
            )
        return name

    @field_validator("name")
    @classmethod
    def _is_no_folder(cls, name: str) -> str:
        if name in _FOLDERS:
            raise ValueError(f"must not be the name of a folder: {', '.join(_FOLDERS)}")
        return name

    @field_validator("label")
    @classmethod
    def _is_a_column(cls, label: str | None) -> str | None:
        if label is None:
            return None
        short = 0 < len(label) <= _LABEL_CHARACTERS
        if not (short and label.isprintable() and _REFERENCE not in label):
            raise ValueError(
                f"must be the name of a column: 1 to {_LABEL_CHARACTERS} printable characters, "
                f"without {_REFERENCE}"
            )
        return label

    @field_validator("problem")
    @classmethod
    def _is_a_problem(cls, problem: str | None) -> str | None:
        return _one_of(problem, PROBLEMS)

    @field_validator("quality_metric")
    @classmethod
    def _is_a_metric(cls, metric: str | None) -> str | None:
        return _one_of(metric, METRICS)

    @field_validator(*INSTANCE_TYPES)
    @classmethod
    def _fits_its_use(cls, kind: str | None, info: Any) -> str | None:
        _, pattern = INSTANCE_TYPES[info.field_name]
        if kind is not None and not re.fullmatch(pattern, kind):
            raise ValueError(f"must be {INSTANCE_TYPE_RULE}")
        return kind

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not set: TOML has no null, and records stay short.

        A default that a table does not state is not set either: the usual value is in force.
        """
        return {
            name: _stated(value, getattr(self, name))
            for name, value in handler(self).items()
            if value is not None
        }


def _stated(value: Any, own: object) -> Any:
    if not isinstance(own, Section):
        return value
    return {name: one for name, one in value.items() if name in own.model_fields_set}


def _one_of(value: str | None, known: Iterable[str]) -> str | None:
    if value is not None and value not in known:
        raise ValueError(not_one_of(value, known))
    return value


def in_letters(name: str) -> str:
    """Return a name as part of a logical id, which cannot contain hyphens."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


def check_names(pipelines: tuple[PipelineEntry, ...]) -> None:
    """Refuse a list without ``main``, and names that would be one logical id.

    Raises:
        ValueError: names the first conflict.

    """
    if not any(entry.name == MAIN for entry in pipelines):
        raise ValueError(f"must contain {MAIN}, which holds what all pipelines share")
    for first, second in combinations([entry.name for entry in pipelines], 2):
        if first == second:
            raise ValueError(f"must not name {first!r} twice")
        if in_letters(first) == in_letters(second):
            raise ValueError(
                f"{first!r} and {second!r} would both be the resource {in_letters(first)}"
                "PipelineStack; names must differ in more than hyphens"
            )


def check_together(
    pipelines: tuple[PipelineEntry, ...], project: str, usual: PipelineSettings, limits: Any
) -> None:
    """Refuse pipelines that contradict other settings; ``limits`` are those of the settings.

    Raises:
        ValueError: names the pipeline, the setting and what is allowed.

    """
    named = [entry for entry in pipelines if entry.name != MAIN]
    groups = len(named) + sum(runs_on_spark(entry, usual) for entry in named)
    if groups > MOST_PIPELINES:
        raise ValueError(
            f"pipelines: got {groups} besides {MAIN} (one on Spark counts twice): at most "
            f"{MOST_PIPELINES}, because each has rules in the endpoints' security group"
        )
    for entry in named:
        if len(project) + len(entry.name) > LONGEST_NAMES:
            raise ValueError(
                f"pipelines: got {entry.name!r} in the project {project!r}: both names together "
                f"can have {LONGEST_NAMES} characters, because EventBridge allows 64 in a name"
            )
    for entry in pipelines:
        _check_types(entry, limits)
        _check_gate(entry)


def _check_types(entry: PipelineEntry, limits: Any) -> None:
    for field, (setting, _) in INSTANCE_TYPES.items():
        kind = getattr(entry, field)
        if kind is not None and kind not in getattr(limits, setting):
            raise ValueError(
                f"pipelines: {entry.name}: {field}: got {kind!r}: must be one of limits.{setting}"
            )


def _check_gate(entry: PipelineEntry) -> None:
    """Refuse a threshold that no model, or every model, can reach with the pipeline's metric."""
    if entry.quality_metric is None:
        return
    threshold = THRESHOLD if entry.quality_threshold is None else entry.quality_threshold
    if problem := threshold_problem(entry.quality_metric, threshold):
        usual = " (the parameter's default)" if entry.quality_threshold is None else ""
        raise ValueError(f"pipelines: {entry.name}: quality_threshold{usual}: {problem}")


def decided(pipelines: tuple[PipelineEntry, ...]) -> frozenset[str]:
    """Return the root's parameters that every pipeline decides for itself."""
    fields = (*INSTANCE_TYPES, "quality_metric", "quality_threshold", "alert_email")
    return frozenset(
        property_name(field)
        for field in fields
        if all(getattr(entry, field) is not None for entry in pipelines)
    )


def runs_on_spark(entry: PipelineEntry, usual: PipelineSettings) -> bool:
    """Tell whether a pipeline's Preprocess runs on a Spark cluster."""
    return (entry.preprocess_engine or usual.preprocess_engine) is Engine.SPARK


def schedule_of(entry: PipelineEntry, usual: PipelineSettings) -> str:
    """Return the expression by which a pipeline's runs are started, or an empty text."""
    return usual.schedule if entry.schedule is None else entry.schedule


def awaits_new_data(entry: PipelineEntry, usual: PipelineSettings) -> bool:
    """Tell whether a new table starts a run of a pipeline."""
    return usual.on_new_data if entry.on_new_data is None else entry.on_new_data


def minutes_of(entry: PipelineEntry, usual: PipelineSettings) -> str:
    """Return for how many minutes a new table is left alone before a run; 0 if it starts none."""
    return str(usual.new_data_minutes if awaits_new_data(entry, usual) else 0)


def instances(entry: PipelineEntry, usual: PipelineSettings) -> int:
    """Return the number of instances of a pipeline's cluster."""
    return entry.preprocess_instances or usual.preprocess_instances
