"""Run something in a process of its own, and say what it took."""

from __future__ import annotations

import os
import platform
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


def machine() -> str:
    """Say in a line what was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.machine()}, {platform.system()}, Python " + ".".join(
        map(str, sys.version_info[:3])
    )


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, what was done, and a table."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: str = ""

    def markdown(self) -> str:
        """Return the section as Markdown."""
        lines = [f"## {self.title}", "", self.text, ""]
        lines += [_row(self.header), _row(["---", *["---:"] * (len(self.header) - 1)])]
        lines += [_row(row) for row in self.rows]
        return "\n".join([*lines, *(["", self.notes] if self.notes else []), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def ratio(ours: float, theirs: float) -> str:
    """Say how many times less ours is than theirs, or more."""
    if ours <= theirs:
        return f"{theirs / ours:.1f} times less" if ours else "nothing"
    return f"{ours / theirs:.1f} times more"
