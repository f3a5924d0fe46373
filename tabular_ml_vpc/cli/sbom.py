"""``python build.py sbom``: the bill of materials, and the licences of what is shipped."""

from __future__ import annotations

import click

from generator.files import REPOSITORY, write
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.reports.audit import supply

OUTPUT = "dist/sbom.cdx.json"


@click.command
@json_option
def command(as_json: bool) -> int:
    """Write dist/sbom.cdx.json (CycloneDX) and docs/licences.md; with --json: print the former.

    The bill holds the zips with their hashes, the libraries in them, and every requirement that
    builds and tests. The library that writes it is installed by `setup checkers`.
    """
    bill = supply.bill_of_materials()
    if as_json:
        click.echo(bill, nl=False)
        return 0
    write(REPOSITORY / OUTPUT, bill.encode())
    write(supply.LICENCES, supply.licences().encode())
    click.echo(f"{OUTPUT} and {supply.LICENCES.relative_to(REPOSITORY)} are written")
    return 0
