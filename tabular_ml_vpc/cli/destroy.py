"""``python build.py destroy``: delete the stack, and say what is left."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli import destroy_flow
from tabular_ml_vpc.cli.options import json_option, target_options, yes_option
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py destroy
python build.py destroy --yes                        without questions; spaces stop it
python build.py destroy --yes --delete-spaces        people's spaces and files go, too
python build.py destroy --yes --delete-artifacts     and the bucket with what was uploaded
"""
)
@click.option(
    "--delete-spaces", is_flag=True, help="Delete Studio's spaces with the files in them."
)
@click.option(
    "--delete-artifacts",
    is_flag=True,
    help="Delete our artifact bucket, which all our stacks of the account and region share.",
)
@click.option("--verbose", is_flag=True, help="Show every resource, not only the stacks.")
@yes_option
@target_options
@json_option
def command(
    delete_spaces: bool,
    delete_artifacts: bool,
    verbose: bool,
    yes: bool,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Delete the stack, what its pipeline made, and wait until all is gone.

    Says first what goes and what stays, and asks. Ends with what is left: nothing, or a list with
    reasons and commands. Interrupted, or stopped half-way, it can be run again.
    """
    options = destroy_flow.DestroyOptions(delete_spaces, delete_artifacts, verbose, yes, as_json)
    with told_in_one_line():
        return destroy_flow.run(open_target(profile, region, stack_name), options)
