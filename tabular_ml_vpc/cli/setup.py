"""``python build.py setup``: install what some commands need besides the main environment."""

from __future__ import annotations

import subprocess

import click

from generator.files import REPOSITORY, SOURCES

ENVIRONMENTS = ("local", "emulator", "checkers")
_EXAMPLES = """\b
python build.py setup local               for `local` (AutoGluon; 2 GB)
python build.py setup emulator            for `local up`, together with `local`
python build.py setup checkers            for `audit` and `sbom`
"""


@click.command(epilog=_EXAMPLES)
@click.argument("environment", type=click.Choice(ENVIRONMENTS), metavar="ENVIRONMENT")
def command(environment: str) -> int:
    """Install the packages that ENVIRONMENT needs, in a .venv-* folder here.

    In a checkout, `make ENVIRONMENT` does the same. The hash of every package is checked.
    """
    script = SOURCES / "requirements/setup.sh"
    return subprocess.run(["bash", script, environment, REPOSITORY], check=False).returncode  # noqa: S603, S607 - our own script
