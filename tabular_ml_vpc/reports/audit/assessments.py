"""The SageMaker checks of two assessments that reviewers run, and our answer to each check."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("assessments.toml")


class AssessmentAnswer(StrEnum):
    """What an assessment finds with the settings' defaults."""

    PASSED = "passed"
    UNUSED = "unused"
    """Nothing to check: no such resource is created."""
    SETTING = "setting"
    """Passed if a setting, or a run's parameter, enables it."""
    EXEMPT = "exempt"
    """Fails on purpose."""


@dataclass(frozen=True)
class AssessmentCheck:
    """One check of an assessment; ``controls`` are titles of our controls that answer it."""

    id: str
    asks: str
    answer: AssessmentAnswer
    controls: tuple[str, ...] = ()
    setting: str = ""
    why: str = ""


@dataclass(frozen=True)
class Assessment:
    """A list of checks that reviewers know, and its source."""

    name: str
    title: str
    source: str


def read() -> tuple[list[Assessment], list[AssessmentCheck]]:
    """Return the assessments and their checks, in the file's order."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8"))
    checks = [
        AssessmentCheck(
            **{
                **entry,
                "answer": AssessmentAnswer(entry["answer"]),
                "controls": tuple(entry.get("controls", ())),
            }
        )
        for entry in found["check"]
    ]
    return [Assessment(**entry) for entry in found["assessment"]], checks


def of_control(title: str, checks: list[AssessmentCheck]) -> list[str]:
    """Return the ids of the checks that a control answers."""
    return [check.id for check in checks if title in check.controls]
