"""``python build.py diff``: what a deployment would change, without changing anything."""

from __future__ import annotations

from pathlib import Path

import click

from tabular_ml_vpc.cli import diff_flow
from tabular_ml_vpc.cli.options import config_option, json_option, source_options, target_options
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py diff
python build.py diff --set TrainingInstanceType=ml.m5.xlarge
python build.py diff --mode prod --json
python build.py diff --exit-code             for CI: ends with 1 if something would change
"""
)
@config_option
@source_options
@click.option("--exit-code", is_flag=True, help="End with 1 if there are changes.")
@target_options
@json_option
def command(
    config: Path | None,
    mode: str | None,
    parameters: Path | None,
    pairs: tuple[str, ...],
    bucket: str | None,
    exit_code: bool,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Show what a deployment would add, modify, replace and remove, and which rights change.

    A change set of all nested stacks is made, shown and removed again; it is not executed.
    """
    options = diff_flow.DiffOptions(config, mode, parameters, pairs, bucket, exit_code, as_json)
    with told_in_one_line():
        return diff_flow.run(open_target(profile, region, stack_name), options)
