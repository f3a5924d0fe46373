"""Bring a stack to the state that the templates describe.

A ``Deployment`` yields what happens as events; nothing here prints or prompts.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from generator.cfn.evaluator import KEEPS
from generator.cfn.parameters import ParameterDefinitions
from generator.errors import CommandError, UsageError
from generator.settings import Mode
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import (
    checks_boundary,
    checks_existing_vpc,
    checks_given,
    checks_studio,
    doctor,
    function_logs,
    parameters,
    preflight,
    stacks,
    validation,
)
from tabular_ml_vpc.operations.artifacts import Package, Uploaded
from tabular_ml_vpc.operations.changes import NoChangesError
from tabular_ml_vpc.operations.comparison import (
    StackDifference,
    difference_of_creation,
    difference_of_update,
)
from tabular_ml_vpc.operations.events import Event, Events, Question, ask
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.inventory import Leftover, PlannedDeletion, left_of
from tabular_ml_vpc.operations.operation import (
    Cause,
    StackEvent,
    StackOperation,
    first_cause,
    past_events,
    path_of,
)
from tabular_ml_vpc.operations.release import Release, deployed_mode
from tabular_ml_vpc.operations.source import Source, SourceOptions, our_tree
from tabular_ml_vpc.operations.spaces import require_no_orphans
from tabular_ml_vpc.operations.stack_requests import Blocked, Repair, StackRequests, blocked
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target

GUIDED_FILE: Final = Path("parameters.json")
"""Where the answers of a guided deployment are written by default."""
_LOG_LINES: Final = 15
_LOG_READS: Final = 15
_SUCCEEDED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


@dataclass(frozen=True)
class DeploymentOptions:
    """What was requested: what to deploy, and how."""

    source: SourceOptions = field(default_factory=SourceOptions)
    guided: bool = False
    repair: bool = False
    role: str | None = None
    """ARN of the service role that CloudFormation assumes (docs/deployer.md)."""


@dataclass(frozen=True)
class Started(Event):
    """The region and the account are known and can be used."""

    stack: str
    region: str
    account: str


@dataclass(frozen=True)
class ModeChosen(Event):
    """The mode in which the stack is deployed."""

    mode: Mode


@dataclass
class RetentionReduced(Question):
    """The stack is in mode prod, and would be in mode dev: its data would no longer be kept."""

    stack: str


@dataclass(frozen=True)
class StackBlocked(Event):
    """The stack cannot be updated; ``cause`` is the failure behind it, if it is known."""

    stack: Stack
    problem: Blocked
    cause: Cause | None


@dataclass
class RepairNeeded(Question):
    """The stack must be repaired before it can be updated."""

    stack: str
    repair: Repair


@dataclass
class ParametersRequested(Question):
    """A guided deployment needs the parameters' values: ``answers`` must be filled."""

    definitions: ParameterDefinitions
    offered: Mapping[str, str]
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ParametersWritten(Event):
    """The answers of a guided deployment were written to a file."""

    path: Path


@dataclass(frozen=True)
class VpcExamined(Event):
    """What to know about the existing VPC before something is created in it."""

    findings: Sequence[CheckFinding]


@dataclass
class CreationPlanned(Question):
    """The stack does not exist, and would be created."""

    difference: StackDifference


@dataclass(frozen=True)
class BucketCreated(Event):
    """The default artifact bucket did not exist."""

    bucket: str


@dataclass(frozen=True)
class ArtifactsUploaded(Event):
    """The templates and zips are in the artifact bucket."""

    uploaded: Uploaded


@dataclass
class ChangesComputed(Question):
    """The change set is ready to be executed."""

    stack: str
    difference: StackDifference


@dataclass(frozen=True)
class Finished(Event):
    """The stack is as the templates say."""

    stack: Stack
    uploaded: Uploaded
    changed: bool = True
    seconds: float = 0

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "stack": self.stack.name,
            "status": self.stack.status,
            "changed": self.changed,
            "seconds": round(self.seconds, 1),
            "uploaded": {"sent": self.uploaded.sent, "of": self.uploaded.total},
            "outputs": dict(self.stack.outputs),
            "left": [],
            "cause": None,
        }


@dataclass(frozen=True)
class Failed(Finished):
    """CloudFormation could not deploy: the first cause, and the log of its function."""

    cause: Cause | None = None
    log: Sequence[str] = ()
    left: Sequence[Leftover] = ()
    """What a failed creation left behind, although CloudFormation rolled it back."""

    @property
    def repair(self) -> Repair | None:
        """Return what makes the stack updatable again, or None if it still is."""
        problem = blocked(self.stack)
        return problem.repair or None if problem else None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        cause = self.cause
        failure = (
            {
                "place": cause.place,
                "type": cause.type,
                "reason": cause.reason,
                "log": list(self.log),
            }
            if cause
            else None
        )
        left = [leftover.as_json() for leftover in self.left]
        return super().as_json() | {"left": left, "cause": failure}


@dataclass(frozen=True)
class Deployment:
    """One deployment to a target; ``built`` replaces what ``source.load`` would return."""

    target: Target
    options: DeploymentOptions
    built: Source | None = None

    def events(self) -> Events:
        """Deploy, and yield what happens; unanswered questions end it.

        The last event is ``Finished``, or its subclass ``Failed``.

        Raises:
            UsageError: an option cannot be used.
            CommandError: a question was not approved, or the stack cannot be updated.

        """
        began = time.monotonic()
        preflight.check_region(self.target.region)
        self._check_options()
        yield Started(self.target.stack, self.target.region, self.target.account)
        node = yield from self._deployed()
        mode = yield from self._mode(node)
        release = yield from self._release(node, mode)
        self._require_what_exists(release)
        yield from self._examine_vpc(release)
        if node is None:
            yield from ask(CreationPlanned(difference_of_creation(release)))
        uploaded = yield from _upload(release)
        if node is None:
            finished = yield from self._create(release, uploaded)
        else:
            finished = yield from self._update(release, node, uploaded)
        yield replace(finished, seconds=time.monotonic() - began)

    def _check_options(self) -> None:
        options = self.options.source
        if self.options.guided and options.parameters and not options.parameters.exists():
            options = replace(options, parameters=None)  # the answers will be written to it
        preflight.check(self.target.stack, options, self.options.role, self.target.region)

    def _require_what_exists(self, release: Release) -> None:
        """Refuse what exists and would let the stack fail halfway, or not work."""
        context = CheckContext(self.target, release.templates, release.values)
        checks = (
            checks_boundary.boundary,
            checks_studio.domain,
            checks_given.log_bucket,
            checks_given.alert_topic,
        )
        for finding in chain.from_iterable(check(context) for check in checks):
            if finding.verdict is Verdict.PROBLEM:
                raise CommandError(f"{finding.what}; {finding.why}; {finding.command}")

    def _examine_vpc(self, release: Release) -> Iterator[Event]:
        """Refuse another VPC, or one that cannot work; say what the stack would change in it."""
        if reason := release.moved():
            raise UsageError(reason)
        context = CheckContext(self.target, release.templates, release.values)
        check = checks_existing_vpc.existing_vpc
        findings = list(doctor.run(checks_existing_vpc.NAME, check, context))
        notable = [one for one in findings if one.verdict is not Verdict.OK]
        problems = [one for one in notable if one.verdict is Verdict.PROBLEM]
        if problems:
            more = counted(len(problems) - 1, "more problem") if len(problems) > 1 else ""
            first = "; ".join(filter(None, (problems[0].what, problems[0].why)))
            rest = f" (and {more})" if more else ""
            options = self.target.options()
            raise CommandError(f"{first}{rest}; see `python build.py doctor{options}`")
        if notable:
            yield VpcExamined(notable)

    def _deployed(self) -> Generator[Event, None, StackNode | None]:
        """Return the stack to update, repaired if needed; None if it must be created."""
        node = our_tree(self.target)
        problem = blocked(node.stack) if node else None
        if node is None or problem is None:
            return node
        stack = node.stack
        cause = first_cause(past_events(self.target, stack.id)) if problem.repair else None
        yield StackBlocked(stack, problem, cause)
        self._require_repairable(stack, problem)
        yield from ask(RepairNeeded(stack.name, problem.repair))
        return (yield from self._repair(node, problem.repair))

    def _require_repairable(self, stack: Stack, problem: Blocked) -> None:
        if not problem.repair:
            raise CommandError(
                f"{stack.name} is in {stack.status}: wait for the operation to finish "
                f"(`python build.py status --watch{self.target.options()}`), then deploy again"
            )
        if not self.options.repair:
            raise CommandError(
                f"{stack.name} is in {stack.status}; to {problem.repair}, run "
                f"`python build.py deploy --repair{self.target.options()}`"
            )

    def _repair(self, node: StackNode, repair: Repair) -> Generator[Event, None, StackNode | None]:
        operation = StackOperation.after_now(self.target, node)
        StackRequests(self.target).repair(node.stack, repair)
        stack = yield from operation.follow(node.stack.id, {})
        if stack.status == "DELETE_COMPLETE":
            return None
        if blocked(stack) is None:
            return stacks.tree(self.target, stack)
        cause = first_cause(operation.events)
        reason = f"{cause.place}: {cause.reason}" if cause else stack.reason
        raise CommandError(f"{stack.name} could not be repaired; it is in {stack.status}: {reason}")

    def _mode(self, node: StackNode | None) -> Generator[Event, None, Mode]:
        """Return the mode that was requested, or the stack's own."""
        deployed = deployed_mode(self.target, node)
        mode = Mode(self.options.source.mode or deployed or Mode.DEV)
        if deployed == Mode.PROD and mode is Mode.DEV:
            yield from ask(RetentionReduced(self.target.stack))
        yield ModeChosen(mode)
        return mode

    def _release(self, node: StackNode | None, mode: Mode) -> Generator[Event, None, Release]:
        """Return what to deploy; a guided deployment asks for the parameters."""
        options = replace(self.options.source, mode=mode)
        path = options.parameters or GUIDED_FILE
        if self.options.guided and options.parameters and not path.exists():
            options = replace(options, parameters=None)
        release = Release.prepare(self.target, node, options, self.built, self.options.role)
        if not self.options.guided:
            return release
        question = ParametersRequested(release.definitions, release.values)
        yield from ask(question)
        parameters.check_gate(question.answers)
        parameters.write_file(path, question.answers)
        yield ParametersWritten(path)
        return replace(release, given=question.answers)

    def _create(self, release: Release, uploaded: Uploaded) -> Generator[Event, None, Finished]:
        operation = StackOperation.after_now(self.target, None)
        stack_id = StackRequests(self.target).create(release.request)
        finished = yield from _outcome(operation, stack_id, release.package, uploaded)
        if not isinstance(finished, Failed):
            return finished
        kept = perhaps_left(release.package, operation.events)
        left = left_of(self.target, kept, lambda _: "the rollback kept it", [])
        return replace(finished, left=left)

    def _update(
        self, release: Release, node: StackNode, uploaded: Uploaded
    ) -> Generator[Event, None, Finished]:
        operation = StackOperation.after_now(self.target, node)
        try:
            with release.change_set() as change_set:
                difference = difference_of_update(release, node, change_set)
                _require_room(difference)
                yield from ask(ChangesComputed(self.target.stack, difference))
                require_no_orphans(self.target, node, difference.changes)
                StackRequests(self.target).execute(change_set)
        except NoChangesError:
            return Finished(node.stack, uploaded, changed=False)
        return (yield from _outcome(operation, node.stack.id, release.package, uploaded))


def _require_room(difference: StackDifference) -> None:
    """Refuse an update that would fail because of what an earlier pipeline left."""
    for left in difference.in_the_way:
        raise CommandError(
            f"{left.physical_id} is in the way of {left.place}: {left.reason}; save what you need "
            f"of it, and delete it with `{left.command}`"
        )


def _upload(release: Release) -> Generator[Event, None, Uploaded]:
    if release.bucket.ensure():
        yield BucketCreated(release.bucket.name)
    uploaded = release.bucket.upload(release.package)
    yield ArtifactsUploaded(uploaded)
    return uploaded


def _outcome(
    operation: StackOperation, stack_id: str, package: Package, uploaded: Uploaded
) -> Generator[Event, None, Finished]:
    """Follow a creation or an update to its end."""
    log = _FailureLog(operation, package)
    stack = yield from operation.follow(stack_id, package.totals(), log.read)
    if stack.status in _SUCCEEDED:
        return Finished(stack, uploaded)
    cause = first_cause(operation.events)
    cause = cause and validation.explained(operation.target, cause)
    return Failed(stack, uploaded, cause=cause, log=log.lines)


def perhaps_left(package: Package, events: Sequence[StackEvent]) -> list[PlannedDeletion]:
    """Return what a failed creation had created, and its templates keep after a deletion.

    ``RetainExceptOnCreate`` deletes what a failed creation created; no document says whether that
    holds for what was complete in a nested stack when the root's creation was rolled back.
    """
    bodies = {"": package.root_template["Resources"]} | {
        name: body["Resources"] for name, body in package.nested().items()
    }
    left = {}
    for event in events:
        path = path_of(events, event.stack_id)
        body = bodies.get("/".join(path), {}).get(event.logical_id, {})
        if event.status == "CREATE_COMPLETE" and body.get("DeletionPolicy") in KEEPS:
            place = "/".join((*path, event.logical_id))
            left[place] = PlannedDeletion(place, event.type, event.physical_id)
    return list(left.values())


class _FailureLog:
    """The log of the function behind the first failure, read while it exists.

    A rollback deletes the function and, in mode dev, its log; lines reach the log seconds late.
    """

    def __init__(self, operation: StackOperation, package: Package) -> None:
        self._operation, self._templates = operation, package.nested()
        self._reads = 0
        self.lines: Sequence[str] = ()

    def read(self) -> None:
        """Read the log if there is a failure."""
        events = self._operation.events
        cause = first_cause(events) if any(event.failed for event in events) else None
        if cause is None or self._reads >= _LOG_READS:
            return
        self._reads += 1
        template = self._templates.get(cause.path[-1] if cause.path else "", {})
        lines = function_logs.behind(self._operation.target, cause, events, template, _LOG_LINES)
        self.lines = lines if len(lines) >= len(self.lines) else self.lines
