"""`ci` at the command line: where the file goes, what is never overwritten, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.emulated import Run, runner

PROJECT = """
region = "eu-west-1"
stack = "tabular-churn"
[stages.test]
[stages.prod]
stack = "tabular-churn-prod"
region = "eu-central-1"
mode = "prod"
"""
FILE = Path(".github/workflows/tabular.yml")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work at the top of a repository with a project file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TABULAR_STAGE", raising=False)
    (tmp_path / ".git").mkdir()
    (tmp_path / "tabular.toml").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def test_stages_come_from_the_project_file_in_its_order(run: Run) -> None:
    done = run("ci", "github", "--install", "tools.txt", "--json")
    assert done.json["changed"] == [str(FILE), "ci/github-test.yaml", "ci/github-prod.yaml"]
    found = [(one["stage"], one["stack"], one["region"]) for one in done.json["stages"]]
    assert found == [
        ("test", "tabular-churn", "eu-west-1"),
        ("prod", "tabular-churn-prod", "eu-central-1"),
    ]
    assert {one["deploy_role_variable"] for one in done.json["stages"]} == {
        "TABULAR_DEPLOY_ROLE_TEST",
        "TABULAR_DEPLOY_ROLE_PROD",
    }


def test_stages_that_are_named_are_deployed_in_that_order(run: Run) -> None:
    done = run("ci", "gitlab", "--install", "x", "--stage", "prod", "--stage", "test", "--json")
    assert [one["stage"] for one in done.json["stages"]] == ["prod", "test"]
    jobs = yaml.safe_load(Path(".gitlab-ci.yml").read_text(encoding="utf-8"))
    assert "deploy-prod" in jobs["deploy-test"]["needs"]


def test_it_is_written_at_the_top_of_the_repository_from_any_folder(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs").mkdir()
    monkeypatch.chdir(folder / "docs")
    assert run("ci", "github", "--install", "x").status == 0
    assert (folder / FILE).is_file()


def test_each_stage_has_roles_as_its_own_settings_say(run: Run, folder: Path) -> None:
    boundary = "arn:aws:iam::111122223333:policy/Boundary"
    settings = f'[stages.prod.settings.security]\npermissions_boundary = "{boundary}"\n'
    (folder / "tabular.toml").write_text(f"{PROJECT}{settings}", encoding="utf-8")
    run("ci", "gitlab", "--install", "x", "--host", "gitlab.example.com")
    test, prod = (Path(f"ci/gitlab-{one}.yaml").read_text("utf-8") for one in ("test", "prod"))
    assert boundary in prod
    assert boundary not in test
    assert "gitlab.example.com:sub" in prod


def test_a_clone_installs_its_own_requirements(run: Run, folder: Path) -> None:
    (folder / "build.py").touch()
    (folder / "requirements").mkdir()
    (folder / "requirements/build.txt").touch()
    assert run("ci", "github").status == 0
    text = FILE.read_text(encoding="utf-8")
    assert "--require-hashes -r requirements/build.txt" in text
    assert "python build.py deploy --yes" in text


def test_somebody_s_changes_are_not_overwritten(run: Run) -> None:
    run("ci", "github", "--install", "x")
    assert run("ci", "github", "--install", "x", "--json").json["changed"] == []
    FILE.write_text("name: mine\n", encoding="utf-8")

    refused = run("ci", "github", "--install", "x", "--json")
    assert refused.status == 1
    assert "--force overwrites" in refused.json["error"]
    assert FILE.read_text(encoding="utf-8") == "name: mine\n"

    assert run("ci", "github", "--install", "x", "--force").status == 0
    assert FILE.read_text(encoding="utf-8") != "name: mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("github",), "--install: this is not a clone"),
        (("github", "--install", "x", "--stage", "prd"), "--stage: 'prd'"),
        (("github", "--install", "x", "--branch", "a b"), "--branch: 'a b'"),
        (("gitlab", "--install", "-e ."), "--install: got '-e .'"),
        (("github", "--install", "git+https://h/r@main"), "--install: got 'git+https://h/r@main'"),
        (("gitlab", "--install", "x", "--host", "https://a"), "--host: 'https://a'"),
        (("comment", "none.json", "none.json"), "none.json cannot be read"),
        (("comment", "tabular.toml", "tabular.toml"), "tabular.toml is not valid JSON"),
        ((), "Missing command"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], said: str, run: Run) -> None:
    done = run("ci", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_a_stage_without_a_region_is_refused_and_can_be_given_one(run: Run, folder: Path) -> None:
    (folder / "tabular.toml").write_text('stack = "tabular"\n', encoding="utf-8")
    assert "--region: this project names no region" in run("ci", "github", "--install", "x").err
    done = run("ci", "github", "--install", "x", "--region", "eu-west-1", "--json")
    assert done.json["stages"][0]["environment"] == "production"


def test_a_project_below_the_top_of_the_repository_is_refused(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ml").mkdir()
    (folder / "tabular.toml").rename(folder / "ml/tabular.toml")
    monkeypatch.chdir(folder / "ml")
    done = run("ci", "github", "--install", "x")
    assert done.status == 2
    assert "tabular.toml must be at the top of the repository" in done.err


def test_a_failed_comparison_is_no_comment(run: Run, folder: Path) -> None:
    for name in ("diff", "cost"):
        (folder / f"{name}.json").write_text(json.dumps({"error": "denied"}), encoding="utf-8")
    done = run("ci", "comment", "diff.json", "cost.json")
    assert (done.status, done.out) == (1, "")
    assert "`diff` failed: denied" in done.err
