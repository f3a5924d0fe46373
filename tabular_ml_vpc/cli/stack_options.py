"""Options of commands on a deployed copy; each helper adds one argument to the command.

They are not in ``tabular_ml_vpc.cli.options`` because ``build.py --help`` must not import boto3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from generator.settings import SettingsSource
from tabular_ml_vpc.cli import completers
from tabular_ml_vpc.cli.options import (
    DEFAULT_STACK,
    config_option,
    mode_option,
    set_option,
    stack_name_option,
)
from tabular_ml_vpc.cli.project_options import announce, current, remembered, stage_option
from tabular_ml_vpc.operations import names
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target, open_target, told_in_one_line

PIPELINE: Final = "TABULAR_PIPELINE"


def checked(kind: str) -> Callable[..., Any]:
    """Return a callback that refuses what is not a name of a kind (``operations.names``)."""

    def check(_context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            option = parameter.opts[0]
            if not option.startswith("--"):
                option = str(parameter.metavar or option.upper()).strip("[]")  # an argument
            names.check(option, kind, value)
        return value

    return check


_PLACE: Final = (
    click.option(
        "--profile",
        metavar="NAME",
        help="Profile in your AWS configuration.",
        callback=checked("profile"),
    ),
    click.option(
        "--region",
        metavar="REGION",
        envvar=("AWS_REGION", "AWS_DEFAULT_REGION"),
        help="AWS region, such as eu-west-1.",
    ),
    stage_option,
)
_TARGET: Final = (*_PLACE, stack_name_option(completers.stack_names))
_SOURCE: Final = (
    config_option,
    mode_option(
        "dev: everything is deleted with the stack; prod: data, key and logs are kept. "
        "Default: the stack's current mode, or dev for a new stack.",
    ),
    click.option(
        "--parameters",
        type=click.Path(path_type=Path),
        metavar="FILE.json",
        help="File with values for the root template's parameters.",
    ),
    set_option("Set a parameter.", completers.stack_parameters),
    click.option(
        "--bucket",
        metavar="NAME",
        help="Upload to this bucket, not the default one.",
        callback=checked("bucket name"),
    ),
)
execution_argument = click.argument(
    "execution",
    required=False,
    metavar="[ID]",
    callback=checked("execution ID"),
    shell_complete=completers.run_ids,
)
pipeline_option = click.option(
    "--pipeline",
    metavar="NAME",
    envvar=PIPELINE,
    show_envvar=True,
    shell_complete=completers.pipeline_names,
    help="Name of the pipeline, if the stack has several.",
)
verbose_option = click.option(
    "--verbose", is_flag=True, help="Show every resource, not only the stacks."
)


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--profile``, ``--region`` and ``--stack-name``, as ``target: Target``.

    Errors of AWS that the command raises become errors of one line.
    """

    @wraps(function)
    def command(*, profile: str | None, region: str | None, stack_name: str, **others: Any) -> Any:
        announce(*_tables_of(others))
        with told_in_one_line():
            return function(target=_open(profile, region, stack_name), **others)

    return _with_options(command, _TARGET)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--profile`` and ``--region``, as ``target: Target`` with the default stack."""

    @wraps(function)
    def command(*, profile: str | None, region: str | None, **others: Any) -> Any:
        announce()
        with told_in_one_line():
            return function(target=_open(profile, region, DEFAULT_STACK), **others)

    return _with_options(command, _PLACE)


def _open(profile: str | None, region: str | None, stack: str) -> Target:
    """Return the target; what it advises to run next is for the same stage."""
    found = current()
    return replace(open_target(profile, region, stack), stage=found.stage if found else None)


def _tables_of(options: Mapping[str, object]) -> tuple[str, ...]:
    """Return which tables of the project file a command with these options takes."""
    if "options" in options:
        return ("parameters",)
    return ("run",) if "pairs" in options and not options.get("follow") else ()


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config``, ``--mode``, ``--parameters``, ``--set`` and ``--bucket``.

    The argument is ``options: SourceOptions``.
    """

    @wraps(function)
    def command(
        *,
        config: SettingsSource,
        mode: str | None,
        parameters: Path | None,
        pairs: tuple[str, ...],
        bucket: str | None,
        **others: Any,
    ) -> Any:
        options = SourceOptions(config, mode, parameters, pairs, bucket, remembered())
        return function(options=options, **others)

    return _with_options(command, _SOURCE)


def _with_options(
    command: Callable[..., Any], options: tuple[Callable[..., Any], ...]
) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
