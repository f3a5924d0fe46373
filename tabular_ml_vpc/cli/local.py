"""``python build.py local``: the pipeline, on this machine, without an account or docker.

``local up`` and ``local down`` are ``tabular_ml_vpc.cli.local_cloud``'s.
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
from pipeline import example
from tabular_ml_vpc.cli import local_cloud, local_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.table_options import TABLE_PARAMETERS, table_choices, table_options
from tabular_ml_vpc.local import runs, sandbox
from tabular_ml_vpc.local.inputs import parse_choices, parse_settings
from tabular_ml_vpc.local.runs import Run, RunRequest
from tabular_ml_vpc.local.serving import RunningEndpoint
from tabular_ml_vpc.reports.run_report.page import render

ENVIRONMENT: Final = REPOSITORY / ".venv-local"
WORK: Final = local_cloud.WORK
_REPORT: Final = "report.html"
_LEFT: Final = "endpoint.json"


@click.group(
    invoke_without_command=True,
    epilog="""\b
python build.py local                                  a synthetic table
python build.py local --data mine.csv --label churned  a table of your own
python build.py local --data homes.csv --label price --problem regression
python build.py local --data visits.csv --label bought --group-column customer
python build.py local --set QualityThreshold=0.99      see the gate refuse
python build.py local --keep                           leave the endpoint up
python build.py local --stop                           and take it down
python build.py local up                               everything, in an emulated AWS
""",
)
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="FILE.csv|FOLDER", help="The table."
)
@table_options
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a pipeline parameter."
)
@click.option("--keep", is_flag=True, help="Leave the endpoint running.")
@click.option("--stop", is_flag=True, help="Stop an endpoint that was left running; do no more.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write the report there too.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=WORK,
    show_default=True,
    metavar="FOLDER",
    help="Keep the runs' files there.",
)
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
    as_json: bool,
) -> int | None:
    """Run the compiled pipeline here, with the toolkits of AWS's images.

    Preprocess, train, evaluate, gate, register, deploy; then ask the endpoint for predictions and
    write a report. Ends with 1 if the gate refuses the model or a step fails. A model that the run
    does not approve (--set ApprovalStatus=PendingManualApproval) is registered and not deployed.

    With COMMAND `up`: the whole environment in an emulated AWS instead, until `down`.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return None
    if stop:
        return _stop(work, as_json)
    return _run(_wanted(data, table_choices(context), pairs, keep, work), report, as_json)


command.add_command(local_cloud.up)
command.add_command(local_cloud.down)


def _refuse_options_before(context: click.Context) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} before {context.invoked_subcommand!r} belongs to the run; "
                "options come after the command"
            )


def _wanted(
    data: Path | None,
    choices: Mapping[str, str],
    pairs: tuple[str, ...],
    keep: bool,
    work: Path,
) -> RunRequest:

    definition = example.open_definition()
    parameters = parse_settings(pairs, definition)
    if "InputData" in parameters:
        raise UsageError("--set: got InputData: give the table with --data")
    for name, (option, value) in parse_choices(choices, TABLE_PARAMETERS, definition).items():
        if parameters.get(name, value) != value:
            raise UsageError(f"{option} and --set {name} differ: give one of them")
        parameters[name] = value
    return RunRequest(data, parameters, work, keep)


def _run(wanted: RunRequest, report: Path | None, as_json: bool) -> int:

    runs.check(wanted)
    _check_places(report, wanted.work)
    try:
        runtime = sandbox.find(ENVIRONMENT)
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from error
    run = runs.prepare(wanted, runtime)
    kept = None
    try:
        with local_view.progress(run, runtime, quiet=as_json) as observe:
            runs.run(run, observe)
        file = run.folder / _REPORT
        file.write_text(render(run), encoding="utf-8")
        if report is not None:
            shutil.copyfile(file, report)
        kept = _keep(run) if wanted.keep else None
    finally:
        if kept is None:
            run.service.stop()
    if as_json:
        print_json(runs.as_json(run) | {"Report": str(report or file), "Endpoint": kept})
    else:
        local_view.summary(run, report or file, kept)
    return 0 if run.succeeded else 1


def _check_places(report: Path | None, work: Path) -> None:
    """Refuse places that cannot be written to now, and not after minutes of training."""
    if report is not None and report.is_dir():
        raise UsageError(f"--report: got {str(report)!r}: this is a folder; a file is needed")
    for option, folder in (("--work", work), ("--report", report and report.parent)):
        if folder is not None:
            _make(option, folder)


def _make(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{option}: got {str(folder)!r}: this is a file, not a folder") from error
    except OSError as error:
        raise UsageError(f"{option}: {str(folder)!r} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{option}: {str(folder)!r} is a folder that you may not write to")


def _keep(run: Run) -> str | None:
    """Note the endpoint for ``--stop``; it takes the place of one that was left before."""
    if run.endpoint is None or not run.deployed:
        return None
    note = run.wanted.work / _LEFT
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
        print_json({"Stopped": left.url if left else None})
    else:
        print(f"stopped {left.url}" if left else "no endpoint was left running")
    return 0
