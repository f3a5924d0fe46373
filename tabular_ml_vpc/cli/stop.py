"""``python build.py stop``: stop a run of the pipeline, and wait until it has stopped."""

from __future__ import annotations

from typing import Any

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option, target_options
from tabular_ml_vpc.cli.run_view import short_json
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, open_pipeline
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py stop                 the newest run
python build.py stop 3dfa2b82291c    this one
python build.py stop --all           every run that runs
"""
)
@click.argument("execution", required=False, metavar="[ID]")
@click.option("--all", "everything", is_flag=True, help="Stop every run that runs.")
@click.option("--wait/--no-wait", default=True, help="Wait until it has stopped (the default).")
@target_options
@json_option
def command(
    execution: str | None,
    everything: bool,
    wait: bool,
    profile: str | None,
    region: str | None,
    stack_name: str,
    as_json: bool,
) -> int:
    """Stop a run: its job ends, no step follows. What earlier steps stored stays.

    Without an ID: the newest run that runs. Ends with 0 also if none does.
    """
    if execution and everything:
        raise click.UsageError("give an ID or --all, not both")
    with told_in_one_line():
        pipeline = open_pipeline(open_target(profile, region, stack_name))
        found = [_stopped(pipeline, arn, wait) for arn in _chosen(pipeline, execution, everything)]
    if as_json:
        print_json(found)
    elif not found:
        print(f"no run of {pipeline.name} runs")
    for one in [] if as_json else found:
        print(f"execution {one['id']} is {one['status']} after {one['seconds']} s")
    return 0 if all(one["status"] in {"Stopping", "Stopped"} for one in found) else 1


def _chosen(pipeline: DeployedPipeline, execution: str | None, everything: bool) -> list[str]:
    if execution:
        return [pipeline.find(execution)]
    running = [str(one["PipelineExecutionArn"]) for one in pipeline.workload.running()]
    return running if everything else running[:1]


def _stopped(pipeline: DeployedPipeline, arn: str, wait: bool) -> dict[str, Any]:

    pipeline.stop(arn)
    done = pipeline.follow(arn, lambda _execution: None) if wait else pipeline.read(arn)
    return short_json(done)
