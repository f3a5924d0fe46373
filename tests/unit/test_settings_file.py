"""A settings file that builds on another says only what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.project import FILE, find
from generator.settings import Settings, read
from generator.settings_section import SettingsError

BASE = 'project = "risk"\n[network]\nzones = 3\nendpoint_zones = 3\n[tags]\nteam = "risk"\n'


def written(folder: Path, **files: str) -> Path:
    """Write files; return the last one's path."""
    path = folder
    for name, text in files.items():
        path = folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
    return path


def test_tables_are_merged_and_other_values_replaced(tmp_path: Path) -> None:
    prod = (
        'extends = "base.toml"\nmodes = ["prod"]\n[network]\nendpoint_zones = 2\n[tags]\na = "b"\n'
    )
    settings = read(written(tmp_path, base=BASE, prod=prod))
    assert settings.project == "risk"
    assert (settings.network.zones, settings.network.endpoint_zones) == (3, 2)
    assert settings.tags == {"team": "risk", "a": "b"}
    assert [str(mode) for mode in settings.modes] == ["prod"]


def test_a_path_is_relative_to_the_file_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    written(tmp_path / "common", base=BASE, middle='extends = "base.toml"\n[network]\nzones = 2\n')
    top = "extends = 'common/middle.toml'\n[network]\nendpoint_zones = 1\n"
    settings = read(written(tmp_path, top=top))
    assert (settings.project, settings.network.zones) == ("risk", 2)


def test_a_stage_s_table_says_what_differs_from_the_project_s_file(tmp_path: Path) -> None:
    written(tmp_path, base=BASE)
    stage = "[stages.prod.settings.network]\nendpoint_zones = 2\n"
    (tmp_path / FILE).write_text(f'settings = "base.toml"\n{stage}', encoding="utf-8")
    project = find(tmp_path, "prod")
    assert project
    assert isinstance(project.settings, Settings)
    assert (project.settings.project, project.settings.network.endpoint_zones) == ("risk", 2)

    plain = find(tmp_path, None)
    assert plain
    assert read(plain.settings).network.endpoint_zones == 3


def test_a_stage_s_own_file_or_base_comes_first(tmp_path: Path) -> None:
    written(tmp_path, base=BASE, other="project = 'other'\n")
    stages = (
        "[stages.a]\nsettings = 'other.toml'\n[stages.b.settings]\nextends = 'other.toml'\n"
        "[stages.b.settings.network]\nzones = 2\n"
    )
    (tmp_path / FILE).write_text(f'settings = "base.toml"\n{stages}', encoding="utf-8")
    for stage in ("a", "b"):
        project = find(tmp_path, stage)
        assert project
        assert read(project.settings).project == "other"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "extends = 3"}, "a.toml: extends: got 3: must be the path of a settings file"),
        ({"a": "extends = ''"}, "a.toml: extends: got '': must be the path"),
        ({"a": "extends = 'none.toml'"}, "none.toml: cannot be read: No such file"),
        ({"a": "extends = 'a.toml'"}, "a.toml: extends: got 'a.toml': it extends itself"),
        (
            {"b": "extends = 'a.toml'", "a": "extends = 'b.toml'"},
            "b.toml: extends: got 'a.toml': it extends itself",
        ),
        (
            {"b": "[network]\nzone = 3", "a": "extends = 'b.toml'"},
            "b.toml: network.zone: unknown setting",
        ),
        ({"a": "[network]\nextends = 'b.toml'"}, "network.extends: unknown setting"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_files(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    path = written(tmp_path, **files)
    with pytest.raises(SettingsError) as caught:
        read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
