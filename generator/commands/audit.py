"""``python build.py audit``: what independent checkers say of the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from generator.commands.options import config_option, json_option, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from generator.audit.gate import Audit


@click.command
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> int:
    """Run independent checkers over the templates; fail on what is not exempt.

    Exemptions, each with its reason, are in tests/audit/exemptions.toml. Ends with 1 for a finding
    that is not among them, and for an exemption that no checker asks for any more. The checkers
    are installed by `make checkers`.
    """
    from generator.audit import checkers, exemptions, gate  # noqa: PLC0415 - for this command alone
    from generator.commands.console import print_json  # noqa: PLC0415

    results = checkers.run(read_settings(config))
    audit = gate.audit(results, exemptions.read())
    if as_json:
        print_json(audit.as_json())
    else:
        _show(audit)
    return 0 if audit.passed else 1


def _show(audit: Audit) -> None:
    from rich.table import Table  # noqa: PLC0415 - slow to import

    from generator.commands.console import console  # noqa: PLC0415

    table = Table("checker", box=None, pad_edge=False)
    for heading in ("rules", "findings", "exempted", "open"):
        table.add_column(heading, justify="right")
    for line in audit.lines:
        numbers = (line.rules, line.findings, line.exempted, line.open)
        table.add_row(line.title, *map(str, numbers))
    console().print(table)
    for finding in audit.judgement.open:
        click.echo(f"{finding.checker}:{finding.rule} {finding.resource}: {finding.message}")
    for rule, resource in audit.judgement.stale:
        click.echo(f"stale exemption: no checker objects to {resource} by {rule}")
    accepted = len(audit.judgement.accepted)
    click.echo(f"{len(audit.exemptions)} exemptions cover {accepted} findings")
