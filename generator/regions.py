"""The regions in which templates can be deployed, which depends on the settings."""

from __future__ import annotations

from generator import images, settings_packages
from generator.settings import Settings, any_on_spark


def deployable(settings: Settings) -> list[str]:
    """Return the regions that the root template's rules accept, sorted."""
    regions = set(images.accounts(any_on_spark(settings)))
    if settings.packages.available:
        regions &= set(settings_packages.REGIONS)
    return sorted(regions)
