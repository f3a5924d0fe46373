"""The SDK's definition of the pipeline is ours, but for what is listed here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from pipeline.definition import build
from tests.sdk.pipeline_of_steps import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.definition import Environment
    from pipeline.types import Json

ABSENT: Final = "absent"

DIFFERENCES: Final[dict[str, tuple[object, object, str]]] = {
    r"MlflowConfig": (None, ABSENT, "the SDK writes the key always; null is no tracking"),
    r".*\.ProcessingInputs\[\d\]\.S3Input\.S3CompressionType": (
        "None",
        ABSENT,
        "the API's default, and it is for the Pipe mode only",
    ),
    r".*\[RegisterModel\]\.Arguments\.SkipModelValidation": (
        "None",
        ABSENT,
        "the API's default: skip nothing",
    ),
    r"Steps\[Train\]\.Arguments\.ResourceConfig\.VolumeSizeInGB": (
        30,
        ABSENT,
        "the SDK's Compute takes a number alone; its own Processor takes a parameter here",
    ),
    r"Steps\[Train\]\.Arguments\.ResourceConfig\.VolumeSizeInGB\.Get": (
        ABSENT,
        "Parameters.TrainingVolumeGB",
        "as above: ours is the run's parameter",
    ),
    r"Steps\[Train\]\.Arguments\.ProfilerConfig\.DisableProfiler": (
        ABSENT,
        True,
        "the API profiles unless told otherwise; the SDK's ModelTrainer has no setting for it",
    ),
}
"""A field (as a pattern), the SDK's value, ours, and why they differ."""


def leaves(value: Any, field: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a definition with its field; steps by name, other items by number."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{field}.{key}" if field else key)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            name = item.get("Name", number) if isinstance(item, dict) else number
            yield from leaves(item, f"{field}[{name}]")
    else:
        yield field, value


@pytest.fixture
def found(environment: Environment) -> dict[str, tuple[object, object]]:
    """The fields in which the two definitions differ: the SDK's value, and ours."""
    theirs, ours = dict(leaves(Builder(environment).definition())), dict(leaves(build(environment)))
    pairs = {field: (theirs.get(field, ABSENT), ours.get(field, ABSENT)) for field in theirs | ours}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def test_the_sdk_differs_only_where_a_reason_is_given(
    found: dict[str, tuple[object, object]],
) -> None:
    unexplained = {
        field: pair
        for field, pair in found.items()
        if not any(
            re.fullmatch(pattern, field) and pair == (theirs, ours)
            for pattern, (theirs, ours, _) in DIFFERENCES.items()
        )
    }
    assert unexplained == {}


def test_every_reason_is_still_needed(found: dict[str, tuple[object, object]]) -> None:
    needed = {
        pattern for pattern in DIFFERENCES if any(re.fullmatch(pattern, field) for field in found)
    }
    assert needed == set(DIFFERENCES)


def test_steps_and_parameters_stand_in_the_same_order(environment: Environment) -> None:
    def names(definition: Json) -> list[list[str]]:
        gates = [one["Arguments"] for one in definition["Steps"] if one["Type"] == "Condition"]
        inner = [gate[branch] for gate in gates for branch in ("IfSteps", "ElseSteps")]
        lists = definition["Parameters"], definition["Steps"], *inner
        return [[item["Name"] for item in items] for items in lists]

    assert names(Builder(environment).definition()) == names(build(environment))
