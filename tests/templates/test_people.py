"""People in the templates: how they sign in, and as many as a company has."""

from __future__ import annotations

from typing import Any

import pytest

from generator import emit, people_outputs
from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Settings
from generator.settings_people import MOST_PEOPLE, Persona
from tests.existing_vpc import EXISTING

GROUP = "9067642ac7-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
SIGN_IN = {"sign_in": "identity-center", "identity_center_groups": [GROUP]}
PROFILE = "AWS::SageMaker::UserProfile"
RESOURCES, BYTES, OUTPUTS, CHARACTERS = 500, 1_000_000, 200, 4096
"""CloudFormation's quotas; of an output's value none is documented, a parameter's counts."""


def deployed(**studio: Any) -> ResolvedDeployment:
    return resolve(Settings.model_validate({"studio": studio}))


def test_with_identity_center_each_profile_is_a_user_of_the_organization() -> None:
    people = [
        {"name": "ana", "user_name": "ana@example.com", "persona": "reviewer"},
        {"name": "ben"},
    ]
    deployment = deployed(people=people, **SIGN_IN)
    assert deployment.get("studio", "Domain").properties["AuthMode"] == "SSO"
    users = [one.properties for one in deployment.of_type(PROFILE)]
    assert [one["SingleSignOnUserIdentifier"] for one in users] == ["UserName", "UserName"]
    assert [one["SingleSignOnUserValue"] for one in users] == ["ana@example.com", "ben"]


def test_the_groups_are_assigned_before_profiles_are_made() -> None:
    deployment = deployed(**SIGN_IN)
    (assigned,) = deployment.of_type("AWS::SSO::ApplicationAssignment")
    assert (assigned.properties["PrincipalId"], assigned.properties["PrincipalType"]) == (
        GROUP,
        "GROUP",
    )
    text = emit.render(Settings.model_validate({"studio": SIGN_IN, "modes": ["dev"]}))
    profile = text["templates/studio.yaml"].partition("DataScientistUserProfile:")[2]
    assert assigned.logical_id in profile.partition("Type:")[0] + profile[:400]


def test_with_identity_center_there_is_no_command_for_a_presigned_address() -> None:
    usual, center = (one.outputs["root"] for one in (deployed(), deployed(**SIGN_IN)))
    assert usual.keys() - center.keys() == {"OpenStudioCommand"}
    assert center.keys() - usual.keys() == {"SignIn"}
    assert people_outputs.has_identity_center(center)
    assert not people_outputs.has_identity_center(usual)


def test_profiles_in_an_existing_domain_are_users_if_people_sign_in_so_there() -> None:
    people = [{"name": "ana", "user_name": "ana@example.com"}]
    deployment = deployed(domain="d-abcdefgh1234", sign_in="identity-center", people=people)
    (profile,) = deployment.of_type(PROFILE)
    assert profile.properties["SingleSignOnUserValue"] == "ana@example.com"
    assert deployment.of_type("AWS::SSO::ApplicationAssignment") == []
    with pytest.raises(ValueError, match="unless the stack creates the domain"):
        deployed(domain="d-abcdefgh1234", **SIGN_IN)


def test_without_identity_center_no_profile_names_a_user() -> None:
    (profile,) = deployed().of_type(PROFILE)
    assert {name for name in profile.properties if name.startswith("SingleSignOn")} == set()


@pytest.mark.parametrize("count", [200, MOST_PEOPLE])
def test_a_company_s_people_stay_within_the_limits_of_cloudformation(count: int) -> None:
    personas = [*Persona] * count
    people = [
        {"name": f"person-{number:03}-{'x' * 52}", "persona": personas[number]}
        for number in range(count)
    ]
    names = [one["name"] for one in people]
    assert {len(name) for name in names} == {63}
    settings = Settings.model_validate({"studio": {"people": people}, "modes": ["dev"]})
    texts = {path: text for path, text in emit.render(settings).items() if emit.is_template(path)}
    assert max(len(text.encode()) for text in texts.values()) <= BYTES
    deployment = resolve(settings)
    assert max(len(stack) for stack in deployment.stacks.values()) <= RESOURCES
    outputs = deployment.outputs["root"]
    assert len(outputs) <= OUTPUTS
    assert max(len(str(value)) for value in outputs.values()) <= CHARACTERS
    assert people_outputs.profiles_of(outputs) == names
    for stack in deployment.of_type("AWS::CloudFormation::Stack"):
        for value in stack.properties["Parameters"].values():
            assert len(str(value)) <= CHARACTERS


def test_the_denies_of_an_existing_network_are_about_all_personas() -> None:
    people = [{"name": f"p{number}", "persona": one} for number, one in enumerate(Persona)]
    deployment = resolve(
        Settings.model_validate({"network": EXISTING, "studio": {"people": people}})
    )
    for name in ("JobsStayInsidePolicy", "SpendingLimitsPolicy"):
        roles = " ".join(deployment.get("network", name).properties["Roles"])
        for role in ("StudioRole", "MlEngineerRole", "ReviewerRole", "PipelineRole"):
            assert role in roles


@pytest.mark.parametrize(
    "studio",
    [
        {"people": [{"name": "ana", "persona": "reviewer"}]},
        {"domain": "d-abcdefgh1234"},
        {"domain": "none"},
    ],
)
def test_settings_without_a_short_list_can_be_written_and_read_again(studio: Any) -> None:
    """`cost` compares settings that it makes of the given ones."""
    settings = Settings.model_validate({"studio": studio})
    assert Settings.model_validate(settings.model_dump()) == settings
