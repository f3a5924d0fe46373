"""The order of steps."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.definition import build
from pipeline.example import environment
from pipeline.plan import PlanError, order


def step(name: str, reads: str = "", after: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    arguments = {"Input": {"Get": f"Steps.{reads}.Name"}} if reads else {}
    return {"Name": name, "Type": "Model", "Arguments": arguments | more, "DependsOn": list(after)}


def names(steps: list[dict[str, Any]]) -> list[str]:
    return [item.name for item in order(steps)]


def test_a_step_comes_after_what_it_reads() -> None:
    assert names([step("B", reads="A"), step("A")]) == ["A", "B"]


def test_a_step_comes_after_what_it_depends_on() -> None:
    assert names([step("B", after=("A",)), step("A")]) == ["A", "B"]


def test_steps_that_do_not_need_each_other_stay_in_order() -> None:
    assert names([step("C"), step("A"), step("B", reads="A")]) == ["C", "A", "B"]


def test_a_condition_waits_for_what_its_branches_read() -> None:
    gate = step("Gate", IfSteps=[step("Deploy", reads="Train")], ElseSteps=[])
    assert names([gate, step("Train")]) == ["Train", "Gate"]


def test_a_step_that_reads_from_a_branch_comes_after_the_condition() -> None:
    gate = step("Gate", IfSteps=[step("Deploy")], ElseSteps=[])
    assert names([step("Notify", reads="Deploy"), gate]) == ["Gate", "Notify"]


def test_steps_that_wait_for_each_other_are_named() -> None:
    with pytest.raises(PlanError, match="A, B"):
        order([step("A", reads="B"), step("B", reads="A")])


def test_our_pipeline_runs_in_its_order_however_it_is_written() -> None:
    steps = build(environment())["Steps"]
    assert names(steps[::-1]) == [
        *("Preprocess", "Train", "Evaluate", "QualityGate", "ApprovalGate")
    ]
