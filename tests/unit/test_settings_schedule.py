"""Schedules that EventBridge takes are accepted; others are refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.settings import any_named_is_scheduled, main_is_scheduled, read
from generator.settings_section import SettingsError


def settings_file(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "expression",
    [
        *("rate(1 minute)", "rate(1 day)", "rate(12 hours)", "rate(7 days)"),
        # examples of the EventBridge user guide, "Cron expressions reference"
        *("cron(0 10 * * ? *)", "cron(15 12 * * ? *)", "cron(0 18 ? * MON-FRI *)"),
        *("cron(0 8 1 * ? *)", "cron(0/15 * * * ? *)", "cron(0/10 * ? * MON-FRI *)"),
        *("cron(0/5 8-17 ? * MON-FRI *)", "cron(0 9 ? * 2#1 *)", "cron(0/30 20-2 ? * MON-FRI *)"),
        *("cron(15 10 ? * 6L 2022-2023)", "cron(0 6 LW JAN,JUL ? *)", "cron(0 6 3W * ? 2030)"),
    ],
)
def test_what_eventbridge_takes_is_accepted(expression: str, tmp_path: Path) -> None:
    settings = read(settings_file(tmp_path, f'pipeline.schedule = "{expression}"\n'))
    assert main_is_scheduled(settings)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("weekly", "rate(7 days)"),
        ("at(2030-01-01T00:00:00)", "rate(7 days)"),
        ("rate(7 day)", "the unit after 7 is one of minutes, hours, days"),
        ("rate(1 days)", "the unit after 1 is one of minute, hour, day"),
        ("rate(0 days)", "a rate is a positive whole number"),
        ("rate(2 weeks)", "the unit after 2 is one of"),
        ("cron(0 6 * * MON)", "got 5 fields"),
        ("cron(0 6 * * * *)", "exactly one of day of month and day of week is ?"),
        ("cron(0 6 ? * ? *)", "exactly one of day of month and day of week is ?"),
        ("cron(60 6 ? * MON *)", "minutes: '60' is not allowed"),
        ("cron(0 24 ? * MON *)", "hours: '24' is not allowed"),
        ("cron(0 6 0 * ? *)", "day of month: '0' is not allowed"),
        ("cron(0 6 ? 13 MON *)", "month: '13' is not allowed"),
        ("cron(0 6 ? * 0 *)", "day of week: '0' is not allowed"),
        ("cron(0 6 ? * 2#6 *)", "day of week: '2#6' is not allowed"),
        ("cron(0 6 ? * mon *)", "day of week: 'mon' is not allowed"),
        ("cron(? 6 ? * MON *)", "minutes: '?' is not allowed"),
        ("cron(0/0 6 ? * MON *)", "minutes: '0/0' is not allowed"),
        ("cron(0 6 ? * MON 1969)", "year: '1969' is not allowed"),
        ("{{resolve:ssm:x}}", "rate(7 days)"),
    ],
)
def test_what_eventbridge_rejects_is_refused_with_the_reason(
    expression: str, reason: str, tmp_path: Path
) -> None:
    for text, setting in (
        (f'pipeline.schedule = "{expression}"\n', "pipeline.schedule"),
        (f'[[pipelines]]\nname = "main"\nschedule = "{expression}"\n', "pipelines.0.schedule"),
    ):
        with pytest.raises(SettingsError) as failure:
            read(settings_file(tmp_path, text))
        message = str(failure.value)
        assert f"{setting}: got {expression!r}: must be empty, a rate such as" in message
        assert reason in message
        assert "\n" not in message


def test_a_pipeline_can_have_another_schedule_or_none(tmp_path: Path) -> None:
    entries = '[[pipelines]]\nname = "main"\n{}\n[[pipelines]]\nname = "churn"\n{}\n'
    none = 'schedule = ""'
    for main, churn in (("", ""), (none, ""), ("", none), (none, none)):
        text = f'pipeline.schedule = "rate(7 days)"\n{entries.format(main, churn)}'
        settings = read(settings_file(tmp_path, text))
        assert main_is_scheduled(settings) is not (main == none)
        assert any_named_is_scheduled(settings) is not (churn == none)
