"""What approving, rejecting and rolling back mean, and what follows from each.

Where a function deploys what was approved, **the endpoint serves the newest approved version**;
rejecting that version takes the endpoint back to the newest approved one before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from generator.errors import CommandError, UsageError
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.operations import advice
from tabular_ml_vpc.operations.runs.deployed import FAILED, Sleep
from tabular_ml_vpc.operations.runs.pause import is_paused
from tabular_ml_vpc.operations.runs.registry import (
    APPROVED,
    LONGEST_COMMENT,
    PENDING,
    REJECTED,
    Registry,
    Version,
)
from tabular_ml_vpc.operations.runs.serving import IN_SERVICE, Serving, trial_of
from tabular_ml_vpc.operations.workload import ON_APPROVAL

SETTING: Final = f'the pipeline\'s setting deploy = "{ON_APPROVAL}"'
_POLL: Final = 5
"""How many times longer than other operations a deployment waits between two polls."""
_PATIENCE: Final = 60
"""Polls without a change after which the log is named: ten minutes, twice the function's tick."""


def check_comment(comment: str | None) -> None:
    """Refuse a comment that SageMaker would refuse.

    Raises:
        UsageError: it is too long, or not one line.

    """
    if comment is None:
        return
    if len(comment) > LONGEST_COMMENT:
        raise UsageError(
            f"--comment: got {len(comment):,} characters: at most {LONGEST_COMMENT:,} are allowed"
        )
    if not comment.strip() or len(comment.splitlines()) != 1:
        raise UsageError(f"--comment: got {comment!r}: must be one line of text")


def to_approve(registry: Registry, number: int | None, *, follow: bool = False) -> Version:
    """Return the version to approve: the one named, or the newest that waits.

    One that is approved is returned, too, if it is only to be followed.

    Raises:
        UsageError: there is no such version.
        CommandError: it cannot be approved, or none waits.

    """
    version = _chosen(registry, number, "approval")
    if version.status == APPROVED and not follow:
        raise CommandError(
            f"version {version.number} is already approved: nothing was changed (`python build.py "
            f"models{registry.workload.options()}` shows what serves; `endpoint resume` creates an "
            "endpoint again that somebody deleted)"
        )
    if registry.workload.on_approval:
        _check_newest(registry, version)
    return version


def _check_newest(registry: Registry, version: Version) -> None:
    approved = (one.number for one in registry.ours(APPROVED))
    newer = list(takewhile(lambda number: number > version.number, approved))
    if not newer:
        return
    one = len(newer) == 1
    named = f"version {newer[0]} is" if one else f"versions {_listed(newer)} are"
    command = f"python build.py reject {newer[0]}{registry.workload.options()}"
    raise CommandError(
        f"version {version.number} is older than what is approved, and the endpoint serves the "
        f"newest approved version: {named} approved; to go back, reject {'it' if one else 'them'} "
        f"(`{command}`)"
    )


def _listed(numbers: list[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def to_reject(registry: Registry, number: int | None) -> Version:
    """Return the version to reject: the one named, or the newest that waits.

    Raises:
        UsageError: there is no such version.
        CommandError: it is rejected or not ours, or none waits.

    """
    version = _chosen(registry, number, "a decision")
    if version.status == REJECTED:
        raise CommandError(f"version {version.number} is already rejected: nothing was changed")
    return version


def _chosen(registry: Registry, number: int | None, what: str) -> Version:
    """Return the version that was named, or the newest of ours that waits."""
    workload = registry.workload
    if number is None:
        newest = next(registry.ours(PENDING), None)
        if newest is None:
            raise CommandError(
                f"no version of {workload.pipeline} waits for {what}: `python build.py models"
                f"{workload.options()}` lists all, and a run registers a new one"
            )
        return newest
    version = registry.find(number)
    if not registry.owns(version):
        raise CommandError(
            f"version {number} was not registered by this stack's pipeline ({OWNER_TAG} in its "
            "metadata): nothing was changed"
        )
    return version


@dataclass(frozen=True)
class Consequence:
    """What rejecting a version does to the endpoint; ``successor`` is what it changes to."""

    text: str
    successor: int | None = None


def of_rejecting(registry: Registry, version: Version, now: Serving) -> Consequence:
    """Say what happens to the endpoint when a version is rejected."""
    number = version.number
    if now.endpoint is None and now.trial is None:
        return Consequence("No endpoint serves it, so that nothing else changes.")
    unchanged = Consequence(f"The endpoint {now.name} does not change.")
    if not registry.workload.on_approval:
        return unchanged
    successor = _newest_besides(registry, number)
    if number in (now.version, now.arriving):
        return _of_rejecting_the_served(now, number, successor)
    if number == now.tried:
        return Consequence(f"Its trial ends. {unchanged.text}")
    served = registry.served(now)
    if served is not None and served.number == number:
        return Consequence(
            f"The endpoint {now.name} continues to serve it: a run deployed it, not the function."
        )
    return unchanged


def _of_rejecting_the_served(now: Serving, number: int, successor: int | None) -> Consequence:
    if successor is None:
        return Consequence(
            f"No other version is approved: the endpoint {now.name} continues to serve version "
            f"{number}."
        )
    if successor > number:
        return Consequence(
            f"Version {successor} is approved, too, and replaces it on the endpoint {now.name}.",
            successor,
        )
    return Consequence(f"The endpoint {now.name} goes back to version {successor}.", successor)


def to_roll_back(registry: Registry, now: Serving) -> Version:
    """Return the version that serves, if rejecting it takes the endpoint back to an older one.

    Raises:
        CommandError: it would not, and why.

    """
    workload, name, options = registry.workload, now.name, registry.workload.options()
    if not workload.on_approval:
        raise CommandError(
            f"rollback needs {SETTING}: for this pipeline, a run deploys its own "
            "model, and rejecting a version does not change the endpoint"
        )
    workload.check_seen()
    if now.status is None:
        raise CommandError(f"the endpoint {name} does not exist: there is nothing to roll back")
    if now.status != IN_SERVICE:
        coming = f" to version {now.arriving}" if now.arriving else ""
        raise CommandError(
            f"the endpoint {name} is {now.status}{coming}: try again when it is {IN_SERVICE} "
            f"(`python build.py status{options}`)"
        )
    if now.version is None:
        raise CommandError(
            f"the endpoint {name} serves {now.configuration}, which is not a version that was "
            "deployed from the registry: there is nothing to roll back"
        )
    version = registry.find(now.version)
    if version.status == REJECTED:
        raise CommandError(
            f"version {version.number}, which serves, is already rejected: the endpoint goes back "
            "to the newest approved version, once there is one"
        )
    _check_older(registry, version)
    return version


def _check_older(registry: Registry, version: Version) -> None:
    """Raise unless the newest approved version besides this one is older."""
    number, options = version.number, registry.workload.options()
    newest = _newest_besides(registry, number)
    if newest is not None and newest > number:
        raise CommandError(
            f"version {newest} is approved, too, and replaces version {number}, which serves: to "
            f"keep what serves, reject it (`python build.py reject {newest}{options}`)"
        )
    if newest is None:
        older = [one for one in registry.listed() if one.number < number][:3]
        states = ", ".join(f"{one.number}: {one.status}" for one in older)
        why = f"no older version is approved ({states})" if older else "it is the first one"
        raise CommandError(
            f"version {number} serves, and {why}: there is nothing to go back to, and it continues "
            "to serve"
        )


def _newest_besides(registry: Registry, number: int) -> int | None:
    """Return the newest approved version of ours besides one; None if there is no other."""
    return next((one.number for one in registry.ours(APPROVED) if one.number != number), None)


def check_can_be_followed(registry: Registry, now: Serving) -> None:
    """Refuse to wait for a deployment that would not happen.

    Raises:
        UsageError: nothing deploys what was approved.
        CommandError: the endpoint is paused.

    """
    if not registry.workload.on_approval:
        raise UsageError(f"--follow: nothing deploys an approved version without {SETTING}")
    if now.endpoint is None and is_paused(registry.workload):
        raise CommandError(
            f"the endpoint {now.name} is paused, and a version is deployed only after `python "
            f"build.py endpoint resume{registry.workload.options()}`: nothing was changed"
        )


@dataclass(frozen=True)
class Progress:
    """How far the deployment of a version is."""

    text: str
    serves: bool = False
    problem: str = ""
    """Why it ended without serving."""
    waits: bool = False
    """Whether nothing shows that the function has begun."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.serves or bool(self.problem)


def progress(version: Version, newest: int, now: Serving) -> Progress:
    """Say how far a version's deployment is; ``newest`` is the newest approved one."""
    number, problem = version.number, ""
    if version.status != APPROVED:
        problem = _not_approved(version)
    elif (now.version, now.status) == (number, IN_SERVICE):
        return Progress(f"the endpoint {now.name} serves version {number}", serves=True)
    elif newest > number:
        problem = f"version {newest} was approved, too, and replaces version {number}"
    return Progress(problem, problem=problem) if problem else _on_its_way(number, now)


def _on_its_way(number: int, now: Serving) -> Progress:
    name = now.name
    if now.arriving == number:
        return Progress(f"the endpoint {name} is {now.status}, to version {number}")
    if now.status not in (None, IN_SERVICE):
        return Progress(f"the endpoint {name} is {now.status}", waits=now.status == FAILED)
    if now.tried == number:
        doing = ": a request with a known answer tests it" * (now.trial_status == IN_SERVICE)
        return Progress(f"the trial endpoint {trial_of(name)} is {now.trial_status}{doing}")
    return Progress("waiting for the function that deploys", waits=True)


def _not_approved(version: Version) -> str:
    if version.status == REJECTED:
        why = advice.flat(version.comment) or "no reason is given"
        return f"version {version.number} was rejected: {why}"
    return f"version {version.number} is not approved any more, but {version.status}"


def follow(
    registry: Registry,
    version: Version,
    observe: Callable[[Progress], None],
    sleep: Sleep = time.sleep,
) -> Progress:
    """Poll until an approved version serves, or does not any more; return how it ended.

    ``observe`` gets each change.

    Raises:
        CommandError: the version was deleted meanwhile.

    """
    before, same = None, 0
    while True:
        found = _look(registry, version.number)
        same = same + 1 if found == before else 0
        if found != before:
            observe(found)
        if found.waits and same == _PATIENCE:
            observe(Progress(f"nothing has changed: {_log_of_the_function(registry)} may say why"))
        if found.ended:
            return found
        before = found
        sleep(_POLL * registry.workload.target.poll_seconds)


def _look(registry: Registry, number: int) -> Progress:
    now = Serving.read(registry.workload)
    newest = next((one.number for one in registry.ours(APPROVED)), 0)
    return progress(registry.find(number), newest, now)


def _log_of_the_function(registry: Registry) -> str:
    return f"`python build.py logs --source functions{registry.workload.options()}`"
