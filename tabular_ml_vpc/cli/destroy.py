"""``python build.py destroy``: delete the stack, and list what remains."""

from __future__ import annotations

from contextlib import closing

import click

from generator.errors import CommandError
from tabular_ml_vpc.cli.console import console, print_json, say
from tabular_ml_vpc.cli.destruction_view import DestructionView
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.stack_options import target_options, verbose_option
from tabular_ml_vpc.operations.destruction import Destroyed, Destruction, DestructionOptions
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py destroy
python build.py destroy --yes                        without prompts; fails if there are spaces
python build.py destroy --yes --delete-spaces        delete people's spaces and files, too
python build.py destroy --yes --delete-artifacts     and the bucket with the uploaded artifacts
"""
)
@click.option(
    "--delete-spaces", is_flag=True, help="Delete Studio's spaces with the files in them."
)
@click.option(
    "--delete-artifacts",
    is_flag=True,
    help="Delete the default artifact bucket, which all stacks of the account and region share.",
)
@verbose_option
@yes_option
@target_options
@json_option
def command(
    target: Target,
    delete_spaces: bool,
    delete_artifacts: bool,
    verbose: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete the stack and what its pipeline created, and wait until the deletion has finished.

    First lists what will be deleted and what will be kept, and asks. At the end, lists what
    remains, with reasons and commands. After an interruption or a failure, run it again.
    """
    destruction = Destruction(target, DestructionOptions(delete_spaces, delete_artifacts))
    view = DestructionView(console(as_json), yes, verbose)
    with view.operation, closing(destruction.events()) as events:
        try:
            for event in events:
                if not (as_json and isinstance(event, Destroyed)):
                    view.show(event)
                if isinstance(event, Destroyed):
                    _require_deleted(target, event)
                    destroyed = event
        except KeyboardInterrupt:
            if view.operation.started:
                _show_next_command(target)
            raise
    if as_json:
        print_json(destroyed.as_json())
    return 0


def _require_deleted(target: Target, destroyed: Destroyed) -> None:
    if not destroyed.deleted:
        raise CommandError(
            f"{target.stack} was not deleted; it is in {destroyed.status}; once you have fixed the "
            f"cause, run `python build.py destroy{target.options()}` again",
            destroyed.as_json(),
        )
    if destroyed.left:
        raise CommandError(
            "the stack was deleted, but some of what it created remains", destroyed.as_json()
        )


def _show_next_command(target: Target) -> None:
    say(
        "A deletion in progress continues without this command; "
        f"`python build.py destroy{target.options()}` resumes it."
    )
