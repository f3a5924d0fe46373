"""The picture of the pipeline: its steps in the order of a run, conditions with their branches."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeline.outline import OutlineNode, outline
from tabular_ml_vpc.reports.diagram.model import words
from tabular_ml_vpc.reports.diagram.svg import LARGE, NORMAL, SMALL, Box, Drawing, wrapped

WIDTH: Final = 1000
MARGIN: Final = 20
COLUMNS: Final = 5
GAP: Final = 40
HEIGHT: Final = 92
ROW: Final = 140
TOP: Final = 56


def draw_pipeline(definition: dict[str, Any]) -> tuple[Drawing, float, float]:
    """Return the picture, its width and height."""
    title = "SageMaker pipeline"
    drawing = Drawing(title, "Drawn from the pipeline's definition by python build.py diagram")
    drawing.text(MARGIN, 32, title, size=LARGE, bold=True)
    rows = _Rows(drawing)
    rows.chain(outline(definition["Steps"]), row=0, column=0)
    return drawing, WIDTH, TOP + rows.count * ROW - (ROW - HEIGHT) + MARGIN


def branches(node: OutlineNode) -> list[tuple[str, list[OutlineNode]]]:
    """Return a condition's branches with the answer for each, "yes" first."""
    return sorted(node.branches.items(), key=lambda branch: branch[0] != "yes")


def condition_text(node: OutlineNode, asked: set[str]) -> str:
    """Return a condition in words, such as ``gate.value >= QualityThreshold``.

    Omits what earlier conditions have ``asked``, and adds its own comparisons to that set.
    """
    places = [flow.place.replace("{", "").replace("}", "") for flow in node.inputs]
    questions = [place.rpartition(": ")[2] for place in places]
    new = [question for question in questions if question not in asked]
    asked.update(new)
    return " and ".join(new)


class _Place(NamedTuple):
    """The position of a box."""

    box: Box
    row: int
    column: int


class _Rows:
    """Boxes in rows: a chain runs to the right, a "yes" branch continues in the next row."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.count = 0
        self.width = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
        self.asked: set[str] = set()

    def chain(self, nodes: list[OutlineNode], row: int, column: int) -> _Place:
        """Draw steps from a position on; return the position of the last one."""
        self.count = max(self.count, row + 1)
        last: _Place | None = None
        for node in nodes:
            if last:
                column = last.column + 1
                row = last.row
            if column == COLUMNS:
                row, column, last = self._wrap(last, row), 0, None
            last = self._next(node, last, row, column)
        return last or _Place(self._box(row, column), row, column)

    def _next(self, node: OutlineNode, last: _Place | None, row: int, column: int) -> _Place:
        """Draw one step, an arrow to it, and the branches of a condition."""
        box = self._box(row, column)
        self._draw(node, box)
        if last:
            start = last.box
            self.drawing.arrow([(start.right, start.middle[1]), (box.x, box.middle[1])])
        here = _Place(box, row, column)
        return self._branch(node, here) if node.branches else here

    def _wrap(self, last: _Place | None, row: int) -> int:
        below = self.count
        if last:
            self._down(last.box, self._box(below, 0))
        self.count = max(self.count, row + 2)
        return below

    def _branch(self, node: OutlineNode, here: _Place) -> _Place:
        """Draw a condition's branches; return where the run continues."""
        box, end = here.box, here
        for answer, steps in branches(node):
            if answer == "yes" and steps:
                below = self.count
                self._down(box, self._box(below, 0))
                text = f"yes: {condition_text(node, self.asked)}"
                at = (box.middle[0] - 10, box.bottom + 19)
                self.drawing.text(*at, text, size=SMALL, style="soft", anchor="end")
                end = self.chain(steps, below, 0)
            elif steps:
                target = self._box(here.row, here.column + 1)
                middle = box.middle[1]
                self.drawing.arrow([(box.right, middle), (target.x, middle)], dashed=True)
                x = box.right + GAP / 2 - 4
                self.drawing.text(x, middle - 8, answer, size=SMALL, style="soft", anchor="middle")
                self.chain(steps, here.row, here.column + 1)
        return end

    def _down(self, start: Box, end: Box) -> None:
        """Draw an arrow from the bottom of a box to the top of one in a later row."""
        middle = end.y - 20
        x, target = start.middle[0], end.middle[0]
        self.drawing.arrow([(x, start.bottom), (x, middle), (target, middle), (target, end.y)])

    def _box(self, row: int, column: int) -> Box:
        return Box(MARGIN + column * (self.width + GAP), TOP + row * ROW, self.width, HEIGHT)

    def _draw(self, node: OutlineNode, box: Box) -> None:
        self.drawing.box(box, "vpc-tint" if node.branches else "card")
        makes = [flow.name for flow in node.outputs if flow.name[:1].islower()]
        lines = [node.kind, *(["makes " + ", ".join(makes)] if makes else [])]
        small = [line for text in lines for line in wrapped(text, box.width - 14, SMALL)]
        titles = wrapped(words(node.name), box.width - 14, NORMAL, bold=True)
        x, middle = box.middle
        y = middle - (len(titles) * 17 + len(small) * 15) / 2 + 13
        for line in titles:
            self.drawing.text(x, y, line, bold=True, anchor="middle")
            y += 17
        for line in small:
            self.drawing.text(x, y - 1, line, size=SMALL, style="soft", anchor="middle")
            y += 15
