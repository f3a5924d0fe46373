"""The steps of ``python build.py deploy``; ``operations.deployment`` does them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from generator.cfn.parameters import ParameterDefinitions, definitions
from generator.errors import CommandError, UsageError
from generator.images import ACCOUNTS
from generator.settings import Mode
from tabular_ml_vpc.cli import change_view, stack_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.questions import confirm
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import (
    artifacts,
    deployment,
    function_logs,
    parameters,
    source,
    stacks,
)
from tabular_ml_vpc.operations.artifacts import Package, Uploaded
from tabular_ml_vpc.operations.changes import Change, DeployRequest, NoChangesError
from tabular_ml_vpc.operations.inventory import Leftover, PlannedDeletion, left_of
from tabular_ml_vpc.operations.operation import (
    Cause,
    StackEvent,
    StackOperation,
    first_cause,
    past_events,
)
from tabular_ml_vpc.operations.rights import RightsChange
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target

_LOG_LINES: Final = 15
_LOG_LOOKS: Final = 15
_GOOD: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_GUIDED_FILE: Final = "parameters.json"


@dataclass(frozen=True)
class DeployOptions:
    """What was asked for on the command line."""

    config: Path | None
    mode: str | None
    parameters: Path | None
    pairs: tuple[str, ...]
    guided: bool
    bucket: str | None
    mend: bool
    yes: bool
    as_json: bool
    verbose: bool
    role: str | None = None


@dataclass(frozen=True)
class _Outcome:
    """How a deployment ended, for ``--json`` and for people."""

    stack: Stack
    changed: bool
    seconds: float
    uploaded: Uploaded
    cause: Cause | None = None
    log: tuple[str, ...] = ()
    left: tuple[Leftover, ...] = ()
    """What a failed creation left, though CloudFormation rolled it back."""

    @property
    def succeeded(self) -> bool:
        return self.stack.status in _GOOD or not self.changed


def run(target: Target, options: DeployOptions, built: Source | None = None) -> int:
    """Deploy what was built, by default what ``source.load`` gives; return the exit status."""
    _refuse_region(target)
    began = time.monotonic()
    out = stack_view.console(to_stderr=options.as_json)
    out.print(f"to {target.region} of account {target.account}", style="dim")
    stack, node = _existing(target, out, options)
    mode = _mode(target, options, node)
    out.print(f"in mode {mode}", style="dim")
    built = built or source.load(options.config, mode)
    bucket = options.bucket or artifacts.bucket_name(target)
    package = artifacts.assemble(target, bucket, built.folder, built.texts, built.zips)
    known = definitions(package.root_template)
    current = stack.parameters if stack else {}
    given = _given(options, known, current)
    if stack is None:
        _ask_to_create(out, options, package)
    uploaded = _upload(target, out, options, package)
    asked = parameters.as_request(known, given, current)
    request = deployment.wanted(target, bucket, package, asked, options.role)
    if stack is None or node is None:
        outcome = _create(target, out, options, package, request, uploaded)
    else:
        values = parameters.effective(known, given, current)
        comparison = deployment.Comparison(target, node, package, values)
        outcome = _update(target, out, options, comparison, request, uploaded)
    outcome = replace(outcome, seconds=time.monotonic() - began)
    return _tell(target, out, options, outcome)


def _refuse_region(target: Target) -> None:
    """Refuse what the root template's rule RegionHasImages would, before anything is uploaded."""
    if target.region not in ACCOUNTS:
        raise UsageError(
            f"--region: got {target.region!r}: AWS has no image of AutoGluon there, "
            f"or no SageMaker domain; deploy in one of {', '.join(sorted(ACCOUNTS))}"
        )


def _mode(target: Target, options: DeployOptions, node: StackNode | None) -> Mode:
    """Return the mode that was asked for, or the stack's own; ask before data loses its shelter."""
    own = stacks.mode_of(target, node) if node else None
    wanted = Mode(options.mode or own or Mode.DEV)
    if own == Mode.PROD and wanted is Mode.DEV:
        confirm(
            f"{target.stack} was deployed in mode prod. In mode dev its data, key and logs go when "
            "the stack is deleted. Change it?",
            options.yes,
        )
    return wanted


def _existing(
    target: Target, out: Console, options: DeployOptions
) -> tuple[Stack | None, StackNode | None]:
    """Return the stack that is to be updated, mended if asked; None if it is to be made."""
    stack = stacks.find(target)
    if stack is None or stack.status == "DELETE_COMPLETE":
        return None, None
    node = stacks.tree(target, stack)
    source.refuse_strangers(stack, node)
    problem = deployment.blocked(stack)
    if problem is None:
        return stack, node
    _explain(target, out, stack, problem)
    if not problem.mend:
        raise CommandError(
            f"{stack.name} is in {stack.status}: wait for the operation to end "
            f"(`python build.py status --watch{target.options()}`), then deploy again"
        )
    if not options.mend:
        raise CommandError(
            f"{stack.name} is in {stack.status}: `python build.py deploy --mend"
            f"{target.options()}` would {problem.mend}"
        )
    confirm(f"{stack.name}: {problem.mend}?", options.yes)
    return _mended(target, out, stack, node, problem)


def _explain(target: Target, out: Console, stack: Stack, problem: deployment.Blocked) -> None:

    text = f"{stack.name} is in {stack.status}: {problem.reason}."
    out.print(text, markup=False, soft_wrap=True)
    cause = first_cause(past_events(target, stack.id)) if problem.mend else None
    if cause is not None:
        text = f"The first cause was {cause.place}: {cause.reason}"
        out.print(text, markup=False, soft_wrap=True)


def _mended(
    target: Target, out: Console, stack: Stack, node: StackNode, problem: deployment.Blocked
) -> tuple[Stack | None, StackNode | None]:
    operation = StackOperation.after_now(target, node)
    if problem.mend == deployment.DELETE_AND_CREATE:
        deployment.start_deletion(target, stack)
    else:
        deployment.continue_rollback(target, stack)
    with stack_view.following(out, {}) as observe:
        after = operation.follow(stack.id, observe)
    if after.status == "DELETE_COMPLETE":
        return None, None
    if deployment.blocked(after) is None:
        return after, stacks.tree(target, after)
    cause = first_cause(operation.events)
    reason = f"{cause.place}: {cause.reason}" if cause else after.reason
    raise CommandError(f"{stack.name} could not be mended, it is in {after.status}: {reason}")


def _given(
    options: DeployOptions, known: ParameterDefinitions, current: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters' values of this deployment: of the file, the options, the answers."""
    path = options.parameters
    reads = path is not None and (not options.guided or path.exists())
    given = parameters.given(path if reads else None, options.pairs, known)
    if not options.guided:
        return given
    answers = _ask_for_parameters(known, parameters.effective(known, given, current))
    path = path or Path(_GUIDED_FILE)
    parameters.write_file(path, answers)
    click.echo(f"Written to {path}; next time: --parameters {path}", err=True)
    return answers


def _ask_for_parameters(known: ParameterDefinitions, offered: Mapping[str, str]) -> dict[str, str]:
    """Ask for each value, group by group, until it is one that the parameter takes."""
    answers: dict[str, str] = {}
    group = ""
    for name, definition in known.items():
        if definition.group != group:
            group = definition.group
            click.secho(f"\n{group}", bold=True, err=True)
        click.secho(f"  {definition.description}", dim=True, err=True)
        while True:
            answer = click.prompt(
                f"  {definition.label}",
                default=offered[name],
                show_default=bool(offered[name]),
                err=True,
            )
            problem = definition.problem(str(answer).strip())
            if problem is None:
                answers[name] = str(answer).strip()
                break
            click.echo(f"  got {answer!r}: {problem}", err=True)
    return answers


def _ask_to_create(out: Console, options: DeployOptions, package: Package) -> None:
    changes = deployment.creation(package)
    found = deployment.package_rights(package)
    roles = {one.principal for one in found if one.effect == "Allow"}
    out.print(
        f"The stack does not exist yet: {change_view.counts(changes)}, in {len(changes)} nested "
        f"stacks; {len(roles)} principals get rights "
        "(`python build.py diff` shows which)."
    )
    confirm("Create it?", options.yes)


def _upload(target: Target, out: Console, options: DeployOptions, package: Package) -> Uploaded:
    bucket, made = artifacts.ensure_bucket(target, options.bucket)
    if made:
        out.print(f"made the artifact bucket {bucket}")
    uploaded = artifacts.upload(target, bucket, package)
    out.print(f"uploaded {uploaded.sent} of {uploaded.total} artifacts, {uploaded.bytes:,} bytes")
    return uploaded


def _create(
    target: Target,
    out: Console,
    options: DeployOptions,
    package: Package,
    request: DeployRequest,
    uploaded: Uploaded,
) -> _Outcome:
    operation = StackOperation.after_now(target, None)
    stack_id = deployment.create(target, request)
    outcome = _follow(target, out, options, operation, stack_id, package, uploaded)
    if outcome.succeeded:
        return outcome
    made, unseen = deployment.perhaps_left(package, operation.events), list[PlannedDeletion]()
    left = left_of(target, made, lambda _: "the rollback kept it", unseen)
    return replace(outcome, left=tuple(left))


def _update(
    target: Target,
    out: Console,
    options: DeployOptions,
    comparison: deployment.Comparison,
    request: DeployRequest,
    uploaded: Uploaded,
) -> _Outcome:
    stack = comparison.node.stack
    operation = StackOperation.after_now(target, comparison.node)
    try:
        with deployment.open_change_set(target, request) as change_set:
            changes = comparison.changes(change_set)
            found = comparison.rights()
            change_view.show(out, changes, found, f"{target.stack} would change")
            if not change_set.nested:
                out.print(change_view.forecast_note(change_set.note), style="dim")
            _ask_to_update(options, changes, found)
            deployment.execute(target, change_set)
    except NoChangesError:
        return _Outcome(stack, False, 0, uploaded)
    return _follow(target, out, options, operation, stack.id, comparison.package, uploaded)


def _ask_to_update(
    options: DeployOptions, changes: tuple[Change, ...], found: list[RightsChange]
) -> None:
    """Ask before something is replaced or removed, and before more becomes possible."""
    lost = change_view.replacements(changes)
    wider = sum(one.widens for one in found)
    if not lost and not wider:
        return
    reasons = []
    if lost:
        reasons.append(f"{', '.join(lost)} will be replaced or removed")
    if wider:
        reasons.append(f"more is allowed than before ({counted(wider, 'change')})")
    confirm(f"{' and '.join(reasons)}. Deploy?", options.yes)


class _Evidence:
    """The log of the function behind the first failure, read while it is still there.

    A rollback deletes the function and, in mode dev, its log; lines reach the log seconds late.
    """

    def __init__(self, target: Target, package: Package) -> None:
        self._target = target
        self._templates = package.nested()
        self._events: list[StackEvent] = []
        self._looks = 0
        self.lines: list[str] = []

    def look(self, events: list[StackEvent]) -> None:
        """Take new events in; read the log if there is a failure."""
        self._events += events
        if self._looks >= _LOG_LOOKS or not any(one.failed for one in self._events):
            return
        cause = first_cause(self._events)
        if cause is not None:
            self._looks += 1
            template = self._templates.get(cause.path[-1] if cause.path else "", {})
            found = function_logs.behind(self._target, cause, self._events, template, _LOG_LINES)
            self.lines = found if len(found) >= len(self.lines) else self.lines


def _follow(
    target: Target,
    out: Console,
    options: DeployOptions,
    operation: StackOperation,
    stack_id: str,
    package: Package,
    uploaded: Uploaded,
) -> _Outcome:
    evidence = _Evidence(target, package)

    def observe(events: list[StackEvent]) -> None:
        show(events)
        evidence.look(events)

    try:
        with stack_view.following(out, deployment.totals(package), options.verbose) as show:
            stack = operation.follow(stack_id, observe)
    except KeyboardInterrupt:
        _say_how_to_go_on(target)
        raise
    cause = None if stack.status in _GOOD else first_cause(operation.events)
    return _Outcome(stack, True, 0, uploaded, cause, tuple(evidence.lines))


def _say_how_to_go_on(target: Target) -> None:
    options = target.options()
    stack_view.say(
        "CloudFormation goes on by itself. "
        f"`python build.py status --watch{options}` follows it; "
        f"`aws cloudformation cancel-update-stack --stack-name {target.stack}` takes an update "
        f"back; `python build.py destroy{options}` removes the stack once it rests."
    )


def _tell(target: Target, out: Console, options: DeployOptions, outcome: _Outcome) -> int:
    if options.as_json:
        print_json(_as_json(outcome))
    if outcome.succeeded:
        if not options.as_json:
            _tell_success(target, out, outcome)
        return 0
    _tell_failure(target, out, outcome)
    return 1


def _as_json(outcome: _Outcome) -> dict[str, Any]:
    cause = outcome.cause
    return {
        "stack": outcome.stack.name,
        "status": outcome.stack.status,
        "changed": outcome.changed,
        "seconds": round(outcome.seconds, 1),
        "uploaded": {"sent": outcome.uploaded.sent, "of": outcome.uploaded.total},
        "outputs": dict(outcome.stack.outputs),
        "left": [one.as_json() for one in outcome.left],
        "cause": cause
        and {
            "place": cause.place,
            "type": cause.type,
            "reason": cause.reason,
            "log": list(outcome.log),
        },
    }


def _tell_success(target: Target, out: Console, outcome: _Outcome) -> None:
    if not outcome.changed:
        out.print(f"{target.stack} is up to date: nothing changed.", style="green")
        return
    took = stack_view.duration(outcome.seconds)
    out.print(f"{target.stack} is in {outcome.stack.status} after {took}.", style="green")
    for name, value in outcome.stack.outputs.items():
        out.print(Text(f"  {name} = {value}"), soft_wrap=True)


def _tell_failure(target: Target, out: Console, outcome: _Outcome) -> None:
    cause = outcome.cause
    if cause is not None:
        text = f"First cause: {cause.place} ({cause.type}): {cause.reason}"
        out.print(Text(text, style="red"), soft_wrap=True)
    if outcome.log:
        out.print("The end of its function's log:", style="dim")
        for line in outcome.log:
            out.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    if outcome.left:
        out.print("Left by the failed creation; delete it if nothing of yours is in it:")
        for one in outcome.left:
            out.print(Text(f"  {one.place} ({one.type}) {one.physical_id}\n    {one.command}"))
    problem = deployment.blocked(outcome.stack)
    after = (
        f"once the reason is gone, `python build.py deploy --mend{target.options()}` would "
        f"{problem.mend}"
        if problem and problem.mend
        else "the stack is as it was before"
    )
    raise CommandError(f"{target.stack} was not deployed, it is in {outcome.stack.status}; {after}")
