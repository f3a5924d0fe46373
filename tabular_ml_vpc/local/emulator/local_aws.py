"""The emulated AWS for people: started with jobs, recorded in a file, stopped by that record.

`python build.py local up` shows it; `process.py` is the emulator itself.
"""

from __future__ import annotations

import json
import os
import shlex
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
"""Variables that would select another account."""


@dataclass(frozen=True)
class RunningAws:
    """The record of an emulated AWS that is running."""

    url: str
    pid: int
    folder: str
    stack: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, emulator: Emulator, stack: str) -> RunningAws:
        """Return the record of an emulator with a stack in it."""
        folder = str(emulator.directory)
        return cls(emulator.url, emulator.process.pid, folder, stack, emulator.environment())

    def write(self, file: Path) -> None:
        """Write the record to `file`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> RunningAws | None:
        """Return the record in `file`, if that emulator is still running."""
        if not file.exists():
            return None
        try:
            record = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError):
            return None
        return record if record._is_ours() else None

    def _is_ours(self) -> bool:
        """Tell whether its emulator is running; ``stop`` deletes the folder of the record."""
        kinds = [type(value) for value in (self.stack, self.environment)]
        runs = kinds == [str, dict] and self._process.runs()
        return runs and Path(self.folder).name.startswith(process.FOLDER_PREFIX)

    def stop(self) -> None:
        """Stop the emulator and everything that it started; remove its files."""
        self._process.stop()
        process.remove(Path(self.folder))

    @property
    def _process(self) -> RunningEndpoint:
        return RunningEndpoint(self.url, self.pid, self.folder)


def start(port: int, attached: bool) -> Emulator:
    """Start the emulated AWS with jobs.

    Raises:
        UsageError: an environment is missing, or the port is in use.
        CommandError: it does not start.

    """
    if not PYTHON.exists() or not (JOBS / "bin" / "python").exists():
        raise UsageError(
            "the emulated AWS is not installed: run `python build.py setup emulator` and "
            "`python build.py setup local`"
        )
    if port and not process.is_free(port):
        raise UsageError(f"--port: got {port}: the port is in use; 0 takes a free one")
    try:
        return process.start(PYTHON, port=port, attached=attached, jobs=JOBS)
    except process.EmulatorError as error:
        raise CommandError(" / ".join(str(error).splitlines())) from error


@contextmanager
def selected(environment: Mapping[str, str]) -> Iterator[None]:
    """Let everything in this process use the emulated AWS within the context."""
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
    """Return the shell commands that let a terminal use the emulated AWS."""
    return [
        f"unset {' '.join(UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
    ]
