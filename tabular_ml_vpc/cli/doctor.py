"""``python build.py doctor``: what would make a deployment or the first run fail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from generator.cfn.parameters import definitions
from generator.cfn.yaml_text import from_yaml
from generator.settings import Mode
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import config_option, json_option, source_options, target_options
from tabular_ml_vpc.operations import doctor, parameters, source
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import open_target, told_in_one_line

_STYLES: Final = {
    "ok": "green",
    "problem": "red",
    "warning": "yellow",
    "unknown": "magenta",
}


@click.command(
    epilog="""\b
python build.py doctor
python build.py doctor --set TrainingInstanceType=ml.m5.xlarge
python build.py doctor --vpc-id vpc-0123     is a private name taken in this VPC?
python build.py doctor --json
"""
)
@config_option
@source_options
@click.option("--vpc-id", metavar="VPC", help="Also look for private DNS conflicts in this VPC.")
@target_options
@json_option
def command(
    config: Path | None,
    mode: str | None,
    parameters: Path | None,
    pairs: tuple[str, ...],
    bucket: str | None,
    vpc_id: str | None,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Check the account before money is spent: each finding with its reason and its remedy.

    Changes nothing. Ends with 1 if there is a problem.
    """
    with told_in_one_line():
        patient = _patient(
            config, mode, parameters, pairs, bucket, vpc_id, profile, region, stack_name
        )
        found = []
        for finding in doctor.examine(patient):
            found.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        print_json([one.as_json() for one in found])
    else:
        _sum_up(found)
    return 1 if any(one.verdict is Verdict.PROBLEM for one in found) else 0


def _patient(
    config: Path | None,
    mode: str | None,
    file: Path | None,
    pairs: tuple[str, ...],
    bucket: str | None,
    vpc: str | None,
    profile: str | None,
    region: str | None,
    stack_name: str,
) -> CheckContext:

    target = open_target(profile, region, stack_name)
    built = source.load(config, Mode(mode or Mode.DEV))
    templates = {
        Path(name).stem: from_yaml(text)
        for name, text in built.texts.items()
        if name.endswith(".yaml")
    }
    known = definitions(templates["root"])
    values = parameters.effective(known, parameters.given(file, pairs, known), {})
    return CheckContext(target, templates, values, source.deployer_statements(built), bucket, vpc)


def _show(finding: CheckFinding) -> None:

    text = Text(f"{finding.verdict:<8}", style=_STYLES[str(finding.verdict)])
    text.append(f" {finding.check}: ", style="bold")
    text.append(finding.what)
    if finding.why:
        text.append(f"\n         {finding.why}", style="dim")
    if finding.command:
        text.append(f"\n         {finding.command}", style="cyan")
    console().print(text, soft_wrap=True)


def _sum_up(found: list[CheckFinding]) -> None:

    counts = Counter(str(one.verdict) for one in found)
    told = ", ".join(f"{counts[name]} {name}" for name in _STYLES if counts[name])
    console().print(f"\n{told}")
