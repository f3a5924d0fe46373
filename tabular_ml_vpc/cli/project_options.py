"""The project file as a source of options: see ``generator.project`` and docs/project-file.md.

``--stage`` is processed before the other options. It reads the file and makes its values the
defaults of the others, below what the command line and environment variables give.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from generator import project
from generator.project import Project
from generator.settings_section import SettingsError
from pipeline.run_parameters import not_one_of
from tabular_ml_vpc.cli.console import say
from tabular_ml_vpc.cli.options import config_option
from tabular_ml_vpc.figures import counted

STAGE: Final = "TABULAR_STAGE"
_FOUND: Final = f"{__name__}.found"
_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
_WORDS: Final = {
    "pipeline": "pipeline",
    "mode": "mode",
    "config": "settings",
    "profile": "profile",
}


def current() -> Project | None:
    """The project file of the running command, if there is one."""
    found: Project | None = click.get_current_context().meta.get(_FOUND)
    return found


def _load(context: click.Context, _: click.Parameter, stage: str | None) -> None:
    """Make the file's values the defaults of the command's options."""
    found = None
    with suppress(*(SettingsError,) if context.resilient_parsing else ()):
        found = project.find(Path.cwd(), stage)
    context.meta[_FOUND] = found
    if found is not None:
        context.default_map = {**(context.default_map or {}), **_defaults(found)}


def _defaults(found: Project) -> dict[str, Any]:
    choices = found.choices
    values = {
        "stack_name": choices.stack,
        "region": choices.region,
        "pipeline": choices.pipeline,
        "mode": choices.mode and str(choices.mode),
        "config": found.settings,
        # boto3 prefers a profile that is named to credentials in the environment.
        "profile": None if any(map(os.environ.get, _CREDENTIALS)) else choices.profile,
    }
    return {name: value for name, value in values.items() if value is not None}


def complete_stage(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the stages of the project file to the shell."""
    with suppress(SettingsError):
        found = project.find(Path.cwd(), None)
        names = found.stages if found else ()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []


stage_option = click.option(
    "--stage",
    metavar="NAME",
    envvar=STAGE,
    show_envvar=True,
    is_eager=True,
    expose_value=False,
    callback=_load,
    shell_complete=complete_stage,
    help="Stage of tabular.toml.",
)


def settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config`` and ``--stage`` to a command that accesses no stack."""

    @wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        announce()
        return function(*arguments, **options)

    return stage_option(config_option(command))


def announce(*also: str) -> None:
    """Say what the command takes from the project file, if anything.

    ``also`` names the tables that it takes beside options: ``parameters``, ``run``.
    """
    context, found = click.get_current_context(), current()
    if found is None:
        return
    taken = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    parts = [*_options(found, taken), *_tables(found, also)]
    if parts:
        say(f"using {found.name}: {', '.join(parts)}")


def _options(found: Project, taken: dict[str, Any]) -> Iterable[str]:
    stack, region = taken.get("stack_name"), taken.get("region")
    place = (f"stack {stack}" if stack else "", f"region {region}" if region else "")
    if any(place):
        yield " in ".join(filter(None, place))
    for name, word in _WORDS.items():
        if name in taken:
            yield f"{word} {found.settings_name if name == 'config' else taken[name]}"


def _tables(found: Project, also: Iterable[str]) -> Iterable[str]:
    if "parameters" in also and found.parameters:
        yield counted(len(found.parameters), "parameter")
    if "run" in also and not found.choices.pipelines and (values := found.run(None)):
        yield _of_the_run(values)


def _of_the_run(values: dict[str, str]) -> str:
    return f"{counted(len(values), 'parameter')} of the run"


def remembered() -> dict[str, str]:
    """Return the project file's values of the root template's parameters."""
    found = current()
    return found.parameters if found else {}


def remembered_run(pipeline: str, known: Collection[str]) -> dict[str, str]:
    """Return the project file's values of the parameters of a pipeline's run.

    Where it has tables for single pipelines, say what is taken, and which of them are for none of
    those known.
    """
    found = current()
    if found is None:
        return {}
    values = found.run(pipeline)
    if found.choices.pipelines and values:
        say(f"using {found.name}: {_of_the_run(values)}")
    for name in found.choices.pipelines:
        if name not in known:
            say(f"note: {found.name}: pipelines.{name}: {not_one_of(name, known)}")
    return values
