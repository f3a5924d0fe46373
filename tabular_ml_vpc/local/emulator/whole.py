"""The emulated AWS for people: started with jobs, noted in a file, ended by that note.

`python build.py local up` shows it; `process.py` is the emulator itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from generator.errors import CommandError, UsageError
from generator.files import REPOSITORY
from tabular_ml_vpc.local.emulator import process
from tabular_ml_vpc.local.serving import RunningEndpoint

if TYPE_CHECKING:
    from tabular_ml_vpc.local.emulator.process import Emulator

PYTHON: Final = REPOSITORY / ".venv-emulator" / "bin" / "python"
JOBS: Final = REPOSITORY / ".venv-local"
UNSET: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that would point elsewhere."""


@dataclass(frozen=True)
class Note:
    """What is known of an emulated AWS that runs."""

    url: str
    pid: int
    folder: str
    stack: str
    environment: Mapping[str, str]

    def write(self, file: Path) -> None:
        """Note it in `file`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Note | None:
        """What is noted in `file`, if it still runs."""
        if not file.exists():
            return None
        try:
            note = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None
        return note if note._left.runs() else None

    def stop(self) -> None:
        """End the emulator with everything that it started, and remove its files."""
        self._left.stop()
        process.remove(Path(self.folder))

    @property
    def _left(self) -> RunningEndpoint:
        return RunningEndpoint(self.url, self.pid, self.folder)


def start(port: int, attached: bool) -> Emulator:
    """Start the emulated AWS with jobs.

    Raises:
        UsageError: an environment is missing, or the port is taken.
        CommandError: it does not come up.

    """
    if not PYTHON.exists() or not (JOBS / "bin" / "python").exists():
        raise UsageError(
            "the emulated AWS is not installed: run `python build.py setup emulator` and "
            "`python build.py setup local`"
        )
    if port and not process.is_free(port):
        raise UsageError(f"--port: got {port}: something listens there already; 0 takes a free one")
    try:
        return process.start(PYTHON, port=port, attached=attached, jobs=JOBS)
    except process.EmulatorError as error:
        raise CommandError(" / ".join(str(error).splitlines())) from error


@contextmanager
def pointed_at(environment: Mapping[str, str]) -> Iterator[None]:
    """Point everything in this process at the emulated AWS, for a while."""
    before = dict(os.environ)
    os.environ.update(environment)
    for name in UNSET:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def exports(environment: Mapping[str, str]) -> list[str]:
    """The shell's lines that point a terminal at it."""
    return [
        f"unset {' '.join(UNSET)}",
        *(f"export {name}={value}" for name, value in environment.items()),
    ]
