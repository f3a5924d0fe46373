"""The job scripts, and what they are compared with, run in the jobs' environment."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, Final

from tests.bench.measure import ROOT, Cost, run

PYTHON: Final = ROOT / ".venv-local/bin/python"
PREPROCESS_FOLDERS: Final = ("data", "train", "test", "schema", "profile")
SCRIPTS: Final = ROOT / "pipeline/scripts"
ENVIRONMENT: Final = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
"""As the local run sets them: OpenMP's threads do not burn the time that others need."""


def job(script: str, folder: Path, *folders: str, **arguments: str) -> Cost:
    """Run a job script: `folders` are its folders, all within `folder`, `arguments` the others.

    Raises:
        RuntimeError: it failed; with the end of what it wrote.

    """
    command = [str(PYTHON), str(SCRIPTS / f"{script}.py")]
    for name in folders:
        command += [f"--{name}", str(folder / name)]
    for name, value in arguments.items():
        command += [f"--{name.replace('_', '-')}", value]
    return run(command, {**ENVIRONMENT, "SAGEMAKER_BASE_DIR": str(folder / "opt-ml")})


def inside(module: str, *arguments: str) -> Cost:
    """Run a module of `tests.bench.inside`."""
    return run([str(PYTHON), "-m", f"tests.bench.inside.{module}", *arguments], ENVIRONMENT)


def found(cost: Cost) -> Any:
    """What a module of `tests.bench.inside` found: its last line, as JSON."""
    return json.loads(cost.output.splitlines()[-1])


def archive(model: Path) -> Path:
    """Pack the folder `model` as the service does, as `archive/model.tar.gz` beside it."""
    path = model.with_name("archive") / "model.tar.gz"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=6) as packed:
        for item in sorted(model.iterdir()):
            packed.add(item, item.name)
    return path
