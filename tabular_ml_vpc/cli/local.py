"""``python build.py local``: the pipeline on this machine, without an AWS account or Docker.

``local up`` and ``local down`` are in ``tabular_ml_vpc.cli.local_cloud``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from generator.errors import UsageError
from generator.files import REPOSITORY
from generator.settings import Settings, SettingsSource, read
from pipeline import example
from pipeline.run_parameters import INPUT
from tabular_ml_vpc.cli import completers, local_cloud, local_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import config_option, json_option, set_option, work_option
from tabular_ml_vpc.cli.parameter_help import RunGroup
from tabular_ml_vpc.cli.project_options import announce, remembered_run, stage_option
from tabular_ml_vpc.cli.stack_options import pipeline_option
from tabular_ml_vpc.cli.table_options import run_parameters, table_options
from tabular_ml_vpc.local import runs, sandbox
from tabular_ml_vpc.local.runs import Run, RunRequest
from tabular_ml_vpc.local.serving import RunningEndpoint
from tabular_ml_vpc.operations.pipelines import one_of
from tabular_ml_vpc.reports.run_report.page import render

ENVIRONMENT: Final = REPOSITORY / ".venv-local"
_REPORT: Final = "report.html"
_LEFT: Final = "endpoint.json"


@click.group(
    cls=RunGroup,
    invoke_without_command=True,
    epilog="""\b
python build.py local                                  a synthetic table
python build.py local --data mine.csv --label churned  your own table
python build.py local --data homes.csv --label price --problem regression
python build.py local --data visits.csv --label bought --group-column customer
python build.py local --set QualityThreshold=0.99      see the gate reject a model
python build.py local --pipeline churn --data mine.csv as one of the settings' pipelines
python build.py local --keep                           leave the endpoint running
python build.py local --stop                           and stop it again
python build.py local up                               everything, in an emulated AWS
""",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE.csv|FOLDER",
    help="The table to train on.",
)
@table_options
@set_option("Set a pipeline parameter.", completers.pipeline_parameters)
@click.option("--keep", is_flag=True, help="Leave the endpoint running after the run.")
@click.option("--stop", is_flag=True, help="Only stop the endpoint that was left running.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Also write the report to this file.",
)
@work_option("Folder for the files of the runs.")
@pipeline_option
@config_option
@stage_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    data: Path | None,
    pairs: tuple[str, ...],
    keep: bool,
    stop: bool,
    report: Path | None,
    work: Path,
    pipeline: str | None,
    config: SettingsSource,
    as_json: bool,
) -> int | None:
    """Run the compiled pipeline on this machine, with the toolkits of AWS's images.

    Preprocess, train, evaluate, gate, register and deploy; then get predictions from the endpoint
    and write a report. Exits with status 1 if the gate rejects the model or a step fails. A model
    that the run does not approve (--set ApprovalStatus=PendingManualApproval) is registered but not
    deployed.

    With --pipeline, the label, the problem and the gate are those of that pipeline in the settings.

    With COMMAND `up`: the whole environment in an emulated AWS instead, until `down`.
    """
    if context.invoked_subcommand is not None:
        _reject_options_before(context)
        return None
    if stop:
        return _stop(work, as_json)
    announce("run")
    usual = _usual(read(config), pipeline)
    request = _request(context, data, pairs, usual, keep, work)
    return _run(request, report, as_json)


command.add_command(local_cloud.up)
command.add_command(local_cloud.down)


def _reject_options_before(context: click.Context) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} is before the command {context.invoked_subcommand!r}: "
                "options of a command come after its name"
            )


def _usual(settings: Settings, pipeline: str | None) -> dict[str, str]:
    """Return a pipeline's own parameters: those in the settings, below those in the project file.

    Raises:
        UsageError: there is no such pipeline, or there are several and none was named.

    """
    entries = {entry.name: entry for entry in settings.pipelines}
    name = one_of([*entries], "the environment", pipeline)
    entry = entries[name]
    decided = {
        "LabelColumn": entry.label,
        "ProblemType": entry.problem,
        "QualityMetric": entry.quality_metric,
        "QualityThreshold": entry.quality_threshold,
    }
    given = {parameter: str(value) for parameter, value in decided.items() if value is not None}
    return given | remembered_run(name, [*entries])


def _request(
    context: click.Context,
    data: Path | None,
    pairs: tuple[str, ...],
    usual: Mapping[str, str],
    keep: bool,
    work: Path,
) -> RunRequest:

    definition = example.open_definition()
    usual = {name: value for name, value in usual.items() if name != INPUT}
    parameters = run_parameters(context, pairs, definition, usual)
    if INPUT in parameters:
        raise UsageError(f"--set: {INPUT} cannot be set here: give the table with --data")
    return RunRequest(data, parameters, work, keep)


def _run(request: RunRequest, report: Path | None, as_json: bool) -> int:

    runs.check(request)
    _check_paths(report, request.work)
    try:
        runtime = sandbox.find(ENVIRONMENT)
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from error
    run = runs.prepare(request, runtime)
    kept = None
    try:
        with local_view.progress(run, runtime, quiet=as_json) as observe:
            runs.run(run, observe)
        file = run.folder / _REPORT
        file.write_text(render(run), encoding="utf-8")
        if report is not None:
            shutil.copyfile(file, report)
        kept = _keep(run) if request.keep else None
    finally:
        if kept is None:
            run.service.stop()
    if as_json:
        print_json(runs.as_json(run) | {"report": str(report or file), "endpoint": kept})
    else:
        local_view.summary(run, report or file, kept)
    return 0 if run.succeeded else 1


def _check_paths(report: Path | None, work: Path) -> None:
    """Check that both can be written now, not after minutes of training."""
    if report is not None and report.is_dir():
        raise UsageError(f"--report: {str(report)!r} is a folder; give a file")
    for option, folder in (("--work", work), ("--report", report and report.parent)):
        if folder is not None:
            _create(option, folder)


def _create(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{option}: {str(folder)!r} is a file; give a folder") from error
    except OSError as error:
        raise UsageError(f"{option}: cannot create {str(folder)!r}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{option}: cannot write to the folder {str(folder)!r}")


def _keep(run: Run) -> str | None:
    """Record the endpoint for ``--stop``; stop one that was left running before."""
    if run.endpoint is None or not run.deployed:
        return None
    note = run.request.work / _LEFT
    before = RunningEndpoint.read(note)
    if before is not None:
        before.stop()
    process = run.endpoint.process
    RunningEndpoint(run.endpoint.url, process.pid, str(run.folder)).write(note)
    return run.endpoint.url


def _stop(work: Path, as_json: bool) -> int:

    note = work / _LEFT
    left = RunningEndpoint.read(note)
    if left is not None:
        left.stop()
    note.unlink(missing_ok=True)
    if as_json:
        print_json({"stopped": left.url if left else None})
    else:
        print(f"stopped {left.url}" if left else "no endpoint is running")
    return 0
