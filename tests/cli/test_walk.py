"""The walk through the command line is what the pages say."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tabular_ml_vpc.cli import COMMANDS
from tests.cli.walk import Recording, pages, record
from tests.cli.walk_steps import STEPS, SUCCEED_ELSEWHERE

SPACES = re.compile(r"[ \t]+")


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Run every step."""
    return record()


def test_each_command_has_a_success_and_three_mistakes() -> None:
    mistakes = Counter(step.command for step in STEPS if step.status)
    succeeding = {step.command for step in STEPS if not step.status}
    assert [name for name in COMMANDS if mistakes[name] < 3] == []
    assert set(COMMANDS) - succeeding == SUCCEED_ELSEWHERE


def test_each_step_ends_as_it_should_and_a_mistake_is_one_line(recordings: list[Recording]) -> None:
    wrong = [(one.step.line, one.status) for one in recordings if one.status != one.step.status]
    assert wrong == []
    for one in recordings:
        assert "Traceback" not in one.text
        errors = [line for line in one.text.splitlines() if line.startswith("build.py: ")]
        assert len(errors) == (1 if one.status == 2 else len(errors)), one.step.line
        for jargon in ("pydantic", "botocore", "<=x", ">=x", "Errno"):
            assert jargon not in one.text, one.step.line


def test_the_pages_show_what_the_commands_print(recordings: list[Recording]) -> None:
    for path, text in pages(recordings).items():
        said = SPACES.sub(" ", path.read_text(encoding="utf-8"))
        assert said == SPACES.sub(" ", text), "run `python -m tests.cli.walk`, and read the changes"
