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
    five minutes, for anyone who has it: do not share it. If people sign in with IAM Identity
    Center, the command opens the page where they do, and needs no permission and no PROFILE.
    """
    stack = stacks.need(target)
    shown: dict[str, object]
    if page := studio.sign_in_page(target, stack, user_profile):
        shown = {"profile": None, "url": page, "minutes": None}
        _show(page, shown, "the page where people sign in", only_print, as_json)
        return
    name = studio.profile_of(stack, user_profile)
    url = studio.address(target, stack, name)
    shown = {"profile": name, "url": url, "minutes": studio.MINUTES}
    _show(url, shown, f"Studio as {name}", only_print, as_json)


def _show(url: str, fields: dict[str, object], what: str, only_print: bool, as_json: bool) -> None:
    """Open an address in the browser or, if there is none or if asked to, print it."""
    if as_json:
        print_json(fields)
    elif only_print or click.launch(url) != 0:
        print(url)
    else:
        print(f"opened {what}")
