"""``python build.py diff``: what a deployment would change, without changing anything."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli import change_view
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import source_options, target_options
from tabular_ml_vpc.operations.comparison import StackComparison
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py diff
python build.py diff --set TrainingInstanceType=ml.m5.xlarge
python build.py diff --mode prod --json
python build.py diff --exit-code             for CI: exits with status 1 if there are changes
"""
)
@source_options
@click.option("--exit-code", is_flag=True, help="Exit with status 1 if there are changes.")
@target_options
@json_option
def command(target: Target, options: SourceOptions, exit_code: bool, as_json: bool) -> int:
    """Show what a deployment would add, modify, replace and remove, and what it would loosen.

    Loosened are rights, policies, network reach, encryption, retention or other protection.

    Creates a change set of all nested stacks and deletes it again, without executing it.
    """
    difference = StackComparison(target, options).difference()
    if as_json:
        print_json({"stack": target.stack} | difference.as_json())
    elif not difference.changes:
        console().print(f"{target.stack} matches the templates: nothing would change.")
    else:
        would = "would change" if difference.exists else "does not exist; it would be created"
        change_view.show(console(), difference, f"{target.stack} {would}")
    return 1 if exit_code and difference.changes else 0
