"""How commands print: tables and text for people, JSON for programs.

Imported by commands, not by ``build.py --help``: rich is slow to import.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

_WIDE: Final = 200
"""Columns where there is no terminal: nothing is cut off in a file or a log."""


def console(to_stderr: bool = False) -> Console:
    """Return a console; colors appear on a terminal only (and not with ``NO_COLOR``).

    Texts are printed as they are: "[red]" in a class's name or in a reason is not a style.
    """
    terminal = Console(stderr=to_stderr, highlight=False, markup=False)
    if terminal.is_terminal:
        return terminal
    return Console(stderr=to_stderr, highlight=False, markup=False, width=_WIDE)


def say(text: str) -> None:
    """Print one line to standard error: it is for people, not for programs."""
    print(text, file=sys.stderr)


def show_next(out: Console, *steps: tuple[str, str]) -> None:
    """Print the commands to run next, each with its purpose; they can be copied as they are."""
    label = "Next:"
    for command, purpose in steps:
        text = Text(f"{label} ", style="bold").append(command, style="cyan")
        out.print(text.append(f"  ({purpose})", style="dim"), soft_wrap=True)
        label = " " * len(label)


def inert(text: str) -> str:
    """Return a text of other people's, with escapes for what would control the terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))
