"""What the root template records of the settings, and what a next deployment would drop."""

from __future__ import annotations

from pathlib import Path

from generator.emit import as_dict
from generator.record import METADATA, chosen, metadata, recorded, settings_hash
from generator.settings import Mode, Settings, read
from generator.stacks import root
from tabular_ml_vpc.operations.dropped import dropped

MINE = """
project = "risk"
tags = { team = "Risk" }
[network]
zones = 3
interface_endpoints = "full"
"""
SAME = """
# In another order, with a default, and for another mode.
modes = ["prod"]
project = "risk"
[network]
cidr = "10.38.0.0/16"
interface_endpoints = "full"
zones = 3
[tags]
team = "Risk"
"""


def settings(folder: Path, text: str) -> Settings:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def built(found: Settings, mode: Mode = Mode.DEV) -> dict[str, object]:
    return as_dict(root.build(found, mode)["root"])


def test_the_hash_is_of_the_choices_and_not_of_the_file(tmp_path: Path) -> None:
    one, same = settings(tmp_path, MINE), settings(tmp_path, SAME)

    assert settings_hash(one) == settings_hash(same)
    assert settings_hash(one) != settings_hash(Settings())


def test_only_choices_are_recorded_and_read_again(tmp_path: Path) -> None:
    found = settings(tmp_path, MINE)

    names = ["project", "tags.team", "network.zones", "network.interface_endpoints"]
    assert [*chosen(found)] == names
    assert recorded(built(found)) == chosen(found)
    assert recorded(built(Settings())) == recorded({"Resources": {}}) == {}


def test_outputs_name_mode_and_hash() -> None:
    outputs = built(Settings(), Mode.PROD)["Outputs"]
    assert isinstance(outputs, dict)
    assert outputs["Mode"]["Value"] == "prod"
    assert outputs["SettingsHash"]["Value"] == settings_hash(Settings())


def test_what_is_dropped_is_said_with_its_default(tmp_path: Path) -> None:
    before = built(settings(tmp_path, MINE))
    after = built(settings(tmp_path, "project = 'other'\n[network]\nzones = 3\n"))

    said = [str(one) for one in dropped(before, after)]

    assert said[0] == 'tags.team = "Risk" (removed)'
    assert said[1].startswith('network.interface_endpoints = ["sagemaker.api", ')
    assert len(said) == 2
    assert dropped(after, before) == ()


SEVERAL = """
[[pipelines]]
name = "main"
quality_threshold = 0.8
[[pipelines]]
name = "churn"
label = "churned"
quality_threshold = 0.9
[[pipelines]]
name = "fraud"
"""


def root_of(found: Settings) -> dict[str, object]:
    return {"Metadata": {METADATA: metadata(found)}}


def test_tables_of_a_list_are_recorded_by_name_in_any_order(tmp_path: Path) -> None:
    found = settings(tmp_path, SEVERAL)
    assert dict(chosen(found)) == {
        "pipelines.main.quality_threshold": "0.8",
        "pipelines.churn.name": "churn",
        "pipelines.churn.label": "churned",
        "pipelines.churn.quality_threshold": "0.9",
        "pipelines.fraud.name": "fraud",
    }
    tables = SEVERAL.split("[[pipelines]]")
    turned = settings(tmp_path, "[[pipelines]]".join([tables[0], *reversed(tables[1:])]))
    assert settings_hash(turned) == settings_hash(found)


def test_a_dropped_table_of_a_list_is_one_item_and_a_dropped_value_another(tmp_path: Path) -> None:
    before = root_of(settings(tmp_path, SEVERAL))
    after = "[[pipelines]]\nname = 'main'\n[[pipelines]]\nname = 'churn'\nlabel = 'churned'\n"
    said = [str(one) for one in dropped(before, root_of(settings(tmp_path, after)))]
    assert said == [
        'pipelines.main.quality_threshold = "0.8" (removed)',
        'pipelines.churn.quality_threshold = "0.9" (removed)',
        'pipelines.fraud = {"name": "fraud"} (removed)',
    ]
