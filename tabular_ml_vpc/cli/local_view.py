"""How ``python build.py local`` shows a run: live on a terminal, line by line elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline import plan
from pipeline.definition import DATA_PROFILE, QUALITY_GATE
from pipeline.run_parameters import APPROVAL, PENDING
from pipeline.table_schema import baseline_name
from tabular_ml_vpc.cli import local_table
from tabular_ml_vpc.cli.console import console, show_next
from tabular_ml_vpc.comparison import comparison
from tabular_ml_vpc.figures import counted, figure
from tabular_ml_vpc.local import runs
from tabular_ml_vpc.local.execution import StepObserver
from tabular_ml_vpc.local.jobs import plain_reason
from tabular_ml_vpc.local.record import ExecutionRecord, Gate, Status, StepRecord
from tabular_ml_vpc.local.runs import Run
from tabular_ml_vpc.local.sandbox import Runtime, tail

_SYMBOLS: Final = {
    Status.SUCCEEDED: ("ok", "green"),
    Status.FAILED: ("failed", "red"),
    Status.STOPPED: ("stopped", "yellow"),
}
_SIGNS: Final = {
    "Equals": ("=", "is not"),
    "GreaterThan": (">", "is not above"),
    "GreaterThanOrEqualTo": (">=", "is below"),
    "LessThan": ("<", "is not below"),
    "LessThanOrEqualTo": ("<=", "is above"),
}
_LOG_LINES: Final = 20
_NOTE_CHARACTERS: Final = 100
_REFRESHES_A_SECOND: Final = 8


@contextmanager
def progress(run: Run, runtime: Runtime, quiet: bool) -> Iterator[StepObserver]:
    """Give an observer that shows the run's progress; with `quiet`, one that shows nothing."""
    if quiet:
        yield lambda _execution, _step: None
        return
    out = console()
    _introduce(out, run, runtime)
    if not out.is_terminal:
        yield lambda _execution, step: _print_line(out, run, step)
        return
    view = _View(run, out)
    with Live(get_renderable=view.table, console=out, refresh_per_second=_REFRESHES_A_SECOND):
        yield view.observe


def summary(run: Run, report: Path, kept: str | None) -> None:
    """Show what failed, the metrics, the gate's decision, the latency, and the report's path."""
    out = console()
    out.print()
    _show_failure(out, run)
    _show_metrics(out, run)
    _show_gate(out, run)
    _show_latency(out, run)
    _show_paths(out, run, report, kept)


def _introduce(out: Console, run: Run, runtime: Runtime) -> None:
    out.print(f"Run {run.execution.id} of the pipeline on {run.data_name}", style="bold")
    label = run.execution.parameters["LabelColumn"]
    out.print(f"Label: {label!r}; files: {run.folder}", style="dim", markup=False)
    able = runtime.abilities
    if not able.mounts:
        out.print("This user cannot mount folders: jobs use their own folder, not /opt/ml.")
    if not able.network:
        out.print(
            "This user cannot isolate the network: jobs that should have none have network access.",
            style="yellow",
        )


def _print_line(out: Console, run: Run, step: StepRecord) -> None:
    """Print one line when a step starts and one when it ends."""
    clock = f"{run.execution.seconds:7.1f} s"
    if step.ended is None:
        out.print(f"{clock}  {step.name}: started", markup=False)
        return
    word, style = _outcome(step)
    note = _note(step)
    text = f"{clock}  {step.name}: {word} in {step.seconds:.1f} s" + (f" ({note})" if note else "")
    out.print(text, style=style, markup=False)
    if _has_read_table(step):
        local_table.show(out, run.table)


class _View:
    """The live table of a run's steps."""

    def __init__(self, run: Run, out: Console) -> None:
        self._run, self._out = run, out
        self._steps: list[StepRecord] = []
        self._planned = [*_main_path(run.definition["Steps"]), runs.INVOKE]
        self._spinner = Spinner("dots")

    def observe(self, _execution: ExecutionRecord, step: StepRecord) -> None:
        if step not in self._steps:
            self._steps.append(step)
        if _has_read_table(step):
            local_table.show(self._out, self._run.table)  # above the live table

    def table(self) -> Table:
        """The steps that have started, then the remaining ones."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for step in self._steps:
            table.add_row(*self._row(step))
        started = {step.name for step in self._steps}
        if self._run.execution.ended is None or self._run.execution.status is Status.SUCCEEDED:
            for name in self._planned:
                if name not in started:
                    table.add_row("", Text(name, style="dim"), "", "")
        return table

    def _row(self, step: StepRecord) -> tuple[Any, ...]:
        seconds = Text(f"{step.seconds:.1f} s", justify="right")
        if step.ended is None:
            last = next(iter(tail(step.log, 1)), "") if step.log else ""
            return self._spinner, Text(step.name, style="bold"), seconds, _short(last, "dim")
        word, style = _outcome(step)
        note = _note(step)
        return Text(word, style=style), Text(step.name), seconds, _short(note, "")


def _main_path(steps: list[dict[str, Any]]) -> Iterator[str]:
    """The names of the steps of a run in which every condition holds."""
    for step in plan.order(steps):
        yield step.name
        yield from _main_path((step.body.get("Arguments") or {}).get("IfSteps", []))


def _outcome(step: StepRecord) -> tuple[str, str]:
    if step.kind == "Fail":
        return "rejected", "yellow"
    if step.kind == "Condition" and not all(gate.outcome for gate in step.gates):
        return "no", "yellow"
    return _SYMBOLS[step.status]


def _has_read_table(step: StepRecord) -> bool:
    """Whether the table's columns are now known."""
    return step.name == DATA_PROFILE.step and step.status is Status.SUCCEEDED


def _note(step: StepRecord) -> str:
    """A short note about a step that has ended."""
    if step.kind == "Condition":
        return "; ".join(_decision(gate) for gate in step.decisive)
    if step.kind == "Fail":
        return "the model was not registered or deployed"
    if step.status is Status.FAILED:
        return plain_reason(step.failure_reason)
    last = next(iter(tail(step.log, 1)), "") if step.kind == "Processing" and step.log else ""
    return "" if last.startswith("{") else last


def _decision(gate: Gate) -> str:
    sign, _ = _SIGNS[gate.comparison]
    left, right = _number(gate.left), _number(gate.right)
    return f"{gate.name} {left} {sign} {right}? {_yes(gate.outcome)}"


def _show_failure(out: Console, run: Run) -> None:
    steps = [*run.execution.steps, *([run.invocation] if run.invocation else [])]
    failed = next((step for step in steps if step.status is Status.FAILED), None)
    if failed is None or failed.kind == "Fail":
        return
    out.print(f"{failed.name} failed: {plain_reason(failed.failure_reason)}", style="red")
    if failed.log and failed.log.exists():
        out.print(f"The end of its log ({failed.log}):", style="dim", markup=False)
        for line in tail(failed.log, _LOG_LINES):
            out.print(f"  {line}", style="dim", markup=False)
    out.print()


def _show_metrics(out: Console, run: Run) -> None:
    evaluation = run.evaluation
    metrics = evaluation.get("metrics", {})
    if not metrics:
        return
    baseline = evaluation.get("baseline", {})
    table = Table("metric", box=None, pad_edge=False)
    table.add_column("test data", justify="right")
    table.add_column(baseline_name(evaluation), justify="right", style="dim")
    gated = evaluation.get("gate", {}).get("metric")
    for name, value in metrics.items():
        if isinstance(value, int | float) and name in {gated, name.removeprefix("neg_")}:
            table.add_row(name, _number(value), _number(baseline.get(name)))
    out.print(table)
    out.print()


def _show_gate(out: Console, run: Run) -> None:
    for gate in run.execution.compared_by(QUALITY_GATE):
        name, left, right = gate.name, _number(gate.left), _number(gate.right)
        sign, contrary = _SIGNS[gate.comparison]
        if gate.outcome:
            out.print(f"The model passed the quality gate: {name} {left} {sign} {right}.")
        else:
            text = f"The quality gate rejected the model: {name} {left} {contrary} {right}."
            out.print(text, style="yellow")
    before = comparison(run.evaluation)
    if before is not None:
        out.print(f"{before}", style="yellow" if before.warns else "", markup=False)
    if run.succeeded and not run.deployed:
        status = run.execution.parameters.get(APPROVAL, PENDING)
        out.print(f"The model was registered as {status} but not deployed.", style="yellow")


def _show_latency(out: Console, run: Run) -> None:
    if run.smoke is None:
        return
    for latency in run.smoke.latencies:
        requests, rows = counted(latency.requests, "request"), counted(latency.rows, "row")
        out.print(
            f"The endpoint answered {requests} of {rows}: "
            f"p50 {latency.p50_ms:.1f} ms, p95 {latency.p95_ms:.1f} ms."
        )


def _show_paths(out: Console, run: Run, report: Path, kept: str | None) -> None:
    out.print(f"Report: {report}", markup=False, soft_wrap=True)
    if run.succeeded:
        show_next(
            out,
            ("python build.py local up", "everything, in an emulated AWS on this machine"),
            ("python build.py doctor", "check your AWS account before you deploy"),
        )
    if kept is None or run.smoke is None:
        return
    data = run.smoke.sent.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    request = f"curl {kept} -H 'Content-Type: text/csv' --data-binary $'{data}'"
    out.print(f"The endpoint is still running: {kept}", markup=False, soft_wrap=True)
    out.print(f"  {request}", markup=False, soft_wrap=True, style="dim")
    work = run.request.work
    option = "" if str(work) == ".build/local" else f" --work {shlex.quote(str(work))}"
    out.print(f"Stop it with: python build.py local --stop{option}", markup=False)


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return figure(value)


def _yes(outcome: bool) -> str:
    return "yes" if outcome else "no"


def _short(text: str, style: str) -> Text:
    shown = Text(text[:_NOTE_CHARACTERS], style=style, no_wrap=True, overflow="ellipsis")
    shown.truncate(_NOTE_CHARACTERS)
    return shown
