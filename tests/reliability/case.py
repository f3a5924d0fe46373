"""One fault at one call: deliver the event as Lambda does, and hold what comes of it to the rules.

The rules: exactly one answer to a delivery whose process lives, in time; success if the fault
passes; else a reason that names the call and the resource. Nothing of others is touched. A Delete
afterwards, without faults, leaves nothing of ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from generator.custom_resources import ANSWER_SECONDS
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.wire import Call
from tests.functions.world import Put, check_answer
from tests.functions.world import event as event_of
from tests.reliability.faults import FAULTS, Fault, Plan
from tests.reliability.process import Cloud, Delivery, Lambda
from tests.reliability.scenarios import Place, Scenario

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed with a reason"
ALIKE: Final = 2
"""How many of a scenario's calls with the same parameters meet faults: polling repeats itself."""

_RETRIES: Final = (60, 120)
"""Seconds before Lambda's two retries ("Understanding Lambda's retry behavior")."""
_HARMLESS: Final = ("Describe", "Get", "Head", "List", "AbortMultipartUpload")
_LONG_WORD: Final = 12
_ROLLED_BACK: Final = {
    "Create": ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
    "Update": ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
    "Delete": ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"),
}


class WrongError(Exception):
    """A rule that did not hold; the message says which."""


@dataclass(frozen=True)
class Case:
    """One fault at the call of a number, of one scenario."""

    scenario: Scenario
    fault: Fault
    number: int

    def __str__(self) -> str:
        scenario = self.scenario
        return f"{scenario.function}, {scenario.title}, call {self.number}, {self.fault.name}"


def calls_of(scenario: Scenario, machine: Lambda) -> list[Call]:
    """Return the calls of an event that meets no fault."""
    run = _Run(scenario, machine)
    delivery = run.deliver(run.event)
    if not delivery.answers.puts[0].succeeded:
        raise WrongError(f"{scenario.title} fails: {delivery.answers.puts[0].reason}")
    return delivery.calls


def cases(scenario: Scenario, machine: Lambda) -> Iterator[Case]:
    """Yield every fault at every call of a scenario; of calls that are alike, at the first two."""
    seen: Counter[str] = Counter()
    for number, call in enumerate(calls_of(scenario, machine)):
        seen[like := f"{call} {sorted(call.parameters.items())}"] += 1
        for fault in FAULTS if seen[like] <= ALIKE else ():
            # A rollback sends Updates too: before its first look, an Update cannot tell.
            is_blind = fault.stops_writes and scenario.kind == "Update" and number == 0
            if scenario.kind in fault.kinds and not is_blind:
                yield Case(scenario, fault, number)


def run(case: Case, machine: Lambda) -> str:
    """Run a case; return its outcome. Raises `WrongError`."""
    return _Run(case.scenario, machine).run(case)


def run_answers(
    scenario: Scenario, machine: Lambda, outcomes: list[int | Exception], twice: bool = False
) -> str:
    """Deliver an event whose answers meet faults, or twice in a row; return the outcome."""
    run = _Run(scenario, machine)
    before = run.place.foreign()
    answers = run.delivered(run.event, outcomes=outcomes)
    if twice:
        state = run.cloud.state()
        answers += run.delivered(run.event)
        run.demand(run.cloud.state() == state, "the second delivery changed something")
    run.demand(all(put.succeeded for put in answers), f"it failed: {answers[-1].reason}")
    run.finish(before, answers[-1])
    return SUCCEEDED


class _Run:
    """The state of one case."""

    def __init__(self, scenario: Scenario, machine: Lambda) -> None:
        self.scenario, self.machine = scenario, machine
        clock = Clock()
        self.place: Place = scenario.build(clock)
        self.cloud = Cloud(clock, self.place.backends)
        self.cloud.cloudformation.sent = scenario.kind
        self.event = self._event(scenario.kind)
        self.sent_at = 0.0

    def _event(self, kind: str) -> dict[str, Any]:
        event = event_of(kind, self.scenario.properties, RequestId=f"request-{kind}")
        if kind == "Update":
            event["OldResourceProperties"] |= dict(self.scenario.old or self.scenario.properties)
        return event

    def demand(self, holds: bool, problem: str) -> None:
        """Raise unless a rule holds."""
        if not holds:
            raise WrongError(problem)

    def deliver(
        self,
        event: Mapping[str, Any],
        plan: Plan | None = None,
        outcomes: list[int | Exception] | None = None,
    ) -> Delivery:
        """Deliver once, and check the answer, if the process lives to give one."""
        delivery = self.machine.deliver(
            self.cloud, self.scenario.handler, event, self.scenario.seconds, plan, outcomes
        )
        answers = delivery.answers
        self.demand(len(answers.puts) <= 1, f"{len(answers.puts)} answers to one delivery")
        self.demand(delivery.crashed or bool(answers.puts), "no answer")
        for put, at in zip(answers.puts, answers.times, strict=True):
            check_answer(put, event)
            self.demand(at < delivery.ends, "the answer came after Lambda's time limit")
            waited = at - self.sent_at
            self.demand(
                waited < self.scenario.seconds + ANSWER_SECONDS,
                f"the answer came after {waited:.0f} s, when CloudFormation no longer waits",
            )
        return delivery

    def delivered(
        self,
        event: Mapping[str, Any],
        plan: Plan | None = None,
        outcomes: list[int | Exception] | None = None,
    ) -> list[Put]:
        """Deliver as Lambda does: again after a crash, while the event is not too old."""
        clock, self.sent_at = self.cloud.clock, self.cloud.clock.now
        first = self.deliver(event, plan, outcomes)
        self._check_writes(first, plan)
        answers, crashed = [*first.answers.puts], first.crashed
        for pause in _RETRIES:
            if not crashed or clock.now + pause - self.sent_at > self.scenario.seconds:
                break
            clock.sleep(pause)
            again = self.deliver(event)
            answers, crashed = [*answers, *again.answers.puts], again.crashed
        self.demand(bool(answers), "CloudFormation got no answer")
        return answers

    def _check_writes(self, delivery: Delivery, plan: Plan | None) -> None:
        """Hold that nothing is written by calls that begin after a fault that forbids it."""
        if plan is None or not plan.fault.stops_writes:
            return
        later = delivery.calls[plan.number + 1 :]
        written = [call for call in delivery.sent if call in later and not _reads(call)]
        self.demand(not written, f"{', '.join(map(str, written))} after the stack had gone on")

    def run(self, case: Case) -> str:
        """Run a case from the event to the stack's end."""
        before = self.place.foreign()
        plan = Plan(case.fault, case.number, self.scenario.kind)
        twins: list[Put] = []

        def twin() -> None:
            twins.extend(self.deliver(self.event).answers.puts)

        plan.twin = twin
        answers = self._late(plan) if case.fault.late else self.delivered(self.event, plan)
        self.demand(bool(plan.hits), "the fault met no call")
        self.demand(
            len({put.body["Status"] for put in [*answers, *twins]}) == 1, "the answers differ"
        )
        if case.fault.late:
            self._check_place(before)
            return SUCCEEDED if answers[-1].succeeded else FAILED
        last = answers[-1]
        if case.fault.passes:
            self.demand(last.succeeded, f"it failed: {last.reason}")
        elif not last.succeeded:
            self._check_reason(last.reason, plan)
        self.finish(before, last)
        return SUCCEEDED if last.succeeded else FAILED

    def _late(self, plan: Plan) -> list[Put]:
        """Let the process die, the stack's operation end, and then the event come again."""
        kind, clock = self.scenario.kind, self.cloud.clock
        crash = self.deliver(self.event, plan)
        self.demand(crash.crashed, "the process lived")
        during, after = _ROLLED_BACK[kind]
        self.cloud.cloudformation.status = during
        undo = self._event({"Create": "Delete"}.get(kind, kind)) | {"RequestId": "request-undo"}
        self.sent_at = clock.now
        for _ in range(3):
            self.sent_at = clock.now
            if self.deliver(undo).answers.puts[0].succeeded:
                break
        self.cloud.cloudformation.status = after
        state, self.sent_at = self.cloud.state(), clock.now
        answers = self.deliver(self.event).answers.puts
        self.demand(self.cloud.state() == state, "the late delivery changed something")
        return answers

    def finish(self, before: object, last: Put) -> None:
        """Check what is deployed, and delete the stack."""
        self._check_place(before)
        kind, status = self.scenario.kind, ""
        if last.succeeded and kind != "Delete":
            self.demand(not self.place.deployed(), self.place.deployed())
        if kind == "Create" and not last.succeeded:
            status = "ROLLBACK_IN_PROGRESS"
        if kind == "Delete" and last.succeeded:
            self.demand(not self.place.left(), f"left after success: {self.place.left()}")
        self.cloud.cloudformation.sent, self.cloud.cloudformation.status = "Delete", status
        put = self.delivered(self._event("Delete") | {"RequestId": "request-last"})[-1]
        self.demand(put.succeeded, f"the Delete afterwards failed: {put.reason}")
        self.demand(not self.place.left(), f"left in the end: {self.place.left()}")
        self._check_place(before)

    def _check_place(self, before: object) -> None:
        self.demand(self.place.foreign() == before, "something of others was touched")

    def _check_reason(self, reason: str, plan: Plan) -> None:
        """Hold that a reason names a call that met the fault, and its resource."""
        if "came too late" in reason and plan.fault.stops_writes:
            return
        named = any(
            (call.model.name in reason or not plan.fault.names_call) and _in(reason, call)
            for call in plan.hits
        )
        self.demand(named, f"the reason names no call or resource: {reason}")


def _reads(call: Call) -> bool:
    return str(call.model.name).startswith(_HARMLESS)


def _in(reason: str, call: Call) -> bool:
    """Tell whether a reason has a resource among a call's parameters; it may be shortened."""
    if call.service == "cloudformation" and ("the stack" in reason or "Time ran out" in reason):
        return True
    words = list(_words(json.loads(json.dumps(call.parameters, default=str))))
    return any(word in reason or word[-_LONG_WORD:] in reason for word in words)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 1:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _words(item)
