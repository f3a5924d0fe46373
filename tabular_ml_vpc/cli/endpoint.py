"""``python build.py endpoint repair``: delete an endpoint that failed."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option, target_options
from tabular_ml_vpc.operations.runs import deployed
from tabular_ml_vpc.operations.runs.executions import open_pipeline
from tabular_ml_vpc.operations.target import open_target, told_in_one_line


@click.command(
    epilog="""\b
python build.py endpoint repair      delete the endpoint if it has failed
"""
)
@click.argument("action", type=click.Choice(["repair"]))
@target_options
@json_option
def command(
    action: str, profile: str | None, region: str | None, stack_name: str, as_json: bool
) -> None:
    """Repair the endpoint: if its first deployment failed, delete it.

    SageMaker lets nobody update an endpoint that has failed, so that every later run would fail as
    well. The next run creates it again. An endpoint that serves, or that the pipeline did not make,
    is not touched.
    """
    with told_in_one_line():
        pipeline = open_pipeline(open_target(profile, region, stack_name))
        done = deployed.repair(pipeline.workload)
    if as_json:
        print_json({"action": action, "endpoint": pipeline.workload.endpoint, "result": done})
    else:
        print(done)
