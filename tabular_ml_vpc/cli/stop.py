"""``python build.py stop``: stop a pipeline run, and wait until it has stopped."""

from __future__ import annotations

from typing import Any

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option, wait_option
from tabular_ml_vpc.cli.run_view import short_json
from tabular_ml_vpc.cli.stack_options import execution_argument, pipeline_option, target_options
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, find_run, open_pipeline
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py stop                 the newest run in progress
python build.py stop 3dfa2b82291c    this run
python build.py stop --all           all runs in progress
"""
)
@execution_argument
@click.option("--all", "everything", is_flag=True, help="Stop all runs in progress.")
@wait_option("Wait until the run has stopped")
@pipeline_option
@target_options
@json_option
def command(
    execution: str | None,
    everything: bool,
    wait: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> int:
    """Stop a run: its current job ends, and no further step starts. Earlier results are kept.

    Without an ID, stops the newest run in progress. If there is none, exits with status 0.
    """
    if execution and everything:
        raise click.UsageError("give an ID or --all, not both")
    deployed, arns = _chosen(target, pipeline, execution, everything)
    runs = [_stopped(deployed, arn, wait) for arn in arns]
    if as_json:
        print_json(runs)
    elif not runs:
        print(f"no run of {deployed.name} is in progress")
    for run in [] if as_json else runs:
        print(f"execution {run['id']} is {run['status']} after {run['seconds']} s")
    return 0 if all(run["status"] in {"Stopping", "Stopped"} for run in runs) else 1


def _chosen(
    target: Target, name: str | None, execution: str | None, everything: bool
) -> tuple[DeployedPipeline, list[str]]:
    """Return the pipeline and the ARNs of its runs to stop."""
    if execution:
        pipeline, arn = find_run(target, name, execution)
        return pipeline, [arn]
    pipeline = open_pipeline(target, name)
    running = [str(run["PipelineExecutionArn"]) for run in pipeline.workload.running()]
    return pipeline, running if everything else running[:1]


def _stopped(pipeline: DeployedPipeline, arn: str, wait: bool) -> dict[str, Any]:

    pipeline.stop(arn)
    done = pipeline.follow(arn, lambda _execution: None) if wait else pipeline.read(arn)
    return short_json(done)
