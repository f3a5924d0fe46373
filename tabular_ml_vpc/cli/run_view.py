"""How a pipeline run is shown: a live tree on a terminal, one line per change elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pipeline import plan
from pipeline.definition import APPROVAL_GATE, EVALUATION, QUALITY_GATE
from pipeline.run_parameters import APPROVAL, PENDING
from pipeline.table_schema import baseline_name
from tabular_ml_vpc.cli.console import inert, show_next
from tabular_ml_vpc.cli.links import endpoint_url, linked
from tabular_ml_vpc.cli.stack_view import drawn, duration, short
from tabular_ml_vpc.comparison import comparison
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.local.jobs import plain_reason
from tabular_ml_vpc.operations.runs import job_log, results
from tabular_ml_vpc.operations.runs.executions import (
    DeployedPipeline,
    Execution,
    RunObserver,
    StepProgress,
)
from tabular_ml_vpc.operations.runs.results import NOTHING, RunResults

_LOG_LINES: Final = 20
_NOTE_CHARACTERS: Final = 110
_STYLES: Final = {
    "Succeeded": "green",
    "Failed": "red",
    "Stopped": "yellow",
    "Stopping": "yellow",
    "Executing": "cyan",
    "Starting": "cyan",
}
_SHOWN_METRICS: Final = 3


@dataclass
class Notes:
    """The notes beside the steps; the metrics are read as soon as they exist."""

    pipeline: DeployedPipeline
    with_log: bool
    findings: RunResults = NOTHING
    _lines: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def learn(self, execution: Execution) -> None:
        """Read what is new: the metrics, and the last line of a job's log."""
        for step in execution.steps:
            ended = f"{step.name} {step.outcome}"
            about = step.name in (EVALUATION.step, QUALITY_GATE) and step.status == "Succeeded"
            if about and ended not in self._read:
                self._read.add(ended)
                self.findings = results.findings(self.pipeline, execution)
            if self.with_log and step.job and step.ended is None:
                last = job_log.end(self.pipeline.target, step, 1)
                self._lines[step.name] = last[0] if last else ""

    def of(self, step: StepProgress) -> str:
        """The note beside a step, on one line."""
        if step.status == "Failed":
            rejection = "the model was not registered or deployed"
            return rejection if step.kind == "Fail" else plain_reason(step.reason)
        if step.ended is None:
            return self._lines.get(step.name, "")
        if step.name == EVALUATION.step:
            return metrics_in_short(self.findings)
        if step.name == QUALITY_GATE:
            return f"{self.findings.decision}" if self.findings.decision else step.outcome
        if step.kind == "RegisterModel":
            return f"version {step.made_name}"
        return step.made_name if step.kind == "Endpoint" else ""


def metrics_in_short(findings: RunResults) -> str:
    """The gate's metric first, then a few others."""
    gated = findings.evaluation.get("gate", {}).get("metric")
    known = [name for name in findings.metrics if name == gated or _worth_a_note(name)]
    names = sorted(known, key=lambda name: name != gated)[:_SHOWN_METRICS]
    return ", ".join(f"{name} {figure(findings.metrics[name])}" for name in names)


def _worth_a_note(metric: str) -> bool:
    """Whether the metric is more than another one negated or squared."""
    return not metric.startswith("neg_") and metric != "mse"


@contextmanager
def following(out: Console, pipeline: DeployedPipeline) -> Iterator[RunObserver]:
    """Give an observer for `DeployedPipeline.follow` that shows an execution's progress."""
    if not out.is_terminal:
        yield _RunLines(out, Notes(pipeline, with_log=False)).observe
        return
    view = _Live(pipeline.definition["Steps"], Notes(pipeline, with_log=True), pipeline.name)
    with drawn(out, view.render):
        yield view.observe


class _Live:
    """The tree of the definition's steps; those in the gate's branches are below the gate."""

    def __init__(self, steps: list[dict[str, Any]], notes: Notes, pipeline: str) -> None:
        self._steps, self._notes, self._pipeline = steps, notes, pipeline
        self._execution: Execution | None = None

    def observe(self, execution: Execution) -> None:
        """Note the state of the execution."""
        self._notes.learn(execution)
        self._execution = execution

    def render(self) -> Tree | Text:
        """The tree as it is now."""
        execution = self._execution
        if execution is None:
            return Text("waiting for the execution's first step", style="dim")
        title = Text(f"{self._pipeline}/{execution.id}", style="bold")
        title.append(f"  {execution.status}", style=_STYLES.get(execution.status, ""))
        title.append(f"  {duration(execution.seconds)}", style="dim")
        tree = Tree(title, guide_style="dim")
        self._add(tree, self._steps, execution)
        return tree

    def _add(self, tree: Tree, steps: list[dict[str, Any]], execution: Execution) -> None:
        for planned in plan.order(steps):
            step = execution.step(planned.name)
            if step is None and not execution.running:
                continue
            branch = tree.add(self._line(step) if step else Text(planned.name, style="dim"))
            arguments: Mapping[str, Any] = planned.body.get("Arguments") or {}
            otherwise = step is not None and step.outcome.lower() == "false"
            self._add(branch, arguments.get("ElseSteps" if otherwise else "IfSteps", []), execution)

    def _line(self, step: StepProgress) -> Text:
        word, style = _word(step)
        text = Text(step.name)
        text.append(f"  {word}", style=style)
        text.append(f"  {duration(step.seconds)}", style="dim")
        note = self._notes.of(step)
        if note:
            text.append(f"  {note[:_NOTE_CHARACTERS]}", style="" if step.ended else "dim")
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


class _RunLines:
    """Prints one line when a step starts and one when it ends."""

    def __init__(self, out: Console, notes: Notes) -> None:
        self._out, self._notes = out, notes
        self._shown: set[tuple[str, bool]] = set()

    def observe(self, execution: Execution) -> None:
        """Print what is new."""
        self._notes.learn(execution)
        for step in execution.steps:
            self._show(execution, step, False)
            if step.ended is not None:
                self._show(execution, step, True)

    def _show(self, execution: Execution, step: StepProgress, ended: bool) -> None:
        if (step.name, ended) in self._shown:
            return
        self._shown.add((step.name, ended))
        when = step.ended if ended and step.ended else step.started
        clock = f"{(when - execution.started).total_seconds():7.1f} s"
        if not ended:
            self._print(f"{clock}  {step.name}: started", "")
            return
        word, style = _word(step)
        note = self._notes.of(step)
        text = f"{clock}  {step.name}: {word} in {duration(step.seconds)}"
        self._print(text + (f" ({short(note)})" if note else ""), style)

    def _print(self, text: str, style: str) -> None:
        self._out.print(text, style=style, markup=False, soft_wrap=True)


def _word(step: StepProgress) -> tuple[str, str]:
    if step.kind == "Fail":
        return "Rejected", "yellow"
    if step.kind == "Condition" and step.outcome:
        return ("Yes", "green") if step.outcome.lower() == "true" else ("No", "yellow")
    return step.status, _STYLES.get(step.status, "")


def show_end(
    out: Console,
    pipeline: DeployedPipeline,
    execution: Execution,
    findings: RunResults,
    problem: str = "",
) -> None:
    """Show the metrics, the gate's decision, and the failed step with its log or the endpoint.

    ``problem`` says why the endpoint does not serve the run's model although it was deployed.
    """
    took = duration(execution.seconds)
    style = _STYLES.get(execution.status, "")
    out.print(f"Execution {execution.id}: {execution.status} after {took}", style=style)
    if findings.problem:
        out.print(findings.problem, style="yellow", markup=False)
    if findings.metrics:
        out.print(_metrics(findings))
    if findings.decision:
        _show_decision(out, findings)
    _show_failure(out, pipeline, execution)
    if problem:
        out.print(f"Not deployed: {problem}.", style="red", markup=False, soft_wrap=True)
    else:
        _show_endpoint(out, pipeline, execution)


def _metrics(findings: RunResults) -> Table:
    table = Table("metric", box=None, pad_edge=False)
    table.add_column("test data", justify="right")
    table.add_column(baseline_name(findings.evaluation), justify="right", style="dim")
    gated = findings.evaluation.get("gate", {}).get("metric")
    for name, value in findings.metrics.items():
        if name != gated and not _worth_a_note(name):
            continue
        before = findings.baseline.get(name)
        shown = figure(before) if isinstance(before, int | float) else ""
        table.add_row(name, figure(value), shown)
    return table


def _show_decision(out: Console, findings: RunResults) -> None:
    decision = findings.decision
    if decision is not None and decision.passed:
        out.print(f"The model passed the quality gate: {decision}.", markup=False)
    else:
        text = f"The quality gate rejected the model: {decision}."
        out.print(text, style="yellow", markup=False)
    before = comparison(findings.evaluation)
    if before is not None:
        out.print(f"{before}", style="yellow" if before.warns else "", markup=False)


def _show_failure(out: Console, pipeline: DeployedPipeline, execution: Execution) -> None:
    step = execution.failed_step
    if step is None:
        if execution.status == "Failed":
            out.print(f"The run failed: {execution.reason}", style="red", markup=False)
        return
    if step.kind == "Fail":
        out.print("Nothing was registered or deployed; the endpoint is unchanged.")
        return
    text = Text(f"{step.name} failed: {plain_reason(step.reason)}", style="red")
    out.print(text, soft_wrap=True)
    lines = job_log.end(pipeline.target, step, _LOG_LINES)
    if lines:
        out.print(f"The end of its log ({job_log.place(step)}):", style="dim", markup=False)
        for line in lines:
            out.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def _show_endpoint(out: Console, pipeline: DeployedPipeline, execution: Execution) -> None:
    deployed = execution.made("Endpoint")
    if deployed is None:
        _show_registered(out, pipeline, execution)
        return
    target, name = pipeline.target, deployed.made_name
    url = endpoint_url(target, name)
    out.print(Text.assemble("The endpoint ", linked(name, url), " serves this model."))
    data = pipeline.parameters(execution.arn).get("InputData", "")
    if data.endswith(".csv"):
        rows = f"aws s3 cp {shlex.quote(data)} -{target.place_options()} | head -n 6"
        command = f"{rows} | python build.py invoke{pipeline.options()}"
        show_next(out, (command, "predictions for the first rows of its table"))


def _show_registered(out: Console, pipeline: DeployedPipeline, execution: Execution) -> None:
    """Explain why a successful run did not deploy its model."""
    registered = execution.made("RegisterModel")
    if registered is None or execution.status != "Succeeded":
        return
    if pipeline.workload.on_approval:
        _show_decided(out, pipeline, registered)
        return
    status = pipeline.parameters(execution.arn).get(APPROVAL, PENDING)
    deploys = any(step["Name"] == APPROVAL_GATE for step in pipeline.definition["Steps"])
    reason = (
        "only a run with ApprovalStatus=Approved deploys its model"
        if deploys
        else "the pipeline's setting deploy is none"
    )
    out.print(
        f"The model was registered as version {registered.made_name} ({status}) but not deployed: "
        f"{reason}.",
        style="yellow",
        markup=False,
    )


def _show_decided(out: Console, pipeline: DeployedPipeline, registered: StepProgress) -> None:
    """Say whether a version waits for approval, and how to approve it."""
    number = registered.made_name
    found = pipeline.workload.described("describe_model_package", ModelPackageName=registered.made)
    status = found["ModelApprovalStatus"] if found else PENDING
    if status != PENDING:
        comment = inert(str((found or {}).get("ApprovalDescription", "")))
        text = f"The model was registered as version {number}: {status}"
        out.print(f"{text} ({comment})." if comment else f"{text}.", markup=False, soft_wrap=True)
        return
    out.print(f"The model was registered as version {number} and waits for approval.", markup=False)
    approve = f"python build.py approve {number}{pipeline.options()}"
    show_next(out, (approve, "by somebody who may: an approved version is deployed"))


def as_json(
    pipeline: DeployedPipeline, execution: Execution, findings: RunResults
) -> dict[str, Any]:
    """Everything about an execution, for programs."""
    failed, deployed = execution.failed_step, execution.made("Endpoint")
    registered = execution.made("RegisterModel")
    return {
        **short_json(execution),
        "pipeline": pipeline.name,
        "parameters": pipeline.typed_parameters(execution.arn),
        "refused": execution.refused,
        "metrics": findings.metrics,
        "gate": findings.decision.as_json() if findings.decision else None,
        "problem": findings.problem or None,
        "model_version": int(registered.made_name) if registered else None,
        "endpoint": deployed.made_name if deployed else None,
        "failure": failed
        and {
            "step": failed.name,
            "reason": plain_reason(failed.reason),
            "log": job_log.end(pipeline.target, failed, _LOG_LINES),
        },
        "steps": [_step_json(step) for step in execution.steps],
    }


def short_json(execution: Execution) -> dict[str, Any]:
    """An execution without its steps, for programs."""
    return {
        "id": execution.id,
        "arn": execution.arn,
        "name": execution.display or None,
        "status": execution.status,
        "started": execution.started.isoformat(),
        "seconds": round(execution.seconds, 1),
        "reason": execution.reason or None,
    }


def _step_json(step: StepProgress) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "started": step.started.isoformat(),
        "seconds": round(step.seconds, 1),
        "made": step.made or None,
        "outcome": step.outcome or None,
        "reason": step.reason or None,
    }


def style_of(status: str) -> str:
    """The color of a status."""
    return _STYLES.get(status, "")
