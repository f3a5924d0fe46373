"""Questions that a command asks before it does what cannot be undone."""

from __future__ import annotations

import sys

import click

from generator.errors import CommandError, UsageError


def confirm(question: str, yes: bool) -> None:
    """Return if the answer is yes, or was given by ``--yes``.

    Raises:
        UsageError: there is no terminal to ask on.
        CommandError: the answer is no.

    """
    if yes:
        return
    _require_terminal(question)
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
    _require_terminal(question)
    typed = click.prompt(f"{question} Type the stack's name, {name}", err=True, default="")
    if str(typed).strip() != name:
        raise CommandError(f"{typed!r} is not {name!r}: nothing was changed")


def _require_terminal(question: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"--yes is required, since there is no terminal to ask on: {question}")
