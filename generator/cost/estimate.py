"""The estimate: each meter with its price, and what they come to, a month or a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

from generator import images
from generator.cost import meters, runs
from generator.cost.given import checked
from generator.cost.meters import Meter
from generator.cost.prices import Basis, Price, Prices
from generator.cost.usage import Levels, Usage
from generator.errors import UsageError
from generator.identifiers import Place
from generator.resolve import Deployment, resolve
from generator.settings import Mode, Settings

NOTHING = Levels(0, 0, 0)
STUDIO_INSTANCE = "ml.t3.medium"
"""What Studio proposes for a new JupyterLab space."""


class Part(StrEnum):
    """What an amount is paid for."""

    ENVIRONMENT = "environment"
    """The templates' resources, a month, whether anybody works or not."""
    STUDIO = "studio"
    """People's spaces, a month."""
    RUN = "run"
    """One run of the pipeline."""
    ENDPOINT = "endpoint"
    """The endpoint that a run leaves serving, a month."""


@dataclass(frozen=True)
class Line:
    """A meter, its price, and what that comes to in USD; ``None`` if the price is unknown."""

    part: Part
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
    """All lines for one region, and what could not be priced at all."""

    region: str
    lines: tuple[Line, ...]
    runs: Levels
    """Runs of the pipeline a month."""
    unpriced: tuple[str, ...]

    def of(self, part: Part) -> list[Line]:
        """Return the lines of one part."""
        return [line for line in self.lines if line.part is part]

    def total(self, part: Part) -> Levels:
        """Return what a part comes to, unknown prices left out (``unknown`` names them)."""
        return reduce(_plus, (line.usd or NOTHING for line in self.of(part)), NOTHING)

    def month(self) -> Levels:
        """Return a month of everything: environment, Studio, runs and endpoint."""
        runs_a_month = self.total(Part.RUN).times(self.runs)
        parts = (Part.ENVIRONMENT, Part.STUDIO, Part.ENDPOINT)
        return reduce(_plus, (self.total(part) for part in parts), runs_a_month)

    def with_basis(self, basis: Basis) -> list[Line]:
        """Return the lines whose price is, say, unknown or estimated."""
        return [line for line in self.lines if line.price and line.price.basis is basis]


@dataclass(frozen=True)
class Choices:
    """What is estimated: settings, root parameters, and who uses it how much."""

    settings: Settings
    parameters: Mapping[str, str]
    usage: Usage
    studio_instance: str = STUDIO_INSTANCE
    mode: Mode = Mode.DEV


def deployment(choices: Choices, region: str) -> Deployment:
    """Return what the templates would make there.

    Raises:
        UsageError: the templates refuse the region, there is no such root parameter, or it does
            not take the value.

    """
    if region not in images.ACCOUNTS:
        known = ", ".join(sorted(images.ACCOUNTS))
        raise UsageError(f"--region: got {region!r}: the templates can be deployed in {known}")
    parameters = checked(choices.settings, choices.mode, choices.parameters)
    return resolve(choices.settings, choices.mode, parameters, _place(region))


def estimate(choices: Choices, prices: Prices) -> Estimate:
    """Return the estimate for the region of ``prices``.

    Raises:
        UsageError: as ``deployment`` does.

    """
    return of_deployment(deployment(choices, prices.region), choices, prices)


def of_deployment(made: Deployment, choices: Choices, prices: Prices) -> Estimate:
    """Return the estimate of a deployment at hand; what is counted is the same in each region."""
    return Estimate(
        region=prices.region,
        lines=tuple(_lines(choices, made, prices)),
        runs=choices.usage["runs"],
        unpriced=tuple(meters.unpriced(made)),
    )


def environment(made: Deployment, usage: Usage, prices: Prices) -> Levels:
    """Return what the resources of a deployment come to a month, unknown prices left out."""
    lines = [_line(Part.ENVIRONMENT, meter, prices) for meter in meters.metered(made, usage)]
    return reduce(_plus, (line.usd or NOTHING for line in lines), NOTHING)


def needed(choices: Choices, region: str) -> list[str]:
    """Return the names of all prices that the estimate needs, sorted."""
    made = deployment(choices, region)
    return sorted({meter.meter for _, meter in _meters(choices, made) if meter.meter})


def _lines(choices: Choices, made: Deployment, prices: Prices) -> Iterator[Line]:
    for part, meter in _meters(choices, made):
        yield _line(part, meter, prices)


def _line(part: Part, meter: Meter, prices: Prices) -> Line:
    return Line(part, meter, prices.price(meter.meter) if meter.meter else None)


def _meters(choices: Choices, made: Deployment) -> Iterator[tuple[Part, Meter]]:
    pipeline, usage = runs.definition(made), choices.usage
    by_part = {
        Part.ENVIRONMENT: meters.metered(made, usage),
        Part.STUDIO: meters.studio(made, usage, choices.studio_instance),
        Part.RUN: runs.one_run(pipeline, usage),
        Part.ENDPOINT: runs.endpoint_month(pipeline, usage),
    }
    for part, found in by_part.items():
        yield from ((part, meter) for meter in found)


def _plus(one: Levels, other: Levels) -> Levels:
    return Levels(*(a + b for a, b in zip(one, other, strict=True)))


def _place(region: str) -> Place:
    if region.startswith("us-gov-"):
        return Place(region=region, partition="aws-us-gov")
    return Place(region=region)
