"""Pipelines that are deployed differently: nobody approves where others approve, runs where not."""

from __future__ import annotations

from typing import Any, Final

import pytest

from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.required import DERIVED, Required

CHOSEN: Final = Settings.model_validate(
    {
        "pipelines": [
            {"name": "main", "deploy": "on-approval"},
            {"name": "churn"},
            {"name": "fraud", "deploy": "on-approval"},
            {
                "name": "churn-2",
                "deploy": "none",
            },
        ],
        "studio": {
            "people": [
                {"name": "ana", "persona": "ml-engineer"},
                {"name": "ben", "persona": "reviewer"},
            ]
        },
    }
)
STATUS: Final = "sagemaker:ModelApprovalStatus"
APPROVED: Final = {STATUS: "Approved"}
PENDING: Final = {STATUS: "PendingManualApproval"}
PEOPLE: Final = ("StudioRole", "MlEngineerRole", "ReviewerRole")
EVERYTHING: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}],
}
RUNS: Final = {
    "": "PipelineRole",
    "-churn": "ChurnPipeline/PipelineRole",
    "-fraud": "FraudPipeline/PipelineRole",
    "-churn-2": "Churn2Pipeline/PipelineRole",
}
"""The role of a pipeline's runs, by the ending of its name."""
ON_APPROVAL, OTHERS = ("", "-fraud"), ("-churn", "-churn-2")


@pytest.fixture(scope="module")
def mixed() -> Account:
    """A deployment of four pipelines, two of them on approval."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(mixed: Account) -> str:
    """The deployment's name."""
    return str(mixed.deployment.parameters["pipeline"]["UniqueName"])


def decisions(account: Account, own: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what decides which model of a pipeline serves: action, resource, context."""

    def of(kind: str) -> str:
        return account.place.arn("sagemaker", kind)

    config, endpoint = of(f"endpoint-config/v3-0a1b2c-{own}"), of(f"endpoint/{own}")
    return [
        ("UpdateModelPackage", of(f"model-package/{own}/3"), APPROVED),
        ("CreateModelPackage", of(f"model-package/{own}/4"), PENDING),
        ("DeleteModelPackage", of(f"model-package/{own}/3"), {}),
        ("CreateEndpoint", of(f"endpoint/try-{own}"), {}),
        ("UpdateEndpoint", endpoint, {}),
        ("UpdateEndpointWeightsAndCapacities", endpoint, {}),
        ("AddTags", config, {}),
        ("DeleteTags", of(f"model/v3-{own}"), {}),
    ]


def though_allowed(account: Account, name: str, rests: tuple[str, ...]) -> dict[str, Request]:
    """Return what people try whose organization allows them everything in SageMaker."""
    return {
        f"{who}: {action} on {resource}, {context}": Request(
            who, f"sagemaker:{action}", resource, context, extra=(EVERYTHING,)
        )
        for who in PEOPLE
        for rest in rests
        for action, resource, context in decisions(account, f"{name}{rest}")
    }


@pytest.fixture(scope="module")
def attempts(mixed: Account, name: str) -> dict[str, Request]:
    """What nobody may do, by what is wanted."""

    def of(kind: str) -> str:
        return mixed.place.arn("sagemaker", kind)

    found = though_allowed(mixed, name, ON_APPROVAL)
    for rest in ON_APPROVAL:
        own = f"{name}{rest}"
        found[f"a run registers an approved model in {own}"] = Request(
            RUNS[rest], "sagemaker:CreateModelPackage", of(f"model-package/{own}/4"), APPROVED
        )
        found[f"a run approves in {own}, though its organization allows it"] = Request(
            RUNS[rest],
            "sagemaker:UpdateModelPackage",
            of(f"model-package/{own}/4"),
            APPROVED,
            extra=(EVERYTHING,),
        )
        for action in ("CreateEndpoint", "UpdateEndpoint"):
            found[f"a run: {action} of {own}"] = Request(
                RUNS[rest], f"sagemaker:{action}", of(f"endpoint/{own}")
            )
        found |= {
            f"a run of {other}: {action} of {own}": Request(RUNS[other], action, resource, context)
            for other in OTHERS
            for action, resource, context in (
                ("sagemaker:CreateModelPackage", of(f"model-package/{own}/4"), APPROVED),
                ("sagemaker:UpdateModelPackage", of(f"model-package/{own}/3"), APPROVED),
                ("sagemaker:UpdateEndpoint", of(f"endpoint/{own}"), {}),
            )
        }
    found |= {
        f"{who} approves a model of {rest}": Request(
            who, "sagemaker:UpdateModelPackage", of(f"model-package/{name}{rest}/3"), APPROVED
        )
        for who in (*PEOPLE, "NotebookJobsRole", "DeployModelRole", "DeployNamedModelRole")
        for rest in RUNS
    }
    return found | {
        "a run that only registers creates its endpoint": Request(
            RUNS["-churn-2"], "sagemaker:CreateEndpoint", of(f"endpoint/{name}-churn-2")
        ),
        "main's function rejects a version of a pipeline whose runs deploy": Request(
            "DeployModelRole",
            "sagemaker:UpdateModelPackage",
            of(f"model-package/{name}-churn/3"),
            {STATUS: "Rejected"},
        ),
    }


def test_every_attack_is_refused(mixed: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(mixed, attempts) == []


def test_every_attack_would_succeed_without_policies(
    mixed: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(mixed, attempts) == []


def test_runs_that_deploy_register_what_they_approve_and_serve_it(
    mixed: Account, name: str
) -> None:
    own = f"{name}-churn"
    needed = [
        Request(RUNS["-churn"], f"sagemaker:{action}", mixed.place.arn("sagemaker", kind), context)
        for action, kind, context in (
            ("CreateModelPackage", f"model-package/{own}/4", APPROVED),
            ("CreateModelPackage", f"model-package/{own}/4", PENDING),
            ("CreateEndpoint", f"endpoint/{own}", {}),
            ("UpdateEndpoint", f"endpoint/{own}", {}),
        )
    ]
    assert refused(mixed, [Required(DERIVED, one, "a run that deploys") for one in needed]) == []


def test_people_are_denied_nothing_of_pipelines_that_need_no_approval(
    mixed: Account, name: str
) -> None:
    allowed = though_allowed(mixed, name, OTHERS).values()
    assert refused(mixed, [Required(DERIVED, one, "an organization") for one in allowed]) == []
