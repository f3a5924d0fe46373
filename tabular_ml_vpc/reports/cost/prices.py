"""Prices by meter and region, each with its source; unknown prices are reported as unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).with_name("prices.json")
HOSTING: Final = "sagemaker_hosting_hour."
STAND_INS: Final = ("sagemaker_processing_hour.", "sagemaker_training_hour.")
"""Meters whose price is estimated from the hosting price of the same instance type."""
OTHER_PARTITIONS: Final = ("us-gov-", "cn-", "us-iso", "eu-iso", "eusc-")
"""Regions where the hosting price is not a valid estimate: the table's caveats say why."""


class Basis(StrEnum):
    """How reliable a price is."""

    LISTED = "listed"
    """From the shipped table."""
    LIVE = "live"
    """From the Pricing API, now."""
    ESTIMATED = "estimated"
    """From another meter's price; ``Price.source`` says which."""
    UNKNOWN = "unknown"
    """No price: no source was found, or AWS does not offer it in the region."""


@dataclass(frozen=True)
class Price:
    """The price of one unit of a meter in one region, in USD, and its source."""

    meter: str
    region: str
    unit: str
    basis: Basis
    usd: float | None
    source: str = ""
    date: str = ""
    confidence: str = ""


@dataclass(frozen=True)
class Prices:
    """The table, and the prices from the Pricing API, by meter."""

    table: Mapping[str, Any]
    region: str
    live: Mapping[str, float] = field(default_factory=dict)

    def price(self, meter: str) -> Price:
        """Return the price of a meter from the best available source."""
        known = self.table["meters"].get(meter, {})
        unit = known.get("unit", "")
        if meter in self.live:
            return self._price(meter, unit, Basis.LIVE, self.live[meter], "Pricing API")
        usd = known.get("usd", {}).get(self.region)
        if usd is None:
            return self._stand_in(meter, unit)
        sources = [known["source"], *known["confirmed"].get(self.region, ())]
        return Price(
            meter=meter,
            region=self.region,
            unit=unit,
            basis=Basis.LISTED,
            usd=usd,
            source=", ".join(sources),
            date=known["date"],
            confidence=known["confidence"],
        )

    def _stand_in(self, meter: str, unit: str) -> Price:
        kind, dot, instance = meter.partition(".")
        if f"{kind}{dot}" not in STAND_INS or self.region.startswith(OTHER_PARTITIONS):
            return self._price(meter, unit, Basis.UNKNOWN, None, "")
        hosting = self.price(f"{HOSTING}{instance}")
        if hosting.usd is None:
            return self._price(meter, unit, Basis.UNKNOWN, None, "")
        source = f"hosting's price of {instance}: {hosting.source}"
        return self._price(meter, unit, Basis.ESTIMATED, hosting.usd, source)

    def _price(self, meter: str, unit: str, basis: Basis, usd: float | None, source: str) -> Price:
        return Price(meter, self.region, unit, basis, usd, source)


def read_table() -> dict[str, Any]:
    """Return the shipped table."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def regions(table: Mapping[str, Any]) -> list[str]:
    """Return the regions for which the table has prices, sorted."""
    return sorted({region for meter in table["meters"].values() for region in meter["usd"]})
