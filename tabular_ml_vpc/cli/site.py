"""``python build.py site``: one self-contained page for reviewers."""

from __future__ import annotations

from pathlib import Path

import click

from generator.files import DIST, REPOSITORY, write
from generator.settings import Mode, SettingsSource, read
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option, mode_option
from tabular_ml_vpc.cli.project_options import settings_options
from tabular_ml_vpc.reports.site.content import content
from tabular_ml_vpc.reports.site.page import page

_EXAMPLES = """\b
python build.py site                          dist/site.html
python build.py site --mode prod --config mine.toml --output review.html
"""


@click.command(epilog=_EXAMPLES)
@settings_options
@mode_option("Set of templates to show.", default="dev")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="File to write, instead of dist/site.html.",
)
@json_option
def command(config: SettingsSource, mode: str, output: Path | None, as_json: bool) -> None:
    """Write a page for reviewers: diagrams, parameters, resources, permissions, cost and checks.

    The page is one self-contained HTML file: you can mail it, or attach it to a change.
    """
    text = page(content(read(config), Mode(mode))).encode()
    path = output or REPOSITORY / DIST / "site.html"
    changed = write(path, text)
    if as_json:
        print_json({"file": str(path), "bytes": len(text), "changed": changed})
    else:
        click.echo(f"{path}: {len(text):,} bytes")
