"""``python build.py run``: start the deployed pipeline and follow it to the endpoint."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.cli import run_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option, target_options
from tabular_ml_vpc.cli.stack_view import console, say
from tabular_ml_vpc.local.inputs import parse_settings
from tabular_ml_vpc.operations.runs import deployed, results
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, open_pipeline
from tabular_ml_vpc.operations.target import open_target, told_in_one_line

THRESHOLD: Final = "QualityThreshold"
_LOOKED_AT: Final = 20
"""So many of the newest runs are looked at for one in progress."""
_NAME: Final = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")
"""What the service takes as a name: "API_StartPipelineExecution"."""


@click.command(
    epilog="""\b
python build.py run
python build.py run --set ModelFamilies=GBM --set TimeLimitSeconds=60
python build.py run --set QualityThreshold=0.99      see the gate refuse
python build.py run --no-wait                        start it, and go on with your work
python build.py run --follow                         look at the newest run again
"""
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a pipeline parameter."
)
@click.option("--name", metavar="TEXT", help="A name for this run, shown in Studio and history.")
@click.option("--wait/--no-wait", default=True, help="Follow the run to its end (the default).")
@click.option(
    "--follow",
    is_flag=False,
    flag_value="latest",
    metavar="[ID]",
    help="Start nothing: follow the newest run, or the one of this id.",
)
@target_options
@json_option
def command(
    pairs: tuple[str, ...],
    name: str | None,
    wait: bool,
    follow: str | None,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Start the pipeline: preprocess, train, evaluate, gate, register, deploy.

    Follows the steps until the endpoint serves the model. Ends with 1 if the gate refuses the
    model, a step fails or the run is stopped. Ctrl-C ends the watching, not the run.
    """
    if follow is not None and (pairs or name or not wait):
        raise click.UsageError("--follow starts nothing: no --set, --name or --no-wait with it")
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: got {name!r}: at most 82 letters, digits and hyphens between them are allowed"
        )
    with told_in_one_line():
        pipeline = open_pipeline(open_target(profile, region, stack_name))
        if follow is not None:
            return _follow(pipeline, pipeline.find(follow), as_json)
        arn = _start(pipeline, pairs, name)
        if not wait:
            return _tell_start(pipeline, arn, as_json)
        return _follow(pipeline, arn, as_json)


def _start(pipeline: DeployedPipeline, pairs: tuple[str, ...], name: str | None) -> str:

    _refuse_overlap(pipeline)
    declared = pipeline.definition.get("Parameters", [])
    given = parse_settings(pairs, pipeline.definition)
    _check_threshold(given, declared)
    return pipeline.start(given, name)


def _refuse_overlap(pipeline: DeployedPipeline) -> None:
    """Refuse to start a run beside another one: both would deploy to the same endpoint."""
    running = [one for one in pipeline.newest(_LOOKED_AT) if one.running]
    if running:
        identity, options = running[0].id, pipeline.target.options()
        raise CommandError(
            f"execution {identity} is in progress, and two runs would deploy to one endpoint: "
            f"follow it (`python build.py run --follow {identity}{options}`) or stop it "
            f"(`python build.py stop {identity}{options}`)"
        )


def _check_threshold(given: dict[str, Any], declared: list[dict[str, Any]]) -> None:
    """Refuse now what the gate would refuse after the training: a lower threshold than agreed."""
    least = next((one["DefaultValue"] for one in declared if one["Name"] == THRESHOLD), None)
    wanted = given.get(THRESHOLD)
    if wanted is not None and least is not None and wanted < least:
        raise UsageError(
            f"--set: got {THRESHOLD}={wanted}: at least {least} is allowed, the deployment's own "
            f"threshold; to lower it, deploy with --set {THRESHOLD}={wanted}"
        )


def _tell_start(pipeline: DeployedPipeline, arn: str, as_json: bool) -> int:
    identity = arn.rpartition("/")[2]
    if as_json:
        print_json({"id": identity, "arn": arn, "pipeline": pipeline.name})
    else:
        print(f"started execution {identity}")
        print(f"follow it: python build.py run --follow {identity}{pipeline.target.options()}")
    return 0


def _follow(pipeline: DeployedPipeline, arn: str, as_json: bool) -> int:

    out = console(to_stderr=as_json)
    identity = arn.rpartition("/")[2]
    out.print(f"Execution {identity} of {pipeline.name}", style="bold", markup=False)
    try:
        with run_view.following(out, pipeline) as observe:
            done = pipeline.follow(arn, observe)
    except KeyboardInterrupt:
        _say_how_to_go_on(pipeline, identity)
        raise
    findings = results.findings(pipeline, done)
    problem = deployed.problem(pipeline, done)
    if as_json:
        print_json(run_view.as_json(pipeline, done, findings) | {"deployment": problem or None})
    else:
        run_view.show_end(out, pipeline, done, findings, problem)
    return 0 if done.status == "Succeeded" and not problem else 1


def _say_how_to_go_on(pipeline: DeployedPipeline, identity: str) -> None:

    options = pipeline.target.options()
    say(
        f"The run goes on by itself. `python build.py run --follow {identity}{options}` follows "
        f"it, `python build.py stop {identity}{options}` stops it."
    )
