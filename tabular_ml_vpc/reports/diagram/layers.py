"""The layout of a graph: boxes in columns, arrows from left to right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tabular_ml_vpc.reports.diagram.graph import Graph

SWEEPS: Final = 4
"""How often the columns are sorted by their neighbors; more has no effect."""


def columns(graph: Graph) -> list[list[str]]:
    """Return the ids of the connected nodes by column, from the first to the last cause.

    A node is to the right of all nodes that act on it. Within a column, nodes are near their
    neighbors.
    """
    ranks = _ranks(graph)
    order = {node.id: number for number, node in enumerate(graph.nodes)}
    count = max(ranks.values(), default=-1) + 1
    found = [
        sorted((name for name in ranks if ranks[name] == rank), key=order.__getitem__)
        for rank in range(count)
    ]
    for _ in range(SWEEPS):
        for column in found:
            places = {name: place for one in found for place, name in enumerate(one)}
            column.sort(key=lambda name: (_centre(name, graph, places), order[name]))
    return found


def _ranks(graph: Graph) -> dict[str, int]:
    """Return each connected node's column: its longest path; causes are near their effects."""
    names = dict.fromkeys(name for edge in graph.edges for name in edge)
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in graph.edges:
            ranks[end] = max(ranks[end], min(ranks[start] + 1, len(names)))
    for name in names:
        followers = [ranks[end] for start, end in graph.edges if start == name]
        if followers and not any(end == name for _, end in graph.edges):
            ranks[name] = min(followers) - 1
    return ranks


def _centre(name: str, graph: Graph, places: Mapping[str, int]) -> float:
    """Return the mean position of a node's neighbors."""
    near = [end for start, end in graph.edges if start == name]
    near += [start for start, end in graph.edges if end == name]
    return sum(places[other] for other in near) / len(near)
