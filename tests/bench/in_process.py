"""A model called in a process of the jobs' environment, when it is asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.job_scripts import ENVIRONMENT, PYTHON
from tests.bench.measure import ROOT

Calls = Callable[[str, int, int], list[tuple[float, float]]]
"""Way (see `inside/in_process.py`), rows of a call and number of calls to their milliseconds.

They are pairs: on the clock, and of processor.
"""


@contextmanager
def calling(model: Path, test: Path) -> Iterator[Calls]:
    """Give a function that calls the model in a process of its own."""
    process = subprocess.Popen(
        [str(PYTHON), "-m", "tests.bench.inside.in_process", str(model), str(test)],
        cwd=ROOT,
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    asked, answered = process.stdin, process.stdout

    def call(way: str, rows: int, calls: int) -> list[tuple[float, float]]:
        print(way, rows, calls, file=asked, flush=True)
        return [(wall, cpu) for wall, cpu in json.loads(answered.readline())]

    try:
        while answered.readline() not in {"ready\n", ""}:
            pass  # what the libraries have to say
        yield call
    finally:
        asked.close()
        process.wait()
        answered.close()
