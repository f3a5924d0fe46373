"""Events of nested stacks: what failed first, and what they add up to."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from tabular_ml_vpc.cli import stack_view
from tabular_ml_vpc.operations.deployment import perhaps_left
from tabular_ml_vpc.operations.operation import Progress, StackEvent, first_cause

BEGAN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
STACK = "AWS::CloudFormation::Stack"


def event(
    second: float,
    stack: str,
    name: str,
    status: str,
    reason: str = "",
    kind: str = "AWS::S3::Bucket",
    physical: str = "",
) -> StackEvent:
    return StackEvent(
        id=f"{stack}{second}",
        stack_id=stack,
        logical_id=name,
        physical_id=physical or (stack if kind == STACK and stack == name else ""),
        type=kind,
        status=status,
        reason=reason,
        time=BEGAN + timedelta(seconds=second),
    )


def test_what_a_failed_creation_may_have_left_is_what_its_templates_keep() -> None:
    """Complete, and kept by its policy; what failed or goes is not among it."""
    keeps, goes = {"DeletionPolicy": "RetainExceptOnCreate"}, {"DeletionPolicy": "Delete"}
    package = SimpleNamespace(
        root_template={"Resources": {"Child": {}}},
        nested=lambda: {"Child": {"Resources": {"Data": keeps, "Late": keeps, "Queue": goes}}},
    )
    events = [
        nested(0, "Child", "CREATE_IN_PROGRESS"),
        event(1, "id-of-Child", "Data", "CREATE_COMPLETE", physical="data-1"),
        event(1, "id-of-Child", "Queue", "CREATE_COMPLETE", physical="queue-1"),
        event(2, "id-of-Child", "Late", "CREATE_FAILED", physical="late-1"),
    ]
    (found,) = perhaps_left(cast(Any, package), events)
    assert (found.place, found.physical_id) == ("Child/Data", "data-1")


def nested(second: float, name: str, status: str, reason: str = "") -> StackEvent:
    return event(second, "root", name, status, reason, STACK, f"id-of-{name}")


def own(second: float, stack: str, status: str) -> StackEvent:
    return event(second, stack, stack, status, kind=STACK, physical=stack)


def test_the_cause_is_the_first_failure_in_the_deepest_stack() -> None:
    cause = first_cause(
        [
            nested(9, "Storage", "CREATE_FAILED", "Embedded stack x was not successfully created"),
            nested(1, "Storage", "CREATE_IN_PROGRESS"),
            event(5, "id-of-Storage", "Data", "CREATE_FAILED", "BucketAlreadyExists"),
            event(6, "id-of-Storage", "Log", "CREATE_FAILED", "Resource creation cancelled"),
            event(7, "id-of-Storage", "Other", "CREATE_FAILED", "another failure, later"),
        ]
    )
    assert cause is not None
    assert (cause.place, cause.reason) == ("Storage/Data", "BucketAlreadyExists")


def test_what_was_cancelled_first_is_not_the_cause() -> None:
    cause = first_cause(
        [
            event(1, "root", "Early", "CREATE_FAILED", "Resource creation cancelled"),
            event(2, "root", "Late", "CREATE_FAILED", "Access denied"),
        ]
    )
    assert cause is not None
    assert cause.place == "Late"


def test_a_nested_stack_in_which_nothing_failed_is_the_cause_itself() -> None:
    reason = "Embedded stack id was not successfully created: Template error"
    cause = first_cause([nested(1, "Storage", "CREATE_FAILED", reason)])
    assert cause is not None
    assert (cause.place, cause.reason) == ("Storage", reason)


def test_the_reason_is_the_function_s_own() -> None:
    said = (
        "Received response status [FAILED] from custom resource. Message returned: Taken.\nMove it."
    )
    cause = first_cause([event(1, "root", "Data", "CREATE_FAILED", said, "Custom::SeedData")])
    assert cause is not None
    assert cause.reason == "Taken. Move it."


def test_without_a_failure_there_is_no_cause() -> None:
    assert first_cause([own(1, "root", "CREATE_COMPLETE")]) is None


def test_a_failed_rollback_does_not_hide_why_it_began() -> None:
    cause = first_cause(
        [
            event(1, "root", "Data", "CREATE_FAILED", "no"),
            event(2, "root", "Vpc", "DELETE_FAILED", "has dependencies"),
        ]
    )
    assert cause is not None
    assert cause.place == "Data"


def test_a_nested_stack_has_its_place_though_its_own_event_comes_first() -> None:
    progress = Progress()
    events = [
        own(0, "root", "CREATE_IN_PROGRESS"),
        own(1, "id-of-Storage", "CREATE_IN_PROGRESS"),
        nested(2, "Storage", "CREATE_IN_PROGRESS"),
    ]
    progress.learn(events)
    for one in events:
        progress.add(one)
    (child,) = progress.children("root")
    assert (child.title, child.status) == ("Storage", "CREATE_IN_PROGRESS")


def test_a_resource_that_is_begun_again_counts_again() -> None:
    progress = Progress()
    for one in (
        own(0, "root", "CREATE_IN_PROGRESS"),
        event(1, "root", "Data", "CREATE_IN_PROGRESS"),
        event(2, "root", "Data", "CREATE_COMPLETE"),
    ):
        progress.add(one)
    assert progress.stacks["root"].done == 1
    progress.add(event(3, "root", "Data", "DELETE_IN_PROGRESS"))
    assert progress.stacks["root"].done == 0


def lines(*batches: list[StackEvent]) -> list[str]:
    out = io.StringIO()
    with stack_view.following(Console(file=out, width=200), {}) as observe:
        for batch in batches:
            observe(batch)
    return out.getvalue().splitlines()


def test_without_a_terminal_stacks_and_failures_are_one_line_each() -> None:
    said = lines(
        [own(0, "root", "CREATE_IN_PROGRESS"), nested(1, "Storage", "CREATE_IN_PROGRESS")],
        [
            own(1.5, "id-of-Storage", "CREATE_IN_PROGRESS"),
            event(2, "id-of-Storage", "Log", "CREATE_COMPLETE"),
            event(3, "id-of-Storage", "Data", "CREATE_FAILED", "taken"),
        ],
    )
    assert said == [
        "    0.0 s  root  CREATE_IN_PROGRESS",
        "    1.5 s  Storage  CREATE_IN_PROGRESS",
        "    3.0 s  Storage/Data  CREATE_FAILED: taken",
    ]


def test_on_a_terminal_a_stack_shows_what_is_at_work_and_what_failed() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True, record=True)
    tree = stack_view._Tree({"": 1, "Storage": 3}, now=lambda: BEGAN + timedelta(seconds=75))
    tree.observe(
        [
            own(0, "root", "CREATE_IN_PROGRESS"),
            nested(0, "Storage", "CREATE_IN_PROGRESS"),
            own(0, "id-of-Storage", "CREATE_IN_PROGRESS"),
            event(1, "id-of-Storage", "Log", "CREATE_COMPLETE"),
            event(2, "id-of-Storage", "Data", "CREATE_FAILED", "taken"),
            event(3, "id-of-Storage", "Key", "CREATE_IN_PROGRESS"),
        ]
    )
    out.print(tree.render())
    said = out.export_text()
    assert "Storage  CREATE_IN_PROGRESS  2 of 3" in said
    assert "Data  CREATE_FAILED" in said
    assert "taken" in said
    assert "Key  CREATE_IN_PROGRESS" in said
    assert "Log" not in said


def test_a_length_of_time_is_written_for_people() -> None:
    assert [stack_view.duration(one) for one in (0.4, 59, 61, 754)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "12 min 34 s",
    ]
