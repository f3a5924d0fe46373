"""What commands read, in a root stack's outputs, of how a pipeline is deployed and paused.

``main`` has an output for each. A named pipeline for which they do not say the truth has one for
all of them, as JSON: a template has 200 outputs at most, and can have 50 such pipelines
(CloudFormation user guide, "Understand CloudFormation quotas").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from generator.settings_choices import Choices
from generator.settings_pipelines import in_letters
from pipeline.layout import MAIN

DEPLOYMENT_MODE: Final = "DeploymentMode"
"""Says that models are deployed on approval; absent if not."""
PAUSES: Final = "EndpointPauses"
RESUMES: Final = "EndpointResumes"
"""Say when the endpoint is paused and resumed; absent without a schedule."""
_OWN: Final = "PipelineChoices"


def described(chosen: Choices) -> dict[str, tuple[str, str]]:
    """Return the descriptions and values of ``main``'s outputs; nothing where the default is."""
    found = {}
    if chosen.on_approval:
        what = "on-approval: the endpoint serves the newest version that somebody approved"
        found[DEPLOYMENT_MODE] = (what, str(chosen.deploy))
    if chosen.serving.pauses:
        found[PAUSES] = ("When endpoints are paused (UTC)", chosen.serving.pause)
        found[RESUMES] = ("When endpoints are resumed (UTC)", chosen.serving.resume)
    return found


def of_named(name: str, chosen: Choices, main: Choices) -> dict[str, tuple[str, str]]:
    """Return the output of a named pipeline, unless those of ``main`` are true of it, too."""
    own = {title: value for title, (_, value) in described(chosen).items()}
    if own == {title: value for title, (_, value) in described(main).items()}:
        return {}
    what = f"How the pipeline {name} is deployed and paused, if that is not as {MAIN} is"
    return {f"{_OWN}{in_letters(name)}": (what, json.dumps(own, separators=(",", ":")))}


def read(outputs: Mapping[str, str], name: str) -> Mapping[str, str]:
    """Return what a root stack's outputs say of a pipeline, by the titles of ``main``'s outputs."""
    own = outputs.get(f"{_OWN}{in_letters(name)}")
    found: Mapping[str, str] = outputs if name == MAIN or own is None else json.loads(own)
    return found
