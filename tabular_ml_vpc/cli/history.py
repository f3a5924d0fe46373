"""``python build.py history``: the pipeline's runs with their metrics and gate decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import click
from rich.text import Text

from tabular_ml_vpc.cli import run_view
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import WholeNumber, json_option
from tabular_ml_vpc.cli.run_view import short_json, style_of
from tabular_ml_vpc.cli.stack_options import execution_argument, pipeline_option, target_options
from tabular_ml_vpc.cli.stack_view import duration, short
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.local.jobs import plain_reason
from tabular_ml_vpc.operations.runs import results
from tabular_ml_vpc.operations.runs.executions import (
    DeployedPipeline,
    Execution,
    find_run,
    open_pipelines,
)
from tabular_ml_vpc.operations.runs.results import RunResults
from tabular_ml_vpc.operations.target import Target

_PREFERRED: Final = (
    *("accuracy", "balanced_accuracy", "f1", "log_loss"),
    *("r2", "rmse", "mae"),
)
_HEADS: Final = {"r2": "R2", "rmse": "RMSE", "mae": "MAE"}


@click.command(
    epilog="""\b
python build.py history
python build.py history --limit 50 --json
python build.py history 3dfa2b82291c     one run: metrics, gate, failure, log
"""
)
@execution_argument
@click.option(
    "--limit",
    type=WholeNumber(1, 200),
    default=10,
    show_default=True,
    help="Number of runs, newest first.",
)
@pipeline_option
@target_options
@json_option
def command(
    execution: str | None,
    limit: int,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """List the runs, newest first; with an ID, show one run in full.

    If the stack has several pipelines, lists the runs of all of them, unless --pipeline names one.
    """
    if execution:
        _show_run(*find_run(target, pipeline, execution), as_json)
    else:
        _show_runs(open_pipelines(target, pipeline), limit, as_json)


def _show_run(pipeline: DeployedPipeline, arn: str, as_json: bool) -> None:

    run = pipeline.read(arn)
    findings = results.findings(pipeline, run)
    if as_json:
        print_json(run_view.as_json(pipeline, run, findings))
        return
    out = console()
    with run_view.following(out, pipeline) as observe:
        observe(run)
    run_view.show_end(out, pipeline, run, findings)


@dataclass(frozen=True)
class _Row:
    """A run with what it found, and its pipeline's name."""

    pipeline: str
    run: Execution
    findings: RunResults


def _show_runs(pipelines: list[DeployedPipeline], limit: int, as_json: bool) -> None:

    rows = _rows(pipelines, limit)
    if as_json:
        print_json([_json(row) for row in rows])
    elif not rows:
        pipeline = pipelines[0]
        which = pipeline.target.stack if len(pipelines) > 1 else pipeline.name
        command = f"python build.py run{pipeline.options()}"
        print(f"{which} has no runs yet; start one with: {command}")
    else:
        _show_table(rows, len(pipelines) > 1)


def _rows(pipelines: list[DeployedPipeline], limit: int) -> list[_Row]:
    """Return the newest runs of all these pipelines."""
    found = [(run, pipeline) for pipeline in pipelines for run in pipeline.newest(limit)]
    found.sort(key=lambda pair: pair[0].started, reverse=True)
    runs = [(pipeline, pipeline.read(run.arn)) for run, pipeline in found[:limit]]
    return [
        _Row(pipeline.workload.name, run, results.findings(pipeline, run)) for pipeline, run in runs
    ]


def _json(row: _Row) -> dict[str, Any]:

    run, findings = row.run, row.findings
    registered, deployed = run.made("RegisterModel"), run.made("Endpoint")
    return {
        **short_json(run),
        "pipeline": row.pipeline,
        "metrics": findings.metrics,
        "gate": findings.decision.as_json() if findings.decision else None,
        "model_version": int(registered.made_name) if registered else None,
        "endpoint": deployed.made_name if deployed else None,
        "note": _note(run, findings) or None,
    }


def _show_table(rows: list[_Row], several: bool) -> None:

    names = _metrics_of(rows)
    columns = (
        Column("run"),
        *((Column("pipeline"),) if several else ()),
        Column("started", importance=3),
        Column("took", importance=2, justify="right"),
        Column("status"),
        *(Column(_HEADS.get(name, name), importance=1, justify="right") for name in names),
        Column("model", importance=4, justify="right"),
        Column("gate or outcome", wraps=True),
    )
    show_table(console(), columns, [_cells(row, names, several) for row in rows])


def _cells(row: _Row, names: list[str], several: bool) -> tuple[str | Text, ...]:
    run, findings = row.run, row.findings
    known, registered = findings.metrics, run.made("RegisterModel")
    return (
        run.id,
        *((row.pipeline,) if several else ()),
        f"{run.started:%Y-%m-%d %H:%M}",
        duration(run.seconds),
        Text(run.status, style=style_of(run.status)),
        *(figure(known[name]) if name in known else "" for name in names),
        registered.made_name if registered else "",
        _result(run, findings),
    )


def _result(run: Execution, findings: RunResults) -> str:
    parts = (f"{findings.decision}" if findings.decision else "", _note(run, findings))
    return "; ".join(filter(None, parts))


def _metrics_of(rows: list[_Row]) -> list[str]:
    """The metrics to show as columns: the most useful ones that any run has."""
    known = {name for row in rows for name in row.findings.metrics}
    return [name for name in _PREFERRED if name in known]


def _note(run: Execution, findings: RunResults) -> str:

    step = run.failed_step
    if findings.problem:
        return short(findings.problem)
    if run.refused:
        return "rejected by the gate"
    if step is not None:
        return short(f"{step.name}: {plain_reason(step.reason)}")
    return run.display
