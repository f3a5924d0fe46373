"""What CloudFormation does to a stack and to everything nested in it, as it happens.

``StackOperation`` reads the events of a whole tree; ``Progress`` is what they add up to;
``first_cause`` finds among them what everything else followed from.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from generator.errors import CommandError
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target, code_of

_ENDED: Final = ("_COMPLETE", "_FAILED", "_SKIPPED")
_FOLLOWED: Final = ("cancelled", "Embedded stack", "The following resource(s) failed")
"""How the reasons begin or end that only say that something else has failed."""

_PREFIX: Final = re.compile(
    r"^Received response status \[FAILED\] from custom resource\. Message( returned)?: "
)


@dataclass(frozen=True)
class StackEvent:
    """One stack event; ``time`` is aware of its zone."""

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
        """Tell whether the event is about the stack that it is an event of."""
        return self.type == NESTED and self.physical_id == self.stack_id

    @property
    def of_nested_stack(self) -> bool:
        """Tell whether the event is about a stack nested in the one that it is an event of."""
        return self.type == NESTED and self.physical_id != self.stack_id

    @property
    def failed(self) -> bool:
        """Tell whether it is a failure of its own, not one that followed from another."""
        return self.status.endswith("_FAILED") and not any(
            part in self.reason for part in _FOLLOWED
        )


@dataclass
class ResourceProgress:
    """One resource on its way: since when, until when, in which status."""

    logical_id: str
    type: str
    status: str
    started: datetime
    ended: datetime | None = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether it has failed."""
        return self.status.endswith("_FAILED")


@dataclass
class StackProgress:
    """One stack on its way, with its resources by logical id."""

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
    """The whole tree on its way, by stack id, the root first."""

    stacks: dict[str, StackProgress] = field(default_factory=dict)
    _places: dict[str, tuple[str, str]] = field(default_factory=dict)

    def learn(self, events: Iterable[StackEvent]) -> None:
        """Learn which stacks are nested in which; a nested stack's own events can come earlier."""
        for event in events:
            if event.of_nested_stack and event.physical_id:
                self._places[event.physical_id] = (event.logical_id, event.stack_id)

    def add(self, event: StackEvent) -> None:
        """Take one event in."""
        if event.of_stack_itself:
            self._stack(event)
        else:
            self._step(self._of(event), event)

    def _of(self, event: StackEvent) -> StackProgress:
        """Return the stack that the event is of."""
        if event.stack_id not in self.stacks:
            name = event.stack_id.split("/")[1] if "/" in event.stack_id else event.stack_id
            title, parent = self._places.get(event.stack_id, (name, None))
            found = StackProgress(event.stack_id, title, parent, event.status, event.time)
            self.stacks[event.stack_id] = found
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
        """Yield the stacks nested in one, in the order in which they began."""
        for stack in self.stacks.values():
            if stack.parent == stack_id:
                yield stack


@dataclass(frozen=True)
class Cause:
    """What failed first: where, and why in CloudFormation's words."""

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
    """Return the failure that the others followed from: the first one, from the deepest stack.

    A nested stack's failure counts only where nothing in it failed (a template that CloudFormation
    refuses, for example).
    """
    ordered = sorted(events, key=lambda event: event.time)
    failed = [event for event in ordered if event.failed and not event.of_stack_itself]
    failed = failed or [event for event in ordered if _refused(event)]
    if not failed:
        return None
    first = failed[0]
    return Cause(
        path=tuple(path_of(ordered, first.stack_id)),
        stack_id=first.stack_id,
        logical_id=first.logical_id,
        physical_id=first.physical_id,
        type=first.type,
        reason=plain(first.reason) or "CloudFormation gives no reason",
        time=first.time,
    )


def plain(reason: str) -> str:
    """Return a reason in one line, without what CloudFormation puts before a function's own."""
    return _PREFIX.sub("", " ".join(reason.split()))


def _refused(event: StackEvent) -> bool:
    return event.status.endswith("_FAILED") and "cancelled" not in event.reason


def path_of(events: Iterable[StackEvent], stack_id: str) -> list[str]:
    """Return the logical ids of the stacks from below the root down to one."""
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


OperationObserver = Callable[[list[StackEvent]], None]
"""Hears the new events at each look, none included."""


@dataclass
class StackOperation:
    """Reads the events that a tree of stacks has from now on.

    Make it before the operation is asked for, so that no event is missed and no old one is taken
    for new.
    """

    target: Target
    seen: dict[str, str] = field(default_factory=dict)
    events: list[StackEvent] = field(default_factory=list)
    sleep: Callable[[float], None] = time.sleep
    _active: dict[str, None] = field(default_factory=dict)

    @classmethod
    def after_now(cls, target: Target, node: StackNode | None) -> StackOperation:
        """Return an operation that knows the events that the tree has had."""
        operation = cls(target)
        for one in node.walk() if node else ():
            newest = next(operation._newest_first(one.stack.id), None)
            if newest is not None:
                operation.seen[one.stack.id] = newest.id
        return operation

    def follow(self, stack_id: str, observe: OperationObserver) -> Stack:
        """Wait until the root stack rests, telling ``observe`` of the events; return the stack.

        Raises:
            CommandError: the stack is gone without a trace.

        """
        self._active[stack_id] = None
        while True:
            stack = stacks.find(self.target, stack_id)
            if stack is None:
                raise CommandError(f"CloudFormation does not know {stack_id} any more")
            observe(self._look())
            if not stack.busy:
                return stack
            self.sleep(self.target.poll_seconds)

    def _look(self) -> list[StackEvent]:
        """Return the new events of all stacks that are at work, in the order of time."""
        found: list[StackEvent] = []
        waiting = list(self._active)
        while waiting:
            stack_id = waiting.pop(0)
            for event in self._new(stack_id):
                found.append(event)
                nested = event.physical_id if event.of_nested_stack else ""
                if nested and nested not in self._active and nested not in waiting:
                    waiting.append(nested)
        found.sort(key=lambda event: event.time)
        self._keep_active(found)
        self.events += found
        return found

    def _keep_active(self, events: list[StackEvent]) -> None:
        """Ask on for nested stacks until their own last event; the root is asked always."""
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
        """Return the events of one stack since the last look, oldest first."""
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
            if code_of(error) != "ValidationError":  # a stack that is not there (yet)
                raise


def past_events(target: Target, stack_id: str) -> list[StackEvent]:
    """Return the events of a tree's last operation, those of nested stacks that are gone too."""
    operation = StackOperation(target)
    events = _last_operation(operation._new(stack_id))
    if not events:
        return []
    began, waiting, known = events[0].time, _nested(events), {stack_id}
    while waiting:
        one = waiting.pop(0)
        if one not in known:
            known.add(one)
            found = [event for event in operation._new(one) if event.time >= began]
            events += found
            waiting += _nested(found)
    return sorted(events, key=lambda event: event.time)


def _nested(events: Iterable[StackEvent]) -> list[str]:
    return [event.physical_id for event in events if event.of_nested_stack and event.physical_id]


_BEGINS: Final = frozenset(
    {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"}
)


def _last_operation(events: list[StackEvent]) -> list[StackEvent]:
    """Return the events since a person asked for something of this stack; a rollback is part."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.of_stack_itself and event.status in _BEGINS:
            return events[index:]
    return events


def _event(found: Mapping[str, Any]) -> StackEvent:
    return StackEvent(
        id=found["EventId"],
        stack_id=found["StackId"],
        logical_id=found.get("LogicalResourceId", ""),
        physical_id=found.get("PhysicalResourceId", ""),
        type=found.get("ResourceType", ""),
        status=found.get("ResourceStatus", ""),
        reason=found.get("ResourceStatusReason", ""),
        time=found["Timestamp"].astimezone(UTC),
    )
