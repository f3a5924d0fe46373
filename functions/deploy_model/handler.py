"""Placeholder."""

from __future__ import annotations

from functions.deploy_model.properties import DeployModelProperties
from functions.shared.properties import from_event


def handler(event: dict[str, str], context: object) -> None:
    """Handle one event."""
    from_event(DeployModelProperties, event)
