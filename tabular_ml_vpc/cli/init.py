"""``python build.py init``: write a project file with every key commented out."""

from __future__ import annotations

from pathlib import Path

import click

from generator.documents import project_example
from generator.errors import CommandError
from generator.project import FILE


@click.command(
    epilog="""\b
python build.py init
"""
)
def command() -> None:
    """Write tabular.toml into the current folder; never overwrite one.

    It holds what commands would otherwise need as options each time: stack, region, settings,
    parameters (docs/project-file.md).
    """
    try:
        with Path(FILE).open("x", encoding="utf-8") as file:
            file.write(project_example())
    except FileExistsError:
        raise CommandError(f"{FILE} is already here: nothing was written") from None
    except OSError as error:
        raise CommandError(f"{FILE}: cannot be written: {error.strerror}") from error
    print(f"Written to {FILE}: uncomment what you need.")
