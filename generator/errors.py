"""How the command line ends when something is wrong.

Whatever the people who use it can mend is one of these, and shown as one line without a
traceback; anything else is a fault of ours. Imports nothing, so that ``build.py`` starts quickly.
"""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot do what was asked; the text is one line for the person who asked."""

    exit_status = 1


class UsageError(CommandError):
    """What was given (settings, options, files) cannot be used."""

    exit_status = 2
