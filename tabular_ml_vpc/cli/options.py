"""Options that several commands share; each adds one argument to the command's function.

``--config`` gives ``config: SettingsSource`` (see ``generator.settings.read``), and ``--json``
gives ``as_json: bool``. Options of commands on a deployed copy are in ``stack_options``, those
that come from the project file in ``project_options``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from tabular_ml_vpc import operations


class _SettingsFile(click.Path):
    """A path; settings that a project file contains are taken as they are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) if isinstance(value, str | Path) else value


config_option = click.option(
    "--config",
    type=_SettingsFile(path_type=Path),
    metavar="FILE.toml",
    help="Settings; docs/settings.example.toml lists them all.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

DEFAULT_STACK: Final = operations.DEFAULT_STACK
WORK: Final = Path(".build") / "local"
yes_option = click.option("--yes", is_flag=True, help="Skip all prompts.")
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""See ``tabular_ml_vpc.cli.completers``."""


def stack_name_option(complete: Completer | None = None) -> Callable[..., Any]:
    """Return the option ``--stack-name``."""
    return click.option(
        "--stack-name",
        metavar="NAME",
        default=DEFAULT_STACK,
        show_default=True,
        shell_complete=complete,
        help="Name of the root stack.",
    )


class WholeNumber(click.IntRange):
    """A whole number, with the range in words in the message about another one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or fail."""
        number: int = click.INT.convert(value, param, ctx)
        low, high = self.min, self.max
        if (low is not None and number < low) or (high is not None and number > high):
            allowed = f"at least {low}" if high is None else f"from {low} to {high}"
            self.fail(f"{number} must be {allowed}", param, ctx)
        return number


def mode_option(text: str, default: str | None = None) -> Callable[..., Any]:
    """Return the option ``--mode``, one of the two sets of templates."""
    return click.option(
        "--mode",
        type=click.Choice(("dev", "prod")),
        default=default,
        show_default=default is not None,
        help=text,
    )


def set_option(text: str, complete: Completer | None = None) -> Callable[..., Any]:
    """Return the option ``--set``, which can be given several times, as ``pairs``."""
    return click.option(
        "--set", "pairs", multiple=True, metavar="NAME=VALUE", shell_complete=complete, help=text
    )


def wait_option(text: str) -> Callable[..., Any]:
    """Return the option ``--wait/--no-wait``; waiting is the default."""
    return click.option("--wait/--no-wait", default=True, help=f"{text} (the default).")


def work_option(text: str) -> Callable[..., Any]:
    """Return the option ``--work``, the folder of a local run or of the emulated AWS."""
    return click.option(
        "--work",
        type=click.Path(path_type=Path),
        default=WORK,
        show_default=True,
        metavar="FOLDER",
        help=text,
    )
