"""The entrypoint: it brings what the image lacks, and hands every argument on unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import start_spark

HOSTILE = ["--label=a b", "--label=$(exit 3)", "--label=`id`;'\"\\", "--label=-x=é\n", "--a=*"]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return `/opt/ml` of an instance, with one wheel among the libraries."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    libraries = tmp_path / "processing/input/libraries"
    libraries.mkdir(parents=True)
    (libraries / "pyarrow-20.0.0-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    return tmp_path


class Commands:
    """Runs nothing, remembers what it was given, and gives prepared exit codes."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.run: list[list[str]] = []

    def __call__(self, command: list[str]) -> int:
        self.run.append(command)
        return self.codes.pop(0)


def test_the_wheels_are_installed_from_their_files_before_spark_starts(base: Path) -> None:
    commands = Commands(0, 0)
    assert start_spark.start(["--label=x"], commands) == 0
    pip, submit = commands.run
    assert pip[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-index", "--no-deps"} <= set(pip)
    assert pip[-1].startswith(str(base))
    scripts = Path(start_spark.__file__).parent
    assert submit[:4] == ["smspark-submit", "--py-files", str(scripts), start_spark.__file__]


def test_a_shell_hands_every_argument_on_unchanged() -> None:
    """`smspark-submit` joins the arguments with blanks and has a shell read them."""
    word = start_spark.encoded(HOSTILE)
    command = ["sh", "-c", " ".join(["printf", "%s", word])]
    shown = subprocess.run(command, capture_output=True, check=True, text=True)
    assert start_spark.decoded(shown.stdout) == HOSTILE


def test_without_a_wheel_the_reason_says_how_it_gets_there(base: Path) -> None:
    next(base.rglob("*.whl")).unlink()
    commands = Commands()
    assert start_spark.start([], commands) == 2
    assert "docs/spark.md" in (base / "output/message").read_text(encoding="utf-8")
    assert commands.run == []


def test_a_wheel_that_does_not_fit_ends_the_job(base: Path) -> None:
    commands = Commands(1)
    assert start_spark.start([], commands) == 2
    assert "pyarrow-20.0.0" in (base / "output/message").read_text(encoding="utf-8")


def test_the_reason_of_the_job_is_put_back_over_the_images_own(base: Path) -> None:
    def fail(command: list[str]) -> int:
        if command[0] != "smspark-submit":
            return 0
        (base / "output").mkdir()
        (base / "output/reason").write_text("no such label", encoding="utf-8")
        (base / "output/message").write_text("Algorithm Error: see logs", encoding="utf-8")
        return 255

    assert start_spark.start([], fail) == 255
    assert (base / "output/message").read_text(encoding="utf-8") == "no such label"
