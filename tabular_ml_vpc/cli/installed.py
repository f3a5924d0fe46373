"""The installed command, ``tabular-ml-vpc``: does what ``python build.py`` does in a checkout.

The wheel has the sources in a folder beside this module, so that only this command can import
``generator``, ``functions`` and ``pipeline``, and they collide with no installed package.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

NAME = "tabular-ml-vpc"


class _Renaming(io.TextIOWrapper):
    """A stream that writes the installed command's name in place of ``python build.py``."""

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
