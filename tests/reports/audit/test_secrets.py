"""No template, zip or document holds anything that looks like a secret."""

from __future__ import annotations

import io
import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from generator import package
from generator.files import REPOSITORY, TEMPLATES

PYTHON = REPOSITORY / ".venv-audit/bin/python"
FINDER = REPOSITORY / "tabular_ml_vpc/reports/audit/inside/find_secrets.py"


def found_in(paths: list[Path]) -> list[dict[str, Any]]:
    command = [str(PYTHON), str(FINDER), *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def test_templates_hold_no_secret() -> None:
    paths = [path for folder in TEMPLATES.values() for path in (REPOSITORY / folder).iterdir()]
    found = found_in(sorted(path for path in paths if path.is_file()))
    unknown = [finding for finding in found if not is_hash(finding)]
    assert unknown == []


def is_hash(finding: dict[str, Any]) -> bool:
    """The hashes of source and settings look as random as a key; they are made from files."""
    lines = Path(str(finding["file"])).read_text(encoding="utf-8").splitlines()
    at = int(finding["line"]) - 1
    text = "\n".join(lines[max(at - 2, 0) : at + 1])
    source = re.search(r"\n +SourceHash: [0-9a-f]{16}$", text)
    settings = re.search(
        r"\n  SettingsHash:\n +Description: .*\n    Value: [0-9a-f]{16}$", f"\n{text}"
    )
    return bool(source or settings)


@pytest.mark.parametrize("function", package.FUNCTIONS)
def test_zips_hold_no_secret(function: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(package.build(function))) as archive:
        archive.extractall(tmp_path)
    assert found_in(sorted(path for path in tmp_path.rglob("*") if path.is_file())) == []


def test_settings_examples_and_documents_hold_no_secret() -> None:
    paths = [*(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "docs").glob("settings.*")]
    found = [finding for finding in found_in(sorted(paths)) if "Entropy" not in finding["kind"]]
    assert found == []


@pytest.mark.parametrize(
    "secret",
    [
        'key = "AKIA' + 'QYLPMN5HHHFPZAM2"',
        'token = "ghp_' + 'aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"',
        'secret: "' + 'c3VwZXJsb25nc3RyaW5nc2hvdWxkY2F1c2Vlbm91Z2hlbnRyb3B5"',
    ],
    ids=["AWS key", "GitHub token", "random text"],
)
def test_a_planted_secret_is_found(secret: str, tmp_path: Path) -> None:
    path = tmp_path / "planted.yaml"
    path.write_text(f"{secret}\n", encoding="utf-8")
    assert found_in([path])
