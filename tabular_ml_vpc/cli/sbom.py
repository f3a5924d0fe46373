"""``python build.py sbom``: the bill of materials, and the licenses of what is shipped."""

from __future__ import annotations

import click

from generator.files import REPOSITORY, write
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.reports.audit import supply

OUTPUT = "dist/sbom.cdx.json"


@click.command
@json_option
def command(as_json: bool) -> int:
    """Write dist/sbom.cdx.json (CycloneDX) and docs/licences.md; with --json, print the former.

    The bill of materials lists the zips with their hashes, the libraries in them, and every
    requirement of the build and the tests. It needs a library that `setup checkers` installs.
    """
    bill = supply.bill_of_materials()
    if as_json:
        click.echo(bill, nl=False)
        return 0
    write(REPOSITORY / OUTPUT, bill.encode())
    write(supply.LICENCES, supply.licences().encode())
    click.echo(f"wrote {OUTPUT} and {supply.LICENCES.relative_to(REPOSITORY)}")
    return 0
