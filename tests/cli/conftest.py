"""The installed command, for the tests that run it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from generator.files import REPOSITORY


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, as an installer does."""
    folder = tmp_path_factory.mktemp("with spaces")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def command(site: Path) -> Path:
    """Write the script that an installer makes of the wheel's entry point; return its folder."""
    (entry,) = site.glob("*.dist-info/entry_points.txt")
    assert "tabular-ml-vpc = tabular_ml_vpc_command:main" in entry.read_text()
    script = site.parent / "bin/tabular-ml-vpc"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH="{site}" exec "{sys.executable}" -c '
        "'import sys; from tabular_ml_vpc_command import main; sys.exit(main())' \"$@\"\n"
    )
    script.chmod(0o755)
    return script.parent
