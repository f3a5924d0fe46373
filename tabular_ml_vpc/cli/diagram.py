"""``python build.py diagram``: pictures of the templates and the pipeline, drawn from them."""

from __future__ import annotations

from pathlib import Path

import click

from generator.files import REPOSITORY, write
from generator.settings import SettingsSource, read
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.project_options import settings_options
from tabular_ml_vpc.reports.diagram.pictures import FOLDER, pictures, texts

_EXAMPLES = """\b
python build.py diagram                        docs/images/*.svg, *.mmd
python build.py diagram --check                fail if a committed picture is out of date
python build.py diagram --config mine.toml --output mine/
"""


@click.command(epilog=_EXAMPLES)
@settings_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder to write to, instead of docs/images.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if a picture is out of date.")
@json_option
def command(config: SettingsSource, output: Path | None, check: bool, as_json: bool) -> int:
    """Draw the architecture, each stack and the pipeline, from the templates.

    SVG in light and dark with AWS's icons, and Mermaid for a README.
    """
    folder = output or REPOSITORY / FOLDER
    files = {folder / Path(path).name: text for path, text in texts(pictures(read(config))).items()}
    is_changed = _is_stale if check else write
    changed = [path.name for path, text in files.items() if is_changed(path, text.encode())]
    _report(changed, folder, check=check, as_json=as_json)
    return 1 if check and changed else 0


def _is_stale(path: Path, content: bytes) -> bool:
    return not path.is_file() or path.read_bytes() != content


def _report(changed: list[str], folder: Path, *, check: bool, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), "stale" if check else "changed": changed})
        return
    for name in changed:
        click.echo(f"{name}: out of date" if check else f"{folder}/{name}")
    if check and changed:
        click.echo("Run `python build.py diagram` and commit the changes.")
    elif not changed:
        click.echo("The pictures are up to date.")
