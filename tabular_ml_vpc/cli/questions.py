"""Questions that a command asks before it does what cannot be taken back."""

from __future__ import annotations

import sys

import click

from generator.errors import CommandError, UsageError


def confirm(question: str, yes: bool, option: str = "--yes") -> None:
    """Return if the answer is yes.

    Raises:
        UsageError: nobody can be asked here, and ``option`` was not given.
        CommandError: the answer is no.

    """
    if yes:
        return
    _need_a_person(question, option)
    if not click.confirm(question, err=True):
        raise CommandError("not confirmed: nothing was changed")


def confirm_by_name(question: str, name: str, yes: bool) -> None:
    """Return if the name was typed; for what destroys data.

    Raises:
        UsageError: nobody can be asked here, and ``--yes`` was not given.
        CommandError: something else was typed.

    """
    if yes:
        return
    _need_a_person(question, "--yes")
    typed = click.prompt(f"{question} Type the stack's name, {name}", err=True, default="")
    if str(typed).strip() != name:
        raise CommandError(f"{typed!r} is not {name!r}: nothing was changed")


def _need_a_person(question: str, option: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{option} is needed, since nobody can be asked here: {question}")
