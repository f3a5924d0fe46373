"""``python build.py rollback``: the endpoint goes back to the approved version before."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.approval_view import comment_option, rejected
from tabular_ml_vpc.cli.console import console, print_json, show_next
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.questions import confirm
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations.runs import approval
from tabular_ml_vpc.operations.runs.registry import REJECTED, Registry
from tabular_ml_vpc.operations.runs.serving import Serving
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py rollback
python build.py rollback --comment "rejects every request from the shop" --yes
"""
)
@comment_option
@yes_option
@pipeline_option
@target_options
@json_option
def command(
    comment: str | None, yes: bool, pipeline: str | None, target: Target, as_json: bool
) -> None:
    """Reject the version that serves, so that the endpoint goes back to the approved one before.

    Needs the pipeline's setting deploy = "on-approval". Refuses if no older version is approved.
    """
    approval.check_comment(comment)
    registry = Registry.open(target, pipeline)
    now = Serving.read(registry.workload)
    chosen = approval.to_roll_back(registry, now)
    change = approval.of_rejecting(registry, chosen, now)
    out, options = console(to_stderr=as_json), registry.workload.options()
    out.print(f"Version {chosen.number} serves. {change.text}", markup=False, soft_wrap=True)
    confirm(f"Reject version {chosen.number} of {registry.workload.pipeline}?", yes)
    registry.decide(chosen, REJECTED, comment)
    if as_json:
        print_json(rejected(registry, chosen, comment, change))
        return
    out.print(f"Version {chosen.number} is rejected.", markup=False)
    show_next(out, (f"python build.py status{options}", "see when the endpoint has gone back"))
