"""``python build.py drift``: changes that were made outside CloudFormation."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Final

import click
from rich.text import Text

from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import drift, stacks
from tabular_ml_vpc.operations.drift import Drifted, StackDrift
from tabular_ml_vpc.operations.pipelines import choose, stack_title
from tabular_ml_vpc.operations.target import Target

_COLUMNS: Final = (
    Column("stack"),
    Column("drift"),
    Column("checked", importance=2, justify="right"),
    Column("not checked", importance=1, justify="right"),
    Column("problem", wraps=True),
)
_STYLES: Final = {"IN_SYNC": "green", "DRIFTED": "red"}


@click.command(
    epilog="""\b
python build.py drift
python build.py drift --pipeline churn      only the stack of one of several pipelines
python build.py drift --json
"""
)
@pipeline_option
@target_options
@json_option
def command(pipeline: str | None, target: Target, as_json: bool) -> int:
    """Compare the resources with their last deployment, and show what has changed since.

    Checks every nested stack, or with --pipeline only that pipeline's. Exits with status 1 if a
    resource has drifted or a stack could not be checked.
    """
    root = stacks.need(target)
    title = stack_title(choose(root, pipeline)) if pipeline else ""
    node = stacks.tree(target, root)
    node = next((child for child in node.children if child.title == title), node)
    if not as_json:
        console().print(f"Checking {counted(len([*node.walk()]), 'stack')}", style="dim")
    drifts = list(drift.detect(target, node, time.sleep))
    if as_json:
        print_json([asdict(stack) for stack in drifts])
    else:
        _show(drifts)
    return 1 if any(stack.drifted or stack.problem for stack in drifts) else 0


def _show(drifts: list[StackDrift]) -> None:

    out = console()
    show_table(out, _COLUMNS, map(_row, drifts))
    for stack in drifts:
        for resource in stack.drifted:
            _show_resource(resource)
    if any(stack.problem for stack in drifts):
        out.print("Some stacks could not be checked.", style="red")
    elif not any(stack.drifted for stack in drifts):
        out.print("No resource that CloudFormation can check has drifted.")


def _row(stack: StackDrift) -> tuple[object, ...]:
    status = Text(stack.status, style=_STYLES.get(stack.status, "yellow"))
    return stack.title, status, stack.checked, stack.unchecked, stack.problem


def _show_resource(resource: Drifted) -> None:

    out = console()
    out.print()
    out.print(Text(f"{resource.place}  {resource.type}  {resource.status}", style="red"))
    out.print(Text(f"  {resource.physical_id}", style="dim"), soft_wrap=True)
    for difference in resource.differences:
        text = Text(f"  {difference.path}  {difference.kind}: deployed ")
        text.append(repr(difference.expected) if difference.expected else "nothing", style="green")
        text.append(", found ")
        text.append(repr(difference.actual) if difference.actual else "nothing", style="red")
        out.print(text, soft_wrap=True)
