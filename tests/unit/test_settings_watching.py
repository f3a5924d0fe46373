"""What watches endpoints: values of which CloudWatch makes valid alarms, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.settings import Settings, read, validated
from generator.settings_section import SettingsError
from generator.settings_watching import (
    ANSWER_MILLISECONDS,
    MOST_IDLE_HOURS,
    SECONDS_AN_HOUR,
    WatchingSettings,
)

LONGEST_WINDOW = 604_800
"""Seconds over which an alarm with periods of an hour or more looks back ("PutMetricAlarm")."""


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_by_default_nothing_is_watched() -> None:
    assert Settings().watching == WatchingSettings()
    assert not any(WatchingSettings().model_dump().values())


def test_the_longest_idle_time_is_the_longest_window_of_an_alarm() -> None:
    assert MOST_IDLE_HOURS * SECONDS_AN_HOUR == LONGEST_WINDOW


@pytest.mark.parametrize(
    "text",
    [
        "dashboard = true",
        "idle_hours = 1",
        f"idle_hours = {MOST_IDLE_HOURS}",
        "latency_milliseconds = 1",
        f"latency_milliseconds = {ANSWER_MILLISECONDS - 1}",
    ],
)
def test_what_cloudwatch_can_watch_is_accepted(text: str, tmp_path: Path) -> None:
    assert any(read(settings_file(tmp_path, f"watching.{text}\n")).watching.model_dump().values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('dashboard = "yes"', "watching.dashboard: got 'yes': must be true or false"),
        ("idle_hours = 169", "watching.idle_hours: got 169: must be less than or equal to 168"),
        ("idle_hours = -1", "watching.idle_hours: got -1: must be greater than or equal to 0"),
        ("idle_hours = 1.5", "watching.idle_hours: got 1.5: must be a whole number"),
        (
            "latency_milliseconds = 60_000",
            "watching.latency_milliseconds: got 60000: must be less than 60000",
        ),
        ("idle_days = 1", "watching.idle_days: unknown setting; did you mean idle_hours?"),
    ],
)
def test_a_mistake_is_one_line_with_what_is_allowed(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as failure:
        read(settings_file(tmp_path, f"watching.{text}\n"))
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


CHECKED = {
    "pipeline": {"deploy": "on-approval", "predictions": True},
    "serving": {"capture_percent": 5},
}


@pytest.mark.parametrize("hours", [0, 1, 2, 3, 4, 6, 8, 12, 24, 48, 168])
def test_drift_is_checked_at_hours_that_days_consist_of(hours: int) -> None:
    settings = Settings.model_validate({**CHECKED, "watching": {"drift_hours": hours}})
    assert settings.watching.drift_hours == hours


@pytest.mark.parametrize("hours", [5, 7, 18, 25, 36])
def test_drift_is_not_checked_at_other_hours(hours: int) -> None:
    with pytest.raises(SettingsError, match=f"watching.drift_hours: got {hours}: must be 0, 1, 2"):
        validated(Settings, {**CHECKED, "watching": {"drift_hours": hours}}, "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"watching": {"drift_hours": 24}},
            "watching.drift_hours: got 24: needs serving.capture_percent of at least 1; a check "
            "reads captured requests",
        ),
        (
            {
                **CHECKED,
                "pipeline": {"deploy": "on-approval"},
                "watching": {"drift_hours": 24},
            },
            "watching.drift_hours: got 24: needs pipeline.predictions = true; the pipeline of "
            "batch predictions makes the checks",
        ),
        (
            {"watching": {"quality_days": 7}},
            "watching.quality_days: got 7: needs serving.capture_percent of at least 1; a check "
            "reads captured requests",
        ),
        (
            {
                **CHECKED,
                "pipeline": {"deploy": "on-approval"},
                "watching": {"quality_days": 7},
            },
            "watching.quality_days: got 7: needs pipeline.predictions = true; the pipeline of "
            "batch predictions makes the checks",
        ),
        (
            {**CHECKED, "watching": {"quality_days": 30}},
            "watching.quality_days: got 30: must be less than storage.captured_days (30), after "
            "which captured requests expire",
        ),
        (
            {**CHECKED, "watching": {"quality_days": 366}},
            "watching.quality_days: got 366: must be less than or equal to 365",
        ),
        (
            {"pipeline": {"on_drift": True}},
            "pipeline.on_drift: got true: needs watching.drift_hours",
        ),
    ],
)
def test_checks_without_what_they_need_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        validated(Settings, settings, "")
    assert str(caught.value) == message
