"""``python build.py endpoint repair``: delete an endpoint that failed."""

from __future__ import annotations

import click

from generator.commands.console import print_json
from generator.commands.options import json_option, target_options


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
    from generator.life.target import open_target, told_in_one_line  # noqa: PLC0415 - boto3
    from generator.runs import deployed  # noqa: PLC0415
    from generator.runs.executions import open_pipeline  # noqa: PLC0415

    with told_in_one_line():
        pipeline = open_pipeline(open_target(profile, region, stack_name))
        done = deployed.repair(pipeline.workload)
    if as_json:
        print_json({"action": action, "endpoint": pipeline.workload.endpoint, "result": done})
    else:
        print(done)
