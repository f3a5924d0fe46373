"""Properties of the deployment of approved models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DeployModelProperties:
    """One pipeline's."""

    endpoint_name: str
    model_package_group: str
    owner: str
    model_role_arn: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    key_arn: str
    instances: int
    shift: str
    step_percent: int
    bake_minutes: int
    deadline_hours: int
    alarms: tuple[str, ...]
    capture_percent: int = 0
    capture_uri: str = ""
