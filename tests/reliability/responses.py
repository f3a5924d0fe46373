"""Faults on the way of the response to CloudFormation, and an event that is delivered twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.reliability.case import run_answers
from tests.reliability.process import Lambda
from tests.reliability.scenarios import Scenario

_ATTEMPTS: Final = 5
"""Attempts of one process to deliver its response (`functions.shared.answer`)."""


@dataclass(frozen=True)
class Response:
    """What the first attempts to respond meet; `twice` delivers the event again after success."""

    name: str
    outcomes: tuple[int | Exception, ...] = ()
    twice: bool = False


RESPONSES: Final = (
    Response("response: 503 once", (503,)),
    Response("response: connection refused once", (ConnectionRefusedError(),)),
    Response("response: no connection, event delivered again", (TimeoutError(),) * _ATTEMPTS),
    Response("event delivered again after success", twice=True),
)


def respond(scenario: Scenario, response: Response, machine: Lambda) -> str:
    """Run one of these for a scenario; return the outcome. Raises `WrongError`."""
    return run_answers(scenario, machine, list(response.outcomes), response.twice)
