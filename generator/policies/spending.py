"""Denies that limit what a job, an endpoint or an app can cost, whoever starts it.

Like those of ``guards``, they form one managed policy on the roles that can create them, and apply
whatever else an organization allows the roles. There is no condition key for the number of
instances: the pipeline's definition fixes it, and Studio's idle shutdown stops apps.

The key for instance types has several values if a job has several instance groups; one disallowed
value is enough for the Deny. Where the key is mandatory, its absence is denied. An app without an
instance type gets the domain's default, which only the deployment sets.
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
"""Actions that may omit the instance types, which leaves them unchanged."""
SYSTEM: Final = "system"
"""The instance type of apps that AWS runs, such as Studio's own."""


def bound_spending(limits: Limits, *, apps: bool = True) -> list[Statement]:
    """Return the Denies; roles that can never create apps need none about ``apps``."""
    created = [name for name in (*JOBS, *ENDPOINTS) if name not in CHANGES]
    seconds = limits.job_hours * 3600
    return [
        _only("Jobs", JOBS, limits.job_instance_types),
        _only("Endpoints", ENDPOINTS, limits.endpoint_instance_types),
        *([_only("Apps", APPS, [*limits.app_instance_types, SYSTEM])] if apps else []),
        deny("NoUnnamedTypes", _actions(created), Condition(Null(INSTANCE_TYPES, "true"))),
        deny("NoLongJobs", _actions(TIMED), Condition(NumericGreaterThan(RUN_TIME, seconds))),
        deny("NoEndlessJobs", _actions(TIMED), Condition(Null(RUN_TIME, "true"))),
    ]


def _only(what: str, names: Sequence[str], types: Sequence[str]) -> Statement:
    outside = ForAnyValueStringNotEquals(INSTANCE_TYPES, list(types))
    return deny(f"NoOther{what}", _actions(names), Condition(outside))


def _actions(names: Sequence[str]) -> list[Action]:
    return [Action("sagemaker", name) for name in sorted(names)]
