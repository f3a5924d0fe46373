"""The locations of the build's files, and how they are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from generator.errors import CommandError
from generator.settings import Mode

SOURCES: Final = Path(__file__).resolve().parent.parent
"""Where ``generator``, ``functions``, ``pipeline`` and their data files are: the top of the
checkout, or a folder of the installed command."""
REPOSITORY: Final = SOURCES if (SOURCES / "build.py").is_file() else Path()
"""Where output and environments are: the top of the checkout or, for the installed command, the
current folder."""

TEMPLATES: Final = {Mode.DEV: "templates", Mode.PROD: "templates/prod"}
"""Folder of each mode's templates, relative to the top of the repository."""

DIST: Final = "dist"
"""Folder of the functions' zips, relative to the top of the repository; not committed."""


class FileError(CommandError):
    """A file cannot be written; the message says which and why."""


def write(path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path`` atomically; return whether the file changed.

    Raises:
        FileError: the folder or the file cannot be written.

    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error
    return True


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.close(handle)
        Path(name).write_bytes(content)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:  # also after an interruption
        Path(name).unlink()
        raise


def _umask() -> int:
    """Return the umask; it can be read only by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
