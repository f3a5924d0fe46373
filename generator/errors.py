"""Errors that the command line reports.

Every error that a user can fix is one of these, and is shown as one line without a traceback; any
other exception is a bug. Imports nothing, so that ``build.py`` starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping


class CommandError(Exception):
    """The command failed; the message is one line for the user, ``details`` are for ``--json``."""

    exit_status = 1

    def __init__(self, message: str, details: Mapping[str, object] | None = None) -> None:
        """Keep the message, and what a program can know besides."""
        super().__init__(message)
        self.details = details or {}


class UsageError(CommandError):
    """The input (settings, options, files) is invalid."""

    exit_status = 2
