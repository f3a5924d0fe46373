"""What each pipeline costs: its resources at rest, its endpoint, and one run; and one more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from generator.cfn.evaluator import ResolvedDeployment
from generator.settings_pipelines import PipelineEntry
from pipeline.layout import MAIN
from tabular_ml_vpc.reports.cost import meters, runs
from tabular_ml_vpc.reports.cost.estimate import CostChoices, deployment, total
from tabular_ml_vpc.reports.cost.prices import Prices
from tabular_ml_vpc.reports.cost.usage import Levels, Usage

_ANOTHER: Final = "another"


@dataclass(frozen=True)
class PipelineCost:
    """The amounts of one pipeline in USD."""

    name: str
    rest: Levels
    """Per month, of the resources in its own stack: alarms, alerts, log groups."""
    endpoint: Levels
    """Per month, once a model is deployed."""
    run: Levels

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "name": self.name,
            "at_rest": self.rest._asdict(),
            "endpoint": self.endpoint._asdict(),
            "run": self.run._asdict(),
        }


def of_each(made: ResolvedDeployment, usage: Usage, prices: Prices) -> list[PipelineCost]:
    """Return what each pipeline of a resolved deployment costs."""
    return [
        PipelineCost(
            pipeline.name,
            total(meters.metered(_only(made, pipeline.stack), usage), prices),
            total(runs.endpoint_month(pipeline, usage), prices),
            total(runs.one_run(pipeline, usage), prices),
        )
        for pipeline in runs.pipelines(made)
    ]


def of_another(choices: CostChoices, prices: Prices) -> PipelineCost:
    """Return what one more pipeline would cost, with the parameters' values for its sizes.

    Raises:
        UsageError: as ``deployment`` does.

    """
    entries = (PipelineEntry(name=MAIN), PipelineEntry(name=_ANOTHER))
    settings = choices.settings.model_copy(update={"pipelines": entries})
    made = deployment(replace(choices, settings=settings), prices.region)
    return of_each(made, choices.usage, prices)[-1]


def _only(made: ResolvedDeployment, stack: str) -> ResolvedDeployment:
    return replace(made, stacks={stack: made.stacks[stack]})
