"""``python build.py deploy``: package, upload, ask, create or update, and follow it live."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.console import console, print_json, say
from tabular_ml_vpc.cli.deployment_view import DeploymentView
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.stack_options import checked, source_options, target_options, verbose_option
from tabular_ml_vpc.operations.deployment import Deployment, DeploymentOptions
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py deploy                               what was built, in mode dev
python build.py deploy --guided                      ask for the parameters first
python build.py deploy --set Rows=500 --yes          without prompts, as in CI
python build.py deploy --mode prod --parameters prod.json
python build.py deploy --repair                      after a creation that failed
"""
)
@source_options
@click.option(
    "--guided",
    is_flag=True,
    help="Ask for each parameter; write the answers to --parameters, or parameters.json.",
)
@click.option("--repair", is_flag=True, help="Repair a stack that is stuck, then deploy.")
@click.option(
    "--role-arn",
    "role",
    metavar="ARN",
    callback=checked("role ARN"),
    help="Service role that CloudFormation assumes (docs/deployer.md).",
)
@verbose_option
@yes_option
@target_options
@json_option
def command(
    target: Target,
    options: SourceOptions,
    guided: bool,
    repair: bool,
    role: str | None,
    verbose: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Create or update the stack, and follow the operation until it has finished.

    Asks before anything is replaced, and before more is allowed or less is protected. It is a
    success if nothing changes.

    After a failure, shows the first cause, with the log of the function behind it.
    """
    deployment = Deployment(target, DeploymentOptions(options, guided, repair, role))
    view = DeploymentView(console(to_stderr=as_json), yes, verbose)
    try:
        finished = view.follow(deployment)
    except KeyboardInterrupt:
        if view.operation.started:
            _show_next_commands(target)
        raise
    view.require_success(finished, target)
    if as_json:
        print_json(finished.as_json())
    else:
        view.show_success(finished, target)
    return 0


def _show_next_commands(target: Target) -> None:
    options = target.options()
    say(
        "CloudFormation continues without this command. "
        f"`python build.py status --watch{options}` follows the operation; "
        f"`aws cloudformation cancel-update-stack --stack-name {target.stack}` cancels an update; "
        f"`python build.py destroy{options}` deletes the stack when the operation has finished."
    )
