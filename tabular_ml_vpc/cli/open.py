"""``python build.py open``: Studio in the browser."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import checked, target_options
from tabular_ml_vpc.operations import stacks, studio
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py open                 as the stack's only user profile
python build.py open ada             as the user profile ada
python build.py open --print         only print the address, for another browser
"""
)
@click.argument(
    "user_profile", metavar="[PROFILE]", required=False, callback=checked("user profile")
)
@click.option(
    "--print", "only_print", is_flag=True, help="Print the address instead of opening it."
)
@target_options
@json_option
def command(
    user_profile: str | None,
    only_print: bool,
    target: Target,
    as_json: bool,
) -> None:
    """Open Studio in the browser as the user profile PROFILE.

    Your credentials need sagemaker:CreatePresignedDomainUrl on that profile. The address works for
    five minutes, for anyone who has it: do not share it.
    """
    stack = stacks.need(target)
    name = studio.profile_of(stack, user_profile)
    url = studio.address(target, stack, name)
    if as_json:
        print_json({"profile": name, "url": url, "minutes": studio.MINUTES})
    elif only_print or click.launch(url) != 0:
        print(url)
    else:
        print(f"opened Studio as {name}")
