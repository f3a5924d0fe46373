"""What CloudFormation does to a stack and its nested stacks, as it happens.

``StackOperation`` reads the events of the whole tree; ``Progress`` is the state that follows from
them; ``first_cause`` finds the failure that caused the others.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from generator.errors import CommandError
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.events import Event
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target, code_of

_ENDED: Final = ("_COMPLETE", "_FAILED", "_SKIPPED")
_FOLLOWED: Final = ("cancelled", "Embedded stack", "The following resource(s) failed")
"""Parts of reasons that only say that something else has failed."""

_PREFIX: Final = re.compile(
    r"^Received response status \[FAILED\] from custom resource\. Message( returned)?: "
)


@dataclass(frozen=True)
class StackEvent:
    """One stack event; ``time`` has a time zone."""

    id: str
    stack_id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    time: datetime

    @property
    def of_stack_itself(self) -> bool:
        """Return whether the event is about the stack itself, not one of its resources."""
        return self.type == NESTED and self.physical_id == self.stack_id

    @property
    def of_nested_stack(self) -> bool:
        """Return whether the event is about a nested stack."""
        return self.type == NESTED and self.physical_id != self.stack_id

    @property
    def failed(self) -> bool:
        """Return whether it is a failure that did not follow from another one."""
        return self.status.endswith("_FAILED") and not any(
            part in self.reason for part in _FOLLOWED
        )


@dataclass
class ResourceProgress:
    """The progress of one resource: its start, its end and its status."""

    logical_id: str
    type: str
    status: str
    started: datetime
    ended: datetime | None = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Return whether it has failed."""
        return self.status.endswith("_FAILED")


@dataclass
class StackProgress:
    """The progress of one stack, with its resources by logical id."""

    id: str
    title: str
    parent: str | None
    status: str
    started: datetime
    ended: datetime | None = None
    steps: dict[str, ResourceProgress] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Return how many resources have ended."""
        return sum(1 for step in self.steps.values() if step.ended is not None)


@dataclass
class Progress:
    """The progress of the whole tree, by stack id, the root first."""

    stacks: dict[str, StackProgress] = field(default_factory=dict)
    _places: dict[str, tuple[str, str]] = field(default_factory=dict)

    def learn(self, events: Iterable[StackEvent]) -> None:
        """Note which stacks are nested in which; a nested stack's own events can come first."""
        for event in events:
            if event.of_nested_stack and event.physical_id:
                self._places[event.physical_id] = (event.logical_id, event.stack_id)

    def add(self, event: StackEvent) -> None:
        """Add one event."""
        if event.of_stack_itself:
            self._stack(event)
        else:
            self._step(self._of(event), event)

    def _of(self, event: StackEvent) -> StackProgress:
        """Return the stack of the event."""
        if event.stack_id not in self.stacks:
            name = event.stack_id.split("/")[1] if "/" in event.stack_id else event.stack_id
            title, parent = self._places.get(event.stack_id, (name, None))
            stack = StackProgress(event.stack_id, title, parent, event.status, event.time)
            self.stacks[event.stack_id] = stack
        return self.stacks[event.stack_id]

    def _stack(self, event: StackEvent) -> None:
        stack = self._of(event)
        stack.status = event.status
        stack.ended = event.time if event.status.endswith(_ENDED) else None

    def _step(self, stack: StackProgress, event: StackEvent) -> None:
        step = stack.steps.get(event.logical_id)
        if step is None or (step.ended and event.status.endswith("_IN_PROGRESS")):
            step = ResourceProgress(event.logical_id, event.type, event.status, event.time)
            stack.steps[event.logical_id] = step
        step.status, step.reason = event.status, event.reason or step.reason
        if event.status.endswith(_ENDED):
            step.ended = event.time

    def children(self, stack_id: str) -> Iterator[StackProgress]:
        """Yield the stacks nested in one, in the order in which they started."""
        for stack in self.stacks.values():
            if stack.parent == stack_id:
                yield stack


@dataclass(frozen=True)
class Cause:
    """The first failure: where it happened, and CloudFormation's reason for it."""

    path: tuple[str, ...]
    stack_id: str
    logical_id: str
    physical_id: str
    type: str
    reason: str
    time: datetime

    @property
    def place(self) -> str:
        """Return the nested stacks and the resource, such as ``StorageStack/DataBucket``."""
        return "/".join((*self.path, self.logical_id))


def first_cause(events: Iterable[StackEvent]) -> Cause | None:
    """Return the failure that caused the others: the first one, from the deepest stack.

    A nested stack's own failure counts only if nothing in it failed (for example, if CloudFormation
    rejects its template).
    """
    ordered = sorted(events, key=lambda event: event.time)
    failed = [event for event in ordered if event.failed and not event.of_stack_itself]
    failed = failed or [event for event in ordered if _is_rejection(event)]
    if not failed:
        return None
    first = failed[0]
    return Cause(
        path=tuple(path_of(ordered, first.stack_id)),
        stack_id=first.stack_id,
        logical_id=first.logical_id,
        physical_id=first.physical_id,
        type=first.type,
        reason=plain(first.reason) or "CloudFormation gave no reason",
        time=first.time,
    )


def plain(reason: str) -> str:
    """Return a reason on one line, without CloudFormation's prefix before a function's reason."""
    return _PREFIX.sub("", " ".join(reason.split()))


def _is_rejection(event: StackEvent) -> bool:
    return event.status.endswith("_FAILED") and "cancelled" not in event.reason


def path_of(events: Iterable[StackEvent], stack_id: str) -> list[str]:
    """Return the logical ids of the nested stacks on the way from the root to a stack."""
    above = {
        event.physical_id: (event.logical_id, event.stack_id)
        for event in events
        if event.of_nested_stack
    }
    path: list[str] = []
    while stack_id in above:
        logical_id, stack_id = above[stack_id]
        path.insert(0, logical_id)
    return path


class OperationEvent(Event):
    """Progress of what CloudFormation does to a stack."""


@dataclass(frozen=True)
class OperationStarted(OperationEvent):
    """CloudFormation works on a stack.

    ``totals`` is the number of resources by nested stack's logical id; the root's is under ``""``.
    """

    totals: Mapping[str, int]


@dataclass(frozen=True)
class StackProgressed(OperationEvent):
    """The stack events since the last poll; there may be none."""

    events: list[StackEvent]


@dataclass(frozen=True)
class OperationEnded(OperationEvent):
    """CloudFormation has finished, successfully or not."""


@dataclass
class StackOperation:
    """Reads the new events of a tree of stacks.

    Create it before the operation starts, so that no event is missed and no old event is treated as
    new.
    """

    target: Target
    seen: dict[str, str] = field(default_factory=dict)
    events: list[StackEvent] = field(default_factory=list)
    sleep: Callable[[float], None] = time.sleep
    _active: dict[str, None] = field(default_factory=dict)

    @classmethod
    def after_now(cls, target: Target, node: StackNode | None) -> StackOperation:
        """Return an operation that skips the tree's earlier events."""
        operation = cls(target)
        for nested in node.walk() if node else ():
            newest = next(operation._newest_first(nested.stack.id), None)
            if newest is not None:
                operation.seen[nested.stack.id] = newest.id
        return operation

    def follow(
        self,
        stack_id: str,
        totals: Mapping[str, int],
        after_poll: Callable[[], None] = lambda: None,
    ) -> Generator[OperationEvent, None, Stack]:
        """Yield the progress of the operation on the root stack; return the stack at its end.

        ``totals`` is handed on in ``OperationStarted``.

        Raises:
            CommandError: the stack no longer exists.

        """
        yield OperationStarted(totals)
        self._active[stack_id] = None
        while True:
            stack = stacks.find(self.target, stack_id)
            if stack is None:
                raise CommandError(f"the stack {stack_id} no longer exists")
            yield StackProgressed(self._poll())
            after_poll()
            if not stack.busy:
                yield OperationEnded()
                return stack
            self.sleep(self.target.poll_seconds)

    def _poll(self) -> list[StackEvent]:
        """Return the new events of all active stacks, in order of time."""
        events: list[StackEvent] = []
        waiting = list(self._active)
        while waiting:
            stack_id = waiting.pop(0)
            for event in self._new(stack_id):
                events.append(event)
                nested = event.physical_id if event.of_nested_stack else ""
                if nested and nested not in self._active and nested not in waiting:
                    waiting.append(nested)
        events.sort(key=lambda event: event.time)
        self._keep_active(events)
        self.events += events
        return events

    def _keep_active(self, events: list[StackEvent]) -> None:
        """Keep polling nested stacks until their last event, and always the root."""
        root = next(iter(self._active))
        for event in events:
            if event.of_nested_stack and event.physical_id and not event.status.endswith(_ENDED):
                self._active[event.physical_id] = None
            if event.of_stack_itself and event.stack_id != root:
                if event.status.endswith(_ENDED):
                    self._active.pop(event.stack_id, None)
                else:
                    self._active[event.stack_id] = None

    def _new(self, stack_id: str) -> list[StackEvent]:
        """Return the events of one stack since the last poll, oldest first."""
        known, new = self.seen.get(stack_id), []
        for event in self._newest_first(stack_id):
            if event.id == known:
                break
            new.append(event)
        if new:
            self.seen[stack_id] = new[0].id
        return new[::-1]

    def _newest_first(self, stack_id: str) -> Iterator[StackEvent]:
        pages = self.target.client("cloudformation").get_paginator("describe_stack_events")
        try:
            for page in pages.paginate(StackName=stack_id):
                yield from map(_event, page["StackEvents"])
        except ClientError as error:
            if code_of(error) != "ValidationError":  # a stack that does not exist (yet)
                raise


def past_events(target: Target, stack_id: str) -> list[StackEvent]:
    """Return the events of a tree's last operation, including those of deleted nested stacks."""
    operation = StackOperation(target)
    events = _last_operation(operation._new(stack_id))
    if not events:
        return []
    began, waiting, known = events[0].time, _nested(events), {stack_id}
    while waiting:
        nested = waiting.pop(0)
        if nested not in known:
            known.add(nested)
            new = [event for event in operation._new(nested) if event.time >= began]
            events += new
            waiting += _nested(new)
    return sorted(events, key=lambda event: event.time)


def _nested(events: Iterable[StackEvent]) -> list[str]:
    return [event.physical_id for event in events if event.of_nested_stack and event.physical_id]


_BEGINS: Final = frozenset(
    {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"}
)


def _last_operation(events: list[StackEvent]) -> list[StackEvent]:
    """Return the events since the last request for this stack; they include a rollback."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.of_stack_itself and event.status in _BEGINS:
            return events[index:]
    return events


def _event(row: Mapping[str, Any]) -> StackEvent:
    return StackEvent(
        id=row["EventId"],
        stack_id=row["StackId"],
        logical_id=row.get("LogicalResourceId", ""),
        physical_id=row.get("PhysicalResourceId", ""),
        type=row.get("ResourceType", ""),
        status=row.get("ResourceStatus", ""),
        reason=row.get("ResourceStatusReason", ""),
        time=row["Timestamp"].astimezone(UTC),
    )
