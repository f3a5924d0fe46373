"""Run something in a process of its own, and say what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
KIB: Final = 1024
_TO_KIB: Final = 1 if sys.platform != "darwin" else 1 / KIB
"""`ru_maxrss` is in KiB on Linux and in bytes on macOS ("getrusage")."""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock, seconds of processor, and peak MiB."""

    wall: float
    cpu: float
    peak_mib: float
    output: str = ""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command once and measure it, children that it waited for included.

    Raises:
        RuntimeError: it failed; with the end of its output.

    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{output[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _TO_KIB / KIB, output)


def best(times: int, measure: Callable[[], Cost]) -> Cost:
    """Return the cheapest of several runs: what disturbs a run only ever makes it dearer."""
    return min((measure() for _ in range(times)), key=lambda cost: cost.wall)
