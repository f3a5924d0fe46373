"""Waiting ends before Lambda does; AWS's ways of saying "not found" are understood."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from functions.shared.deadline import Deadline
from functions.shared.errors import ResourceError, is_not_found
from tests.functions.fakes.clock import Clock


def deadline(clock: Clock, seconds: float) -> Deadline:
    return Deadline(lambda: seconds - clock.now, clock.sleep)


def test_waiting_ends_when_it_is_done() -> None:
    clock = Clock()
    deadline(clock, 100).wait(lambda: clock.now >= 30, 10, "no")
    assert clock.now == 30


def test_what_is_done_is_not_waited_for() -> None:
    clock = Clock()
    deadline(clock, 0).wait(lambda: True, 10, "no")
    assert clock.slept == []


def test_waiting_never_passes_the_end() -> None:
    clock = Clock()
    with pytest.raises(ResourceError, match="time ran out"):
        deadline(clock, 95).wait(lambda: False, 10, "time ran out")
    assert clock.now <= 95


def test_a_check_raises_when_the_time_is_up() -> None:
    clock = Clock()
    limit = deadline(clock, 10)
    limit.check("no")
    clock.sleep(10)
    with pytest.raises(ResourceError, match="up"):
        limit.check("up")


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ResourceNotFound", "", True),
        ("ValidationException", 'Could not find endpoint "arn:x".', True),
        ("ValidationException", "Model package group x does not exist.", True),
        ("ValidationException", "1 validation error detected: Value at 'name'", False),
        ("ValidationException", "Cannot update in-progress endpoint", False),
        ("AccessDeniedException", "not authorized: could not find a policy", False),
        ("ThrottlingException", "Rate exceeded", False),
    ],
)
def test_absence_is_told_from_other_errors(code: str, message: str, expected: bool) -> None:
    error = ClientError({"Error": {"Code": code, "Message": message}}, "DescribeX")
    assert is_not_found(error) is expected
