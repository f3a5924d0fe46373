"""``python build.py run``: start the deployed pipeline and follow it to the endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from generator.cfn.parameters import parse_pairs
from generator.errors import CommandError, UsageError
from pipeline.run_parameters import INPUT, THRESHOLD
from tabular_ml_vpc.cli import completers, run_view
from tabular_ml_vpc.cli.console import console, print_json, say
from tabular_ml_vpc.cli.options import json_option, set_option, wait_option
from tabular_ml_vpc.cli.parameter_help import RunCommand
from tabular_ml_vpc.cli.project_options import remembered_run
from tabular_ml_vpc.cli.stack_options import checked, pipeline_option, target_options
from tabular_ml_vpc.cli.table_options import run_parameters, table_choices, table_options
from tabular_ml_vpc.local.inputs import data_files
from tabular_ml_vpc.local.runs import check_columns
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.runs import deployed as serving
from tabular_ml_vpc.operations.runs import results
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, find_run, open_pipeline
from tabular_ml_vpc.operations.runs.upload import DataBucket
from tabular_ml_vpc.operations.target import Target

_NEWEST: Final = 20
"""How many of the newest runs are searched for one in progress."""
_NAME: Final = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")
"""A valid display name, from "API_StartPipelineExecution"."""


@click.command(
    cls=RunCommand,
    epilog="""\b
python build.py run
python build.py run --data mine.csv --label churned  upload your table, and train on it
python build.py run --set ModelFamilies=GBM --set TimeLimitSeconds=60
python build.py run --set QualityThreshold=0.99      see the gate reject a model
python build.py run --no-wait                        start a run without waiting for it
python build.py run --follow                         follow the newest run
""",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE.csv|FOLDER",
    help="The table to train on: uploaded to the data bucket, unless it is there.",
)
@table_options
@set_option("Set a pipeline parameter.", completers.pipeline_parameters)
@click.option("--name", metavar="TEXT", help="Name of this run, shown in Studio and in history.")
@wait_option("Wait until the run has ended")
@click.option(
    "--follow",
    is_flag=False,
    flag_value="latest",
    metavar="[ID]",
    shell_complete=completers.run_ids,
    callback=checked("execution ID"),
    help="Start nothing: follow the newest run, or the run with this ID.",
)
@pipeline_option
@target_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    data: Path | None,
    pairs: tuple[str, ...],
    name: str | None,
    wait: bool,
    follow: str | None,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> int:
    """Start the pipeline: preprocess, train, evaluate, gate, register, deploy.

    Follows the steps until the endpoint serves the model. Exits with status 1 if the gate rejects
    the model, a step fails or the run is stopped. After Ctrl-C, the run continues.
    """
    if follow is not None and (data or table_choices(context) or pairs or name or not wait):
        raise click.UsageError(
            "--follow cannot be combined with --data, --set, --name, --no-wait or --label and such"
        )
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: {name!r} is not a valid name: use at most 82 letters and digits, and hyphens "
            "between them"
        )
    if data is not None:
        data_files(data)  # refuses what is not there
    if follow is not None:
        return _follow(*find_run(target, pipeline, follow), as_json)
    deployed = open_pipeline(target, pipeline)
    _check_overlap(deployed)
    usual = remembered_run(deployed.workload.name, deployed.workload.siblings)
    given = run_parameters(context, pairs, deployed.definition, usual)
    _check_threshold(given, deployed.definition["Parameters"])
    if data is not None:
        given = _with_table(deployed, data, pairs, given, as_json)
    if deployed.workload.several:
        console(to_stderr=as_json).print(_starting(deployed, given), markup=False, soft_wrap=True)
    arn = deployed.start(given, name)
    if not wait:
        return _show_start(deployed, arn, as_json)
    return _follow(deployed, arn, as_json)


def _with_table(
    pipeline: DeployedPipeline,
    data: Path,
    pairs: tuple[str, ...],
    given: dict[str, Any],
    as_json: bool,
) -> dict[str, Any]:
    """Check the table, upload it, and return the parameters with its address."""
    if INPUT in parse_pairs(pairs):
        raise UsageError(f"--data and --set {INPUT} both name a table: give only one of them")
    defaults = {item["Name"]: item["DefaultValue"] for item in pipeline.definition["Parameters"]}
    check_columns(data, defaults | given, "LabelColumn" in given)
    bucket = stacks.need(pipeline.target).outputs["DataBucket"]
    table = DataBucket(pipeline.target, bucket, pipeline.workload.name).upload(data)
    console(to_stderr=as_json).print(table.told(data), markup=False, soft_wrap=True)
    return given | {INPUT: table.uri}


def _check_overlap(pipeline: DeployedPipeline) -> None:
    """Raise if another run is in progress: both would deploy to the same endpoint."""
    running = [run for run in pipeline.newest(_NEWEST) if run.running]
    if running:
        identity, options = running[0].id, pipeline.options()
        raise CommandError(
            f"execution {identity} is in progress, and two runs would deploy to one endpoint: "
            f"follow it (`python build.py run --follow {identity}{options}`) or stop it "
            f"(`python build.py stop {identity}{options}`)"
        )


def _check_threshold(given: dict[str, Any], declared: list[dict[str, Any]]) -> None:
    """Reject a threshold below the deployment's now; the gate would do so after the training."""
    least = next((item["DefaultValue"] for item in declared if item["Name"] == THRESHOLD), None)
    value = given.get(THRESHOLD)
    if value is not None and least is not None and value < least:
        raise UsageError(
            f"--set: {THRESHOLD}={value} is too low: it must be at least {least}, the threshold of "
            f"the deployment; to lower that, deploy with --set {THRESHOLD}={value}"
        )


def _show_start(pipeline: DeployedPipeline, arn: str, as_json: bool) -> int:
    identity = arn.rpartition("/")[2]
    if as_json:
        print_json({"id": identity, "arn": arn, "pipeline": pipeline.name})
    else:
        print(f"started execution {identity}{_of_which(pipeline)}")
        print(f"follow it with: python build.py run --follow {identity}{pipeline.options()}")
    return 0


def _starting(pipeline: DeployedPipeline, given: Mapping[str, Any]) -> str:
    """Say what one of several pipelines predicts, and what its gate requires."""
    defaults = {item["Name"]: item["DefaultValue"] for item in pipeline.definition["Parameters"]}
    values = {**defaults, **given}
    metric, least = values["QualityMetric"], values[THRESHOLD]
    return (
        f"Starting {pipeline.workload.name}: label {values['LabelColumn']}, problem "
        f"{values['ProblemType']}, metric {metric} at least {least}"
    )


def _of_which(pipeline: DeployedPipeline) -> str:
    """Say which of several pipelines runs."""
    return f" of {pipeline.workload.name} ({pipeline.name})" if pipeline.workload.several else ""


def _follow(pipeline: DeployedPipeline, arn: str, as_json: bool) -> int:

    out = console(to_stderr=as_json)
    identity = arn.rpartition("/")[2]
    which = _of_which(pipeline) or f" of {pipeline.name}"
    out.print(f"Execution {identity}{which}", style="bold", markup=False)
    try:
        with run_view.following(out, pipeline) as observe:
            done = pipeline.follow(arn, observe)
    except KeyboardInterrupt:
        _show_next_commands(pipeline, identity)
        raise
    findings = results.findings(pipeline, done)
    problem = serving.problem(pipeline, done)
    if as_json:
        print_json(run_view.as_json(pipeline, done, findings) | {"deployment": problem or None})
    else:
        run_view.show_end(out, pipeline, done, findings, problem)
    return 0 if done.status == "Succeeded" and not problem else 1


def _show_next_commands(pipeline: DeployedPipeline, identity: str) -> None:

    options = pipeline.options()
    say(
        f"The run continues. Follow it with `python build.py run --follow {identity}{options}`, or "
        f"stop it with `python build.py stop {identity}{options}`."
    )
