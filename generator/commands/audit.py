"""``python build.py audit``: what independent checkers say of the templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from generator.commands.options import config_option, json_option, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from generator.audit.gate import Audit
    from generator.settings import Settings


@click.command
@config_option
@json_option
@click.option("--write", is_flag=True, help="Bring docs/security.md and its figures up to date.")
@click.option(
    "--confirm",
    is_flag=True,
    help="With --write: also try which checkers miss each control once it is gone (minutes).",
)
@click.option("--page", "page_only", is_flag=True, help="Only make docs/security.md anew.")
def command(config: Path | None, as_json: bool, write: bool, confirm: bool, page_only: bool) -> int:
    """Run independent checkers over the templates; fail on what is not exempt.

    Exemptions, each with its reason, are in tests/audit/exemptions.toml. Ends with 1 for a finding
    that is not among them, and for an exemption that no checker asks for any more. The checkers
    are installed by `make checkers`.
    """
    from generator.audit import checkers, exemptions, gate  # noqa: PLC0415 - for this command alone
    from generator.commands.console import print_json  # noqa: PLC0415

    if confirm and not write:
        raise click.UsageError("--confirm needs --write")
    if page_only:
        _write_page()
        return 0
    settings = read_settings(config)
    audit = gate.audit(checkers.run(settings), exemptions.read())
    if write:
        _write(audit, settings if confirm else None)
    if as_json:
        print_json(audit.as_json())
    else:
        _show(audit)
    return 0 if audit.passed else 1


def _write(audit: Audit, confirm_with: Settings | None) -> None:
    """Write the figures and the page; what confirms each control stays unless it is tried again."""
    from generator.audit import page  # noqa: PLC0415
    from generator.audit.checkers import plain_stacks  # noqa: PLC0415
    from generator.audit.confirm import confirmations  # noqa: PLC0415
    from generator.audit.whole import whole  # noqa: PLC0415
    from generator.files import write as write_file  # noqa: PLC0415

    if confirm_with is None:
        confirmed = page.load(page.FIGURES)["confirmed_by"]
    else:
        confirmed = confirmations(whole(plain_stacks(confirm_with, confirm_with.modes[0])))
    text = json.dumps(page.figures(audit, confirmed), indent=2) + "\n"
    write_file(page.FIGURES, text.encode())
    _write_page()


def _write_page() -> None:
    """Make the page's tables anew, from the figures of the last audit and simulation."""
    from generator.audit import page  # noqa: PLC0415
    from generator.files import write as write_file  # noqa: PLC0415

    write_file(page.PAGE, page.page(page.PAGE.read_text(encoding="utf-8")).encode())


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
