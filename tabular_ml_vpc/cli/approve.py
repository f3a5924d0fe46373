"""``python build.py approve``: let a version be deployed."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from generator.errors import CommandError
from tabular_ml_vpc.cli.approval_view import (
    comment_option,
    decided,
    following,
    show_beside,
    version_argument,
)
from tabular_ml_vpc.cli.console import console, inert, print_json, say, show_next
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.questions import confirm
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations.runs import approval
from tabular_ml_vpc.operations.runs.pause import is_paused
from tabular_ml_vpc.operations.runs.registry import APPROVED, Registry, Version
from tabular_ml_vpc.operations.runs.serving import IN_SERVICE, Serving
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py approve                       the newest version that waits
python build.py approve 4 --comment "checked with the March table"
python build.py approve 4 --follow            wait until it serves
"""
)
@version_argument
@comment_option
@click.option("--follow", is_flag=True, help="Wait until the version serves, or is rejected.")
@yes_option
@pipeline_option
@target_options
@json_option
def command(
    version: int | None,
    comment: str | None,
    follow: bool,
    yes: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> int:
    """Approve a registered version of the model; without a VERSION, the newest that waits.

    If the pipeline's setting deploy is on-approval, a function then tries it and deploys it; the
    endpoint serves the newest approved version. With --follow, exits with status 1 if the version
    is rejected instead. After Ctrl-C, the deployment continues.
    """
    approval.check_comment(comment)
    registry = Registry.open(target, pipeline)
    now = Serving.read(registry.workload)
    if follow:
        approval.check_can_be_followed(registry, now)
    chosen = approval.to_approve(registry, version, follow=follow and comment is None)
    out = console(to_stderr=as_json)
    if chosen.status != APPROVED:
        show_beside(out, registry, chosen, now)
        confirm(f"Approve version {chosen.number} of {registry.workload.pipeline}?", yes)
        registry.decide(chosen, APPROVED, comment)
        out.print(f"Version {chosen.number} is approved.", style="green")
    about = decided(registry, chosen, APPROVED, comment)
    if follow:
        about |= _follow(out, registry, chosen, about)
    else:
        _show_what_follows(out, registry, chosen, now)
    if as_json:
        print_json(about | {"deploys": registry.workload.on_approval})
    return 0


def _show_what_follows(out: Console, registry: Registry, version: Version, now: Serving) -> None:
    workload, number = registry.workload, version.number
    options = workload.options()
    if not workload.on_approval:
        out.print(
            "The approval is recorded, and deploys nothing: for this pipeline, only a run deploys, "
            f"and only its own model. With {approval.SETTING}, an approved version is "
            "deployed.",
            soft_wrap=True,
        )
    elif (now.version, now.status) == (number, IN_SERVICE):
        out.print(f"The endpoint {now.name} already serves it.", soft_wrap=True)
    elif now.endpoint is None and is_paused(workload):
        out.print(f"The endpoint {now.name} is paused: nothing is deployed until it is resumed.")
        resume = f"python build.py endpoint resume{options}"
        show_next(out, (resume, "create the endpoint again; the version is deployed then"))
    else:
        out.print(
            f"A function now tries it on an endpoint of its own. If it answers as it should, "
            f"{now.name} serves it.",
            soft_wrap=True,
        )
        show_next(
            out,
            (f"python build.py status{options}", "how far it is"),
            (f"python build.py approve {number} --follow{options}", "wait until it serves"),
        )


def _follow(
    out: Console, registry: Registry, version: Version, about: dict[str, Any]
) -> dict[str, Any]:
    number, options = version.number, registry.workload.options()
    try:
        with following(out) as observe:
            ended = approval.follow(registry, version, observe)
    except KeyboardInterrupt:
        say(
            f"The deployment continues. `python build.py approve {number} --follow{options}` "
            f"follows it again, and `python build.py status{options}` shows how far it is."
        )
        raise
    if ended.problem:
        raise CommandError(f"not deployed: {inert(ended.problem)}", about | {"serves": False})
    return {"serves": True}
