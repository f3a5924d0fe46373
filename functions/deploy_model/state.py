"""What the function reads before it decides, and the steps that it can decide on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

IN_SERVICE: Final = "InService"
_DELETING: Final = "Deleting"
_CHANGING: Final = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", _DELETING})

NO_ENDPOINT: Final = "none"
"""Value of ``Config.started`` if there was no endpoint before."""
REFUSED: Final = "refused"
"""Value of ``Config.started`` if SageMaker did not accept the update."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """An approved model package of ours; ``created`` is when a run registered it."""

    arn: str
    number: int
    created: datetime
    instance_type: str = ""
    smoke_test: str = ""
    """S3 URI of the request and the answer to expect; empty for a version of an older run."""
    foreign: str = ""
    """Why it is not what a run of ours registered; empty if it is."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """An endpoint configuration; ``number`` is its version, 0 if its name is not one of ours."""

    name: str
    arn: str
    number: int
    created: datetime
    ours: bool
    """Whether it has our owner tag."""
    started: str = ""
    """The endpoint's ``LastModifiedTime`` before it was told to serve this, or see above."""
    replaced: str = ""
    """The endpoint's configuration at that time; empty if it is not known."""
    served: str = ""
    """When it began to serve the last time, in ISO 8601, or empty."""
    failed: str = ""
    """Why an endpoint that serves the same version could not take these settings."""
    error: str = ""
    """The last error of AWS on the way to serve this, after its time."""
    paused: bool = False


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint as "API_DescribeEndpoint" describes it; ``number`` is its version, or 0.

    While it is being updated, ``config`` is the old configuration and ``pending`` the new one
    ("API_PendingDeploymentSummary").
    """

    name: str
    status: str
    config: str
    number: int
    modified: str
    """When it last changed, in ISO 8601."""
    ours: bool
    pending: str = ""
    failure: str = ""
    created: datetime | None = None
    instances: int = 0
    """How many it should have at the moment; 0 if it has none yet."""
    asynchronous: bool = False
    """Whether it answers requests from S3; clients call the two kinds in different ways."""

    @property
    def is_changing(self) -> bool:
        """Tell whether SageMaker refuses changes for now."""
        return self.status in _CHANGING

    @property
    def is_going(self) -> bool:
        """Tell whether it is being deleted."""
        return self.status == _DELETING

    @property
    def is_in_service(self) -> bool:
        """Tell whether it serves."""
        return self.status == IN_SERVICE


@dataclass(frozen=True, kw_only=True)
class Target:
    """How the fleet grows and shrinks ("API_ScalableTarget", "API_ScalingPolicy")."""

    minimum: int
    maximum: int
    tracked: float | None
    """Requests of an instance in a minute, or those that wait for it if the endpoint is
    asynchronous; None without our policy, or if somebody changed it."""
    wakes: bool = False
    """Whether a request starts the first instance: our step policy, and the alarm that calls it."""
    ours: bool = True
    """Whether it has our owner tag."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that the decision depends on, read at ``now``."""

    now: datetime
    desired: Version | None
    """The newest approved version of ours."""
    config_name: str
    """The name of the configuration of the desired version."""
    approved: frozenset[int]
    configs: tuple[Config, ...]
    """Those named as ours are, ours or not."""
    endpoint: Endpoint | None = None
    trial: Endpoint | None = None
    serving: Config | None = None
    """The endpoint's configuration, if it still exists."""
    paused: bool = False
    """Whether ``endpoint pause`` deleted the endpoint."""
    taken: tuple[str, ...] = ()
    """What has a name that we need and is not ours, such as ``model v1-demo``."""
    verdict: str | None = None
    """Of the smoke test: empty if it passed, or why it failed; None if it was not made."""
    wanted: Target | None = None
    """How the fleet should scale; None if it should not."""
    target: Target | None = None
    """How it scales; read only if it should."""
    blind: Exception | None = None
    """Why it could not be read how it scales: no reason not to take a bad version back."""
    serving_type: str = ""
    """The type of the endpoint's instances; read only if it should scale."""
    asynchronous: bool = False
    """Whether the endpoint should answer requests from S3."""
    instances: int = 1
    """How many a new fleet begins with."""

    @property
    def of_other_kind(self) -> bool:
        """Whether clients call the endpoint in another way than the settings say."""
        return bool(self.endpoint and self.endpoint.asynchronous != self.asynchronous)

    @property
    def config(self) -> Config | None:
        """The desired version's configuration."""
        return next((one for one in self.configs if one.name == self.config_name), None)


@dataclass(frozen=True)
class Wait:
    """Do nothing until something changes."""

    reason: str


@dataclass(frozen=True)
class Complain:
    """Log an error that a person has to act on, and count it for the alarm."""

    reason: str


@dataclass(frozen=True)
class MarkServed:
    """Record that a configuration served."""

    config: Config


@dataclass(frozen=True)
class MarkFailed:
    """Record that an endpoint cannot take a configuration's settings."""

    config: Config
    reason: str


@dataclass(frozen=True)
class StartTrial:
    """Create the version's model, its configuration and the trial endpoint."""

    version: Version
    config: str


@dataclass(frozen=True)
class DeleteTrial:
    """Delete the trial endpoint."""


@dataclass(frozen=True)
class AskTrial:
    """Send the smoke test to the trial endpoint, then decide again."""

    version: Version


@dataclass(frozen=True)
class Deploy:
    """Have the endpoint serve a configuration; ``started``, ``replaced`` are to record before.

    ``back`` is for a version that served before: all at once, and no alarm stops it. ``retain``
    keeps the size of the fleet.
    """

    version: Version
    config: Config
    started: str
    replaced: str = ""
    back: bool = False
    retain: bool = False


@dataclass(frozen=True)
class Scale:
    """Have the fleet scale as wanted; a ``new`` target has to be registered with our tag."""

    wanted: Target
    new: bool


@dataclass(frozen=True)
class StopScaling:
    """End the scaling of the fleet: it stays as large as it is."""


@dataclass(frozen=True)
class SendSamples:
    """Send requests to the endpoint while its traffic moves: alarms need some to judge."""

    version: Version


@dataclass(frozen=True)
class Reject:
    """Reject the version, with a reason for the person who approved it."""

    version: Version
    reason: str


@dataclass(frozen=True)
class DeleteConfig:
    """Delete a configuration."""

    config: Config


@dataclass(frozen=True)
class DeleteModel:
    """Delete the model of a version."""

    number: int


Step: TypeAlias = (
    Wait
    | Complain
    | MarkServed
    | MarkFailed
    | StartTrial
    | DeleteTrial
    | AskTrial
    | Deploy
    | Scale
    | StopScaling
    | SendSamples
    | Reject
    | DeleteConfig
    | DeleteModel
)
Steps: TypeAlias = tuple[Step, ...]
