"""How a deployment is shown, and how its questions are asked."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from functools import singledispatchmethod
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from generator.cfn.parameters import ParameterDefinition
from generator.errors import CommandError
from tabular_ml_vpc.cli import change_view
from tabular_ml_vpc.cli.console import show_next
from tabular_ml_vpc.cli.links import linked, stack_url
from tabular_ml_vpc.cli.questions import confirm, require_terminal
from tabular_ml_vpc.cli.stack_view import OperationView, duration
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import deployment, pipelines
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.comparison import StackDifference
from tabular_ml_vpc.operations.events import Event, Question
from tabular_ml_vpc.operations.function_logs import without_frames
from tabular_ml_vpc.operations.loosening.kinds import POLICIES
from tabular_ml_vpc.operations.operation import OperationEvent
from tabular_ml_vpc.operations.target import Target

_SHOWN_LEFT: Final = 3


class DeploymentView:
    """Shows the events of a deployment on a console, and asks; ``yes`` skips the prompts."""

    def __init__(self, out: Console, yes: bool, verbose: bool = False) -> None:
        self._out, self._yes, self._verbose = out, yes, verbose
        self.operation = OperationView(out, verbose)

    def follow(self, run: deployment.Deployment) -> deployment.Finished:
        """Run a deployment; return its last event, which is not shown."""
        with self.operation, closing(run.events()) as events:
            for event in events:
                if isinstance(event, deployment.Finished):
                    return event
                self.show(event)
        raise AssertionError("the last event of a deployment is Finished")

    @singledispatchmethod
    def show(self, event: Event) -> None:
        """Show an event; ask if it is a question."""
        raise NotImplementedError(event)

    @show.register
    def _(self, event: OperationEvent) -> None:
        self.operation.show(event)

    @show.register
    def _(self, event: deployment.Started) -> None:
        place = f"{event.region} of account {event.account}"
        self._out.print(f"Deploying {event.stack} to {place}", style="bold")

    @show.register
    def _(self, event: deployment.ModeChosen) -> None:
        self._out.print(f"in mode {event.mode}", style="dim")

    @show.register
    def _(self, event: deployment.RetentionReduced) -> None:
        question = (
            f"{event.stack} was deployed in mode prod. In mode dev, its data, key and logs are "
            "deleted with the stack. Change the mode?"
        )
        self._ask(event, question)

    @show.register
    def _(self, event: deployment.StackBlocked) -> None:
        stack, cause = event.stack, event.cause
        self._print(f"{stack.name} is in {stack.status}: {event.problem.reason}.")
        if cause is not None:
            self._print(f"First cause: {cause.place}: {cause.reason}")

    @show.register
    def _(self, event: deployment.RepairNeeded) -> None:
        self._ask(event, f"Repair {event.stack} ({event.repair})?")

    @show.register
    def _(self, event: deployment.ParametersRequested) -> None:
        require_terminal("--guided needs a terminal to ask on; give values with --set instead")
        group = ""
        for name, definition in event.definitions.items():
            if definition.group != group:
                group = definition.group
                click.secho(f"\n{group}", bold=True, err=True)
            event.answers[name] = _ask_for(definition, event.offered[name])
        event.approve()

    @show.register
    def _(self, event: deployment.ParametersWritten) -> None:
        click.echo(f"Written to {event.path}; next time: --parameters {event.path}", err=True)

    @show.register
    def _(self, event: deployment.VpcExamined) -> None:
        for finding in event.findings:
            why = f": {finding.why}" if finding.why else ""
            self._print(f"{finding.verdict}: {finding.check}: {finding.what}{why}", "yellow")

    @show.register
    def _(self, event: deployment.CreationPlanned) -> None:
        changes = event.difference.changes
        statements = [one.new for one in event.difference.loosenings if one.kind in POLICIES]
        principals = {one["Principal"] for one in statements if one["Effect"] == "Allow"}
        self._out.print(
            f"The stack does not exist yet: {change_view.counts(changes)}, in {len(changes)} "
            f"nested stacks; {len(principals)} principals get permissions "
            "(`python build.py diff` lists them)."
        )
        self._ask(event, "Create it?")

    @show.register
    def _(self, event: deployment.BucketCreated) -> None:
        self._out.print(f"created the artifact bucket {event.bucket}")

    @show.register
    def _(self, event: deployment.ArtifactsUploaded) -> None:
        uploaded = event.uploaded
        self._out.print(
            f"uploaded {uploaded.sent} of {uploaded.total} artifacts, {uploaded.bytes:,} bytes"
        )

    @show.register
    def _(self, event: deployment.ChangesComputed) -> None:
        change_view.show(self._out, event.difference, f"{event.stack} would change")
        question = _question_about(event.difference)
        if question:
            self._ask(event, question)
        event.approve()

    def show_success(self, finished: deployment.Finished, target: Target) -> None:
        """Show the deployed stack, and what to do next."""
        stack = finished.stack
        if finished.changed:
            seconds = duration(finished.seconds)
            self._print(f"{stack.name} is in {stack.status} after {seconds}.", "green")
            for name, value in stack.outputs.items():
                self._print(f"  {name} = {value}")
        else:
            self._print(f"{stack.name} is up to date: nothing changed.", "green")
        url = stack_url(target, stack.id)
        if url:
            self._out.print(linked("Open it in the AWS console", url, "dim"))
        names = pipelines.names(stack)
        which = f" {pipelines.OPTION} {names[0]}" if len(names) > 1 else ""
        command = f"python build.py run{target.options()}{which}"
        show_next(self._out, (command, "train, evaluate and deploy a model"))

    def require_success(self, finished: deployment.Finished, target: Target) -> None:
        """Show why a deployment has failed, if it has.

        Raises:
            CommandError: it has; the error says what to do.

        """
        if not isinstance(finished, deployment.Failed):
            return
        self._show_failure(finished)
        advice = "it is as it was before"
        if finished.repair:
            command = f"python build.py deploy --repair{target.options()}"
            advice = f"once you have fixed the cause, run `{command}` to {finished.repair}"
        status = finished.stack.status
        raise CommandError(
            f"{target.stack} was not deployed; it is in {status}; {advice}", finished.as_json()
        )

    def _show_failure(self, failed: deployment.Failed) -> None:
        cause = failed.cause
        if cause is not None:
            self._print(f"First cause: {cause.place} ({cause.type}): {cause.reason}", "red")
        self._show_log(failed)
        if failed.left:
            self._print("Left by the failed creation; delete it unless you need it:")
        shown = failed.left if self._verbose else failed.left[:_SHOWN_LEFT]
        for leftover in shown:
            place = f"{leftover.place} ({leftover.type}) {leftover.physical_id}"
            self._print(f"  {place}\n    {leftover.command}")
        if len(shown) < len(failed.left):
            more = counted(len(failed.left) - len(shown), "more resource")
            self._print(f"  and {more}: --verbose and --json list them all")

    def _show_log(self, failed: deployment.Failed) -> None:
        """Show the end of the function's log: without --verbose, only what the cause lacks."""
        reason = failed.cause.reason if failed.cause else ""
        lines = list(failed.log)
        if not self._verbose:
            lines = [line for line in without_frames(lines) if not reason or reason not in line]
        if lines:
            self._print("The last lines of its function's log:", "dim")
        for line in lines:
            self._print(f"  {line}", "dim")

    def _ask(self, event: Question, question: str) -> None:
        confirm(question, self._yes)
        event.approve()

    def _print(self, text: str, style: str = "") -> None:
        self._out.print(Text(text, style=style), soft_wrap=True)


def _ask_for(definition: ParameterDefinition, default: str) -> str:
    """Ask for a parameter's value until it is allowed."""
    click.secho(f"  {definition.description}", dim=True, err=True)
    while True:
        answer = click.prompt(
            f"  {definition.label}", default=default, show_default=bool(default), err=True
        )
        value = str(answer).strip()
        problem = definition.problem(value)
        if problem is None:
            return value
        click.echo(f"  got {answer!r}: {problem}", err=True)


def _question_about(difference: StackDifference) -> str:
    """Return what to ask if something is lost or loosened, or a setting dropped; else nothing."""
    gone = [one.name for one in difference.removed_pipelines]
    others = _besides(difference.changes, gone)
    lost = change_view.replacements(others)
    looser = change_view.loosened(difference.loosenings)
    perhaps = change_view.replacements(others, {ChangeAction.MAYBE_REPLACE})
    reasons = []
    if gone:
        reasons.append(f"{' and '.join(f'the pipeline {name}' for name in gone)} will be removed")
    if difference.removes_manager:
        reasons.append("the function that deletes them is removed at the same time")
    if lost:
        reasons.append(f"{change_view.named(lost)} will be replaced or removed")
    if perhaps:
        reasons.append(f"{change_view.named(perhaps)} may be replaced")
    if looser:
        reasons.append(looser)
    if difference.dropped:
        reasons.append(change_view.dropped(difference.dropped))
    return f"{', and '.join(reasons)}. Deploy?" if reasons else ""


def _besides(changes: Iterable[Change], gone: Iterable[str]) -> list[Change]:
    """Return the changes but for the nested stacks of pipelines, which are named instead."""
    titles = {pipelines.stack_title(name) for name in gone}
    return [change for change in changes if change.logical_id not in titles]
