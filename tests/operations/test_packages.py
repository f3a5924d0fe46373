"""What commands say about packages: the doctor, and regions in which nothing can be deployed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from generator.cfn.parameters import definitions
from generator.emit import as_dict
from generator.settings import Mode, Settings
from generator.stacks.root import build
from tabular_ml_vpc.operations import parameters
from tabular_ml_vpc.operations.checks_existing_vpc import needed
from tabular_ml_vpc.operations.checks_packages import packages
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.inventory import PlannedDeletion, left_of
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.existing_vpc import EXISTING as THEIR_VPC
from tests.operations import canned

EXISTING = {"source": "existing", "domain": "acme", "repository": "shared"}
FOUND = {"repository": {"name": "shared", "domainName": "acme"}}


def context(
    settings: Mapping[str, Any],
    answers: Mapping[str, canned.Answer] | None = None,
    region: str = "eu-west-1",
) -> CheckContext:
    """Return what would be deployed with settings, where AWS answers like that."""
    built = build(Settings.model_validate(settings), Mode.DEV)
    templates = {name: as_dict(template) for name, template in built.items()}
    values = parameters.effective(definitions(templates["root"]), {}, {})
    target = Target(canned.session(answers or {}, region), "tabular-life")
    return CheckContext(target, templates, values)


def examined(
    settings: Mapping[str, Any],
    answers: Mapping[str, canned.Answer] | None = None,
    region: str = "eu-west-1",
) -> list[CheckFinding]:
    return list(packages(context(settings, answers, region)))


def test_without_packages_nothing_is_checked() -> None:
    assert examined({}) == []


def test_a_repository_of_the_stack_needs_nothing() -> None:
    (found,) = examined({"packages": {"source": "pypi"}})
    assert found.verdict is Verdict.OK


def test_a_region_without_codeartifact_is_a_problem() -> None:
    (found,) = examined({"packages": {"source": "pypi"}}, region="sa-east-1")
    assert found.verdict is Verdict.PROBLEM
    assert "sa-east-1: AWS has no CodeArtifact in this region" in found.what


def test_an_existing_repository_is_looked_up() -> None:
    (found,) = examined({"packages": EXISTING}, {"codeartifact.DescribeRepository": FOUND})
    assert (found.verdict, found.what) == (Verdict.OK, "the repository acme/shared exists")


def test_another_account_s_repository_is_looked_up_there() -> None:
    theirs = {**EXISTING, "owner": "999988887777"}
    missing = canned.refusal("ResourceNotFoundException", "no repository")
    (found,) = examined({"packages": theirs}, {"codeartifact.DescribeRepository": missing})
    assert "acme/shared does not exist in eu-west-1 of 999988887777" in found.what


def test_a_repository_that_is_not_there_is_a_problem_with_the_command_that_lists_them() -> None:
    missing = canned.refusal("ResourceNotFoundException", "no repository")
    (found,) = examined({"packages": EXISTING}, {"codeartifact.DescribeRepository": missing})
    assert found.verdict is Verdict.PROBLEM
    assert "acme/shared does not exist in eu-west-1" in found.what
    assert found.command.startswith("aws codeartifact list-repositories --region eu-west-1")


def test_an_existing_vpc_needs_the_endpoints() -> None:
    services = {"codeartifact.api", "codeartifact.repositories"}
    assert services <= {*needed(context({"network": THEIR_VPC, "packages": {"source": "pypi"}}))}
    assert services.isdisjoint(needed(context({"network": THEIR_VPC})))


def test_what_is_left_of_a_deletion_comes_with_the_command_that_removes_it() -> None:
    arn = "arn:aws:codeartifact:eu-west-1:123456789012"
    planned = [
        PlannedDeletion(
            "StudioStack/PackageDomain", "AWS::CodeArtifact::Domain", f"{arn}:domain/tab"
        ),
        PlannedDeletion(
            "StudioStack/PackageRepository",
            "AWS::CodeArtifact::Repository",
            f"{arn}:repository/tab/pypi",
        ),
        PlannedDeletion(
            "StudioStack/JupyterLabLifecycleConfig", "AWS::SageMaker::StudioLifecycleConfig", "t-1"
        ),
    ]
    answers: dict[str, canned.Answer] = {
        "codeartifact.DescribeDomain": {"domain": {"name": "tab"}},
        "codeartifact.DescribeRepository": FOUND,
        "sagemaker.DescribeStudioLifecycleConfig": {"StudioLifecycleConfigName": "t-1"},
    }
    gone = dict.fromkeys(answers, canned.refusal("ResourceNotFoundException", "not there"))
    found = left_of(Target(canned.session(answers), "t"), planned, lambda _: "", [])
    assert [one.command for one in found] == [
        "aws codeartifact delete-domain --domain tab --region eu-west-1",
        "aws codeartifact delete-repository --domain tab --repository pypi --region eu-west-1",
        "aws sagemaker delete-studio-lifecycle-config --studio-lifecycle-config-name t-1 "
        "--region eu-west-1",
    ]
    assert left_of(Target(canned.session(gone), "t"), planned, lambda _: "", []) == []


@pytest.mark.usefixtures("aws")
def test_nothing_is_deployed_where_codeartifact_is_not(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[packages]\nsource = 'pypi'\n")
    done = run("deploy", "--config", str(config), "--region", "sa-east-1", "--yes")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "--region: got 'sa-east-1': AWS has no CodeArtifact in this region" in done.err
