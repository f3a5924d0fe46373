"""What the tests of the local run share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.seed_data import table
from tabular_ml_vpc.local.sandbox import Runtime, find

ROOT = Path(__file__).parents[2]

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The jobs' environment; `make local` installs it."""
    return find(ROOT / ".venv-local")


@pytest.fixture
def build_py(tmp_path: Path) -> CommandLine:
    """Runs `python build.py local` with a work folder of the test's own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "build.py", "local", "--work", str(tmp_path / "work")]
        return subprocess.run(
            [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def seeded(tmp_path: Path) -> Path:
    """A small table that can be learned, in a file whose name needs care."""
    file = tmp_path / "clients & co #1.csv"
    file.write_bytes(b"".join(table.blocks(600, seed=5)))
    return file
