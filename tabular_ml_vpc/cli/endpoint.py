"""``python build.py endpoint repair``: delete a failed endpoint."""

from __future__ import annotations

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations.runs import deployed
from tabular_ml_vpc.operations.runs.executions import open_pipeline
from tabular_ml_vpc.operations.target import Target


@click.command(
    epilog="""\b
python build.py endpoint repair      delete the endpoint if it has failed
"""
)
@click.argument("action", type=click.Choice(["repair"]), metavar="repair")
@pipeline_option
@target_options
@json_option
def command(action: str, pipeline: str | None, target: Target, as_json: bool) -> None:
    """Repair the endpoint: delete it if its first deployment failed.

    SageMaker does not allow updates of a failed endpoint, so every later run would fail, too. The
    next run recreates the endpoint. An endpoint that works, or that the pipeline did not create, is
    not touched.
    """
    workload = open_pipeline(target, pipeline).workload
    result = deployed.repair(workload)
    if as_json:
        print_json({"action": action, "endpoint": workload.endpoint, "result": result})
    else:
        print(result)
