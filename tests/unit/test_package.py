"""The functions' zips: complete, minimal, and the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import time
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from generator import package
from generator.files import REPOSITORY
from generator.package import FUNCTIONS, PackageError
from generator.settings import Mode

BUILD_ONE = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from generator import package
print(hashlib.sha256(package.build(sys.argv[2], Path(sys.argv[1]))).hexdigest())
"""


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


@pytest.fixture(scope="module")
def only_boto3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages as Lambda's runtime has it: boto3, what it needs, nothing else."""
    folder = tmp_path_factory.mktemp("runtime")
    waiting, known = ["boto3"], set()
    while waiting:
        wanted = distribution(waiting.pop())
        if wanted.name in known:
            continue
        known.add(wanted.name)
        required = [line for line in wanted.requires or () if "extra ==" not in line]
        waiting += [re.split(r"[^\w.-]", line)[0] for line in required]
        for top in {file.parts[0] for file in wanted.files or () if file.suffix == ".py"}:
            if top != "..":
                (folder / top).symlink_to(Path(str(wanted.locate_file(top))))
    return folder


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_imports_where_only_boto3_is(function: str, only_boto3: Path, tmp_path: Path) -> None:
    archive = tmp_path / f"{function}.zip"
    archive.write_bytes(package.build(function))
    module, _, name = package.handler_of(function).rpartition(".")
    program = f"""
import sys
sys.path[1:1] = [{str(archive)!r}, {str(only_boto3)!r}]
import {module}, crhelper
assert callable({module}.{name})
assert crhelper.__file__.startswith({str(archive)!r}), crhelper.__file__
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=tmp_path,
        env={},
        text=True,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_its_own_function_what_is_shared_and_crhelper(function: str) -> None:
    allowed = re.compile(
        rf"functions/__init__\.py|functions/(shared|{function})/\w+\.py"
        r"|crhelper/\w+\.py|crhelper-[\d.]+\.dist-info/(LICENSE|NOTICE)"
        + {
            "pipeline_manager": r"|pipeline/\w+\.py|pipeline/scripts/\w+\.py",
            "deploy_model": r"|pipeline/\w+\.py",
            "pause_endpoint": r"|pipeline/\w+\.py",
        }.get(function, "")
    )

    packed = names(package.build(function))

    assert [name for name in packed if not allowed.fullmatch(name)] == []
    assert any(name.endswith("/LICENSE") for name in packed)
    assert f"functions/{function}/handler.py" in packed


def test_the_pipeline_manager_brings_every_job_script() -> None:
    scripts = {f"pipeline/scripts/{path.name}" for path in REPOSITORY.glob("pipeline/scripts/*.py")}

    assert scripts
    assert scripts <= set(names(package.build("pipeline_manager")))


def test_all_zips_together_are_under_500_kb() -> None:
    assert sum(len(package.build(function)) for function in FUNCTIONS) < 500 * 1000


@pytest.mark.parametrize("function", FUNCTIONS)
def test_entries_are_sorted_and_have_fixed_dates_and_modes(function: str) -> None:
    entries = zipfile.ZipFile(io.BytesIO(package.build(function))).infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert all(entry.file_size for entry in entries)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bytes_depend_on_nothing_but_the_content(function: str, sources: Path) -> None:
    for path in sources.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (time.time() - 1e6, time.time() - 1e6))
    done = subprocess.run(
        [
            "bash",
            "-c",
            'umask 077; exec "$@"',
            "-",
            sys.executable,
            "-c",
            BUILD_ONE,
            sources,
            function,
        ],
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "LC_ALL": "C"},
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )

    assert done.stdout.strip() == hashlib.sha256(package.build(function)).hexdigest()


def test_a_package_that_is_imported_brings_its_own_imports(sources: Path) -> None:
    core = sources / "functions/seed_data/core.py"
    core.write_text(core.read_text() + "\ndef late():\n    from functions.shared import extra\n")
    (sources / "functions/shared/extra.py").write_text("import functions.shared.more as m\n")
    (sources / "functions/shared/more.py").write_text("MORE = 1\n")

    packed = names(package.build("seed_data", sources))

    assert {"functions/shared/extra.py", "functions/shared/more.py"} <= set(packed)


def test_a_file_that_nothing_imports_stays_out(sources: Path) -> None:
    before = package.build("seed_data", sources)
    (sources / "functions/seed_data/notes.py").write_text("x = 1\n")
    (sources / "functions/seed_data/test_core.py").write_text("x = 1\n")

    assert package.build("seed_data", sources) == before


def test_an_empty_file_is_refused(sources: Path) -> None:
    (sources / "functions/seed_data/core.py").write_text("\n")

    with pytest.raises(PackageError, match=r"seed_data: functions/seed_data/core.py is empty"):
        package.build("seed_data", sources)


def test_a_function_without_handler_is_refused(sources: Path) -> None:
    (sources / "functions/seed_data/handler.py").unlink()

    with pytest.raises(PackageError, match=r"functions/seed_data/handler.py is missing"):
        package.build("seed_data", sources)


def test_a_relative_import_is_refused(sources: Path) -> None:
    core = sources / "functions/seed_data/core.py"
    core.write_text("from . import table\n")

    with pytest.raises(PackageError, match=r"core.py:1: relative imports"):
        package.build("seed_data", sources)


def test_another_crhelper_than_the_pinned_one_is_refused(sources: Path) -> None:
    pins = sources / "requirements/build.txt"
    pins.write_text(pins.read_text().replace("crhelper==", "crhelper==9."))

    with pytest.raises(PackageError, match=r"is installed, requirements/build.txt pins 9\."):
        package.build("seed_data", sources)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("mode", Mode)
def test_the_code_path_leads_from_the_template_to_the_zip(function: str, mode: Mode) -> None:
    folder = {Mode.DEV: "templates", Mode.PROD: "templates/prod"}[mode]
    joined = os.path.normpath(f"{folder}/{package.code_path(function, mode)}")

    assert joined == f"dist/{function}.zip"


def test_all_zips_are_written_where_the_code_paths_lead(sources: Path) -> None:
    sizes = package.build_all(sources, sources)

    assert list(sizes) == [f"dist/{function}.zip" for function in FUNCTIONS]
    assert [(sources / name).stat().st_size for name in sizes] == list(sizes.values())


class TestSourceHash:
    def test_it_is_sixteen_digits_and_stable(self, sources: Path) -> None:
        assert re.fullmatch(r"[0-9a-f]{16}", package.source_hash())
        assert package.source_hash(sources) == package.source_hash()

    @pytest.mark.parametrize("name", ["definition.py", "scripts/train.py"])
    def test_it_changes_with_the_definition_and_with_a_script(
        self, sources: Path, name: str
    ) -> None:
        changed = sources / "pipeline" / name
        changed.write_text(changed.read_text() + "\n")

        assert package.source_hash(sources) != package.source_hash()

    def test_it_changes_with_a_script_s_name(self, sources: Path) -> None:
        script = sources / "pipeline/scripts/train.py"
        script.rename(script.with_name("train_model.py"))

        assert package.source_hash(sources) != package.source_hash()

    def test_it_stays_when_something_else_changes(self, sources: Path) -> None:
        other = sources / "pipeline/validate.py"
        other.write_text(other.read_text() + "\n")

        assert package.source_hash(sources) == package.source_hash()
