"""``python build.py outputs``: a stack's outputs: names, addresses, commands."""

from __future__ import annotations

from typing import Final

import click

from generator.errors import UsageError
from tabular_ml_vpc.cli import completers
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import checked, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target

_COLUMNS: Final = (Column("output"), Column("value"), Column("description", style="dim"))


@click.command(
    epilog="""\b
python build.py outputs
python build.py outputs DataBucket           only the value, for scripts
python build.py outputs --json
"""
)
@click.argument(
    "name", required=False, callback=checked("output name"), shell_complete=completers.output_names
)
@target_options
@json_option
def command(name: str | None, target: Target, as_json: bool) -> None:
    """Show the stack's outputs, or one of them by NAME."""
    stack = stacks.need(target)
    if name is not None and name not in stack.outputs:
        known = ", ".join(sorted(stack.outputs)) or "none yet"
        raise UsageError(f"NAME: unknown output {name!r}; known outputs: {known}")
    if as_json:
        print_json(stack.outputs[name] if name else dict(stack.outputs))
    elif name:
        print(stack.outputs[name])
    else:
        _show(stack)


def _show(stack: Stack) -> None:
    rows = [(name, value, stack.descriptions[name]) for name, value in stack.outputs.items()]
    show_table(console(), _COLUMNS, rows)
