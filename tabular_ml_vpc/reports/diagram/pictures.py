"""Every picture: its file, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.cfn.evaluator import resolve_templates
from generator.emit import as_dict
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline.layout import MAIN
from tabular_ml_vpc.reports.cost.runs import pipelines
from tabular_ml_vpc.reports.diagram.architecture import architecture, network, path
from tabular_ml_vpc.reports.diagram.graph import root_graph, stack_graph
from tabular_ml_vpc.reports.diagram.mermaid import (
    architecture_mermaid,
    graph_mermaid,
    pipeline_mermaid,
)
from tabular_ml_vpc.reports.diagram.stack import draw_graph
from tabular_ml_vpc.reports.diagram.steps import draw_pipeline
from tabular_ml_vpc.reports.diagram.svg import DARK, LIGHT, Drawing, Theme

FOLDER: Final = "docs/images"
"""Where the pictures are, from the repository's top."""
LEGEND: Final = "Arrows: what acts on what, or where it sends. Small text: what belongs to a box."


@dataclass(frozen=True)
class Picture:
    """A drawing with its size, and the same as Mermaid."""

    name: str
    drawing: Drawing
    width: float
    height: float
    mermaid: str

    def svg(self, theme: Theme) -> str:
        """Return the drawing in a theme."""
        return self.drawing.to_svg(self.width, self.height, theme)


def pictures(settings: Settings, mode: Mode = Mode.DEV) -> list[Picture]:
    """Return all pictures: the architecture, each stack, the pipeline."""
    return list(_pictures(build(settings, mode)))


def texts(found: list[Picture]) -> dict[str, str]:
    """Return the SVG and Mermaid files by path from the repository's top."""
    files = {}
    for picture in found:
        files[f"{FOLDER}/{picture.name}.svg"] = picture.svg(LIGHT)
        files[f"{FOLDER}/{picture.name}-dark.svg"] = picture.svg(DARK)
        files[f"{FOLDER}/{picture.name}.mmd"] = picture.mermaid
    return files


def _pictures(templates: Mapping[str, Any]) -> Iterator[Picture]:
    made = resolve_templates({name: as_dict(one) for name, one in templates.items()})
    yield Picture("architecture", *architecture(made), architecture_mermaid(made))
    graph = root_graph(templates)
    title = "Nested stacks, in order of creation"
    yield Picture("stack-root", *draw_graph(graph, title, ""), graph_mermaid(graph))
    for name in templates:
        if name == "root":
            continue
        graph = stack_graph(name, templates)
        title = f"{name.replace('-', ' ').capitalize()} stack"
        drawn = (
            network(made, graph)
            if name == "network"
            else draw_graph(graph, title, LEGEND if graph.edges else "")
        )
        yield Picture(f"stack-{name}", *drawn, graph_mermaid(graph))
    paths = []
    for one in pipelines(made):
        if path(one) not in paths:
            paths.append(path(one))
            title = "pipeline" if one.name == MAIN else f"pipeline-{one.name}"
            yield Picture(title, *draw_pipeline(one.definition), pipeline_mermaid(one.definition))
