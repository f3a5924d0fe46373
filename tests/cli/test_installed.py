"""The wheel: one package in site-packages, and a command that does what `build.py` does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from generator.files import REPOSITORY
from generator.package import FUNCTIONS


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = command / "tabular-ml-vpc"
    return subprocess.run(
        [script, *arguments], cwd=folder, text=True, capture_output=True, check=False
    )


def test_it_collides_with_nothing(site: Path) -> None:
    packages = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {"tabular_ml_vpc_command"}


def test_it_carries_every_tracked_file_that_the_command_reads(site: Path) -> None:
    listed = ["git", "ls-files", "functions", "generator", "pipeline", "requirements"]
    done = subprocess.run(
        [*listed, "tabular_ml_vpc"], cwd=REPOSITORY, text=True, capture_output=True, check=True
    )
    product = site / "tabular_ml_vpc_command/product"
    assert [name for name in done.stdout.split() if not (product / name).is_file()] == []


def test_it_emits_what_the_repository_has_into_the_current_folder(
    command: Path, tmp_path: Path
) -> None:
    done = run(command, tmp_path, "--no-lint")

    assert (done.returncode, done.stderr) == (0, "")
    for path in sorted((REPOSITORY / "templates").rglob("*.yaml")):
        assert (tmp_path / path.relative_to(REPOSITORY)).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "dist").glob("*.zip"))) == len(FUNCTIONS)
    assert run(command, tmp_path, "--check").returncode == 0


def test_it_goes_by_its_own_name(command: Path, tmp_path: Path) -> None:
    said = run(command, tmp_path, "deploy", "--help").stdout
    assert "tabular-ml-vpc deploy" in said
    assert "build.py" not in said

    refused = run(command, tmp_path, "local")
    assert refused.returncode == 2
    assert refused.stderr.endswith("run `tabular-ml-vpc setup local`\n")
    assert refused.stderr.count("\n") == 1


def complete(command: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of the words."""
    script = (
        'eval "$(tabular-ml-vpc completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_tabular_ml_vpc_completion "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    said = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        env={"PATH": f"{command}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.split()


def test_bash_completes_commands_options_and_choices(command: Path) -> None:
    assert complete(command, "tabular-ml-vpc", "des") == ["destroy"]
    assert complete(command, "tabular-ml-vpc", "deploy", "--guid") == ["--guided"]
    assert complete(command, "tabular-ml-vpc", "deploy", "--mode", "") == ["dev", "prod"]
