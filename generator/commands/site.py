"""``python build.py site``: one page for reviewers, which needs nothing but itself."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands.options import config_option, json_option, read_settings

_EXAMPLES = """\b
python build.py site                          dist/site.html
python build.py site --mode prod --config mine.toml --output review.html
"""


@click.command(epilog=_EXAMPLES)
@config_option
@click.option(
    "--mode",
    type=click.Choice(["dev", "prod"]),
    default="dev",
    show_default=True,
    help="Which set of templates.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Where to write instead of dist/site.html.",
)
@json_option
def command(config: Path | None, mode: str, output: Path | None, as_json: bool) -> None:
    """Write a page for reviewers: pictures, parameters, resources, rights, cost and checks.

    One HTML file without anything from elsewhere: it can be mailed, or kept with a change.
    """
    from generator.files import DIST, REPOSITORY, write  # noqa: PLC0415 - heavy
    from generator.settings import Mode  # noqa: PLC0415
    from generator.site.content import content  # noqa: PLC0415
    from generator.site.page import page  # noqa: PLC0415

    text = page(content(read_settings(config), Mode(mode))).encode()
    path = output or REPOSITORY / DIST / "site.html"
    changed = write(path, text)
    if as_json:
        from generator.commands.console import print_json  # noqa: PLC0415

        print_json({"file": str(path), "bytes": len(text), "changed": changed})
    else:
        click.echo(f"{path}: {len(text):,} bytes")
