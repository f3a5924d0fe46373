"""How the costs of single pipelines are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from rich.console import Console

from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import usd
from tabular_ml_vpc.reports.cost.pipelines import PipelineCost

_NAMED: Final = 4
"""How many pipelines of equal cost one row names."""
_COLUMNS: Final = (
    Column("Pipelines, typical", wraps=True),
    Column("a month at rest", justify="right"),
    Column("endpoint, a month", justify="right"),
    Column("one run", justify="right"),
)


@dataclass(frozen=True)
class PipelineCosts:
    """The pipelines that there are, and one more."""

    present: tuple[PipelineCost, ...]
    another: PipelineCost


def show_pipelines(out: Console, costs: PipelineCosts) -> None:
    """Print a table of the pipelines if there are several, and what one more costs."""
    if len(costs.present) > 1:
        show_table(out, _COLUMNS, _rows(costs.present))
    out.print(f"One more pipeline: {in_words(costs.another)}", soft_wrap=True)


def in_words(cost: PipelineCost) -> str:
    """Return what a pipeline costs in a typical month, as a sentence without its subject."""
    return (
        f"{usd(cost.rest.typical)} a month at rest, {usd(cost.endpoint.typical)} a month for its "
        f"endpoint once a model is deployed, {usd(cost.run.typical)} a run (USD)"
    )


def _rows(costs: Iterable[PipelineCost]) -> Iterator[tuple[str, ...]]:
    """Yield a row for pipelines that follow each other and cost the same."""
    for amounts, found in groupby(costs, _amounts):
        names = [cost.name for cost in found]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield (", ".join(names[:_NAMED]) + more, *map(usd, amounts))


def _amounts(cost: PipelineCost) -> tuple[float, float, float]:
    return cost.rest.typical, cost.endpoint.typical, cost.run.typical
