"""Real processes whose streams are full, closed or gone: one line, and the right exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from generator.files import REPOSITORY
from tests.unit.conftest import copy_sources


def build_py(command: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run `build.py` in a shell that redirects its streams."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"{sys.executable}" "{folder}/build.py" {command}'],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    "command", ["--help", "outputs --stack-name tabular-life", "stacks --json"]
)
def test_a_full_disk_is_one_line(command: str) -> None:
    done = build_py(f"{command} >/dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "build.py: cannot write: No space left on device\n",
    )


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    "command", ["outputs --stack-name tabular-life", "logs --stack-name tabular-life"]
)
def test_a_reader_that_is_gone_is_silent(command: str) -> None:
    done = build_py(f"{command} --since 1d | true" if "logs" in command else f"{command} | true")
    assert done.stderr == ""


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("destroy --stack-name tabular-life", 2),
        ("deploy --stack-name tabular-life --guided", 2),
        ("deploy --stack-name tabular-new", 2),
        ("invoke --stack-name tabular-life", 2),
        ("status --stack-name tabular-life", 0),
    ],
)
def test_a_closed_standard_input_is_one_line(command: str, status: int) -> None:
    done = build_py(f"{command} <&-")
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("build.py: ")]
    assert len(errors) == (1 if status else 0)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Resources: [", "templates/network.yaml: not valid YAML"),
        ("just: text", "templates/network.yaml: not a template: it has no Resources"),
        (None, "templates/network.yaml is missing"),
    ],
)
def test_a_damaged_template_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    copy = copy_sources(tmp_path / "copy")
    for name in ("root", "network", "security", "storage", "pipeline", "studio"):
        body = (REPOSITORY / f"templates/{name}.yaml").read_bytes()
        (copy / "templates").mkdir(exist_ok=True)
        (copy / f"templates/{name}.yaml").write_bytes(body)
    network = copy / "templates/network.yaml"
    if text is None:
        network.unlink()
    else:
        network.write_text(text)

    done = build_py("diff --stack-name tabular-life", copy)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"build.py: {said}")
    assert done.stderr.count("\n") == 1
