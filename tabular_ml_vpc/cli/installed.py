"""The installed command, ``tabular-ml-vpc``: what ``python build.py`` is in a checkout.

The wheel carries the sources in one folder beside this module, so that ``generator``, ``functions``
and ``pipeline`` are importable by this command alone, and collide with nothing that is installed.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

NAME = "tabular-ml-vpc"


class _Renaming(io.TextIOWrapper):
    """A stream on which the command goes by the name that it was called by."""

    def write(self, text: str) -> int:
        super().write(text.replace("python build.py", NAME).replace("build.py", NAME))
        return len(text)


def main() -> int:
    """Run the command line; return the exit status."""
    sys.path.insert(0, str(Path(__file__).with_name("product")))
    from tabular_ml_vpc.cli import main as run  # noqa: PLC0415 - importable only from here on

    sys.stdout = _renaming(sys.stdout)
    sys.stderr = _renaming(sys.stderr)
    return run()


def _renaming(stream: object) -> _Renaming:
    assert isinstance(stream, io.TextIOWrapper)  # noqa: S101 - at the start of the process
    return _Renaming(
        stream.detach(), stream.encoding, stream.errors, line_buffering=stream.line_buffering
    )
