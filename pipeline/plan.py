"""The order of a definition's steps, from their references and dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.types import Json

BRANCHES: Final = ("IfSteps", "ElseSteps")


class PlanError(Exception):
    """The steps cannot be ordered; the message says why."""


@dataclass(frozen=True)
class PlannedStep:
    """One step of a definition; `after` are the names of the steps that must finish before it."""

    name: str
    kind: str
    body: Json
    after: frozenset[str]

    @property
    def arguments(self) -> Json:
        """The step's own arguments, without the steps inside a condition."""
        arguments: Json = self.body.get("Arguments") or {}
        return {key: item for key, item in arguments.items() if key not in BRANCHES}

    def branch(self, name: str) -> list[PlannedStep]:
        """The steps of one branch of a condition, in execution order."""
        return order((self.body.get("Arguments") or {}).get(name, []))


def order(steps: list[Json]) -> list[PlannedStep]:
    """Return `steps` so that each comes after what it needs, otherwise in their original order.

    A condition needs what the steps in it need, and represents them to the steps outside. A step
    that is not among `steps` is assumed to have run already. Raises `PlanError` for a cycle.
    """
    owner = {inner: body["Name"] for body in steps for inner in _names(body)}
    waiting = [_step(body, owner) for body in steps]
    ordered: list[PlannedStep] = []
    while waiting:
        done = {step.name for step in ordered}
        ready = next((step for step in waiting if step.after <= done), None)
        if ready is None:
            names = ", ".join(step.name for step in waiting)
            raise PlanError(f"these steps wait for each other: {names}")
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def flatten(steps: list[Json]) -> Iterator[Json]:
    """Every step; those inside a condition follow it."""
    for body in steps:
        yield body
        for branch in BRANCHES:
            yield from flatten((body.get("Arguments") or {}).get(branch, []))


def references(value: object) -> Iterator[str]:
    """Every path that a `Get` in `value` names."""
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield str(value["Get"])
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def _step(body: Json, owner: dict[str, str]) -> PlannedStep:
    needed = {owner[name] for name in _needs(body) if name in owner}
    return PlannedStep(body["Name"], body["Type"], body, frozenset(needed - {body["Name"]}))


def _needs(body: Json) -> Iterator[str]:
    for inner in flatten([body]):
        yield from inner.get("DependsOn", [])
        paths = references(inner.get("Arguments"))
        yield from (path.split(".")[1] for path in paths if path.startswith("Steps."))


def _names(body: Json) -> list[str]:
    return [inner["Name"] for inner in flatten([body])]
