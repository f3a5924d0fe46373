"""The real `aws` command against the emulated AWS, without its long sleeps between polls.

Its imports take longer than most commands: one process imports it, and runs each command in a fork.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, cast

COMMAND_SECONDS = 300
_FORKS = Path(__file__).with_name("aws_forks.py")
_one_at_a_time = Lock()


@dataclass(frozen=True)
class AwsCli:
    """The aws command of one environment (`requirements/awscli.txt`), set up for one endpoint."""

    python: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `aws` with arguments; with `check`, a failure raises RuntimeError with the output."""
        environment = _without_aws() | dict(self.environment) | {"AWS_PAGER": ""}
        done = _run(self.python, arguments, environment)
        if check and done.returncode:
            output = "\n".join((done.stdout, done.stderr)).strip()
            raise RuntimeError(f"aws {' '.join(arguments)}: exit {done.returncode}\n{output}")
        return done


def _without_aws() -> dict[str, str]:
    """Return this process's environment without what would select another account."""
    return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}


def _run(
    python: Path, arguments: tuple[str, ...], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        command = {
            "arguments": arguments,
            "environment": environment,
            "seconds": COMMAND_SECONDS,
            "out": out.name,
            "err": err.name,
        }
        status = _answer(python, json.dumps(command))
        texts = (Path(file.name).read_text(encoding="utf-8") for file in (out, err))
        return subprocess.CompletedProcess(["aws", *arguments], status, *texts)


def _answer(python: Path, command: str) -> int:
    """Have a command run; return its exit status."""
    with _one_at_a_time:
        server = _server(python)
        print(command, file=server.stdin, flush=True)
        answer = cast("IO[str]", server.stdout).readline()
    if not answer:
        raise RuntimeError(f"the aws command of {python} has ended with status {server.wait()}")
    return int(answer)


@cache
def _server(python: Path) -> subprocess.Popen[str]:
    """Start the process that imports the command; it ends with this process, as its input does."""
    return subprocess.Popen(  # noqa: S603 (the aws command that the project pins)
        [str(python), "-P", str(_FORKS)],
        env=_without_aws(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
