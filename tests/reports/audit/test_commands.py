"""The commands ``audit`` and ``sbom``: what they print, how they end, what they write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator.settings import Settings
from tabular_ml_vpc import cli
from tabular_ml_vpc.reports.audit import checkers, exemptions, page, supply
from tabular_ml_vpc.reports.audit.checkers import CheckerFinding, Result
from tabular_ml_vpc.reports.audit.exemptions import Exemption

FOUND = CheckerFinding("checkov", "CKV_1", "storage.LogBucket", "has no log")
ACCEPTED = Exemption("The log bucket", "why", "who", (FOUND.key,))


def settle(
    monkeypatch: pytest.MonkeyPatch, findings: tuple[CheckerFinding, ...], accepted: list[Exemption]
) -> None:
    """Let the checkers find this, and the file accept that."""

    def run(settings: Settings) -> list[Result]:
        assert settings == Settings()
        return [Result("checkov", 133, findings)]

    monkeypatch.setattr(checkers, "run", run)
    monkeypatch.setattr(exemptions, "read", lambda: accepted)


@pytest.mark.parametrize(
    ("findings", "accepted", "status", "said"),
    [
        ((FOUND,), [ACCEPTED], 0, "1 exemption covers 1 finding"),
        ((FOUND,), [], 1, "checkov:CKV_1 storage.LogBucket: has no log"),
        ((), [ACCEPTED], 1, "unused exemption: no checker reports"),
    ],
    ids=["accepted", "open", "stale"],
)
def test_the_audit_ends_as_its_findings_are(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: tuple[CheckerFinding, ...],
    accepted: list[Exemption],
    status: int,
    said: str,
) -> None:
    settle(monkeypatch, findings, accepted)
    assert cli.main(["audit"]) == status
    output = capsys.readouterr().out
    assert said in output
    assert "checkov, CloudFormation" in output


def test_an_exemption_that_other_settings_do_not_need_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settle(monkeypatch, (), [ACCEPTED])
    monkeypatch.setattr(checkers, "run", lambda _: [Result("checkov", 133, ())])
    own = tmp_path / "own.toml"
    own.write_text("[network]\nzones = 3\n", encoding="utf-8")
    assert cli.main(["audit", "--config", str(own)]) == 0
    assert "unused exemption" not in capsys.readouterr().out


def test_programs_read_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, (FOUND,), [])
    assert cli.main(["audit", "--json"]) == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["passed"] is False
    assert said["open"][0]["rule"] == "CKV_1"
    assert said["checkers"][0]["rules"] == 133


def test_writing_keeps_what_confirms_the_controls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settle(monkeypatch, (FOUND,), [ACCEPTED])
    before = page.load(page.FIGURES)
    figures, text = tmp_path / "security.json", tmp_path / "security.md"
    figures.write_text(json.dumps(before), encoding="utf-8")
    text.write_text("<!-- begin figures -->\n<!-- end figures -->\n", encoding="utf-8")
    monkeypatch.setattr(page, "FIGURES", figures)
    monkeypatch.setattr(page, "PAGE", text)

    assert cli.main(["audit", "--write"]) == 0

    after = page.load(figures)
    assert after["confirmed_by"] == before["confirmed_by"]
    assert after["checkers"] == {"checkov": {"rules": 133, "findings": 1, "exempted": 1, "open": 0}}
    assert "| checkov, CloudFormation | 133 |" in text.read_text(encoding="utf-8")


def test_confirming_without_writing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "--confirm"]) == 2
    assert capsys.readouterr().err == "build.py: --confirm needs --write\n"


def test_the_bill_is_printed_for_programs_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supply, "bill_of_materials", lambda: '{"bomFormat": "CycloneDX"}\n')
    assert cli.main(["sbom", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"bomFormat": "CycloneDX"}


def test_a_missing_environment_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supply, "_PYTHON", tmp_path / "absent")
    assert cli.main(["sbom"]) == 1
    assert (
        capsys.readouterr().err
        == "build.py: .venv-audit is missing: run `python build.py setup checkers`\n"
    )
