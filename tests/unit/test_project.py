"""The project file: where it is found, what takes precedence, and one line for each mistake."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from generator.documents import project_example
from generator.files import REPOSITORY
from generator.project import FILE, Project, find
from generator.settings import Mode, Settings, read
from generator.settings_section import SettingsError

WHOLE = """
stack = "churn"
region = "eu-west-1"
profile = "work"
settings = "mine.toml"
[parameters]
Rows = 500
HomeFileSystem = "yes"
[run]
LabelColumn = "churned"
TimeLimitSeconds = 60
ExcludeColumns = ["id", "a,b"]
ColumnKinds = { zip = "category" }
[stages.prod]
stack = "churn-prod"
mode = "prod"
[stages.prod.run]
TimeLimitSeconds = 3600
"""


def found(folder: Path, text: str, stage: str | None = None) -> Project:
    (folder / FILE).write_text(text, encoding="utf-8")
    project = find(folder, stage)
    assert project
    return project


def test_the_values_of_the_file_are_read(tmp_path: Path) -> None:
    project = found(tmp_path, WHOLE)

    assert (project.choices.stack, project.choices.region) == ("churn", "eu-west-1")
    assert (project.choices.profile, project.choices.mode) == ("work", None)
    assert project.settings == tmp_path / "mine.toml"
    assert project.parameters == {"Rows": "500", "HomeFileSystem": "yes"}
    assert project.run(None) == {
        "LabelColumn": "churned",
        "TimeLimitSeconds": "60",
        "ExcludeColumns": '["id", "a,b"]',
        "ColumnKinds": '{"zip": "category"}',
    }


def test_a_stage_overrides_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    project = found(tmp_path, WHOLE, "prod")

    assert (project.choices.stack, project.choices.region) == ("churn-prod", "eu-west-1")
    assert project.choices.mode is Mode.PROD
    assert (project.run(None)["LabelColumn"], project.run(None)["TimeLimitSeconds"]) == (
        "churned",
        "3600",
    )
    assert project.name == "tabular.toml (stage prod)"


def test_settings_can_be_in_the_file_and_a_stage_changes_some(tmp_path: Path) -> None:
    text = "[settings]\nproject='risk'\n[settings.network]\nzones=3\n"
    stage = "[stages.prod.settings.network]\nendpoint_zones=3\n"

    settings = found(tmp_path, text + stage, "prod").settings

    assert isinstance(settings, Settings)
    assert (settings.project, settings.network.zones) == ("risk", 3)
    assert settings.network.endpoint_zones == 3
    assert read(settings) is settings


def test_it_is_found_from_a_folder_below_but_not_above_a_repository(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("stack = 'a'", encoding="utf-8")
    below = tmp_path / "repository" / "data"
    below.mkdir(parents=True)
    seen = find(below, None)
    assert seen
    assert seen.path == tmp_path / FILE

    (tmp_path / "repository" / ".git").mkdir()
    assert find(below, None) is None

    (tmp_path / "repository" / FILE).write_text("stack = 'b'", encoding="utf-8")
    seen = find(below, None)
    assert seen
    assert seen.choices.stack == "b"


def test_a_pipeline_s_own_parameters_are_over_those_of_all_and_of_a_stage(tmp_path: Path) -> None:
    own = "[pipelines.fraud.run]\nTimeLimitSeconds = 900\n"
    stage = "[stages.prod.pipelines.fraud.run]\nTestFraction = 0.1\n"
    project = found(tmp_path, WHOLE + own + stage, "prod")

    assert project.run("fraud")["TimeLimitSeconds"] == "900"
    assert project.run("fraud")["TestFraction"] == "0.1"
    assert project.run("fraud")["LabelColumn"] == "churned"
    assert project.run("churn") == project.run(None)
    assert project.run(None)["TimeLimitSeconds"] == "3600"


MISTAKES = {
    "regoin = 'eu-west-1'": "regoin: unknown key; did you mean region?",
    "q = 1": "q: unknown key; known keys: stack, region,",
    "region = 'mars'": "region: got 'mars': must be a region, such as eu-west-1",
    "stack = ''": "stack: got '': must be a letter, then",
    "mode = 'test'": "mode: got 'test': must be 'dev' or 'prod'",
    "settings = 3": "settings: got 3: must be the path of a settings file, or a table",
    "parameters = 3": "parameters: got 3: must be",
    "[parameters]\nRows = [1]": "parameters.Rows: got [1]: must be a text, a number or a boolean",
    "[run]\nTestFractoin = 0.1": "run.TestFractoin: 'TestFractoin' is not one of InputData,",
    "[run]\nTestFraction = 2": "run.TestFraction: got 2: must be greater than 0 and less than 1",
    "[run]\nTestFraction = '1/2'": "run.TestFraction: got '1/2': must be a number",
    "[run]\nTrainingRows = 1.5": "run.TrainingRows: got 1.5: must be a whole number",
    "[run]\nLabelColumn = 1": "run.LabelColumn: got 1: must be a text",
    "[run]\nLabelColumn = ''": "run.LabelColumn: the value is empty",
    "[run]\nExcludeColumns = [1]": "run.ExcludeColumns: got '[1]': must be a JSON list of texts",
    "[stages.prod]\nregoin = 'a'": "stages.prod.regoin: unknown key; did you mean region?",
    "[stages.prod.run]\nTrainingRows = 3": "stages.prod.run.TrainingRows: got 3: must be 10 rows",
    "stages = 3": "stages: got 3: must be",
    "[[pipelines]]\nname = 'a'": "pipelines: got [{'name': 'a'}]: must be",
    "[pipelines.a]\nrum = 1": "pipelines.a.rum: unknown key; did you mean run?",
    "[pipelines.a.run]\nTrainingRows = 3": "pipelines.a.run.TrainingRows: got 3: must be 10 rows",
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items())
def test_a_mistake_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        found(tmp_path, text)
    assert str(caught.value).startswith(f"tabular.toml: {said}")
    assert "\n" not in str(caught.value)


def test_what_is_not_toml_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"tabular\.toml: not valid TOML: "):
        found(tmp_path, "stack = ")


def test_a_wrong_setting_in_the_file_is_named(tmp_path: Path) -> None:
    project = found(tmp_path, "[settings.network]\nzone = 3\n")
    with pytest.raises(SettingsError, match=r"tabular\.toml: settings\.network\.zone: unknown set"):
        assert project.settings


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--stage: 'prd' is not one of prod; did you mean"):
        found(tmp_path, WHOLE, "prd")
    with pytest.raises(SettingsError, match=r"--stage: tabular\.toml has no stages"):
        found(tmp_path, "stack = 'a'", "prod")
    (tmp_path / FILE).unlink()
    (tmp_path / ".git").mkdir()
    with pytest.raises(SettingsError, match=r"--stage: got 'prod', but no tabular\.toml was found"):
        find(tmp_path, "prod")


def test_the_file_that_init_writes_is_valid_as_it_is_and_uncommented(tmp_path: Path) -> None:
    assert found(tmp_path, project_example()).choices.stack is None
    uncommented = re.sub(r"^#(?! )", "", project_example(), flags=re.MULTILINE)
    project = found(tmp_path, uncommented, "prod")
    assert (project.choices.stack, project.run(None)["TimeLimitSeconds"]) == (
        "tabular-prod",
        "1200",
    )


def test_the_page_shows_valid_files(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/project-file.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert found(tmp_path, block, next(iter(tomllib.loads(block)["stages"]))).choices.mode
