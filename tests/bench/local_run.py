"""The compiled pipeline run as `python build.py local` runs it, with its endpoint up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabular_ml_vpc.local import runs, sandbox
from tabular_ml_vpc.local.runs import Run
from tests.bench.measure import ROOT


@contextmanager
def finished(data: Path, parameters: Mapping[str, Any], folder: Path) -> Iterator[Run]:
    """Run the pipeline on the table `data`; the endpoint serves for the while.

    Raises:
        RuntimeError: a step failed, the model failed the quality gate, or no answer came.

    """
    run = runs.prepare(
        runs.RunRequest(data, parameters, folder), sandbox.find(ROOT / ".venv-local")
    )
    runs.run(run, lambda *_: None)
    try:
        if not run.succeeded:
            raise RuntimeError(json.dumps(runs.as_json(run), indent=1))
        yield run
    finally:
        run.service.stop()
