"""The picture of one stack: its graph in columns, and boxes without arrows below."""

from __future__ import annotations

from typing import Final

from tabular_ml_vpc.reports.diagram.graph import Graph, GraphNode
from tabular_ml_vpc.reports.diagram.layers import columns
from tabular_ml_vpc.reports.diagram.model import icon_of
from tabular_ml_vpc.reports.diagram.parts import card
from tabular_ml_vpc.reports.diagram.svg import LARGE, SMALL, Box, Drawing

WIDTH: Final = 1000
TOP: Final = 64
CARD_HEIGHT: Final = 74
ROW: Final = 90
LONE_HEIGHT: Final = 58
BEND: Final = 9
"""Distance between the vertical parts of arrows to different boxes."""
MAX_CARD: Final = 230
GAP: Final = 46
MARGIN: Final = 20
LONE: Final = 4
"""Number of columns for boxes without arrows."""


def draw_graph(graph: Graph, title: str, explanation: str) -> tuple[Drawing, float, float]:
    """Return the picture, its width and height."""
    drawing = Drawing(title, explanation)
    drawing.text(MARGIN, 30, title, size=LARGE, bold=True)
    if explanation:
        drawing.text(MARGIN, 50, explanation, size=SMALL, style="soft")
    boxes = _places(graph)
    ends = list(dict.fromkeys(end for _, end in graph.edges))
    for start, end in graph.edges:
        beside = [name for name in ends if boxes[name].x == boxes[end].x]
        _draw_edge(drawing, boxes[start], boxes[end], beside.index(end))
    nodes = {node.id: node for node in graph.nodes}
    for name, box in boxes.items():
        _draw_node(drawing, nodes[name], box)
    bottom = max((box.bottom for box in boxes.values()), default=TOP)
    bottom = draw_lone(drawing, graph.isolated(), bottom + (22 if boxes else 4))
    return drawing, WIDTH, bottom + MARGIN


def _places(graph: Graph) -> dict[str, Box]:
    found = columns(graph)
    if not found:
        return {}
    most = max(len(column) for column in found)
    room = WIDTH - 2 * MARGIN
    width = min(MAX_CARD, (room - GAP * (len(found) - 1)) / len(found))
    gap = (room - width * len(found)) / max(len(found) - 1, 1)
    gap = min(gap, 90)
    boxes = {}
    for rank, column in enumerate(found):
        start = TOP + (most - len(column)) * ROW / 2
        for place, name in enumerate(column):
            x = MARGIN + rank * (width + gap)
            boxes[name] = Box(x, start + place * ROW, width, CARD_HEIGHT)
    return boxes


def _draw_node(drawing: Drawing, node: GraphNode, box: Box) -> None:
    if node.elsewhere:
        drawing.box(box, "elsewhere")
        x, y = box.middle
        drawing.text(x, y - 2, node.title, bold=True, anchor="middle")
        stack = f"from the {node.elsewhere} stack"
        drawing.text(x, y + 15, stack, size=SMALL, style="soft", anchor="middle")
        return
    notes = (", ".join(node.notes),) if node.notes else ()
    card(drawing, box, icon_of(node.type), node.title, notes)


def _draw_edge(drawing: Drawing, start: Box, end: Box, lane: int) -> None:
    """Draw an arrow between facing sides; each target has its own lane."""
    if start.right < end.x:
        bend = end.x - 18 - lane * BEND
        ours, theirs = start.middle[1], end.middle[1]
        if abs(ours - theirs) < 1:
            drawing.arrow([(start.right, ours), (end.x, theirs)])
            return
        drawing.arrow([(start.right, ours), (bend, ours), (bend, theirs), (end.x, theirs)])
    else:
        x = start.middle[0]
        up = start.y > end.y
        ends = [(x, start.y), (x, end.bottom)] if up else [(x, start.bottom), (x, end.y)]
        drawing.arrow(ends)


def draw_lone(drawing: Drawing, nodes: list[GraphNode], top: float) -> float:
    """Draw boxes without arrows in a grid; return its lower edge."""
    width = (WIDTH - 2 * MARGIN - 14 * (LONE - 1)) / LONE
    bottom = top
    for number, node in enumerate(nodes):
        x = MARGIN + (number % LONE) * (width + 14)
        y = top + (number // LONE) * (LONE_HEIGHT + 12)
        _draw_node(drawing, node, Box(x, y, width, LONE_HEIGHT))
        bottom = y + LONE_HEIGHT
    return bottom
