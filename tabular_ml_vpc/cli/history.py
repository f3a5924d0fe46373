"""``python build.py history``: the pipeline's runs with their metrics and gate decisions."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.text import Text

from tabular_ml_vpc.cli import run_view
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import WholeNumber, json_option
from tabular_ml_vpc.cli.run_view import short_json, style_of
from tabular_ml_vpc.cli.stack_options import execution_argument, target_options
from tabular_ml_vpc.cli.stack_view import duration, short
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.local.jobs import plain_reason
from tabular_ml_vpc.operations.runs import results
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution, open_pipeline
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
@target_options
@json_option
def command(
    execution: str | None,
    limit: int,
    target: Target,
    as_json: bool,
) -> None:
    """List the pipeline's runs, newest first; with an ID, show one run in full."""
    pipeline = open_pipeline(target)
    if execution:
        _show_run(pipeline, execution, as_json)
    else:
        _show_runs(pipeline, limit, as_json)


def _show_run(pipeline: DeployedPipeline, execution: str, as_json: bool) -> None:

    run = pipeline.read(pipeline.find(execution))
    findings = results.findings(pipeline, run)
    if as_json:
        print_json(run_view.as_json(pipeline, run, findings))
        return
    out = console()
    with run_view.following(out, pipeline) as observe:
        observe(run)
    run_view.show_end(out, pipeline, run, findings)


def _show_runs(pipeline: DeployedPipeline, limit: int, as_json: bool) -> None:

    runs = [pipeline.read(run.arn) for run in pipeline.newest(limit)]
    rows = [(run, results.findings(pipeline, run)) for run in runs]
    if as_json:
        print_json([_json(*row) for row in rows])
    elif not rows:
        command = f"python build.py run{pipeline.target.options()}"
        print(f"{pipeline.name} has no runs yet; start one with: {command}")
    else:
        _show_table(rows)


def _json(run: Execution, findings: RunResults) -> dict[str, Any]:

    registered, deployed = run.made("RegisterModel"), run.made("Endpoint")
    return {
        **short_json(run),
        "metrics": findings.metrics,
        "gate": findings.decision.as_json() if findings.decision else None,
        "model_version": int(registered.made_name) if registered else None,
        "endpoint": deployed.made_name if deployed else None,
        "note": _note(run, findings) or None,
    }


def _show_table(rows: list[tuple[Execution, RunResults]]) -> None:

    names = _metrics_of(rows)
    columns = (
        Column("run"),
        Column("started", importance=3),
        Column("took", importance=2, justify="right"),
        Column("status"),
        *(Column(_HEADS.get(name, name), importance=1, justify="right") for name in names),
        Column("model", importance=4, justify="right"),
        Column("gate or outcome", wraps=True),
    )
    show_table(console(), columns, [_cells(run, found, names) for run, found in rows])


def _cells(run: Execution, findings: RunResults, names: list[str]) -> tuple[str | Text, ...]:
    known, registered = findings.metrics, run.made("RegisterModel")
    return (
        run.id,
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


def _metrics_of(rows: list[tuple[Execution, RunResults]]) -> list[str]:
    """The metrics to show as columns: the most useful ones that any run has."""
    known = {name for _, findings in rows for name in findings.metrics}
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
