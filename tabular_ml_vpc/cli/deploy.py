"""``python build.py deploy``: package, upload, ask, create or update, and follow it live."""

from __future__ import annotations

from pathlib import Path

import click

from tabular_ml_vpc.cli import deploy_flow
from tabular_ml_vpc.cli.options import (
    config_option,
    json_option,
    source_options,
    target_options,
    yes_option,
)
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py deploy                               what was built, in mode dev
python build.py deploy --guided                      ask for the parameters first
python build.py deploy --set Rows=500 --yes          without questions, as in CI
python build.py deploy --mode prod --parameters prod.json
python build.py deploy --mend                        after a creation that failed
"""
)
@config_option
@source_options
@click.option(
    "--guided",
    is_flag=True,
    help="Ask for each parameter; write the answers to --parameters, or parameters.json.",
)
@click.option("--mend", is_flag=True, help="Mend a stack that is stuck, then deploy.")
@click.option(
    "--role-arn",
    "role",
    metavar="ARN",
    help="Service role with whose rights CloudFormation acts (docs/deployer.md).",
)
@click.option("--verbose", is_flag=True, help="Show every resource, not only the stacks.")
@yes_option
@target_options
@json_option
def command(
    config: Path | None,
    mode: str | None,
    parameters: Path | None,
    pairs: tuple[str, ...],
    guided: bool,
    bucket: str | None,
    mend: bool,
    role: str | None,
    verbose: bool,
    yes: bool,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Create or update the stack, and follow it until it rests.

    Asks before anything is replaced and before rights are widened. Nothing to change is a success.
    When it fails, the first cause is shown, with the log of the function behind it.
    """
    click.echo(f"Deploying {stack_name}", err=as_json)

    options = deploy_flow.DeployOptions(
        config, mode, parameters, pairs, guided, bucket, mend, yes, as_json, verbose, role
    )
    with told_in_one_line():
        return deploy_flow.run(open_target(profile, region, stack_name), options)
