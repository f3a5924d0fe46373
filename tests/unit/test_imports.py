"""Imports point downward only, between packages and within the functions."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from generator.files import REPOSITORY
from tests.unit.rooms import (
    ELSEWHERE,
    PAGE,
    PICTURES,
    ROOMS,
    RULE,
    TABLE,
    files,
    imported,
    module,
    pictures,
    room,
    table,
)

OURS: Final = {"build", "functions", "generator", "pipeline", "tabular_ml_vpc", "tests"}
AT_HAND: Final = ("boto3", "botocore", "crhelper")
"""What a function has besides the standard library."""
STANDARD: Final = sys.stdlib_module_names
NUMBER: Final = re.compile(r"\b\d[\d,]*")
JOB_SCRIPTS: Final = sorted(REPOSITORY.glob("pipeline/scripts/**/*.py"))


def sources(pattern: str, without: str = "") -> list[Path]:
    found = sorted(REPOSITORY.glob(pattern))
    return [path for path in found if not without or not path.match(without)]


def violations(files: list[Path], *allowed: str) -> list[str]:
    """Return imports of anything but the standard library and what begins with ``allowed``."""
    assert files
    return [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in files
        for name in imported(path)
        if name.partition(".")[0] not in STANDARD
        and not any(f"{name}.".startswith(f"{prefix}.") for prefix in allowed)
    ]


def violations_of_ours(files: list[Path], *allowed: str) -> list[str]:
    found = violations(files, *allowed)
    return [line for line in found if line.split(": ")[1].partition(".")[0] in OURS]


def test_the_pipeline_s_definition_is_standard_library_only() -> None:
    assert violations(sources("pipeline/run_parameters.py")) == []
    allowed = ("pipeline.types", "pipeline.run_parameters", "pipeline.layout")
    assert violations(sources("pipeline/definition.py"), *allowed) == []


def test_the_pipeline_imports_nothing_of_ours_but_itself() -> None:
    assert violations(sources("pipeline/*.py"), "pipeline", "botocore") == []


@pytest.mark.parametrize("path", JOB_SCRIPTS, ids=lambda path: path.name)
def test_a_job_script_imports_no_package_of_this_repository(path: Path) -> None:
    assert violations_of_ours([path]) == []


def test_the_functions_import_what_lambda_has_and_crhelper() -> None:
    assert violations(sources("functions/**/*.py"), "functions", *AT_HAND, "pipeline") == []


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in REPOSITORY.glob("functions/*/handler.py")),
    ids=lambda folder: folder.name,
)
def test_a_function_imports_itself_and_what_is_shared(folder: Path) -> None:
    allowed = (f"functions.{folder.name}", "functions.shared", *AT_HAND)
    pipeline = {
        "pipeline_manager": ("pipeline.definition", "pipeline.prediction", "pipeline.types"),
        "deploy_model": ("pipeline.definition.OWNER_TAG", "pipeline.layout", "pipeline.types"),
        "pause_endpoint": ("pipeline.definition.OWNER_TAG",),
    }

    found = violations(sorted(folder.glob("*.py")), *allowed, *pipeline.get(folder.name, ()))
    assert found == []


def test_what_the_functions_share_imports_no_function() -> None:
    assert violations(sources("functions/shared/*.py"), "functions.shared", *AT_HAND) == []


def test_properties_bring_no_client_into_the_generator() -> None:
    files = [*sources("functions/*/properties.py")]

    shared = ("functions.shared.properties", "functions.shared.errors")
    assert violations(files, *shared, "pipeline.definition") == []


def allowed_for(name: str) -> list[str]:
    """Return the rooms that a room may import from: itself and those in the rows below."""
    row = next(index for index, rooms in enumerate(RULE) if name in rooms)
    return [name, *(room for rooms in RULE[row + 1 :] for room in rooms)]


def upward(files: list[Path]) -> list[str]:
    """Return the imports that do not point downward, as ``module -> imported``."""
    found = []
    for path in files:
        allowed = allowed_for(room(module(path)))
        found += [
            f"{module(path)} -> {name}"
            for name in imported(path)
            if room(name) and room(name) not in allowed
        ]
    return found


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_downward_only(name: str) -> None:
    found = [file for file in files(name) if not ELSEWHERE & {*file.parts}]

    assert found
    assert upward(found) == []


def test_the_picture_of_the_rooms_shows_the_imports() -> None:
    committed = {path: (REPOSITORY / path).read_text(encoding="utf-8") for path in PICTURES}

    assert committed == pictures(), "run `python -m tests.unit.rooms` and commit"


def test_the_table_of_the_rooms_is_true_up_to_a_tenth() -> None:
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found
    shown, now = (NUMBER.split(text) for text in (found[0], table()))

    assert shown == now, "run `python -m tests.unit.rooms` and commit"
    for old, new in zip(NUMBER.findall(found[0]), NUMBER.findall(table()), strict=True):
        assert int(old.replace(",", "")) == pytest.approx(int(new.replace(",", "")), rel=0.1, abs=3)


def test_no_module_is_named_by_a_string() -> None:
    """But for the commands, of which one is loaded at a time."""
    calls = [
        str(path.relative_to(REPOSITORY))
        for folder in ("generator", "functions", "tabular_ml_vpc")
        for path in sources(f"{folder}/**/*.py")
        if "import_module(" in path.read_text(encoding="utf-8")
    ]

    assert calls == ["tabular_ml_vpc/cli/__init__.py"]


def test_the_generator_imports_of_the_functions_their_properties_and_constants() -> None:
    properties = re.compile(r"functions\.(shared\.(properties|names)|\w+\.properties)(\.\w+)?")
    constant = re.compile(r"functions\.(\w+\.core|shared\.pausing)\.[A-Z_]+")

    found = violations_of_ours(sources("generator/**/*.py"), "generator", "pipeline")

    names = [line.split(": ")[1] for line in found]
    assert [n for n in names if not properties.fullmatch(n) and not constant.fullmatch(n)] == []


def test_a_wrong_direction_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("import json\ndef f():\n    from generator.settings import Settings\n")
    monkeypatch.setattr(f"{__name__}.REPOSITORY", tmp_path)

    assert violations([file], "gen") == ["wrong.py: generator.settings.Settings"]


def test_an_upward_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "generator" / "wrong.py"
    file.parent.mkdir()
    file.write_text("def f():\n    from tabular_ml_vpc.local import runs\n")
    monkeypatch.setattr("tests.unit.rooms.REPOSITORY", tmp_path)

    assert upward([file]) == ["generator.wrong -> tabular_ml_vpc.local.runs"]
