"""Questions that a command asks before it does what cannot be undone."""

from __future__ import annotations

import sys
from typing import Final

import click

from generator.errors import CommandError, UsageError

_NO_TERMINAL: Final = "--yes is required, since there is no terminal to ask on"


def confirm(question: str, yes: bool) -> None:
    """Return if the answer is yes, or was given by ``--yes``.

    Raises:
        UsageError: there is no terminal to ask on.
        CommandError: the answer is no.

    """
    if yes:
        return
    require_terminal(f"{_NO_TERMINAL}: {question}")
    if not click.confirm(question, err=True):
        raise CommandError("not confirmed: nothing was changed")


def confirm_by_name(question: str, name: str, yes: bool) -> None:
    """Return if the name was typed, or ``--yes`` was given; for what destroys data.

    Raises:
        UsageError: there is no terminal to ask on.
        CommandError: something else was typed.

    """
    if yes:
        return
    require_terminal(f"{_NO_TERMINAL}: {question}")
    typed = click.prompt(f"{question} Type the stack's name, {name}", err=True, default="")
    if str(typed).strip() != name:
        raise CommandError(f"{typed!r} is not {name!r}: nothing was changed")


def require_terminal(problem: str) -> None:
    """Return if there is a terminal to ask on.

    Raises:
        UsageError: there is none; says the problem.

    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(problem)
