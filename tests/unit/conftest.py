"""What several tests of the build need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator.files import REPOSITORY

SOURCES = ("functions", "generator", "pipeline", "requirements", "tabular_ml_vpc", "build.py")


def copy_sources(target: Path) -> Path:
    """Copy what the build reads to ``target``, so that a test may change it."""
    no_caches = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=no_caches)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    return target


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources in a folder whose name has a space."""
    return copy_sources(tmp_path / "a copy")


@dataclass(frozen=True)
class Ran:
    """How a process ended."""

    status: int
    output: str
    errors: str


def run_build(root: Path, *arguments: str, **environment: str) -> Ran:
    """Run ``build.py`` of ``root`` as a user does, from another folder."""
    done = subprocess.run(
        [sys.executable, str(root / "build.py"), *arguments],
        cwd=root.parent,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
