"""The example workflows: valid for their platform, without stored keys, with least rights."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.errors import UsageError
from generator.files import REPOSITORY
from tabular_ml_vpc.reports.delivery.workflows import (
    CLONE,
    PATHS,
    DeliveryStage,
    installed,
    render,
)

BIN = REPOSITORY / ".venv-audit/bin"
ALONE = (DeliveryStage("production", "tabular", "eu-west-1", is_stage=False),)
STAGES = (
    DeliveryStage("test", "tabular-test", "eu-west-1"),
    DeliveryStage("prod-eu", "tabular-prod", "eu-central-1"),
)
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}
TOOLS = {"clone": CLONE, "command": installed("vendor/tabular_ml_vpc-1.0-py3-none-any.whl")}
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def workflow(**changes: Any) -> dict[str, Any]:
    """Return GitHub's workflow for two stages; YAML 1.1 reads its key `on` as true."""
    chosen = {"stages": STAGES, "tool": CLONE, "branch": "main", **changes}
    found: dict[Any, Any] = yaml.safe_load(render("github", **chosen))
    return {"on" if key is True else str(key): value for key, value in found.items()}


def steps(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in found["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("platform", PATHS)
def test_the_platform_s_schema_takes_it(platform: str, tmp_path: Path) -> None:
    files = []
    for name, tool in TOOLS.items():
        for number, stages in enumerate((ALONE, STAGES)):
            files.append(tmp_path / f"{name}{number}.yml")
            files[-1].write_text(render(platform, stages, tool, "release/1.x"), encoding="utf-8")
    program = [str(BIN / "check-jsonschema"), "--builtin-schema", SCHEMAS[platform]]
    done = subprocess.run([*program, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

    wrong = tmp_path / "wrong.yml"
    wrong.write_text(files[0].read_text(encoding="utf-8").replace("needs:", "need:"))
    assert subprocess.run([*program, wrong], capture_output=True, check=False).returncode == 1


def test_zizmor_finds_nothing_even_as_a_pedant(tmp_path: Path) -> None:
    path = tmp_path / PATHS["github"]
    path.parent.mkdir(parents=True)
    path.write_text(render("github", STAGES, CLONE, "main"), encoding="utf-8")
    program = [str(BIN / "zizmor"), "--offline", "--persona", "pedantic", "--format", "json"]
    done = subprocess.run([*program, path], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr


def test_only_jobs_that_need_a_token_get_one_and_only_the_comment_writes() -> None:
    found = workflow()
    assert found["permissions"] == {}
    read = {"contents": "read"}
    aws = {**read, "id-token": "write"}
    assert {name: job["permissions"] for name, job in found["jobs"].items()} == {
        "build": read,
        "audit": read,
        "plan-test": aws,
        "plan-prod-eu": aws,
        "comment": {"pull-requests": "write"},
        "deploy-test": aws,
        "deploy-prod-eu": aws,
    }
    assert "secrets." not in render("github", STAGES, CLONE, "main")


def test_a_stranger_s_pull_request_gets_no_credentials_and_deploys_nothing() -> None:
    found = workflow()
    assert set(found["on"]) == {"pull_request", "push"}
    assert found["on"]["push"] == {"branches": ["main"]}
    ours = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in found["jobs"].items():
        if "id-token" in job["permissions"] and name.startswith("plan-"):
            assert ours in job["if"]
            assert "environment" not in job  # with one, the token would be that of a deployment
        if name.startswith("deploy-"):
            assert job["if"] == "github.event_name == 'push'"
            assert job["environment"] == name.removeprefix("deploy-")


def test_the_comment_runs_no_code_of_the_pull_request() -> None:
    used = [step.get("uses", "") for step in workflow()["jobs"]["comment"]["steps"]]
    assert not any("checkout" in name for name in used)


def test_no_expression_is_in_a_script() -> None:
    assert [one["run"] for one in steps(workflow()) if "${{" in one.get("run", "")] == []


def test_every_action_is_pinned_to_a_commit() -> None:
    used = [one["uses"] for one in steps(workflow()) if "uses" in one]
    assert used
    assert [one for one in used if not PINNED.fullmatch(one)] == []


def test_stages_are_deployed_one_after_the_other_and_never_twice_at_once() -> None:
    jobs = workflow()["jobs"]
    assert jobs["deploy-test"]["needs"] == ["build", "audit"]
    assert jobs["deploy-prod-eu"]["needs"] == ["deploy-test"]
    groups = [jobs[f"deploy-{stage.name}"]["concurrency"] for stage in STAGES]
    assert all(one["cancel-in-progress"] is False for one in groups)
    assert len({one["group"] for one in groups}) == 2
    assert jobs["deploy-prod-eu"]["env"] == {
        "AWS_REGION": "eu-central-1",
        "TABULAR_STAGE": "prod-eu",
    }


@pytest.mark.parametrize("platform", PATHS)
def test_each_stage_has_the_prices_of_its_region(platform: str) -> None:
    text = render(platform, STAGES, CLONE, "main")
    assert re.findall(r"cost --region (\S+)", text) == [stage.region for stage in STAGES]


def test_without_stages_there_is_one_environment() -> None:
    jobs = workflow(stages=ALONE)["jobs"]
    assert set(jobs) == {"build", "audit", "plan-production", "comment", "deploy-production"}
    assert jobs["deploy-production"]["env"] == {"AWS_REGION": "eu-west-1"}


@pytest.mark.parametrize("platform", PATHS)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": (DeliveryStage("a: b", "tabular", "eu-west-1"),)}, "--stage: 'a: b'"),
        (
            {
                "stages": (
                    DeliveryStage("a-b", "tabular", "eu-west-1"),
                    DeliveryStage("A_B", "tabular", "eu-west-1"),
                )
            },
            "two of them differ only in case",
        ),
        ({"branch": 'main"]\n'}, "--branch: "),
        ({"branch": "$(id)"}, "--branch: "),
    ],
)
def test_names_that_could_be_yaml_or_shell_are_refused(
    platform: str, changes: dict[str, Any], said: str
) -> None:
    chosen = {"stages": STAGES, "tool": CLONE, "branch": "main", **changes}
    with pytest.raises(UsageError, match=re.escape(said)):
        render(platform, **chosen)


@pytest.mark.parametrize("what", ["", "a\nb", "--index-url=http://example.com"])
def test_what_is_installed_is_one_requirement(what: str) -> None:
    with pytest.raises(UsageError, match="--install: got"):
        installed(what)


def test_what_is_installed_is_quoted_and_a_file_s_hashes_are_checked() -> None:
    assert installed("a; id").install == ("python -m pip install --quiet 'a; id'",)
    assert "--require-hashes -r tools.txt" in installed("tools.txt").install[0]
