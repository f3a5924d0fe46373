"""``python build.py publish``: upload the templates, and print the link that creates a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from tabular_ml_vpc.cli.console import print_json, say
from tabular_ml_vpc.cli.links import creation_url
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import checked, source_options, target_options
from tabular_ml_vpc.operations.publication import Publication, publish
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target


def _as_folder(context: click.Context, parameter: click.Parameter, value: Any) -> str:
    """Return what keys begin with: a folder and its slash, or nothing."""
    folder = "" if value is None else str(checked("prefix")(context, parameter, value))
    return f"{folder.rstrip('/')}/" if folder else ""


@click.command(
    epilog="""\b
python build.py publish --bucket example-templates
python build.py publish --bucket example-templates --prefix tabular/1.4 --mode prod
python build.py publish --set Rows=500 --json
"""
)
@source_options
@click.option(
    "--prefix", metavar="FOLDER", callback=_as_folder, help="Folder in the bucket to upload to."
)
@target_options
@json_option
def command(target: Target, options: SourceOptions, prefix: str, as_json: bool) -> None:
    """Upload the templates and zips, and print the link that opens the form to create the stack.

    The names of the uploaded objects are hashes of their content, so that nothing that was
    published changes. The form has the values of --stack-name, --parameters and --set.
    """
    published = publish(target, replace(options, prefix=prefix))
    link = creation_url(target, published.template_url, published.parameters)
    if as_json:
        print_json(published.as_json() | {"console_url": link or None})
        return
    _say(published)
    print(f"Template: {published.template_url}")
    print(f"Create the stack: {link}" if link else "The console has no page for an emulated AWS.")


def _say(published: Publication) -> None:
    new = "the new bucket" if published.bucket_created else "bucket"
    sent = published.uploaded
    say(f"uploaded {sent.sent} of {sent.total} objects to {new} {published.bucket}")
