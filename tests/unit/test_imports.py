"""Imports go one way: the generator stands on the functions' properties and on the pipeline."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from generator.files import REPOSITORY

OURS: Final = {"build", "functions", "generator", "pipeline", "tests"}
AT_HAND: Final = ("boto3", "botocore", "crhelper")
"""What a function has besides the standard library."""
STANDARD: Final = sys.stdlib_module_names
JOB_SCRIPTS: Final = sorted(REPOSITORY.glob("pipeline/scripts/**/*.py"))


def sources(pattern: str, without: str = "") -> list[Path]:
    found = sorted(REPOSITORY.glob(pattern))
    return [path for path in found if not without or not path.match(without)]


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, also late ones and those for the type checker."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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
    assert violations(sources("pipeline/definition.py")) == []


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
    pipeline = ("pipeline.definition",) if folder.name == "pipeline_manager" else ()

    assert violations(sorted(folder.glob("*.py")), *allowed, *pipeline) == []


def test_what_the_functions_share_imports_no_function() -> None:
    assert violations(sources("functions/shared/*.py"), "functions.shared", *AT_HAND) == []


def test_properties_bring_no_client_into_the_generator() -> None:
    files = [*sources("functions/*/properties.py")]

    shared = ("functions.shared.properties", "functions.shared.errors")
    assert violations(files, *shared, "pipeline.definition") == []


def test_the_generator_imports_of_the_functions_their_properties_and_constants() -> None:
    properties = re.compile(r"functions\.(shared\.properties|\w+\.properties)(\.\w+)?")
    constant = re.compile(r"functions\.\w+\.core\.[A-Z_]+")
    files = sources("generator/**/*.py", without="generator/local/*.py")

    found = violations_of_ours(files, "generator", "pipeline")

    names = [line.split(": ")[1] for line in found]
    assert [n for n in names if not properties.fullmatch(n) and not constant.fullmatch(n)] == []


def test_the_local_run_makes_its_table_as_the_function_does() -> None:
    files = sources("generator/local/*.py")

    assert violations_of_ours(files, "generator", "pipeline", "functions.seed_data.table") == []


def test_a_wrong_direction_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("import json\ndef f():\n    from generator.settings import Settings\n")
    monkeypatch.setattr(f"{__name__}.REPOSITORY", tmp_path)

    assert violations([file], "gen") == ["wrong.py: generator.settings.Settings"]
