"""``python build.py reject``: a version is not deployed, or not served any more."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.approval_view import comment_option, rejected, version_argument
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.questions import confirm
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations.runs import approval
from tabular_ml_vpc.operations.runs.registry import REJECTED, Registry
from tabular_ml_vpc.operations.runs.serving import Serving
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py reject                        the newest version that waits
python build.py reject 4 --comment "trained on last year's prices"
"""
)
@version_argument
@comment_option
@yes_option
@pipeline_option
@target_options
@json_option
def command(
    version: int | None,
    comment: str | None,
    yes: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Reject a registered version of the model; without a VERSION, the newest that waits.

    First says what this changes: if the version serves and the pipeline's setting deploy is
    on-approval, the endpoint goes back to the newest approved version before it.
    """
    approval.check_comment(comment)
    registry = Registry.open(target, pipeline)
    chosen = approval.to_reject(registry, version)
    change = approval.of_rejecting(registry, chosen, Serving.read(registry.workload))
    registry.workload.check_seen()
    out = console(to_stderr=as_json)
    out.print(change.text, markup=False, soft_wrap=True)
    confirm(f"Reject version {chosen.number} of {registry.workload.pipeline}?", yes)
    registry.decide(chosen, REJECTED, comment)
    if as_json:
        print_json(rejected(registry, chosen, comment, change))
    else:
        out.print(f"Version {chosen.number} is rejected.", markup=False)
