"""Errors that the command line reports.

Every error that a user can fix is one of these, and is shown as one line without a traceback; any
other exception is a bug. Imports nothing, so that ``build.py`` starts quickly.
"""

from __future__ import annotations


class CommandError(Exception):
    """The command failed; the message is one line for the user."""

    exit_status = 1


class UsageError(CommandError):
    """The input (settings, options, files) is invalid."""

    exit_status = 2
