"""A model called in a process of the jobs' environment, one call at a time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.job_scripts import ENVIRONMENT, PYTHON
from tests.bench.measure import ROOT

Call = Callable[[str, int, int], float]
"""Way (see `inside/in_process.py`), rows and number of a call to its milliseconds."""


@contextmanager
def calling(model: Path, test: Path) -> Iterator[Call]:
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

    def call(way: str, rows: int, number: int) -> float:
        print(way, rows, number, file=asked, flush=True)
        return float(answered.readline())

    try:
        while answered.readline() not in {"ready\n", ""}:
            pass  # what the libraries have to say
        yield call
    finally:
        asked.close()
        process.wait()
        answered.close()
