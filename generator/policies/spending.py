"""Denies that bound what a job, an endpoint or an app may cost, whoever starts it.

They are one managed policy of the roles that may create them, as those of ``guards`` are, and hold
whatever else an organisation allows the roles. There is no condition key for the number of
instances: the pipeline's definition fixes it, and Studio's idle shutdown ends apps.

A list of instance types has several values where a job has several groups of instances, so one that
is not allowed is enough. Where a key must be sent, its absence is denied; an app that names no type
gets the domain's default, which only the deployment sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from awacs.aws import (
    Action,
    Condition,
    ForAnyValueStringNotEquals,
    Null,
    NumericGreaterThan,
    Statement,
)

from generator.policies.statements import deny
from generator.settings import Limits

INSTANCE_TYPES: Final = "sagemaker:InstanceTypes"
RUN_TIME: Final = "sagemaker:MaxRuntimeInSeconds"
MONITORING: Final = (
    "Create*JobDefinition",
    "CreateMonitoringSchedule",
    "UpdateMonitoringSchedule",
)
TIMED: Final = (
    "CreateHyperParameterTuningJob",
    "CreateProcessingJob",
    "CreateTrainingJob",
    *MONITORING,
)
JOBS: Final = (
    *TIMED,
    "CreateCluster",
    "CreateNotebookInstance",
    "CreateTransformJob",
    "UpdateCluster",
    "UpdateNotebookInstance",
    "UpdateTrainingJob",
)
ENDPOINTS: Final = ("CreateEndpointConfig",)
APPS: Final = ("CreateApp", "CreateSpace", "UpdateSpace")
CHANGES: Final = ("UpdateCluster", "UpdateNotebookInstance", "UpdateTrainingJob")
"""What may say nothing of instance types: it leaves them as they are."""
SYSTEM: Final = "system"
"""The type of an app that runs on no instance of ours, such as Studio's own."""


def bound_spending(limits: Limits) -> list[Statement]:
    """Return the Denies."""
    created = [name for name in (*JOBS, *ENDPOINTS) if name not in CHANGES]
    seconds = limits.job_hours * 3600
    return [
        _only("Jobs", JOBS, limits.job_instance_types),
        _only("Endpoints", ENDPOINTS, limits.endpoint_instance_types),
        _only("Apps", APPS, [*limits.app_instance_types, SYSTEM]),
        deny("NoUnnamedTypes", _actions(created), Condition(Null(INSTANCE_TYPES, "true"))),
        deny("NoLongJobs", _actions(TIMED), Condition(NumericGreaterThan(RUN_TIME, seconds))),
        deny("NoEndlessJobs", _actions(TIMED), Condition(Null(RUN_TIME, "true"))),
    ]


def _only(what: str, names: Sequence[str], types: Sequence[str]) -> Statement:
    outside = ForAnyValueStringNotEquals(INSTANCE_TYPES, list(types))
    return deny(f"NoOther{what}", _actions(names), Condition(outside))


def _actions(names: Sequence[str]) -> list[Action]:
    return [Action("sagemaker", name) for name in sorted(names)]
