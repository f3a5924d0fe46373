"""The Makefile, the installing script and CI's script, with stand-ins for what takes minutes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from generator.files import REPOSITORY

PYTHON = """#!/usr/bin/env bash
# Stands in for Python: it notes what it is asked, and makes environments of itself.
echo "$*" >> "{log}"
case $1 in
    -c) exit {usable} ;;
    --version) echo "Python 3.9.2" ;;
    -m) case $2 in
        venv) rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
        pip) [[ ! -e "{log}.fails" ]] || {{ echo "ERROR: no match" >&2; exit 1; }} ;;
        esac ;;
esac
"""


class Checkout:
    """A folder with the installing script, one list, and a stand-in for Python."""

    def __init__(self, root: Path, usable: bool = True) -> None:
        self.root = root
        (root / "requirements").mkdir(parents=True)
        shutil.copy(REPOSITORY / "requirements/install.sh", root / "requirements")
        self.list = root / "requirements/main.txt"
        self.list.write_text("click==8.5.1\n")
        self.log = root / "log"
        self.python = root / "python"
        self.python.write_text(PYTHON.format(log=self.log, usable=0 if usable else 1))
        self.python.chmod(0o755)

    def install(self, name: str = "main") -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(
            [self.root / "requirements/install.sh", name, ".venv", "1 minute", "python3.99"],
            cwd="/",
            env={**os.environ, "PYTHON": str(self.python)},
            text=True,
            capture_output=True,
            check=False,
        )

    @property
    def pip_ran(self) -> bool:
        return "-m pip install" in self.log.read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "with spaces")


class TestInstall:
    def test_it_installs_once_and_says_so(self, checkout: Checkout) -> None:
        first = checkout.install()

        assert (first.returncode, first.stderr) == (0, "")
        assert first.stdout == "installing requirements/main.txt into .venv (about 1 minute)\n"
        assert "--require-hashes -r requirements/main.txt" in checkout.log.read_text()

        again = checkout.install()

        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        assert not checkout.pip_ran

    def test_a_list_that_includes_another_is_added_to_it(self, checkout: Checkout) -> None:
        (checkout.root / "requirements/build.txt").write_text("click==8.5.1\n")
        (checkout.root / "requirements/main.in").write_text("-r build.in\nruff\n")
        checkout.install("build")

        added = checkout.install("main")
        assert added.stdout == "adding requirements/main.txt to .venv (about 1 minute)\n"
        assert checkout.pip_ran
        assert "-m venv" not in checkout.log.read_text()

        assert checkout.install("build").stdout == ""
        assert not checkout.pip_ran

    def test_a_list_is_not_added_to_one_that_changed(self, checkout: Checkout) -> None:
        build = checkout.root / "requirements/build.txt"
        build.write_text("click==8.5.1\n")
        checkout.install("build")
        build.write_text("click==9\n")

        assert checkout.install("main").stdout.startswith("installing requirements/main.txt")
        assert "-m venv --clear" in checkout.log.read_text()

    def test_it_installs_again_when_the_list_changed(self, checkout: Checkout) -> None:
        checkout.install()
        checkout.list.write_text("click==9\n")

        checkout.install()

        assert checkout.pip_ran

    def test_it_installs_again_when_the_interpreter_went_away(self, checkout: Checkout) -> None:
        checkout.install()
        (checkout.root / ".venv/bin/python").unlink()

        checkout.install()

        assert checkout.pip_ran

    def test_after_a_failure_the_next_time_tries_again(self, checkout: Checkout) -> None:
        Path(f"{checkout.log}.fails").touch()
        failed = checkout.install()
        Path(f"{checkout.log}.fails").unlink()

        assert (failed.returncode, failed.stderr) == (1, "ERROR: no match\n")
        checkout.install()
        assert checkout.pip_ran

    def test_a_python_that_is_too_old_is_refused_in_one_line(self, tmp_path: Path) -> None:
        checkout = Checkout(tmp_path, usable=False)

        refused = checkout.install()

        assert refused.returncode == 1
        assert refused.stdout == ""
        assert refused.stderr.startswith("make: Python 3.11 or later")
        assert refused.stderr.endswith(f"{checkout.python} is Python 3.9.2\n")
        assert refused.stderr.count("\n") == 1


class TestMakefile:
    TEXT = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

    def make(self, *arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments], cwd=cwd, text=True, capture_output=True, check=False
        )

    def test_help_explains_every_target(self) -> None:
        targets = re.findall(r"^\.PHONY: ([a-z-]+)$", self.TEXT, re.MULTILINE)

        explained = re.findall(r"^make ([a-z-]+) +\S", self.make("help").stdout, re.MULTILINE)

        assert {"all", "check", "test", "emulator", "local", "clean"} <= set(targets)
        assert explained == targets

    def test_without_a_target_it_builds_with_the_environment_s_python(self) -> None:
        lines = self.make("--dry-run").stdout.splitlines()

        assert lines[0].startswith("requirements/install.sh build .venv")
        assert lines[-1] == ".venv/bin/python build.py"

    def test_every_folder_of_tests_is_run_by_a_target(self) -> None:
        planned = self.make("--dry-run", "test", "referee").stdout
        folders = {path.parent.name for path in REPOSITORY.glob("tests/*/test_*.py")}

        assert [name for name in folders if f"tests/{name}" not in planned] == []

    def test_in_another_folder_it_says_where_to_run(self, tmp_path: Path) -> None:
        ran = self.make("-f", str(REPOSITORY / "Makefile"), cwd=tmp_path)

        assert ran.returncode == 2
        assert "run make in the folder that contains the Makefile" in ran.stderr


class TestContinuousIntegration:
    def run(self, tmp_path: Path, make: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / ".ci").mkdir()
        shutil.copy(REPOSITORY / ".ci/run", tmp_path / ".ci/run")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/make").write_text(f"#!/usr/bin/env bash\n{make}\n")
        (tmp_path / "bin/make").chmod(0o755)
        return subprocess.run(
            [tmp_path / ".ci/run"],
            cwd="/",
            env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
            text=True,
            capture_output=True,
            check=False,
        )

    def test_it_ends_with_the_test_runs_closing_lines(self, tmp_path: Path) -> None:
        make = 'echo "$@"; echo "== 3 passed in 1.00s =="; echo more; echo "2 passed in 0.10s"'

        ran = self.run(tmp_path, make)

        assert ran.returncode == 0
        assert "\ntest\n" in ran.stdout
        end = ran.stdout.partition("closing lines ---\n")[2].splitlines()
        assert end[:2] == ["== 3 passed in 1.00s ==", "2 passed in 0.10s"]
        assert end[2].startswith("make test ended with status 0 after ")

    def test_it_fails_as_the_tests_do(self, tmp_path: Path) -> None:
        ran = self.run(tmp_path, 'echo "== 1 failed, 2 passed in 1.00s =="; exit 2')

        assert ran.returncode == 2
        assert "make test ended with status 2" in ran.stdout


class TestRequirements:
    def test_every_list_is_compiled_with_hashes(self) -> None:
        for written in REPOSITORY.glob("requirements/*.in"):
            compiled = written.with_suffix(".txt").read_text(encoding="utf-8")
            pins = re.findall(r"^[\w.\[\]-]+==[^\s;]+.*?(?=^\S|\Z)", compiled, re.M | re.S)
            assert pins, written
            assert [pin for pin in pins if "--hash=sha256:" not in pin] == [], written

    def test_what_builds_is_among_what_tests_with_the_same_hashes(self) -> None:
        build, main = (
            {
                pin
                for pin in re.split(
                    r"^(?=\S)",
                    re.sub(r"\n? +# .*", "", (REPOSITORY / f"requirements/{name}.txt").read_text()),
                    flags=re.M,
                )
                if "==" in pin
            }
            for name in ("build", "main")
        )

        assert build
        assert build - main == set()
