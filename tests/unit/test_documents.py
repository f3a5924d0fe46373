"""The settings' example and schema say what the model says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from generator.documents import example, schema
from generator.settings import Settings, read

COMMENTED_OUT = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


def test_the_example_as_it_is_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(example(), encoding="utf-8")

    assert read(file) == Settings()


def test_the_example_with_every_line_uncommented_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(COMMENTED_OUT.sub("", example()), encoding="utf-8")

    assert read(file) == Settings()


def test_the_example_names_every_setting_and_its_default() -> None:
    named = tomllib.loads(COMMENTED_OUT.sub("", example()))

    assert named == Settings().model_dump(mode="json")


def test_every_setting_in_the_example_is_described() -> None:
    lines = example().splitlines()
    described = [lines[i - 1] for i, line in enumerate(lines) if COMMENTED_OUT.match(line)]

    assert [line for line in described if not line.startswith("# ")] == []


def test_the_example_fits_the_width_but_for_the_longest_default() -> None:
    long = [line for line in example().splitlines() if len(line) > 100]

    assert [line for line in long if not COMMENTED_OUT.match(line)] == []


def test_the_schema_knows_every_setting_and_no_other() -> None:
    read_back = json.loads(schema())

    sections = {name: value for name, value in Settings().model_dump().items() if name != "tags"}
    for name, settings in sections.items():
        if isinstance(settings, dict):
            reference = read_back["properties"][name]["$ref"]
            section = read_back["$defs"][reference.rpartition("/")[2]]
            assert set(section["properties"]) == set(settings)
            assert section["additionalProperties"] is False
    assert set(read_back["properties"]) == {*Settings.model_fields, "extends"}
    assert read_back["additionalProperties"] is False


def test_the_schema_describes_every_setting_for_the_editor() -> None:
    read_back = json.loads(schema())
    properties = [
        (name, value)
        for part in [read_back, *read_back["$defs"].values()]
        for name, value in part.get("properties", {}).items()
        if "$ref" not in value
    ]

    assert len(properties) > 10
    assert [name for name, value in properties if not value.get("description")] == []
