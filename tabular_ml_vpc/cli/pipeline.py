"""``python build.py pipeline``: the pipeline's graph, and errors in its definition."""

from __future__ import annotations

import json
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from pipeline import example
from pipeline.definition import build
from pipeline.outline import OutlineNode, everything, outline
from pipeline.validate import validate
from tabular_ml_vpc.cli.console import console
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.tables import Column, show_table

_PARAMETERS: Final = (
    Column("parameter"),
    Column("type", importance=2),
    Column("default", wraps=True),
    Column("allowed", importance=1, wraps=True),
)
_FLOWS: Final = (
    Column("step"),
    Column("", style="dim"),
    Column("name"),
    Column("from or to", wraps=True),
)


@click.command
@json_option
def command(as_json: bool) -> int:
    """Draw the pipeline, list each step's inputs and outputs, and check the definition.

    With --json, prints the compiled definition that a deployment would create, but with example
    names. Exits with status 1 if the definition has errors.
    """
    definition = build(example.environment())
    faults = validate(definition)
    if as_json:
        click.echo(json.dumps(definition, indent=2))
        for fault in faults:
            click.echo(str(fault), err=True)
    else:
        _show(definition)
        click.echo(
            "\n".join(map(str, faults)) or "No errors: the definition fits the SageMaker API."
        )
    return 1 if faults else 0


def _show(definition: dict[str, Any]) -> None:

    nodes = outline(definition["Steps"])
    out = console()
    out.print(_tree(nodes))
    out.print()
    _show_parameters(out, definition["Parameters"])
    out.print()
    _show_flows(out, list(everything(nodes)))
    out.print()


def _tree(nodes: list[OutlineNode]) -> Tree:
    """The graph as a tree: each step is below the last step that it waits for."""
    root = Tree("Start", guide_style="dim")
    _grow(root, nodes)
    return root


def _grow(root: Tree, nodes: list[OutlineNode]) -> None:

    places: dict[str, Tree] = {}
    for node in nodes:
        waits = [name for name in places if name in node.after]
        above = places[waits[-1]] if waits else root
        others = f" (also after {', '.join(waits[:-1])})" if waits[:-1] else ""
        line = Text(node.name, style="bold").append(f" {node.kind}{others}", style="not bold dim")
        places[node.name] = above.add(line)
        for answer, inner in node.branches.items():
            condition = " and ".join(item.place for item in node.inputs)
            title = Text(f"{condition}: " if answer == "yes" else "")
            title.append("yes" if answer == "yes" else "no", style="bold")
            _grow(places[node.name].add(title), inner)


def _show_parameters(out: Console, declarations: list[dict[str, Any]]) -> None:
    rows = [
        (
            item["Name"],
            item["Type"],
            item.get("DefaultValue", ""),
            ", ".join(map(str, item.get("EnumValues", []))),
        )
        for item in declarations
    ]
    show_table(out, _PARAMETERS, rows)


def _show_flows(out: Console, nodes: list[OutlineNode]) -> None:

    rows = []
    for node in nodes:
        flows = [("in", flow) for flow in node.inputs] + [("out", flow) for flow in node.outputs]
        for number, (direction, flow) in enumerate(flows):
            name = "" if number else node.name
            rows.append((Text(name, style="bold"), direction, flow.name, flow.place))
    show_table(out, _FLOWS, rows)
