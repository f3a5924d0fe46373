"""What is chosen for one pipeline: how its models are deployed, served and watched."""

from __future__ import annotations

from dataclasses import dataclass

from generator.settings_serving import Deployment, Serving
from generator.settings_watching import WatchingSettings


@dataclass(frozen=True)
class Choices:
    """The choices of one pipeline, with those of all pipelines for what it does not decide."""

    deploy: Deployment
    serving: Serving
    watching: WatchingSettings

    @property
    def deploys(self) -> bool:
        """Whether runs deploy."""
        return self.deploy is Deployment.PIPELINE

    @property
    def on_approval(self) -> bool:
        """Whether a function deploys what somebody approved."""
        return self.deploy is Deployment.ON_APPROVAL
