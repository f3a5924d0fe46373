"""``python build.py stacks``: this project's stacks in a region."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.links import linked, stack_url
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import place_options
from tabular_ml_vpc.cli.stack_view import style_of
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.stacks import ListedStack
from tabular_ml_vpc.operations.target import Target

_COLUMNS = (
    Column("stack"),
    Column("status"),
    Column("changed", importance=3),
    Column("mode", importance=2),
    Column("project", importance=1),
)


@click.command(
    epilog="""\b
python build.py stacks
python build.py stacks --region eu-west-1 --json
"""
)
@place_options
@json_option
def command(target: Target, as_json: bool) -> None:
    """List the stacks that were deployed from these templates, in one region.

    They are recognized by the description of their template.
    """
    found = sorted(stacks.listed(target), key=lambda stack: stack.name)
    if as_json:
        print_json([_json(stack) for stack in found])
    elif not found:
        print(
            f"no stack of this project in {target.region} of account {target.account}; "
            f"`python build.py deploy{target.options()}` creates one"
        )
    else:
        show_table(console(), _COLUMNS, [_row(target, stack) for stack in found])


def _row(target: Target, stack: ListedStack) -> tuple[object, ...]:
    return (
        linked(stack.name, stack_url(target, stack.id)),
        linked(stack.status, style=style_of(stack.status)),
        f"{stack.changed:%Y-%m-%d %H:%M %Z}",
        stack.mode,
        stack.project,
    )


def _json(stack: ListedStack) -> dict[str, object]:
    return {
        "name": stack.name,
        "id": stack.id,
        "status": stack.status,
        "changed": stack.changed.isoformat(),
        "mode": stack.mode,
        "project": stack.project,
    }
