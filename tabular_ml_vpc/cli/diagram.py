"""``python build.py diagram``: pictures of the templates and the pipeline, drawn from them."""

from __future__ import annotations

from pathlib import Path

import click

from generator.files import REPOSITORY, write
from generator.settings import read
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import config_option, json_option
from tabular_ml_vpc.reports.diagram.pictures import FOLDER, Picture, pictures, png_path, texts
from tabular_ml_vpc.reports.diagram.png import to_png
from tabular_ml_vpc.reports.diagram.svg import LIGHT

_EXAMPLES = """\b
python build.py diagram                        docs/images/*.svg, *.png, *.mmd
python build.py diagram --check                fail if a committed picture is out of date
python build.py diagram --config mine.toml --output mine/
"""


@click.command(epilog=_EXAMPLES)
@config_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder to write to, instead of docs/images.",
)
@click.option("--png/--no-png", default=True, help="Write PNG files, too.")
@click.option("--check", is_flag=True, help="Write nothing; fail if a picture is out of date.")
@json_option
def command(config: Path | None, output: Path | None, png: bool, check: bool, as_json: bool) -> int:
    """Draw the architecture, each stack and the pipeline, from the templates.

    SVG in light and dark with AWS's icons, PNG, and Mermaid for a README. PNGs are compared by
    presence alone: their bytes depend on the renderer's version.
    """
    found = pictures(read(config))
    folder = output or REPOSITORY / FOLDER
    changed = _stale(found, folder, png=png) if check else _write(found, folder, png=png)
    _report(changed, folder, check=check, as_json=as_json)
    return 1 if check and changed else 0


def _write(found: list[Picture], folder: Path, *, png: bool) -> list[str]:
    """Write what differs; a PNG is drawn again with its SVG, or if it is not there."""
    changed = [
        name
        for name, text in ((Path(path).name, text) for path, text in texts(found).items())
        if write(folder / name, text.encode())
    ]
    for picture in found if png else ():
        path = folder / Path(png_path(picture)).name
        if f"{picture.name}.svg" in changed or not path.is_file():
            write(path, to_png(picture.svg(LIGHT)))
            changed.append(path.name)
    return changed


def _stale(found: list[Picture], folder: Path, *, png: bool) -> list[str]:

    stale = []
    for path, text in texts(found).items():
        file = folder / Path(path).name
        if not file.is_file() or file.read_bytes() != text.encode():
            stale.append(file.name)
    pngs = [folder / Path(png_path(picture)).name for picture in found]
    return stale + [file.name for file in pngs if png and not file.is_file()]


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
