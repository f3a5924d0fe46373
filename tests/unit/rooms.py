"""The rooms of the code, the rule between them, and the picture that shows what they import.

``python -m tests.unit.rooms`` draws the picture and writes the table of docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from generator.files import REPOSITORY
from tabular_ml_vpc.reports.diagram.svg import DARK, LARGE, LIGHT, SMALL, Box, Drawing

RULE: Final = (
    ("build",),
    ("tabular_ml_vpc.cli",),
    ("tabular_ml_vpc.operations", "tabular_ml_vpc.reports"),
    ("tabular_ml_vpc.local",),
    ("tabular_ml_vpc",),
    ("generator",),
    ("generator.cfn", "functions"),
    ("generator.errors", "pipeline"),
)
"""Imports point from a row to the rows below it; rooms in one row do not know each other."""
ROOMS: Final = {
    "build": "starts the command line",
    "tabular_ml_vpc.cli": "command line: one module per command",
    "tabular_ml_vpc.operations": "deploy, inspect, run, destroy (boto3)",
    "tabular_ml_vpc.reports": "cost, diagrams, site, audit",
    "tabular_ml_vpc": "numbers in words",
    "tabular_ml_vpc.local": "the pipeline and AWS on this machine",
    "generator": "emits the templates",
    "generator.cfn": "the CloudFormation language",
    "functions": "Lambda functions of custom resources",
    "generator.errors": "errors that end a command",
    "pipeline": "the definition and its job scripts",
}
"""What each room is for."""
SHARED: Final = ("tabular_ml_vpc", "generator.errors")
"""Single modules that many use and that import nothing: not in the picture."""
ELSEWHERE: Final = frozenset({"scripts", "inside"})
"""Folders whose files run in containers or other environments, and import none of the rooms."""
EMITTERS: Final = ("troposphere", "awacs")
PAGE: Final = REPOSITORY / "docs/architecture.md"
PICTURES: Final = {"docs/images/rooms.svg": LIGHT, "docs/images/rooms-dark.svg": DARK}
TABLE: Final = re.compile(r"(?<=<!-- rooms -->\n).*?(?=<!-- end of rooms -->)", re.DOTALL)

_WIDTH, _TOP, _ROW, _CARD = 700, 66, 92, Box(0, 0, 270, 56)


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, also late ones and those for the type checker."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """Return the room of a module: the longest prefix of its dotted name."""
    inside = [room for room in ROOMS if f"{name}.".startswith(f"{room}.")]
    return max(inside, key=len, default="")


def module(path: Path) -> str:
    """Return the dotted name of a file."""
    relative = path.relative_to(REPOSITORY).with_suffix("")
    return ".".join(relative.parts).removesuffix(".__init__")


@cache
def files(name: str) -> list[Path]:
    """Return the files of a room, without those of the rooms in it."""
    path = REPOSITORY / name.replace(".", "/")
    found = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [file for file in found if room(module(file)) == name]


@cache
def uses(name: str) -> list[str]:
    """Return the rooms that a room imports from, in the order of the rule."""
    found = {
        room(one) for file in files(name) if not ELSEWHERE & {*file.parts} for one in imported(file)
    }
    return [one for one in ROOMS if one in found and one != name]


def reached(name: str) -> set[str]:
    """Return the rooms that a room imports from, directly or through others."""
    return {one for used in uses(name) for one in (used, *reached(used))}


def arrows() -> list[tuple[str, str]]:
    """Return the imports to draw: those that no longer path implies."""
    return [
        (name, used)
        for name in ROOMS
        for used in uses(name)
        if used not in SHARED and not any(used in reached(other) for other in uses(name))
    ]


def drawn() -> list[list[str]]:
    """Return the rows of the picture."""
    rows = [[name for name in row if name not in SHARED] for row in RULE]
    return [row for row in rows if row]


def picture() -> Drawing:
    """Return the drawing: the rows of the rule, and what is imported."""
    drawing = Drawing("Packages and their imports", "Each package imports from lower rows only.")
    drawing.text(20, 30, drawing.title, size=LARGE, bold=True)
    drawing.text(20, 50, "Imports point downward only.", size=SMALL, style="soft")
    boxes = {
        name: Box(
            _WIDTH * (2 * place + 1) / (2 * len(row)) - _CARD.width / 2,
            _TOP + number * _ROW,
            _CARD.width,
            _CARD.height,
        )
        for number, row in enumerate(drawn())
        for place, name in enumerate(row)
    }
    for start, end in arrows():
        x, target = boxes[start].middle[0], boxes[end].middle[0]
        bend = boxes[end].y - (_ROW - _CARD.height) / 2
        path = [(x, boxes[start].bottom), (x, bend), (target, bend), (target, boxes[end].y)]
        drawing.arrow(path if x != target else [path[0], path[-1]])
    for name, box in boxes.items():
        x, y = box.middle
        drawing.box(box, "card")
        drawing.text(x, y - 4, name.replace(".", "/"), bold=True, anchor="middle")
        drawing.text(x, y + 15, ROOMS[name], size=SMALL, style="soft", anchor="middle")
    return drawing


def pictures() -> dict[str, str]:
    """Return the SVG files by path."""
    height = _TOP + len(drawn()) * _ROW - 16
    return {path: picture().to_svg(_WIDTH, height, theme) for path, theme in PICTURES.items()}


def emitters() -> list[Path]:
    """Return the files that make parts of templates."""
    return [
        file
        for name in ("generator", "generator.cfn")
        for file in files(name)
        if any(one.partition(".")[0] in EMITTERS for one in imported(file))
    ]


def table() -> str:
    """Return the table of the rooms, their sizes and their imports."""
    rows = ["", "| package | modules | lines | imports from |", "|---|---|---|---|"]
    for name in ROOMS:
        used = ", ".join(f"`{one.replace('.', '/')}`" for one in uses(name))
        modules, size = len(files(name)), lines(files(name))
        rows.append(f"| `{name.replace('.', '/')}` | {modules} | {size:,} | {used} |")
    emitting = emitters()
    rows += [
        "",
        f"{len(emitting)} modules emit: they build the templates, in {lines(emitting):,} lines.",
    ]
    return "\n".join(rows) + "\n\n"


def lines(paths: list[Path]) -> int:
    """Return how many lines files have."""
    return sum(path.read_text(encoding="utf-8").count("\n") for path in paths)


def refresh() -> None:
    """Write the pictures and the table."""
    for path, text in pictures().items():
        (REPOSITORY / path).write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table(), page), encoding="utf-8")


if __name__ == "__main__":
    refresh()
