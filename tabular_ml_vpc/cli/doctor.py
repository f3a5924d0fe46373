"""``python build.py doctor``: problems that would make a deployment or the first run fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from generator.cfn.parameters import definitions
from generator.cfn.yaml_text import from_yaml
from generator.settings import Mode
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import checked, source_options, target_options
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import doctor, parameters, preflight, source
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target

_STYLES: Final = {
    "ok": "green",
    "problem": "red",
    "warning": "yellow",
    "unknown": "magenta",
}
_NUMBERED: Final[dict[Verdict, Callable[[int], str]]] = {
    Verdict.OK: lambda number: f"{number} ok",
    Verdict.PROBLEM: lambda number: counted(number, "problem"),
    Verdict.WARNING: lambda number: counted(number, "warning"),
    Verdict.UNKNOWN: lambda number: f"{number} unknown",
}


@click.command(
    epilog="""\b
python build.py doctor
python build.py doctor --set TrainingInstanceType=ml.m5.xlarge
python build.py doctor --vpc-id vpc-0a1b2c3d     look for private DNS names that conflict
python build.py doctor --json
"""
)
@source_options
@click.option(
    "--vpc-id",
    metavar="VPC",
    callback=checked("VPC id"),
    help="Also look for private DNS conflicts in this VPC.",
)
@target_options
@json_option
def command(target: Target, options: SourceOptions, vpc_id: str | None, as_json: bool) -> int:
    """Check the account before you spend money; say why each problem matters and how to fix it.

    Changes nothing. Exits with status 1 if there is a problem.
    """
    context = _context(target, options, vpc_id)
    findings = []
    for finding in doctor.examine(context):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        _sum_up(findings)
    return 1 if any(finding.verdict is Verdict.PROBLEM for finding in findings) else 0


def _context(target: Target, options: SourceOptions, vpc: str | None) -> CheckContext:
    preflight.check(target.stack, options)
    built = source.load(options.config, Mode(options.mode or Mode.DEV))
    templates = {
        Path(name).stem: from_yaml(text)
        for name, text in built.texts.items()
        if name.endswith(".yaml")
    }
    known = definitions(templates["root"])
    given = parameters.given(options.parameters, options.pairs, known, options.remembered)
    values = parameters.effective(known, given, {})
    return CheckContext(
        target, templates, values, source.deployer_statements(built), options.bucket, vpc
    )


def _show(finding: CheckFinding) -> None:

    text = Text(f"{finding.verdict:<8}", style=_STYLES[str(finding.verdict)])
    text.append(f" {finding.check}: ", style="bold")
    text.append(finding.what)
    if finding.why:
        text.append(f"\n         {finding.why}", style="dim")
    if finding.command:
        text.append(f"\n         {finding.command}", style="cyan")
    console().print(text, soft_wrap=True)


def _sum_up(findings: list[CheckFinding]) -> None:

    numbers = Counter(finding.verdict for finding in findings)
    parts = [_NUMBERED[verdict](numbers[verdict]) for verdict in Verdict if numbers[verdict]]
    console().print(f"\n{', '.join(parts)}")
