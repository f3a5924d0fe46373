"""``python build.py drift``: what was changed behind CloudFormation's back."""

from __future__ import annotations

import time
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option, target_options
from tabular_ml_vpc.operations import drift, stacks
from tabular_ml_vpc.operations.drift import Drifted, StackDrift
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py drift
python build.py drift --json
"""
)
@target_options
@json_option
def command(profile: str | None, region: str | None, stack_name: str, as_json: bool) -> int:
    """Compare the resources with what was deployed; show what was changed since.

    Looks into every nested stack. Ends with 1 if something drifted, or could not be looked at.
    """
    with told_in_one_line():
        target = open_target(profile, region, stack_name)
        node = stacks.tree(target, stacks.need(target))
        if not as_json:
            console().print(f"Looking at {len([*node.walk()])} stacks", style="dim")
        found = list(drift.detect(target, node, time.sleep))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        _show(found)
    return 1 if any(one.drifted or one.problem for one in found) else 0


def _show(found: list[StackDrift]) -> None:

    out = console()
    table = Table("stack", "drift", box=None, pad_edge=False)
    table.add_column("looked at", justify="right")
    table.add_column("not looked at", justify="right")
    table.add_column("")
    styles = {"IN_SYNC": "green", "DRIFTED": "red"}
    for one in found:
        table.add_row(
            one.title,
            f"[{styles.get(one.status, 'yellow')}]{one.status}[/]",
            str(one.checked),
            str(one.unchecked),
            one.problem,
        )
    out.print(table)
    for one in found:
        for resource in one.drifted:
            _show_resource(resource)
    if any(one.problem for one in found):
        out.print("Not every stack could be looked at.", style="red")
    elif not any(one.drifted for one in found):
        out.print("Nothing that CloudFormation can look at has drifted.")


def _show_resource(resource: Drifted) -> None:

    out = console()
    out.print()
    out.print(Text(f"{resource.place}  {resource.type}  {resource.status}", style="red"))
    out.print(Text(f"  {resource.physical_id}", style="dim"), soft_wrap=True)
    for one in resource.differences:
        text = Text(f"  {one.path}  {one.kind}: deployed ")
        text.append(repr(one.expected) if one.expected else "nothing", style="green")
        text.append(", found ")
        text.append(repr(one.actual) if one.actual else "nothing", style="red")
        out.print(text, soft_wrap=True)
