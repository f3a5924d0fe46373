"""``python build.py endpoint repair``: delete a failed endpoint."""

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
@click.argument("action", type=click.Choice(["repair"]), metavar="repair")
@target_options
@json_option
def command(
    action: str, profile: str | None, region: str | None, stack_name: str, as_json: bool
) -> None:
    """Repair the endpoint: delete it if its first deployment failed.

    SageMaker does not allow updates of a failed endpoint, so every later run would fail, too. The
    next run recreates the endpoint. An endpoint that works, or that the pipeline did not create, is
    not touched.
    """
    with told_in_one_line():
        pipeline = open_pipeline(open_target(profile, region, stack_name))
        result = deployed.repair(pipeline.workload)
    if as_json:
        print_json({"action": action, "endpoint": pipeline.workload.endpoint, "result": result})
    else:
        print(result)
