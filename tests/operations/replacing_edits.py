"""Thirty edits of settings, parameters and templates: what is forecast, and what then happens.

``python -m tests.operations.replacing_edits`` deploys one stack in an emulated AWS, applies all
edits to it, one after another, and writes ``docs/figures/forecast.json``; it takes some ten
minutes. A test does the same with the first edit and the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from generator import emit
from generator.files import REPOSITORY
from generator.settings import Mode, Settings
from tabular_ml_vpc.operations import source, stacks
from tabular_ml_vpc.operations.changes import ChangeAction
from tabular_ml_vpc.operations.deployment import (
    ChangesComputed,
    Deployment,
    DeploymentOptions,
    Failed,
)
from tabular_ml_vpc.operations.events import Question
from tabular_ml_vpc.operations.source import Source, SourceOptions
from tabular_ml_vpc.operations.target import Target
from tests.emulated import emulated_aws, pointed_at

FIGURES: Final = REPOSITORY / "docs/figures/forecast.json"
PROFILE: Final = "AWS::SageMaker::UserProfile"
Place = tuple[str, str]


@dataclass(frozen=True)
class Edit:
    """Settings, parameters and texts in the templates that differ from the default ones."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[tuple[str, str], ...] = ()

    def source(self, built: Source) -> Source:
        """Return the edited templates, with the zips as built."""
        settings = Settings.model_validate({"modes": ["dev"], **self.settings})
        texts = dict(emit.render(settings)) if self.settings else dict(built.texts)
        for old, new in self.texts:
            edited = {name: text.replace(old, new) for name, text in texts.items()}
            assert edited != texts, f"{self.name}: {old!r} is not in the templates"
            texts = edited
        return replace(built, texts=texts)


ENDPOINTS: Final = ("sagemaker.api", "sagemaker.runtime", "sagemaker.studio", "ecr.api", "ecr.dkr")
ENDPOINTS_LEFT: Final = [*ENDPOINTS, "logs", "sts"]

EDITS: Final = (
    Edit("network.cidr", {"network": {"cidr": "10.39.0.0/16"}}),
    Edit(
        "zones chosen",
        parameters={"AvailabilityZone1": "eu-west-1c", "AvailabilityZone2": "eu-west-1a"},
    ),
    Edit(
        "a group's description",
        texts=(("\n      GroupDescription: ", "\n      GroupDescription: The "),),
    ),
    Edit("studio.user_profiles", {"studio": {"user_profiles": ["data-scientist", "bo"]}}),
    Edit("Rows", parameters={"Rows": "700"}),
    Edit("Seed", parameters={"Seed": "7"}),
    Edit("TrainingInstanceType", parameters={"TrainingInstanceType": "ml.m5.xlarge"}),
    Edit("ProcessingInstanceType", parameters={"ProcessingInstanceType": "ml.m5.xlarge"}),
    Edit("EndpointInstanceType", parameters={"EndpointInstanceType": "ml.c6i.large"}),
    Edit("QualityThreshold", parameters={"QualityThreshold": "0.8"}),
    Edit("AlertEmail", parameters={"AlertEmail": "me@example.com"}),
    Edit("FunctionsInTheVpc", parameters={"FunctionsInTheVpc": "no"}),
    Edit("DeleteSpaces", parameters={"DeleteSpaces": "yes"}),
    Edit(
        "zones swapped",
        parameters={"AvailabilityZone1": "eu-west-1b", "AvailabilityZone2": "eu-west-1a"},
    ),
    Edit(
        "network.interface_endpoints, one more",
        {"network": {"interface_endpoints": [*ENDPOINTS_LEFT, "glue"]}},
    ),
    Edit("network.endpoint_zones", {"network": {"endpoint_zones": 1}}),
    Edit("network.zones", {"network": {"zones": 3}}),
    Edit("network.endpoints_without_policy", {"network": {"endpoints_without_policy": ["sts"]}}),
    Edit("storage.noncurrent_days", {"storage": {"noncurrent_days": 10}}),
    Edit("storage.log_retention_days", {"storage": {"log_retention_days": 30}}),
    Edit("storage.access_log_days", {"storage": {"access_log_days": 90}}),
    Edit("storage.processed_days", {"storage": {"processed_days": 90}}),
    Edit("studio.idle_timeout_minutes", {"studio": {"idle_timeout_minutes": 90}}),
    Edit("functions.reserved_concurrency", {"functions": {"reserved_concurrency": 2}}),
    Edit("functions.tracing", {"functions": {"tracing": False}}),
    Edit("limits.job_hours", {"limits": {"job_hours": 8}}),
    Edit("pipeline.preprocess_engine", {"pipeline": {"preprocess_engine": "spark"}}),
    Edit("tags", {"tags": {"team": "risk"}}),
    Edit("network.cidr and zones", {"network": {"cidr": "10.40.0.0/16", "zones": 3}}),
    Edit("a flow log's traffic", texts=(("TrafficType: ALL", "TrafficType: REJECT"),)),
    Edit("back to the default ones"),
)


@dataclass(frozen=True)
class Outcome:
    """What was forecast of one edit, and what happened, by place."""

    name: str
    certain: frozenset[Place]
    possible: frozenset[Place]
    replaced: frozenset[Place]

    @property
    def missed(self) -> frozenset[Place]:
        """Return what was replaced, but was not forecast."""
        return self.replaced - self.certain - self.possible

    @property
    def false(self) -> frozenset[Place]:
        """Return what was certain to be replaced, but was not."""
        return self.certain - self.replaced

    def as_json(self) -> dict[str, object]:
        return {
            "edit": self.name,
            "replaced": len(self.replaced),
            "forecast": len(self.certain),
            "possible": len(self.possible),
            "missed": sorted("/".join(place) for place in self.missed),
            "false": sorted("/".join(place) for place in self.false),
        }


def physical(target: Target) -> dict[Place, str]:
    """Return what identifies each resource in the nested stacks: of a profile, its domain too."""
    stack = stacks.need(target)
    node = stacks.tree(target, stack)
    within = {PROFILE: stack.outputs["DomainId"]}
    return {
        (child.title, one.logical_id): f"{within.get(one.type, '')}/{one.physical_id}"
        for child in node.children
        for one in child.resources
        if one.exists
    }


def apply(
    target: Target, edit: Edit, built: Source, defaults: Mapping[str, str] | None = None
) -> Outcome:
    """Deploy an edit; return what was forecast, and what happened."""
    before = physical(target)
    parameters = {**(defaults or {}), **edit.parameters}
    pairs = tuple(f"{name}={value}" for name, value in parameters.items())
    options = DeploymentOptions(SourceOptions(pairs=pairs))
    found: dict[ChangeAction, set[Place]] = {action: set() for action in ChangeAction}
    for event in Deployment(target, options, edit.source(built)).events():
        if isinstance(event, ChangesComputed):
            for top in event.difference.changes:
                for path, change in top.walk():
                    if path:
                        found[change.action].add((path[-1], change.logical_id))
        if isinstance(event, Question):
            event.approve()
        assert not isinstance(event, Failed), f"{edit.name}: {event.cause}"
    after = physical(target)
    replaced = {place for place in before.keys() & after.keys() if before[place] != after[place]}
    return Outcome(
        edit.name,
        frozenset(found[ChangeAction.REPLACE]),
        frozenset(found[ChangeAction.MAYBE_REPLACE]),
        frozenset(replaced),
    )


def figures(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return the totals and each edit's numbers."""
    return {
        "edits": len(outcomes),
        "replaced": sum(len(one.replaced) for one in outcomes),
        "missed": sum(len(one.missed) for one in outcomes),
        "false": sum(len(one.false) for one in outcomes),
        "possible": sum(len(one.possible) for one in outcomes),
        "by_edit": [one.as_json() for one in outcomes],
    }


def main() -> None:
    """Measure all edits, and write the figures."""
    built = source.load(None, Mode.DEV)
    with emulated_aws() as emulator, pointed_at(emulator) as session:
        target = Target(session, "tabular-edits")
        apply_first(target, built)
        defaults = stacks.need(target).parameters
        outcomes = []
        for edit in EDITS:
            outcomes.append(apply(target, edit, built, defaults))
            print(json.dumps(outcomes[-1].as_json()), flush=True)
    FIGURES.write_text(json.dumps(figures(outcomes), indent=2) + "\n", encoding="utf-8")


def apply_first(target: Target, built: Source) -> None:
    """Create the stack."""
    options = DeploymentOptions(SourceOptions(pairs=("Rows=500",)))
    for event in Deployment(target, options, built).events():
        if isinstance(event, Question):
            event.approve()
        assert not isinstance(event, Failed), event.cause


if __name__ == "__main__":
    main()
