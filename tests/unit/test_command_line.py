"""``python build.py`` as its user sees it: output, exit status, and errors of one line."""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest

from generator.errors import CommandError, UsageError
from generator.package import FUNCTIONS
from tabular_ml_vpc import cli
from tests.unit.conftest import copy_sources, run_build

SLOW_TO_IMPORT = (
    "pydantic",
    "troposphere",
    "awacs",
    "cfnlint",
    "boto3",
    "botocore",
    "rich",
    "yaml",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which the build has run; tests that change it restore it."""
    root = copy_sources(tmp_path_factory.mktemp("built") / "a copy")
    ran = run_build(root, "--no-lint")
    assert (ran.status, ran.errors) == (0, "")
    return root


class TestBuild:
    def test_it_emits_packages_lints_and_shows_a_table(self, sources: Path) -> None:
        ran = run_build(sources)

        assert (ran.status, ran.errors) == (0, "")
        row = r"templates/root\.yaml +\d+ +\d+\.\d% +[\d,]+ +\d+\.\d%"
        assert re.search(row, ran.output)
        assert "lint: no findings\nNext: python build.py local" in ran.output
        assert (sources / "templates/prod/root.yaml").is_file()
        assert {path.stem for path in sources.glob("dist/*.zip")} == set(FUNCTIONS)

    def test_findings_in_templates_and_pipeline_fail_the_build(self, sources: Path) -> None:
        root = sources / "generator/stacks/root.py"
        root.write_text(root.read_text() + BREAK_THE_ROOT)
        definition = sources / "pipeline/definition.py"
        definition.write_text(definition.read_text().replace('"TrainingImage"', '"TrainingImag"'))
        (sources.parent / "dev.toml").write_text("modes = ['dev']\n")

        ran = run_build(sources, "--config", "dev.toml")

        assert ran.status == 1
        assert re.search(r"^templates/root\.yaml:\d+: E3043 .*NoSuchParameter", ran.output, re.M)
        assert re.search(r"^pipeline/definition\.py: SageMaker .*TrainingImag\b", ran.output, re.M)
        assert re.search(r"^lint: \d+ findings$", ran.output, re.MULTILINE)

    def test_without_lint_it_emits_and_packages_only(self, built: Path) -> None:
        ran = run_build(built, "--no-lint")

        assert ran.status == 0
        assert "lint" not in ran.output
        assert "nothing changed" in ran.output

    def test_json_says_the_same_and_nothing_else(self, built: Path) -> None:
        ran = run_build(built, "--no-lint", "--json")

        said = json.loads(ran.output)
        (root,) = [row for row in said["templates"] if row["template"] == "templates/root.yaml"]
        size = (built / "templates/root.yaml").stat().st_size
        assert (root["bytes"], root["bytes_share"]) == (size, size / 1_000_000)
        assert root["resources_share"] == root["resources"] / 500
        assert said["functions"] == {
            f"dist/{name}.zip": (built / f"dist/{name}.zip").stat().st_size for name in FUNCTIONS
        }
        assert (said["changed"], said["findings"]) == ([], None)

    def test_what_it_wrote_can_be_unpacked(self, built: Path) -> None:
        found = [zipfile.ZipFile(path).testzip() for path in built.glob("dist/*.zip")]
        assert found == [None] * len(FUNCTIONS)

    def test_colours_are_for_terminals(self, built: Path) -> None:
        assert "\x1b" not in run_build(built, "--no-lint").output


BREAK_THE_ROOT = """

_build = build


def build(settings, mode):
    templates = _build(settings, mode)
    stack = next(iter(templates["root"].resources.values()))
    stack.Parameters = {**stack.Parameters, "NoSuchParameter": "x"}
    return templates
"""


class TestCheck:
    def test_it_is_content_after_a_build(self, built: Path) -> None:
        ran = run_build(built, "--check")

        assert (ran.status, ran.errors) == (0, "")

    def test_it_names_a_file_that_differs_and_leaves_it(self, built: Path) -> None:
        template = built / "templates/network.yaml"
        right = template.read_text()
        template.write_text(right + "# by hand\n")
        try:
            ran = run_build(built, "--check")
            assert ran.status == 1
            assert ran.output.startswith("templates/network.yaml: out of date\n")
            assert template.read_text().endswith("# by hand\n")
            assert json.loads(run_build(built, "--check", "--json").output) == {
                "stale": ["templates/network.yaml"]
            }
        finally:
            template.write_text(right)

    def test_it_compares_with_the_settings_that_are_given(self, built: Path) -> None:
        config = built.parent / "three.toml"
        config.write_text("[network]\nzones = 3\n")

        ran = run_build(built, "--check", "--config", "three.toml")

        assert ran.status == 1
        assert "templates/network.yaml" in ran.output
        assert "templates/security.yaml" not in ran.output


class TestSettings:
    def test_a_file_changes_what_is_emitted(self, sources: Path) -> None:
        (sources.parent / "mine.toml").write_text("project = 'churn'\nmodes = ['dev']\n")

        ran = run_build(sources, "--no-lint", "--config", "mine.toml")

        assert ran.status == 0
        assert "churn-${Id}" in (sources / "templates/root.yaml").read_text()
        assert not (sources / "templates/prod").exists()

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("mine.toml", "zoned = 3", "mine.toml: zoned: unknown setting"),
            ("mine.toml", "[network]\nzones = '3'", "mine.toml: network.zones: got '3'"),
            ("mine.toml", "zones = = 3", "mine.toml: not valid TOML: Invalid value (at line 1"),
            ("none.toml", "", "none.toml: cannot be read: No such file or directory"),
            (".", "", ".: cannot be read: Is a directory"),
        ],
    )
    @pytest.mark.parametrize("option", ["--no-lint", "--check"])
    def test_a_mistake_is_one_line_and_status_2(
        self, built: Path, name: str, content: str, said: str, option: str
    ) -> None:
        (built.parent / "mine.toml").write_text(content)

        ran = run_build(built, option, "--config", name)

        assert (ran.status, ran.output) == (2, "")
        assert ran.errors.startswith(f"build.py: {said}")
        assert ran.errors.count("\n") == 1


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--lnt"], "--lnt"),
            (["nonsense"], "nonsense"),
            (["--config"], "--config"),
            (["--check=yes"], "--check"),
        ],
    )
    def test_it_is_one_line_and_status_2(
        self, built: Path, arguments: list[str], said: str
    ) -> None:
        ran = run_build(built, *arguments)

        assert (ran.status, ran.output) == (2, "")
        assert re.fullmatch(rf"build\.py: .*{said}.*\n", ran.errors)

    def test_the_build_s_options_are_refused_before_a_command(
        self, a_command: click.Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert a_command.name
        assert cli.main(["--check", a_command.name]) == 2
        assert "--check is before the command 'a-command'" in capsys.readouterr().err

    def test_a_file_that_cannot_be_written_is_one_line_and_status_1(self, sources: Path) -> None:
        (sources / "dist").write_text("not a folder")

        ran = run_build(sources, "--no-lint")

        assert ran.status == 1
        assert re.fullmatch(r"build\.py: .*dist/\w+\.zip: cannot be written: .*\n", ran.errors)

    def test_a_missing_package_says_what_to_run(self, built: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-E", "-S", str(built / "build.py")],
            text=True,
            capture_output=True,
            check=False,
        )

        assert done.returncode == 2
        assert done.stderr == (
            "build.py: click is not installed: run `make`, then .venv/bin/python build.py\n"
        )


@pytest.fixture
def a_command(monkeypatch: pytest.MonkeyPatch) -> click.Command:
    """A registered command whose argument decides how it ends."""

    @click.command("a-command")
    @click.argument("ending")
    def command(ending: str) -> int | None:
        raised: dict[str, BaseException] = {
            "fails": CommandError("it did not work"),
            "misused": UsageError("x: got 1"),
            "interrupted": KeyboardInterrupt(),
        }
        if ending in raised:
            raise raised[ending]
        return {"none": None, "zero": 0, "one": 1}[ending]

    module = type(sys)("tabular_ml_vpc.cli.a_command")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tabular_ml_vpc.cli.a_command", module)
    monkeypatch.setitem(cli.COMMANDS, "a-command", "Ends as it is told.")
    return command


class TestCommands:
    @pytest.mark.parametrize(
        ("ending", "status", "errors"),
        [
            ("none", 0, ""),
            ("zero", 0, ""),
            ("one", 1, ""),
            ("fails", 1, "build.py: it did not work\n"),
            ("misused", 2, "build.py: x: got 1\n"),
            ("interrupted", 130, "\nbuild.py: interrupted\n"),
        ],
    )
    def test_how_a_command_ends_decides_the_status(
        self,
        a_command: click.Command,
        capsys: pytest.CaptureFixture[str],
        ending: str,
        status: int,
        errors: str,
    ) -> None:
        assert a_command.name
        assert cli.main([a_command.name, ending]) == status
        assert capsys.readouterr() == ("", errors)

    def test_the_summary_is_in_the_help(
        self, a_command: click.Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["--help"]) == 0
        assert re.search(rf"{a_command.name} +Ends as it is told\.", capsys.readouterr().out)

    @pytest.mark.parametrize("name", list(cli.COMMANDS))
    def test_a_registered_command_exists_and_has_help(self, name: str) -> None:
        module = importlib.import_module(f"tabular_ml_vpc.cli.{name.replace('-', '_')}")

        assert isinstance(module.command, click.Command)
        assert module.command.help

    def test_every_module_with_a_command_is_registered(self) -> None:
        folder = Path(cli.__file__).parent
        with_command = {
            path.stem.replace("_", "-")
            for path in folder.glob("*.py")
            if re.search(r"^def command\(|^command = ", path.read_text(), re.MULTILINE)
        }

        assert with_command == set(cli.COMMANDS)

    @pytest.mark.parametrize("arguments", [["--help"], ["--lnt"], ["nonsense"]])
    def test_help_imports_nothing_slow(self, built: Path, arguments: list[str]) -> None:
        program = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); from tabular_ml_vpc.cli import main;"
            f"main(sys.argv[1:]); print('slow:', sorted(set(sys.modules) & {set(SLOW_TO_IMPORT)}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(built), *arguments],
            text=True,
            capture_output=True,
            check=True,
        )

        assert done.stdout.endswith("slow: []\n")


def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(sources: Path) -> None:
    root = sources / "generator/stacks/root.py"
    root.write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, str(sources / "build.py")],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)

    assert (process.returncode, output) == (130, "")
    assert errors.strip() == "build.py: interrupted"
    assert not (sources / "templates").exists()
