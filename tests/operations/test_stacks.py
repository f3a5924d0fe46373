"""What CloudFormation answers is compared with what it was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from generator.errors import CommandError
from pipeline.types import Json
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned


def described(*names: str) -> Target:
    """Return a target whose CloudFormation answers with these stacks, whatever it is asked."""
    found: list[Json] = [
        {
            "StackName": name,
            "StackId": f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{name}/1",
            "StackStatus": "CREATE_COMPLETE",
            "CreationTime": datetime(2026, 11, 24, tzinfo=UTC),
        }
        for name in names
    ]
    return Target(canned.session({"cloudformation.DescribeStacks": {"Stacks": found}}), "mine")


@pytest.mark.parametrize("names", [("theirs",), ("mine", "theirs"), ()])
def test_another_stack_than_was_asked_for_is_never_used(names: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="asked for the stack 'mine' and answered with"):
        stacks.find(described(*names))


def test_a_stack_is_known_by_its_name_and_by_its_id() -> None:
    found = stacks.find(described("mine"))
    assert found is not None
    assert stacks.find(described("mine"), found.id) == found
