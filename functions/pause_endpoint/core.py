"""Decide whether the endpoint can be paused or resumed now, from what is there.

All of this is pure, so that repeated, late and reordered events do no harm. An event that comes at
a bad time is refused: Lambda repeats it some minutes later, and then hands it to the queue of
undeliverable events, whose alarm tells people.

A paused configuration keeps its tag until the endpoint serves again: one that cannot start can be
repaired and resumed. A tag that is older than the endpoint is stale, and so is a pause: it was
meant for the endpoint before, and would end what somebody has just resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from functions.pause_endpoint.properties import PAUSE, RESUME, RESUMED
from functions.shared.pausing import DELETING, FAILED, IN_SERVICE


@dataclass(frozen=True, kw_only=True)
class Config:
    """An endpoint configuration of ours; ``paused`` is when it was, or empty."""

    name: str
    arn: str
    paused: str = ""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The endpoint as "API_DescribeEndpoint" describes it."""

    name: str
    status: str
    created: str
    """When, written as the tag of a paused configuration is."""
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that the decision depends on."""

    name: str
    """The endpoint's name, whether or not it exists."""
    sent: str
    """When the event was sent, written as the tag is."""
    endpoint: Endpoint | None = None
    serving: Config | None = None
    """The endpoint's configuration, if it exists and is ours. Read before a pause only."""
    busy: str = ""
    """What may deploy to the endpoint right now, or empty. Read before a pause only."""
    paused: tuple[Config, ...] = ()
    """The configurations of ours that have the tag. Not read before a pause."""


@dataclass(frozen=True)
class Note:
    """Nothing has to be done."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """It cannot be done now: fail, so that Lambda repeats the event and then people are told."""

    reason: str


@dataclass(frozen=True)
class Mark:
    """Tag the configuration that serves as paused."""

    config: Config


@dataclass(frozen=True)
class Unmark:
    """Take the tag away."""

    config: Config


@dataclass(frozen=True)
class Delete:
    """Delete the endpoint."""


@dataclass(frozen=True)
class Create:
    """Create the endpoint with a configuration."""

    config: Config


Step: TypeAlias = Note | Refuse | Mark | Unmark | Delete | Create
Steps: TypeAlias = tuple[Step, ...]


def decide(action: str, snapshot: Snapshot) -> Steps:
    """Return the steps, in order."""
    return _ACTIONS[action](snapshot)


def _pause(snapshot: Snapshot) -> Steps:
    endpoint = snapshot.endpoint
    if endpoint is None:
        return (Note(f"nothing to pause: the endpoint {snapshot.name} does not exist"),)
    if endpoint.ours and endpoint.status == DELETING:
        return (Note(f"nothing to pause: the endpoint {endpoint.name} is being deleted"),)
    if endpoint.ours and snapshot.sent < endpoint.created:
        return (Note(f"nothing to pause: the endpoint {endpoint.name} is newer than the event"),)
    if problem := _obstacle(endpoint, snapshot):
        return (Refuse(f"the endpoint {endpoint.name} was not paused: {problem}"),)
    if snapshot.serving is None:
        problem = "its configuration is gone, or not this pipeline's, and could not serve again"
        return (Refuse(f"the endpoint {endpoint.name} was not paused: {problem}"),)
    return (Mark(snapshot.serving), Delete())


def _obstacle(endpoint: Endpoint, snapshot: Snapshot) -> str:
    """Say why the endpoint cannot be deleted now, or return an empty text."""
    if not endpoint.ours:
        return "it was not created by this pipeline"
    if endpoint.status == FAILED:
        return "it has failed; `python build.py endpoint repair` deletes it"
    if endpoint.status != IN_SERVICE:
        return f"it is {endpoint.status}"
    return snapshot.busy


def _resume(snapshot: Snapshot) -> Steps:
    endpoint, paused = snapshot.endpoint, snapshot.paused
    if endpoint is not None:
        return _resume_existing(endpoint, snapshot)
    if not paused:
        return (Note(f"nothing to resume: the endpoint {snapshot.name} was not paused"),)
    return (Create(max(paused, key=lambda config: config.paused)),)


def _resume_existing(endpoint: Endpoint, snapshot: Snapshot) -> Steps:
    """Leave an endpoint that serves or starts; an event that came too early is repeated."""
    waits = bool(snapshot.paused)
    if waits and endpoint.status == DELETING:
        return (Refuse(f"the endpoint {endpoint.name} is still being deleted"),)
    if waits and not endpoint.ours:
        problem = f"the endpoint {endpoint.name} was not created by this pipeline"
        return (Refuse(f"{problem}: delete it, then run `python build.py endpoint resume`"),)
    if endpoint.ours and endpoint.status == FAILED:
        repair = "`python build.py endpoint repair` deletes it"
        again = ", then `python build.py endpoint resume` creates it again" if waits else ""
        return (Refuse(f"the endpoint {endpoint.name} has failed: {repair}{again}"),)
    note = Note(f"nothing to resume: the endpoint {endpoint.name} is {endpoint.status}")
    return (*_resumed(snapshot), note)


def _resumed(snapshot: Snapshot) -> Steps:
    """Take the tags away that are older than an endpoint that serves."""
    endpoint = snapshot.endpoint
    if endpoint is None or not endpoint.ours or endpoint.status != IN_SERVICE:
        return ()
    return tuple(Unmark(one) for one in snapshot.paused if one.paused < endpoint.created)


_ACTIONS: Final[Mapping[str, Callable[[Snapshot], Steps]]] = {
    PAUSE: _pause,
    RESUME: _resume,
    RESUMED: _resumed,
}
