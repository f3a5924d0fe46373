"""The estimate: each meter with its price, and the totals per month or per run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce

from generator.cfn.evaluator import ResolvedDeployment
from generator.cfn.identifiers import StackLocation
from generator.cfn.parameters import check, definitions
from generator.emit import as_dict
from generator.errors import UsageError
from generator.regions import deployable
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks.root import build
from tabular_ml_vpc.reports.cost import meters, runs
from tabular_ml_vpc.reports.cost.meters import Meter
from tabular_ml_vpc.reports.cost.prices import Basis, Price, Prices
from tabular_ml_vpc.reports.cost.runs import PlannedPipeline
from tabular_ml_vpc.reports.cost.usage import Levels, Usage

NOTHING = Levels(0, 0, 0)
STUDIO_INSTANCE = "ml.t3.medium"
"""Studio's default for a new JupyterLab space."""


class CostPart(StrEnum):
    """What an amount pays for."""

    ENVIRONMENT = "environment"
    """The templates' resources, per month, whether anybody works or not."""
    STUDIO = "studio"
    """People's spaces, per month."""
    RUN = "run"
    """One run of the pipeline."""
    ENDPOINT = "endpoint"
    """The endpoint that a run deploys, per month."""


@dataclass(frozen=True)
class LineItem:
    """A meter, its price, and the amount in USD; ``None`` if the price is unknown."""

    part: CostPart
    meter: Meter
    price: Price | None
    """``None`` where there is no charge."""

    @property
    def usd(self) -> Levels | None:
        """Return the amounts."""
        if self.price is None:
            return NOTHING
        if self.price.usd is None:
            return None
        return self.meter.quantity.times(self.price.usd)


@dataclass(frozen=True)
class Estimate:
    """All lines for one region, and the resource types without a price."""

    region: str
    lines: tuple[LineItem, ...]
    runs: Levels
    """Runs of the pipeline per month."""
    unpriced: tuple[str, ...]
    several: bool = False
    """Whether there are several pipelines; each has these runs."""

    def of(self, part: CostPart) -> list[LineItem]:
        """Return the lines of one part."""
        return [line for line in self.lines if line.part is part]

    def total(self, part: CostPart) -> Levels:
        """Return the total of a part, without unknown prices (``with_basis`` lists them)."""
        return reduce(_plus, (line.usd or NOTHING for line in self.of(part)), NOTHING)

    def month(self) -> Levels:
        """Return the total per month: environment, Studio, runs and endpoint."""
        runs_a_month = self.total(CostPart.RUN).times(self.runs)
        parts = (CostPart.ENVIRONMENT, CostPart.STUDIO, CostPart.ENDPOINT)
        return reduce(_plus, (self.total(part) for part in parts), runs_a_month)

    def with_basis(self, basis: Basis) -> list[LineItem]:
        """Return the lines whose price has this basis, such as unknown or estimated."""
        return [line for line in self.lines if line.price and line.price.basis is basis]


@dataclass(frozen=True)
class CostChoices:
    """What is estimated: settings, root parameters, and usage."""

    settings: Settings
    parameters: Mapping[str, str]
    usage: Usage
    studio_instance: str = STUDIO_INSTANCE
    mode: Mode = Mode.DEV


def deployment(choices: CostChoices, region: str) -> ResolvedDeployment:
    """Return what the templates would create in the region.

    Raises:
        UsageError: the templates do not support the region, or a root parameter is unknown or has
            a value that is not allowed.

    """
    known = deployable(choices.settings)
    if region not in known:
        raise UsageError(f"--region: got {region!r}: must be one of {', '.join(known)}")
    root = as_dict(build(choices.settings, choices.mode)["root"])
    check(choices.parameters, definitions(root))
    return resolve(choices.settings, choices.mode, choices.parameters, _place(region))


def estimate(choices: CostChoices, prices: Prices) -> Estimate:
    """Return the estimate for the region of ``prices``.

    Raises:
        UsageError: as ``deployment`` does.

    """
    return of_deployment(deployment(choices, prices.region), choices, prices)


def of_deployment(made: ResolvedDeployment, choices: CostChoices, prices: Prices) -> Estimate:
    """Return the estimate of a resolved deployment; the counts are the same in each region."""
    return Estimate(
        region=prices.region,
        lines=tuple(_lines(choices, made, prices)),
        runs=choices.usage["runs"],
        unpriced=tuple(meters.unpriced(made)),
        several=len(runs.pipelines(made)) > 1,
    )


def environment(made: ResolvedDeployment, usage: Usage, prices: Prices) -> Levels:
    """Return the monthly total of a deployment's resources, without unknown prices."""
    return total(meters.metered(made, usage), prices)


def total(found: Iterable[Meter], prices: Prices) -> Levels:
    """Return what meters cost, without unknown prices."""
    lines = (_line(CostPart.ENVIRONMENT, meter, prices) for meter in found)
    return reduce(_plus, (line.usd or NOTHING for line in lines), NOTHING)


def needed(choices: CostChoices, region: str) -> list[str]:
    """Return the names of all prices that the estimate needs, sorted."""
    made = deployment(choices, region)
    return sorted({meter.meter for _, meter in _meters(choices, made) if meter.meter})


def _lines(choices: CostChoices, made: ResolvedDeployment, prices: Prices) -> Iterator[LineItem]:
    for part, meter in _meters(choices, made):
        yield _line(part, meter, prices)


def _line(part: CostPart, meter: Meter, prices: Prices) -> LineItem:
    return LineItem(part, meter, prices.price(meter.meter) if meter.meter else None)


def _meters(choices: CostChoices, made: ResolvedDeployment) -> Iterator[tuple[CostPart, Meter]]:
    pipelines, usage = runs.pipelines(made), choices.usage
    by_part = {
        CostPart.ENVIRONMENT: meters.metered(made, usage),
        CostPart.STUDIO: meters.studio(made, usage, choices.studio_instance),
        CostPart.RUN: _of_each(pipelines, runs.one_run, usage),
        CostPart.ENDPOINT: _of_each(pipelines, runs.endpoint_month, usage),
    }
    for part, found in by_part.items():
        yield from ((part, meter) for meter in found)


def _of_each(
    pipelines: list[PlannedPipeline],
    count: Callable[[PlannedPipeline, Usage], list[Meter]],
    usage: Usage,
) -> list[Meter]:
    """Return the meters of each pipeline, with its name if there are several."""
    return [
        replace(meter, pipeline=pipeline.name) if pipelines[1:] else meter
        for pipeline in pipelines
        for meter in count(pipeline, usage)
    ]


def _plus(one: Levels, other: Levels) -> Levels:
    return Levels(*(a + b for a, b in zip(one, other, strict=True)))


def _place(region: str) -> StackLocation:
    if region.startswith("us-gov-"):
        return StackLocation(region=region, partition="aws-us-gov")
    return StackLocation(region=region)
