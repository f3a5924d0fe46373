"""How each pipeline is deployed, served and watched: its own choices, or else those for all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from generator import record
from generator.emit import render
from generator.files import SOURCES
from generator.package import deployed
from generator.policies import approval
from generator.settings import (
    Settings,
    all_choices,
    endpoints_of_functions,
    main_choices,
    main_is_watched,
    named_are_watched,
    named_choices,
    read,
    validated,
)
from generator.settings_section import SettingsError
from generator.settings_serving import Shift
from tabular_ml_vpc.operations.dropped import dropped

EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"
PAUSED = {"pause": EVENING, "resume": MORNING}
FILE = f"""
[pipeline]
deploy = "on-approval"
predictions = true

[serving]
instances = 3
capture_percent = 10

[watching]
latency_milliseconds = 500

[[pipelines]]
name = "main"

[[pipelines]]
name = "churn"

[pipelines.serving]
shift = "canary"
instances = 2
pause = "{EVENING}"
resume = "{MORNING}"

[pipelines.watching]
drift_hours = 24

[[pipelines]]
name = "fraud"
watching.latency_milliseconds = 0
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three pipelines, two with choices of their own."""
    file = tmp_path / "settings.toml"
    file.write_text(FILE, encoding="utf-8")
    return read(file)


def test_a_pipeline_has_its_own_choices_over_those_for_all(settings: Settings) -> None:
    main, churn, fraud = all_choices(settings)

    assert main == main_choices(settings) == settings.usual_choices
    assert (churn.serving.shift, churn.serving.instances) == (Shift.CANARY, 2)
    assert churn.serving.capture_percent == 10
    assert (churn.watching.drift_hours, churn.watching.latency_milliseconds) == (24, 500)
    assert (fraud.serving, fraud.watching.latency_milliseconds) == (main.serving, 0)
    assert [one.serving.pauses for one in (main, churn, fraud)] == [False, True, False]
    assert all(one.on_approval for one in (main, churn, fraud))


def test_a_default_that_is_stated_is_a_choice(settings: Settings) -> None:
    entries = [{"name": "main", "serving": {"capture_percent": 0}}]
    chosen = Settings.model_validate(settings.model_dump() | {"pipelines": entries})
    assert main_choices(chosen).serving.capture_percent == 0


def test_settings_are_the_same_when_they_are_written_and_read_again(settings: Settings) -> None:
    again = Settings.model_validate(settings.model_dump())
    assert all_choices(again) == all_choices(settings)
    assert record.settings_hash(again) == record.settings_hash(settings)


def test_the_record_names_what_a_pipeline_chose_and_nothing_else(settings: Settings) -> None:
    own = {name: value for name, value in record.chosen(settings).items() if ".churn." in name}
    assert own == {
        "pipelines.churn.name": "churn",
        "pipelines.churn.serving.shift": "canary",
        "pipelines.churn.serving.instances": 2,
        "pipelines.churn.serving.pause": EVENING,
        "pipelines.churn.serving.resume": MORNING,
        "pipelines.churn.watching.drift_hours": 24,
    }


def test_what_a_pipeline_chose_is_dropped_with_it_or_alone(settings: Settings) -> None:
    def template(chosen: Settings) -> dict[str, Any]:
        return {"Metadata": {record.METADATA: record.metadata(chosen)}}

    main, churn, fraud = settings.model_dump()["pipelines"]
    usual = {"watching": {"drift_hours": 24}}
    without = Settings.model_validate(settings.model_dump() | {"pipelines": [main, fraud]})
    fixed = [main, {"name": "churn", **usual}, fraud]
    unpaused = Settings.model_validate(settings.model_dump() | {"pipelines": fixed})
    before = template(settings)
    assert [one.name for one in dropped(before, template(without))] == ["pipelines.churn"]
    assert {one.name for one in dropped(before, template(unpaused))} == {
        f"pipelines.churn.serving.{name}" for name in churn["serving"]
    }


def test_only_main_decides_what_is_mains(settings: Settings) -> None:
    assert not main_is_watched(settings)
    assert named_are_watched(settings)


def test_before_there_is_another_pipeline_what_they_share_is_for_the_usual_choices() -> None:
    several = Settings.model_validate(
        {
            "pipeline": {"several": True},
            "pipelines": [{"name": "main", "serving": PAUSED}],
        }
    )
    assert named_choices(several) == (several.usual_choices,)
    assert named_choices(Settings()) == ()


def test_the_functions_reach_what_any_pipeline_needs() -> None:
    scaling = {"maximum_instances": 4, "target_invocations": 60}
    chosen = Settings.model_validate(
        {
            "pipeline": {"deploy": "on-approval"},
            "pipelines": [{"name": "main"}, {"name": "churn", "serving": scaling}],
        }
    )
    assert "application-autoscaling" in endpoints_of_functions(chosen)


def test_what_is_generated_is_decided_by_choices_of_pipelines() -> None:
    usual = re.compile(r"\bsettings\.(serving|watching|pipeline\.deploy)\b")
    readers = [
        path.name
        for path in (SOURCES / "generator").rglob("*.py")
        if usual.search(path.read_text(encoding="utf-8"))
    ]
    assert readers == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"serving": {"shift": "canary", "instances": 2}},
            "pipelines: churn: serving.shift: got 'canary': needs pipeline.deploy",
        ),
        (
            {"serving": {"pause": EVENING}},
            f"pipelines: churn: serving.pause: got '{EVENING}': needs serving.resume, too",
        ),
        (
            {"watching": {"drift_hours": 24}},
            "pipelines: churn: watching.drift_hours: got 24: needs serving.capture_percent",
        ),
        (
            {"serving": {"instance": 2}},
            "pipelines.1.serving.instance: unknown setting; did you mean instances?",
        ),
        (
            {"watching": {"idle_hours": 169}},
            "pipelines.1.watching.idle_hours: got 169: must be less than or equal to 168",
        ),
        (
            {"serving": {"deploy": "none"}},
            "pipelines.1.serving.deploy: unknown setting; belongs above the table "
            "[pipelines.serving]",
        ),
        (
            {"project": "demo"},
            "pipelines.1.project: unknown setting; belongs above the table [[pipelines]]",
        ),
        ({"serving": {"watching": {}}}, "pipelines.1.serving.watching: unknown setting; known"),
        ({"serving": 2}, "pipelines.1.serving: got 2: "),
        (
            {"deploy": "pipeline", "serving": {"capture_percent": 5}},
            'pipelines: churn: serving.capture_percent: got 5: needs deploy = "on-approval"; the',
        ),
        (
            {"deploy": "none", "serving": PAUSED},
            f"pipelines: churn: serving.pause: got '{EVENING}': must be omitted with deploy = "
            '"none", which',
        ),
        ({"deploy": "approved"}, "pipelines.1.deploy: got 'approved': "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_pipeline(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        validated(Settings, {"pipelines": [{"name": "main"}, {"name": "churn", **entry}]}, "")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_choices_for_all_are_refused_where_a_pipeline_contradicts_them() -> None:
    canary = {"pipeline": {"deploy": "on-approval"}, "serving": {"instances": 2, "shift": "canary"}}
    entries = [{"name": "main"}, {"name": "churn", "serving": {"instances": 1}}]
    with pytest.raises(SettingsError, match=r"pipelines: churn: serving\.instances: got 1: must"):
        validated(Settings, {**canary, "pipelines": entries}, "")


def test_a_pipeline_without_choices_is_named_if_another_one_has_some() -> None:
    entries = [{"name": "main"}, {"name": "churn", "deploy": "on-approval"}]
    raw = {"serving": {"capture_percent": 5}, "pipelines": entries}
    with pytest.raises(SettingsError, match=r"^pipelines: main: serving\.capture_percent: got 5: "):
        validated(Settings, raw, "")


@pytest.mark.parametrize(
    ("entries", "approved"),
    [
        ([{"name": "main"}, {"name": "churn", "deploy": "on-approval"}], "churn"),
        ([{"name": "main", "deploy": "on-approval"}, {"name": "churn"}], "main"),
    ],
)
def test_models_of_one_pipeline_are_deployed_on_approval(
    entries: list[dict[str, Any]], approved: str
) -> None:
    settings = Settings.model_validate({"pipelines": entries})
    chosen = dict(zip(("main", "churn"), all_choices(settings), strict=True))
    assert [name for name, one in chosen.items() if one.on_approval] == [approved]
    assert [name for name, one in chosen.items() if one.deploys] != [approved]
    assert "deploy_model" in deployed(settings)
    assert "sagemaker.runtime" in endpoints_of_functions(
        Settings.model_validate(
            {
                "pipelines": entries,
                "network": {"interface_endpoints": ["sagemaker.api"]},
                "studio": {"domain": "none"},
            }
        )
    )
    assert approval.PATH in render(settings)


def test_only_the_name_of_a_pipeline_on_approval_leaves_room_for_a_version() -> None:
    long = {"name": "b" * 20}
    chosen = {"project": "a" * 16, "pipelines": [{"name": "main", "deploy": "on-approval"}, long]}
    Settings.model_validate(chosen)
    entries = [{"name": "main"}, {**long, "deploy": "on-approval"}]
    with pytest.raises(SettingsError, match="can have 35 characters with deploy = "):
        validated(Settings, {**chosen, "pipelines": entries}, "")


def test_drift_starts_runs_if_it_is_checked_for_any_pipeline(settings: Settings) -> None:
    values = settings.model_dump()
    on_drift = {"pipeline": values["pipeline"] | {"on_drift": True}}
    assert Settings.model_validate(values | on_drift).pipeline.on_drift
    main, _, fraud = values["pipelines"]
    with pytest.raises(SettingsError, match=r"pipeline\.on_drift: got true: needs watching"):
        validated(Settings, values | on_drift | {"pipelines": [main, fraud]}, "")
