"""``python build.py audit``: what independent checkers find in the templates."""

from __future__ import annotations

import json

import click

from generator.files import write as write_file
from generator.settings import Settings, SettingsSource, read
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.project_options import settings_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.reports.audit import checkers, exemptions, gate, page
from tabular_ml_vpc.reports.audit.checkers import plain_stacks
from tabular_ml_vpc.reports.audit.confirm import confirmations
from tabular_ml_vpc.reports.audit.gate import Audit
from tabular_ml_vpc.reports.audit.whole import whole


@click.command
@settings_options
@json_option
@click.option("--write", is_flag=True, help="Update docs/security.md and its figures.")
@click.option(
    "--confirm",
    is_flag=True,
    help="With --write: also remove each control, and note which checkers report it (minutes).",
)
@click.option("--page", "page_only", is_flag=True, help="Only regenerate docs/security.md.")
def command(
    config: SettingsSource, as_json: bool, write: bool, confirm: bool, page_only: bool
) -> int:
    """Run independent checkers on the templates; fail on findings not exempted.

    The exemptions and their reasons are in tests/reports/audit/exemptions.toml. Exits with status 1
    if a finding is not exempted or, with the default settings, if an exemption is no longer needed.
    `make checkers` installs the checkers.
    """
    if confirm and not write:
        raise click.UsageError("--confirm needs --write")
    if page_only:
        _write_page()
        return 0
    settings = read(config)
    defaults = settings == Settings()
    audit = gate.audit(checkers.run(settings), exemptions.read(), defaults=defaults)
    if write:
        _write(audit, settings if confirm else None)
    if as_json:
        print_json(audit.as_json())
    else:
        _show(audit)
    return 0 if audit.passed else 1


def _write(audit: Audit, confirm_with: Settings | None) -> None:
    """Write the figures and the page; without settings, keep the earlier confirmations."""
    if confirm_with is None:
        confirmed = page.load(page.FIGURES)["confirmed_by"]
    else:
        confirmed = confirmations(whole(plain_stacks(confirm_with, confirm_with.modes[0])))
    text = json.dumps(page.figures(audit, confirmed), indent=2) + "\n"
    write_file(page.FIGURES, text.encode())
    _write_page()


def _write_page() -> None:
    """Regenerate the page's tables from the figures of the last audit and simulation."""
    write_file(page.PAGE, page.page(page.PAGE.read_text(encoding="utf-8")).encode())


def _show(audit: Audit) -> None:

    numbers = ("rules", "findings", "exempted", "open")
    columns = [Column("checker", wraps=True), *(Column(name, justify="right") for name in numbers)]
    rows = [
        (line.title, line.rules, line.findings, line.exempted, line.open) for line in audit.lines
    ]
    show_table(console(), columns, rows)
    for finding in audit.judgement.open:
        click.echo(f"{finding.checker}:{finding.rule} {finding.resource}: {finding.message}")
    for rule, resource in audit.judgement.stale if audit.defaults else ():
        click.echo(f"unused exemption: no checker reports {rule} for {resource}")
    exemptions = counted(len(audit.exemptions), "exemption")
    verb = "covers" if len(audit.exemptions) == 1 else "cover"
    findings = counted(len(audit.judgement.accepted), "finding")
    click.echo(f"{exemptions} {verb} {findings}")
