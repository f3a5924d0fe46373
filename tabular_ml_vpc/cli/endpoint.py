"""``python build.py endpoint``: delete a failed endpoint; end the bill of one that serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click

from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations.runs.deployed import repair
from tabular_ml_vpc.operations.runs.executions import open_pipeline
from tabular_ml_vpc.operations.runs.pause import pause, resume
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_ACTIONS: Final[dict[str, Callable[[Workload], str]]] = {
    "repair": repair,
    "pause": pause,
    "resume": resume,
}


@click.command(
    epilog="""\b
python build.py endpoint repair      delete the endpoint if it has failed
python build.py endpoint pause       delete it, and remember what it served
python build.py endpoint resume      create it again, with the same model
"""
)
@click.argument("action", type=click.Choice(list(_ACTIONS)), metavar="|".join(_ACTIONS))
@pipeline_option
@target_options
@json_option
def command(action: str, pipeline: str | None, target: Target, as_json: bool) -> None:
    """Repair the endpoint, pause it, or resume it.

    Repair deletes the endpoint if its first deployment failed: SageMaker does not allow updates of
    it, so every later run would fail, too. The next run recreates it.

    A paused endpoint is not billed and does not answer. Resume creates it again with the model that
    it served; a run that passes the gate creates it with its own. An endpoint that the pipeline did
    not create is never touched.
    """
    workload = open_pipeline(target, pipeline).workload
    result = _ACTIONS[action](workload)
    if as_json:
        print_json({"action": action, "endpoint": workload.endpoint, "result": result})
    else:
        print(result)
