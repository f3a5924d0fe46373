"""What AWS would refuse at the first deployment of a model is refused when templates are built."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from generator.settings import Settings

ON_APPROVAL: dict[str, Any] = {"pipeline": {"deploy": "on-approval"}}


def problem(chosen: dict[str, Any]) -> str:
    """Return what is said of settings that are refused."""
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(chosen)
    return str(refused.value)


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ({"shift": "canary", "instances": 2}, "serving.shift: got 'canary': needs pipeline.deploy"),
        ({"capture_percent": 10}, "serving.capture_percent: got 10: needs pipeline.deploy"),
        (
            {"maximum_instances": 3, "target_invocations": 60},
            "serving.maximum_instances: got 3: needs pipeline.deploy",
        ),
    ],
)
def test_what_the_native_step_cannot_do_needs_an_approval(
    serving: dict[str, Any], said: str
) -> None:
    assert said in problem({"serving": serving})
    Settings.model_validate({**ON_APPROVAL, "serving": serving})


@pytest.mark.parametrize(
    ("percent", "instances", "needed"), [(50, 1, 2), (25, 3, 4), (30, 3, 4), (10, 9, 10)]
)
def test_a_step_is_at_least_one_instance(percent: int, instances: int, needed: int) -> None:
    serving = {"shift": "canary", "step_percent": percent, "instances": instances}
    said = problem({**ON_APPROVAL, "serving": serving})
    assert f"serving.instances: got {instances}: must be at least {needed} with" in said
    assert f"serving.step_percent = {percent}" in said
    Settings.model_validate({**ON_APPROVAL, "serving": {**serving, "instances": needed}})


def test_a_deployment_ends_within_what_sagemaker_allows() -> None:
    slow = {"shift": "linear", "step_percent": 10, "instances": 10, "bake_minutes": 60}
    assert "got 60 after each of 10 steps" in problem({**ON_APPROVAL, "serving": slow})
    Settings.model_validate({**ON_APPROVAL, "serving": {**slow, "bake_minutes": 42}})


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        (
            {"instances": 3, "maximum_instances": 2},
            "serving.maximum_instances: got 2: must be 0, or at least serving.instances (3)",
        ),
        ({"maximum_instances": 2}, "serving.target_invocations: got 0: with serving.maximum_in"),
        (
            {"instances": 2, "maximum_instances": 2, "target_invocations": 60},
            "serving.target_invocations: got 60: needs serving.maximum_instances, more than "
            "serving.instances (2)",
        ),
    ],
)
def test_scaling_needs_a_larger_maximum_and_a_target(serving: dict[str, Any], said: str) -> None:
    assert said in problem({**ON_APPROVAL, "serving": serving})


def test_the_steps_of_a_shift_fit_the_smallest_fleet() -> None:
    scaling = {"shift": "canary", "maximum_instances": 8, "target_invocations": 60}
    assert "serving.instances: got 1: must be at least 2" in problem(
        {**ON_APPROVAL, "serving": scaling}
    )
    Settings.model_validate({**ON_APPROVAL, "serving": {**scaling, "instances": 2}})


@pytest.mark.parametrize(("maximum", "scales"), [(0, False), (2, False), (3, True)])
def test_a_fleet_scales_if_it_may_grow(maximum: int, scales: bool) -> None:
    serving = {"instances": 2, "maximum_instances": maximum}
    serving |= {"target_invocations": 60} if scales else {}
    assert Settings.model_validate({**ON_APPROVAL, "serving": serving}).serving.scales is scales


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instances", 0),
        ("step_percent", 51),
        ("bake_minutes", 4),
        ("shift", "slowly"),
        ("maximum_instances", 101),
    ],
)
def test_other_values_are_refused(field: str, value: object) -> None:
    assert field in problem({**ON_APPROVAL, "serving": {field: value}})


def test_names_leave_room_for_a_version() -> None:
    entries = [{"name": "main"}, {"name": "b" * 20}]
    chosen = {"project": "a" * 16, "pipelines": entries}
    Settings.model_validate(chosen)
    said = problem({**chosen, **ON_APPROVAL})
    assert "both names together can have 35 characters with pipeline.deploy" in said


EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"


@pytest.mark.parametrize("deploy", ["pipeline", "on-approval"])
def test_endpoints_are_paused_however_models_are_deployed(deploy: str) -> None:
    chosen = {"pipeline": {"deploy": deploy}, "serving": {"pause": EVENING, "resume": MORNING}}
    assert Settings.model_validate(chosen).serving.pauses
    assert not Settings().serving.pauses


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            {"serving": {"asynchronous": True}, "pipeline": {}},
            "serving.asynchronous: got true: needs pipeline.deploy",
        ),
        ({"serving": {"target_backlog": 9}}, "serving.target_backlog: got 9: needs serving.asyn"),
        (
            {"serving": {"asynchronous": True, "target_invocations": 9}},
            "serving.target_invocations: got 9: must be 0 with serving.asynchronous = true",
        ),
        (
            {"serving": {"asynchronous": True, "capture_percent": 9}},
            "serving.capture_percent: got 9: must be 0 with serving.asynchronous = true",
        ),
        (
            {"serving": {"asynchronous": True, "pause": EVENING, "resume": MORNING}},
            f"serving.pause: got '{EVENING}': must be '' with serving.asynchronous = true",
        ),
        (
            {"serving": {"asynchronous": True}, "watching": {"drift_hours": 2}},
            "watching.drift_hours: got 2: must be 0 with serving.asynchronous = true",
        ),
        (
            {"serving": {"asynchronous": True}, "watching": {"idle_hours": 2}},
            "watching.idle_hours: got 2: must be 0 with serving.asynchronous = true",
        ),
        (
            {"serving": {"asynchronous": True, "instances": 3, "maximum_instances": 2}},
            "serving.maximum_instances: got 2: must be 0, or at least serving.instances (3)",
        ),
        ({"serving": {"asynchronous": True, "target_backlog": 0}}, "target_backlog"),
    ],
)
def test_what_contradicts_an_asynchronous_endpoint_is_refused(
    chosen: dict[str, Any], said: str
) -> None:
    assert said in problem({**ON_APPROVAL, **chosen})


def test_an_asynchronous_endpoint_scales_from_nothing() -> None:
    found = Settings.model_validate({**ON_APPROVAL, "serving": {"asynchronous": True}}).serving
    assert (found.scales, found.most_instances) == (True, 1)


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ({"pause": EVENING}, f"serving.pause: got '{EVENING}': needs serving.resume, too"),
        ({"resume": MORNING}, f"serving.resume: got '{MORNING}': needs serving.pause, too"),
        ({"pause": EVENING, "resume": EVENING}, "must not be the same as serving.pause"),
        ({"pause": "rate(1 day)", "resume": MORNING}, "must be a cron expression"),
        ({"pause": "cron(0 24 ? * MON *)", "resume": MORNING}, "hours: '24' is not allowed"),
        ({"pause": EVENING, "resume": "at seven"}, "six fields in UTC"),
    ],
)
def test_half_a_schedule_or_a_wrong_one_is_refused(serving: dict[str, str], said: str) -> None:
    assert said in problem({"serving": serving})


def test_without_endpoints_there_is_nothing_to_pause() -> None:
    chosen = {"pipeline": {"deploy": "none"}, "serving": {"pause": EVENING, "resume": MORNING}}
    assert 'must be omitted with pipeline.deploy = "none"' in problem(chosen)
