"""How commands print: tables and text for people, JSON for programs.

Imported by commands, not by ``build.py --help``: rich is slow to import.
"""

from __future__ import annotations

import json
from typing import Final

from rich.console import Console

_WIDE: Final = 200
"""Columns where there is no terminal: nothing is cut off in a file or a log."""


def console() -> Console:
    """Return standard output; colours appear on a terminal only (and not with ``NO_COLOR``)."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDE)


def print_json(value: object) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))
