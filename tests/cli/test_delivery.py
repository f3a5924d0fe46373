"""The example workflows work: their own shell steps, in order, with their roles' permissions.

Steps that only use other people's actions are left out, and those that install. Credentials are
those of a user with the role's policies; who may assume a role is tested in tests/iam.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from boto3.session import Session

from generator.cfn.yaml_text import from_yaml
from tests.emulated import as_user, emulated_aws, pointed_at

PROJECT = """
region = "eu-west-1"
[parameters]
Rows = 600
[stages.test]
stack = "tabular-test"
"""
INSTALLING = ("pip install", "setup checkers", "ml-vpc audit")
EXPRESSIONS = {"${{ github.token }}": "t", "${{ github.event.pull_request.number }}": "7"}
GH = """#!/bin/sh
echo "$@" >> "$GH_LOG"
case "$*" in *--paginate*) cat "$GH_COMMENTS" ;; esac
"""


@dataclass(frozen=True)
class Project:
    """A user's repository, with the installed command on the PATH of its jobs."""

    folder: Path
    path: str
    files: Path

    def shell(self, script: str, environment: dict[str, str]) -> None:
        """Run a script as the platforms do; it ends at the first error."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PATH": self.path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def job(self, name: str) -> None:
        """Run the scripts of a job of GitHub's workflow."""
        text = (self.folder / ".github/workflows/tabular.yml").read_text(encoding="utf-8")
        job = yaml.safe_load(text)["jobs"][name]
        given = {
            "GITHUB_REPOSITORY": "octo/ml",
            "GITHUB_STEP_SUMMARY": str(self.files / "summary.md"),
            "GH_LOG": str(self.files / "gh.log"),
            "GH_COMMENTS": str(self.files / "comments"),
        }
        for step in job["steps"]:
            own = {**job.get("env", {}), **step.get("env", {})}
            filled = {key: EXPRESSIONS.get(one, one) for key, one in own.items()}
            if "run" in step and not any(one in step["run"] for one in INSTALLING):
                self.shell(step["run"], {**given, **filled})

    def gitlab_job(self, name: str) -> None:
        """Run the script of a job of GitLab's pipeline, in one shell as GitLab does."""
        whole = yaml.safe_load((self.folder / ".gitlab-ci.yml").read_text(encoding="utf-8"))
        job = whole[name]
        lines = [*whole[".credentials"]["before_script"], *job["script"]]
        script = "\n".join(lines).splitlines()
        kept = [line for line in script if not any(one in line for one in INSTALLING)]
        given = {"AWS_ID_TOKEN": "a.b.c", "CI_PIPELINE_ID": "1"}
        self.shell("\n".join(kept), {**given, **job["variables"]})

    def policies(self, role: str) -> list[Path]:
        """Write the policies of a role, as its template has them."""
        template = from_yaml((self.folder / "ci/github-test.yaml").read_text(encoding="utf-8"))
        found = []
        for name, resource in template["Resources"].items():
            if name.startswith(f"{role}Policy"):
                found.append(self.files / f"{name}.json")
                found[-1].write_text(json.dumps(resource["Properties"]["PolicyDocument"]))
        assert found
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[Session]:
    with emulated_aws() as emulator, pointed_at(emulator) as session:
        yield session


@pytest.fixture
def project(command: Path, tmp_path: Path) -> Project:
    folder, files = tmp_path / "ml", tmp_path / "files"
    (folder / ".git").mkdir(parents=True)
    files.mkdir()
    gh = files / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    (files / "comments").touch()
    (folder / "tabular.toml").write_text(PROJECT)
    path = os.pathsep.join((str(gh.parent), str(command), os.environ["PATH"]))
    made = Project(folder, path, files)
    for platform in ("github", "gitlab"):
        made.shell(f"tabular-ml-vpc ci {platform} --install tools.txt", {})
    return made


def rows(aws: Session) -> Any:
    """Return the parameter of the deployed stack that the pull request changes."""
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="tabular-test")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}["Rows"]


def test_the_steps_of_the_workflows_work_in_order(aws: Session, project: Project) -> None:
    project.job("build")
    with as_user(aws, "deploy", project.policies("Deploy")):
        project.job("deploy-test")
    assert rows(aws) == "600"

    settings = "[settings.storage]\naccess_log_days = 31\n"
    (project.folder / "tabular.toml").write_text(PROJECT.replace("600", "700") + settings)
    with as_user(aws, "plan", project.policies("Plan")):
        project.job("plan-test")
        comment = (project.folder / "plan/test.md").read_text(encoding="utf-8")
        assert "~  PipelineStack/SeedData  Custom::SeedData  modify  Rows" in comment
        assert "~  StorageStack/LogBucket  S3::Bucket  modify  LifecycleConfiguration" in comment
        assert (project.files / "summary.md").read_text(encoding="utf-8") == comment
        project.gitlab_job("plan-test")
        assert (project.folder / "plan-test.md").read_text(encoding="utf-8") == comment
    assert rows(aws) == "600"

    project.job("comment")
    (project.files / "comments").write_text("41\n42\n")
    project.job("comment")
    posted = (project.folder / "comment.md").read_text(encoding="utf-8")
    assert posted == f"<!-- tabular-ml-vpc: what would change -->\n{comment}"
    calls = (project.files / "gh.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" -F")[0] for line in calls if "--method" in line] == [
        "api --method POST repos/octo/ml/issues/7/comments",
        "api --method PATCH repos/octo/ml/issues/comments/41",
    ]

    with as_user(aws, "deploy", project.policies("Deploy")):
        project.gitlab_job("deploy-test")
    assert rows(aws) == "700"
