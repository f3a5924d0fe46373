"""How a stack operation is shown: a live tree on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from tabular_ml_vpc.operations.operation import (
    OperationEvent,
    OperationStarted,
    Progress,
    ResourceProgress,
    StackEvent,
    StackProgress,
    StackProgressed,
    plain,
)

_REFRESHES_A_SECOND: Final = 8
_SHOWN_STEPS: Final = 6
_REASON_CHARACTERS: Final = 160
_SILENCE: Final = timedelta(seconds=60)

Totals = Mapping[str, int]
"""Number of resources by nested stack's logical ID; the root's is under ``""``."""


Observer = Callable[[list[StackEvent]], None]


class OperationView:
    """Shows the events of operations; leave it as a context, so that the terminal is restored."""

    def __init__(self, out: Console, verbose: bool = False) -> None:
        self._out, self._verbose = out, verbose
        self._context = ExitStack()
        self._observe: Observer = lambda _events: None
        self.started = False
        """Whether an operation has started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def show(self, event: OperationEvent) -> None:
        """Show an event."""
        if isinstance(event, OperationStarted):
            view = following(self._out, event.totals, self._verbose)
            self._observe = self._context.enter_context(view)
            self.started = True
        elif isinstance(event, StackProgressed):
            self._observe(event.events)
        else:
            self._context.close()


@contextmanager
def following(out: Console, totals: Totals, verbose: bool = False) -> Iterator[Observer]:
    """Give an observer of stack events that shows them on the console."""
    if not out.is_terminal:
        yield _Lines(out, verbose).observe
        return
    view = _Tree(totals)
    with drawn(out, view.render):
        yield view.observe


@contextmanager
def drawn(out: Console, render: Callable[[], RenderableType]) -> Iterator[None]:
    """Keep drawing what ``render`` returns; the last state remains on the terminal."""
    with Live(
        get_renderable=render,
        console=out,
        refresh_per_second=_REFRESHES_A_SECOND,
        vertical_overflow="ellipsis",
    ) as live:
        try:
            yield
        finally:
            live.refresh()


def _now() -> datetime:
    return datetime.now(UTC)


class _Tree:
    """The live tree of the stacks."""

    def __init__(self, totals: Totals, now: Callable[[], datetime] = _now) -> None:
        self.progress = Progress()
        self._totals, self._now = totals, now
        self._skew: timedelta | None = None

    def observe(self, events: list[StackEvent]) -> None:
        """Add new events; the first one shows how far this clock differs from that of AWS."""
        self.progress.learn(events)
        for event in events:
            if self._skew is None:
                self._skew = self._now() - event.time
            self.progress.add(event)

    def render(self) -> Tree | Text:
        """Return the tree as it is now."""
        roots = [stack for stack in self.progress.stacks.values() if stack.parent is None]
        if not roots:
            return Text("waiting for CloudFormation's first event", style="dim")
        return self._branch(roots[0], is_root=True)

    def _branch(self, stack: StackProgress, is_root: bool = False) -> Tree:
        branch = Tree(self._title(stack, "" if is_root else stack.title), guide_style="dim")
        for child in self.progress.children(stack.id):
            branch.add(self._branch(child))
        for step in _worth_showing(stack):
            branch.add(self._step(step))
        return branch

    def _title(self, stack: StackProgress, key: str) -> Text:
        total = self._totals.get(key)
        count = f"{stack.done} of {total}" if total else f"{stack.done}"
        text = Text(stack.title, style="bold")
        text.append(f"  {stack.status}", style=style_of(stack.status))
        text.append(f"  {count}  {self._elapsed(stack.started, stack.ended)}", style="dim")
        return text

    def _step(self, step: ResourceProgress) -> Text:
        text = Text(step.logical_id)
        text.append(f"  {step.status}", style=style_of(step.status))
        text.append(f"  {self._elapsed(step.started, step.ended)}", style="dim")
        if step.failed:
            text.append(f"  {short(step.reason)}", style="red")
        return text

    def _elapsed(self, started: datetime, ended: datetime | None) -> str:
        until = ended or self._now() - (self._skew or timedelta())
        return duration((until - started).total_seconds())


def _worth_showing(stack: StackProgress) -> list[ResourceProgress]:
    """Return what failed and what is in progress; nested stacks have their own branches."""
    steps = [step for step in stack.steps.values() if not step.type.endswith("::Stack")]
    failed = [step for step in steps if step.failed]
    running = [step for step in steps if step.ended is None]
    return [*failed, *running][:_SHOWN_STEPS]


class _Lines:
    """Prints a line when a stack starts, ends or fails, and a sign of life after a minute."""

    def __init__(self, out: Console, verbose: bool, now: Callable[[], datetime] = _now) -> None:
        self._out, self._verbose, self._now = out, verbose, now
        self._progress = Progress()
        self._began: datetime | None = None
        self._spoke = now()

    def observe(self, events: list[StackEvent]) -> None:
        """Print what is new."""
        self._progress.learn(events)
        for event in events:
            self._began = self._began or event.time
            self._progress.add(event)
            if self._is_shown(event):
                self._show(event)
        if self._now() - self._spoke > _SILENCE:
            self._sign_of_life()

    def _is_shown(self, event: StackEvent) -> bool:
        if event.of_nested_stack:
            return event.status.endswith("_FAILED")
        return event.of_stack_itself or event.status.endswith("_FAILED") or self._verbose

    def _show(self, event: StackEvent) -> None:
        stack = self._progress.stacks.get(event.stack_id)
        inside = stack.title if stack and stack.parent else ""
        place = (
            inside if event.of_stack_itself else "/".join(filter(None, (inside, event.logical_id)))
        )
        reason = f": {short(event.reason)}" if event.reason and "FAILED" in event.status else ""
        began = self._began or event.time
        clock = f"{(event.time - began).total_seconds():7.1f} s"
        self._print(f"{clock}  {place or event.logical_id}  {event.status}{reason}", event.status)

    def _sign_of_life(self) -> None:
        waiting = [
            f"{stack.title}/{step.logical_id}"
            for stack in self._progress.stacks.values()
            for step in stack.steps.values()
            if step.ended is None and not step.type.endswith("::Stack")
        ]
        self._print(
            f"           still in progress: {', '.join(waiting[:_SHOWN_STEPS]) or 'the stack'}", ""
        )

    def _print(self, text: str, status: str) -> None:
        self._out.print(text, style=style_of(status), markup=False, soft_wrap=True)
        self._spoke = self._now()


def style_of(status: str) -> str:
    """Return the color of a status."""
    if status.endswith("_FAILED"):
        return "red"
    if "ROLLBACK" in status:
        return "yellow"
    if status.endswith(("_COMPLETE", "_SKIPPED")):
        return "green"
    return "cyan" if status.endswith("_IN_PROGRESS") else ""


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{max(seconds, 0):.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def short(reason: str) -> str:
    """Return a reason on one line, shortened if it is long."""
    text = plain(reason)
    return text if len(text) <= _REASON_CHARACTERS else text[: _REASON_CHARACTERS - 1] + "…"
