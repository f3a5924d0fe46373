"""Everything that one resolved deployment loosens in comparison with another."""

from __future__ import annotations

from generator.cfn.evaluator import ResolvedDeployment
from tabular_ml_vpc.operations.loosening import access, network, protection
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening


def compare(old: ResolvedDeployment | None, new: ResolvedDeployment) -> list[Loosening]:
    """Return what ``new`` loosens, by kind and place; ``old`` is None if nothing is deployed.

    What is not provably as strict as before is among it.
    """
    found = [*access.loosenings(old, new), *network.loosenings(old, new)]
    if old:
        found += protection.loosenings(old, new)
    order = list(Kind)
    return sorted(found, key=lambda one: (order.index(one.kind), one.place, one.what))
