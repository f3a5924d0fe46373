"""The example workflows work: their roles' template, and their own shell steps in order.

Steps that only use other people's actions are left out, and those that install. A job gets its
credentials as on its platform: with a token, from the roles that the template made. The emulated
AWS checks the roles' trust and permissions.
"""

from __future__ import annotations

import json
import os
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from boto3.session import Session
from botocore.exceptions import ClientError

from tests.emulated import emulated_aws, pointed_at

PROJECT: Final = """
region = "eu-west-1"
[parameters]
Rows = 600
[stages.test]
stack = "tabular-test"
"""
INSTALLING: Final = ("pip install", "setup checkers", "ml-vpc audit")
EXPRESSIONS: Final = {"${{ github.token }}": "t", "${{ github.event.pull_request.number }}": "7"}
GITHUB: Final = "token.actions.githubusercontent.com"
GITLAB: Final = "gitlab.example.com"
REPOSITORY: Final = "octo/ml"
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
GH: Final = """#!/bin/sh
echo "$@" >> "$GH_LOG"
case "$*" in *--paginate*) cat "$GH_COMMENTS" ;; esac
"""


def token(issuer: str, subject: str) -> str:
    """Return a token as the platform issues it, with a signature that nobody checks here."""
    claims = {
        "iss": f"https://{issuer}",
        "aud": "sts.amazonaws.com",
        "sub": subject,
        "exp": 4_000_000_000,
    }
    parts = ({"alg": "RS256"}, claims)
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


@dataclass(frozen=True)
class Project:
    """A user's repository, with the installed command on the PATH of its jobs."""

    folder: Path
    path: str
    files: Path

    def shell(self, script: str, environment: Mapping[str, str]) -> None:
        """Run a script as the platforms do; it ends at the first error."""
        inherited = {name: one for name, one in os.environ.items() if name not in KEYS}
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env={**inherited, "PATH": self.path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def github_job(self, name: str, credentials: Mapping[str, str] | None = None) -> None:
        """Run the scripts of a job of GitHub's workflow."""
        text = (self.folder / ".github/workflows/tabular.yml").read_text(encoding="utf-8")
        job = yaml.safe_load(text)["jobs"][name]
        given = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_STEP_SUMMARY": str(self.files / "summary.md"),
            "GH_LOG": str(self.files / "gh.log"),
            "GH_COMMENTS": str(self.files / "comments"),
            **(credentials or {}),
        }
        for step in job["steps"]:
            own = {**job.get("env", {}), **step.get("env", {})}
            filled = {key: EXPRESSIONS.get(one, one) for key, one in own.items()}
            if "run" in step and not any(one in step["run"] for one in INSTALLING):
                self.shell(step["run"], {**given, **filled})

    def gitlab_job(self, name: str, subject: str, roles: Mapping[str, str]) -> None:
        """Run the script of a job of GitLab's pipeline, in one shell as GitLab does."""
        whole = yaml.safe_load((self.folder / ".gitlab-ci.yml").read_text(encoding="utf-8"))
        job = whole[name]
        lines = [*whole[".credentials"]["before_script"], *job["script"]]
        script = "\n".join(lines).splitlines()
        kept = [line for line in script if not any(one in line for one in INSTALLING)]
        given = {"AWS_ID_TOKEN": token(GITLAB, subject), "CI_PIPELINE_ID": "1"}
        variables = {key: roles.get(one, one) for key, one in job["variables"].items()}
        self.shell("\n".join(kept), {**given, **variables})


def make_roles(aws: Session, template: Path, environment: str) -> dict[str, str]:
    """Deploy the template of roles; return their ARNs by the variables that the jobs read."""
    client, name = aws.client("cloudformation"), f"ci-{environment}"
    parameters = {"Repository": REPOSITORY, "Environment": environment}
    client.create_stack(
        StackName=name,
        TemplateBody=template.read_text(encoding="utf-8"),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": one} for key, one in parameters.items()
        ],
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    return {
        "$TABULAR_PLAN_ROLE_TEST": outputs["PlanRoleArn"],
        "$TABULAR_DEPLOY_ROLE_TEST": outputs["DeployRoleArn"],
    }


def credentials(aws: Session, role: str, subject: str) -> dict[str, str]:
    """Return what GitHub's action for credentials sets for its job."""
    made = aws.client("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="github-1", WebIdentityToken=token(GITHUB, subject)
    )["Credentials"]
    values = (made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    return dict(zip(KEYS, values, strict=True))


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
    made.shell("tabular-ml-vpc ci github --install tools.txt", {})
    made.shell(f"tabular-ml-vpc ci gitlab --install tools.txt --host {GITLAB}", {})
    return made


def rows(aws: Session) -> Any:
    """Return the parameter of the deployed stack that the pull request changes."""
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="tabular-test")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}["Rows"]


def test_the_steps_of_the_workflows_work_in_order(aws: Session, project: Project) -> None:
    hub = make_roles(aws, project.folder / "ci/github-test.yaml", "test")
    lab = make_roles(aws, project.folder / "ci/gitlab-test.yaml", "lab")
    plan, deploy = hub["$TABULAR_PLAN_ROLE_TEST"], hub["$TABULAR_DEPLOY_ROLE_TEST"]
    pull, merged = f"repo:{REPOSITORY}:pull_request", f"repo:{REPOSITORY}:environment:test"
    with pytest.raises(ClientError, match="Not authorized to perform"):
        credentials(aws, deploy, pull)

    project.github_job("build")
    project.github_job("deploy-test", credentials(aws, deploy, merged))
    assert rows(aws) == "600"

    settings = "[settings.storage]\naccess_log_days = 31\n"
    (project.folder / "tabular.toml").write_text(PROJECT.replace("600", "700") + settings)
    project.github_job("plan-test", credentials(aws, plan, pull))
    comment = (project.folder / "plan/test.md").read_text(encoding="utf-8")
    assert "~  PipelineStack/SeedData  Custom::SeedData  modify  Rows" in comment
    assert "~  StorageStack/LogBucket  S3::Bucket  modify  LifecycleConfiguration" in comment
    assert (project.files / "summary.md").read_text(encoding="utf-8") == comment

    branch = f"project_path:{REPOSITORY}:ref_type:branch:ref:"
    project.gitlab_job("plan-test", f"{branch}feature", lab)
    assert (project.folder / "plan-test.md").read_text(encoding="utf-8") == comment
    assert rows(aws) == "600"

    project.github_job("comment")
    (project.files / "comments").write_text("41\n42\n")
    project.github_job("comment")
    posted = (project.folder / "comment.md").read_text(encoding="utf-8")
    assert posted == f"<!-- tabular-ml-vpc: what would change -->\n{comment}"
    calls = (project.files / "gh.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" -F")[0] for line in calls if "--method" in line] == [
        "api --method POST repos/octo/ml/issues/7/comments",
        "api --method PATCH repos/octo/ml/issues/comments/41",
    ]

    project.gitlab_job("deploy-test", f"{branch}main", lab)
    assert rows(aws) == "700"
