"""Options that several commands share; each adds one argument to the command's function.

``--config`` gives ``config: Path | None`` (see ``generator.settings.read``), ``--json`` gives
``as_json: bool``, and ``target_options`` gives ``profile: str | None``, ``region: str | None`` and
``stack_name: str`` (see ``tabular_ml_vpc.operations.target.open_target``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from tabular_ml_vpc import operations

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Settings; docs/settings.example.toml lists them all.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

DEFAULT_STACK: Final = operations.DEFAULT_STACK
yes_option = click.option("--yes", is_flag=True, help="Skip all prompts.")

_TARGET: Final = (
    click.option("--profile", metavar="NAME", help="Profile in your AWS configuration."),
    click.option("--region", metavar="REGION", help="AWS region, such as eu-west-1."),
    click.option(
        "--stack-name",
        metavar="NAME",
        default=DEFAULT_STACK,
        show_default=True,
        help="Name of the root stack.",
    ),
)

_MODES: Final = ("dev", "prod")
_SOURCE: Final = (
    click.option(
        "--mode",
        type=click.Choice(_MODES),
        help="dev: everything is deleted with the stack; prod: data, key and logs are kept. "
        "Default: the stack's current mode, or dev for a new stack.",
    ),
    click.option(
        "--parameters",
        type=click.Path(path_type=Path),
        metavar="FILE.json",
        help="File with values for the root template's parameters.",
    ),
    click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a parameter."),
    click.option("--bucket", metavar="NAME", help="Upload to this bucket, not the default one."),
)


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--mode`` (or None), ``--parameters``, ``--set`` (as ``pairs``) and ``--bucket``."""
    for option in reversed(_SOURCE):
        function = option(function)
    return function


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--profile``, ``--region`` and ``--stack-name``."""
    for option in reversed(_TARGET):
        function = option(function)
    return function
