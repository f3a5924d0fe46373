"""Properties of the function that deploys approved models, as its rules pass them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALL_AT_ONCE: Final = "all-at-once"
CANARY: Final = "canary"
LINEAR: Final = "linear"
COMPLAINTS: Final = "Complaints"
"""The metric that counts what a person has to act on; without a complaint, it has no data."""


@dataclass(frozen=True, kw_only=True)
class DeployModelProperties:
    """One pipeline's deployment; the template makes a rule's input of it.

    ``owner`` is the value of the tag ``OWNER_TAG``, and ``models_uri`` is where runs write
    models. ``instances`` is the size of a fleet, and ``shift`` is how traffic moves to a new one:
    ``all-at-once``, ``canary`` or ``linear``, in steps of ``step_percent`` of the new fleet, each
    watched for ``bake_minutes``. ``alarms`` are names; one that goes off during a shift rolls it
    back. A version that does not serve ``deadline_hours`` after its trial began is rejected.
    ``capture_percent`` of the requests and answers are stored under ``capture_uri``. A copy of
    the archive that serves is kept at ``champion_uri``, unless that is empty. With
    ``maximum_instances``, the fleet grows from ``instances`` to that many, so that each gets
    ``target_invocations`` requests a minute.

    With ``asynchronous_uri``, clients put requests there (``layout.REQUESTS``), and the endpoint
    puts its answers there (``layout.ANSWERS``, ``layout.FAILURES``) and tells ``answered_topic``
    and ``failed_topic``. Its fleet then has no instance while nothing waits, and grows so that
    about ``target_backlog`` requests wait for each.
    """

    endpoint_name: str
    model_package_group: str
    owner: str
    model_role_arn: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    key_arn: str
    models_uri: str
    instances: int
    shift: str
    step_percent: int
    bake_minutes: int
    deadline_hours: int
    alarms: tuple[str, ...] = ()
    capture_percent: int = 0
    capture_uri: str = ""
    champion_uri: str = ""
    maximum_instances: int = 0
    target_invocations: int = 0
    asynchronous_uri: str = ""
    answered_topic: str = ""
    failed_topic: str = ""
    target_backlog: int = 0

    @property
    def asynchronous(self) -> bool:
        """Whether the endpoint answers requests from S3."""
        return bool(self.asynchronous_uri)

    @property
    def scales(self) -> bool:
        """Whether the fleet grows and shrinks."""
        return self.asynchronous or self.maximum_instances > self.instances
