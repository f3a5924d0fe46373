"""Settings of how models are served: size, safety of a deployment, and data capture.

Source of the ranges: "API_TrafficRoutingConfig", "API_CapacitySize", "API_DataCaptureConfig", and
the SageMaker developer guide, "Deployment guardrails for updating models in production".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field, field_validator

from generator import settings_schedule
from generator.settings_section import Section

LONGEST_APPROVED: Final = 35
"""Most characters of the project's and a pipeline's name together if models are deployed on
approval: SageMaker allows 63 in the name of an endpoint configuration, of which the deployment's id
takes 13 and the version, a hash and hyphens up to 15."""

_BACKLOG: Final = 5
_WHOLE: Final = 100
_MOST_MINUTES: Final = 420
"""8 hours ("API_BlueGreenUpdatePolicy"), less one for the instances to start and stop."""


class Deployment(StrEnum):
    """What a run does with a model that passed the quality gate."""

    PIPELINE = "pipeline"
    """Registers it, and deploys it if it is approved."""
    ON_APPROVAL = "on-approval"
    """Registers it; it is deployed when somebody else has approved it."""
    NONE = "none"
    """Registers it."""


class Shift(StrEnum):
    """How requests move from the model that serves to a new one."""

    ALL_AT_ONCE = "all-at-once"
    """All requests at once, when the new instances are ready."""
    CANARY = "canary"
    """A part of the capacity first, then the rest."""
    LINEAR = "linear"
    """Equal parts of the capacity, one after the other."""


class Serving(Section):
    """Endpoints, and how an approved model replaces the one that serves (docs/approval.md)."""

    instances: int = Field(default=1, ge=1, le=20, strict=True)
    """Instances of each endpoint; with maximum_instances, the fewest. From two on, SageMaker
    spreads them over the subnets' zones."""
    maximum_instances: int = Field(default=0, ge=0, le=100, strict=True)
    """Most instances of each endpoint, which then grows and shrinks with its requests
    (docs/approval.md, "Scaling"); 0 or the same as instances: it has always as many."""
    target_invocations: int = Field(default=0, ge=0, le=600_000, strict=True)
    """Requests per minute that one instance should get, on average, if the endpoint scales: fewer
    than it can answer, because new instances take minutes to start."""
    shift: Shift = Shift.ALL_AT_ONCE
    """How requests move to a new model: all-at-once, canary (a part first, then the rest) or linear
    (equal parts). Canary and linear need at least two instances."""
    step_percent: int = Field(default=50, ge=10, le=50, strict=True)
    """Part of the capacity that canary moves first, and linear at a time: at least one instance."""
    bake_minutes: int = Field(default=10, ge=5, le=60, strict=True)
    """Minutes after each step in which an alarm about the endpoint takes all requests back."""
    deadline_hours: int = Field(default=6, ge=1, le=72, strict=True)
    """Hours after which a version that was approved and does not serve yet is rejected."""
    champion_margin: float = Field(default=-1.0, ge=-1, allow_inf_nan=False, strict=True)
    """How much worse than the model that serves a new one may be, in the gate's metric, on the same
    rows: a model that is worse by more is refused by its run. -1: they are not compared."""
    capture_percent: int = Field(default=0, ge=0, le=100, strict=True)
    """Share of requests whose rows and predictions SageMaker stores under captured/, encrypted; 0:
    none. They contain what clients send (docs/threat-model.md)."""

    asynchronous: bool = Field(default=False, strict=True)
    """Whether the endpoint takes requests from S3 and answers there, and has no instance while it
    has nothing to do (docs/asynchronous.md)."""
    target_backlog: int = Field(default=_BACKLOG, ge=1, le=1000, strict=True)
    """Requests that may wait for each instance of an asynchronous endpoint before there is one
    more, up to instances or, if that is more, maximum_instances."""

    pause: str = ""
    """When EventBridge ends the bill of every endpoint, in UTC, such as cron(0 18 ? * MON-FRI *):
    it is deleted, and clients get no answers; empty: never (docs/commands/endpoint.md)."""
    resume: str = ""
    """When it is created again, with the same model, such as cron(0 7 ? * MON-FRI *)."""

    @field_validator("pause", "resume")
    @classmethod
    def _is_a_time(cls, expression: str) -> str:
        if expression.startswith("rate("):
            raise ValueError("must be a cron expression: a rate begins when it is deployed")
        return settings_schedule.check(expression)

    @property
    def pauses(self) -> bool:
        """Whether endpoints are paused and resumed on a schedule."""
        return bool(self.pause)

    @property
    def compares(self) -> bool:
        """Whether runs compare their models with the one that serves."""
        return self.champion_margin >= 0

    @property
    def captures(self) -> bool:
        """Whether requests are stored."""
        return self.capture_percent > 0

    @property
    def scales(self) -> bool:
        """Whether endpoints grow and shrink."""
        return self.asynchronous or self.maximum_instances > self.instances

    @property
    def most_instances(self) -> int:
        """How far endpoints grow."""
        return max(self.instances, self.maximum_instances)


def check_serving(serving: Serving, deploy: Deployment, setting: str) -> None:
    """Refuse what AWS would refuse at the first deployment of a model, or what has no effect.

    ``setting`` is the name of the one that decides how the pipeline's models are deployed.

    Raises:
        ValueError: names the setting, the value and what is allowed.

    """
    on_approval = deploy is Deployment.ON_APPROVAL
    wanted = f'{setting} = "{Deployment.ON_APPROVAL}"'
    if serving.shift is not Shift.ALL_AT_ONCE and not on_approval:
        raise ValueError(
            f"serving.shift: got {str(serving.shift)!r}: needs {wanted}; the pipeline's own step "
            "cannot shift requests"
        )
    if serving.captures and not on_approval:
        raise ValueError(
            f"serving.capture_percent: got {serving.capture_percent}: needs {wanted}; the "
            "pipeline's own step cannot capture requests"
        )
    if serving.compares and not on_approval:
        raise ValueError(
            f"serving.champion_margin: got {serving.champion_margin:g}: needs {wanted}; otherwise "
            "nothing keeps the archive that serves"
        )
    if -1 < serving.champion_margin < 0:
        raise ValueError(
            f"serving.champion_margin: got {serving.champion_margin:g}: must be -1 (models are not "
            "compared), 0 or more"
        )
    _check_asynchronous(serving, wanted, on_approval=on_approval)
    _check_pausing(serving, deploy, setting)
    if serving.maximum_instances and not on_approval:
        raise ValueError(
            f"serving.maximum_instances: got {serving.maximum_instances}: needs {wanted}; the "
            "pipeline's own step cannot have an endpoint scale"
        )
    _check_scaling(serving)
    if serving.shift is not Shift.ALL_AT_ONCE:
        _check_step(serving)


def _check_asynchronous(serving: Serving, wanted: str, *, on_approval: bool) -> None:
    """Refuse what has no meaning for an endpoint that takes requests from S3, or the reverse."""
    if not serving.asynchronous:
        if serving.target_backlog != _BACKLOG:
            raise ValueError(
                f"serving.target_backlog: got {serving.target_backlog}: needs "
                "serving.asynchronous = true"
            )
        return
    if not on_approval:
        raise ValueError(
            f"serving.asynchronous: got true: needs {wanted}; the pipeline's own step cannot have "
            "an endpoint scale"
        )
    unwanted = {
        "target_invocations": "asynchronous endpoints have no such metric: target_backlog is used",
        "capture_percent": "data capture is for endpoints that answer at once; requests and "
        "answers are in S3 already",
        "pause": "an asynchronous endpoint without requests has no instance",
    }
    for name, why in unwanted.items():
        if value := getattr(serving, name):
            raise ValueError(
                f"serving.{name}: got {value!r}: must be {type(value)()!r} with "
                f"serving.asynchronous = true: {why}"
            )


def _check_pausing(serving: Serving, deploy: Deployment, setting: str) -> None:
    """Refuse half a schedule, one that does nothing, and one without endpoints."""
    if not (serving.pause or serving.resume):
        return
    for given, other in (("pause", "resume"), ("resume", "pause")):
        if not getattr(serving, other):
            raise ValueError(
                f"serving.{given}: got {getattr(serving, given)!r}: needs serving.{other}, too"
            )
    if serving.pause.split() == serving.resume.split():
        raise ValueError(
            f"serving.resume: got {serving.resume!r}: must not be the same as serving.pause"
        )
    if deploy is Deployment.NONE:
        raise ValueError(
            f"serving.pause: got {serving.pause!r}: must be omitted with {setting} = "
            f'"{Deployment.NONE}", which has no endpoints'
        )


def _check_scaling(serving: Serving) -> None:
    """Refuse limits that contradict each other, and scaling without a target, or the reverse."""
    if 0 < serving.maximum_instances < serving.instances:
        raise ValueError(
            f"serving.maximum_instances: got {serving.maximum_instances}: must be 0, or at least "
            f"serving.instances ({serving.instances})"
        )
    if serving.asynchronous:
        return
    if serving.scales and not serving.target_invocations:
        raise ValueError(
            "serving.target_invocations: got 0: with serving.maximum_instances, it must be the "
            "requests per minute that one instance should get, at least 1"
        )
    if serving.target_invocations and not serving.scales:
        raise ValueError(
            f"serving.target_invocations: got {serving.target_invocations}: needs "
            f"serving.maximum_instances, more than serving.instances ({serving.instances})"
        )


def _check_step(serving: Serving) -> None:
    """Refuse a step of less than one instance; SageMaker allows at most half of the capacity."""
    steps = needed = -(-_WHOLE // serving.step_percent)
    if serving.shift is Shift.LINEAR and steps * serving.bake_minutes > _MOST_MINUTES:
        raise ValueError(
            f"serving.bake_minutes: got {serving.bake_minutes} after each of {steps} steps: they "
            f"must not take more than {_MOST_MINUTES} minutes together, because SageMaker ends a "
            "deployment after 8 hours"
        )
    if serving.instances < needed:
        raise ValueError(
            f"serving.instances: got {serving.instances}: must be at least {needed} with "
            f"serving.shift = {str(serving.shift)!r} and serving.step_percent = "
            f"{serving.step_percent}, which is less than one instance"
        )


def check_length(pipeline: str, length: int, project: str, setting: str) -> None:
    """Refuse names that leave no room for what a version on approval is called.

    ``length`` is that of both names together, ``setting`` as in ``check_serving``.

    Raises:
        ValueError: names the pipeline and what is allowed.

    """
    if length > LONGEST_APPROVED:
        raise ValueError(
            f"pipelines: got {pipeline!r} in the project {project!r}: both names together "
            f"can have {LONGEST_APPROVED} characters with {setting} = "
            f'"{Deployment.ON_APPROVAL}", because SageMaker allows 63 in a name'
        )
