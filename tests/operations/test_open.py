"""Opening Studio: as which user profile, and what the address is good for."""

from __future__ import annotations

import json

import click
import pytest
from boto3.session import Session

from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run


def test_the_address_is_of_the_stacks_studio(deployed: Target, run: Run) -> None:
    done = run("open", "--stack-name", "tabular-life", "--json")
    assert done.status == 0, done.err
    assert (done.json["profile"], done.json["minutes"]) == ("data-scientist", 5)
    assert done.json["url"].startswith(stacks.need(deployed).outputs["DomainUrl"])
    printed = run("open", "data-scientist", "--stack-name", "tabular-life", "--print")
    assert printed.out.strip() == done.json["url"]


@pytest.mark.usefixtures("deployed")
def test_a_browser_is_opened_or_else_the_address_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return len(opened) - 1

    monkeypatch.setattr(click, "launch", launch)
    assert run("open", "--stack-name", "tabular-life").out == "opened Studio as data-scientist\n"
    assert run("open", "--stack-name", "tabular-life").out.strip() == opened[1]


STACK_WITH_IDENTITY_CENTER = {
    "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
    "Outputs": {
        name: {"Value": value}
        for name, value in {
            "DomainId": "d-1",
            "DomainUrl": "https://d-1.studio.eu-west-1.sagemaker.aws",
            "SignIn": "identity-center",
            "UserProfiles": "ada",
            "UserProfiles2": "grace",
        }.items()
    },
}


def test_with_identity_center_the_sign_in_page_is_opened_and_nobody_is_chosen(
    aws: Session, run: Run
) -> None:
    cloudformation, name = aws.client("cloudformation"), "tabular-center"
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(STACK_WITH_IDENTITY_CENTER))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )
    printed = run("open", "--stack-name", name, "--print")
    assert printed.out.strip() == "https://d-1.studio.eu-west-1.sagemaker.aws"
    as_json = run("open", "--stack-name", name, "--json").json
    assert (as_json["profile"], as_json["minutes"]) == (None, None)
    chosen = run("open", "ada", "--stack-name", name)
    assert (chosen.status, chosen.err.count("\n")) == (2, 1)
    assert "'ada'" in chosen.err
    assert "IAM Identity Center" in chosen.err
    cloudformation.delete_stack(StackName=name)


@pytest.mark.usefixtures("deployed")
def test_an_unknown_profile_is_refused_with_those_that_there_are(run: Run) -> None:
    done = run("open", "ada", "--stack-name", "tabular-life")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "'ada'" in done.err
    assert "data-scientist" in done.err
