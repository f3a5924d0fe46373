"""No Studio, or somebody else's domain: what the templates then have, and what they do not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from generator import emit
from generator.cfn.evaluator import ResolvedDeployment
from generator.cfn.yaml_text import from_yaml
from generator.resolved import resolve
from generator.settings import Mode, Settings

DOMAIN = "d-abcdefgh1234"
ENDPOINT = "vpce-0123456789abcdef0"


def settings(**studio: Any) -> Settings:
    return Settings.model_validate(
        {"studio": studio, "network": {"interface_endpoints": ["sagemaker.api"]}}
    )


def joined(**studio: Any) -> ResolvedDeployment:
    return resolve(settings(domain=DOMAIN, **studio))


def test_without_studio_no_template_and_no_policy_mentions_it() -> None:
    texts = emit.render(settings(domain="none"))
    named = {
        path
        for path, text in texts.items()
        if path.startswith("templates/")
        and re.search("studio|domain|notebookjob|profile", text, re.I)
    }
    assert named == {"templates/root.yaml", "templates/prod/root.yaml"}
    root = from_yaml(texts["templates/root.yaml"])
    recorded = root.pop("Metadata")["TabularMlVpc"]["Settings"]
    assert recorded["studio.domain"] == "none"
    assert not re.search("studio|domain|profile|spaces", json.dumps(root), re.I)


@pytest.mark.parametrize("mode", Mode)
def test_without_studio_the_rest_keeps_its_names(mode: Mode) -> None:
    usual = {one.logical_id for one in resolve(mode=mode) if one.stack != "studio"}
    left = {one.logical_id for one in resolve(settings(domain="none"), mode)}
    gone = usual - left
    assert left < usual
    assert {name for name in gone if not re.search("Studio|Endpoint", name)} == {
        "NotebookJobsRole",
        "NotebookJobsPolicy",
    }


def test_in_an_existing_domain_only_named_profiles_are_made_with_our_role() -> None:
    made = joined(user_profiles=["ada"])
    assert made.of_type("AWS::SageMaker::Domain") == []
    (profile,) = made.of_type("AWS::SageMaker::UserProfile")
    role = made.get("security", "StudioRole").reference
    assert profile.properties["DomainId"] == DOMAIN
    assert profile.properties["UserProfileName"] == "ada"
    assert profile.properties["UserSettings"]["ExecutionRole"].endswith(f":role/{role}")
    assert made.get("studio", "ClearStudio").properties["WholeDomain"] == "false"


def test_in_an_existing_domain_no_profile_is_made_by_default() -> None:
    made = joined()
    kinds = {one.type for one in made if one.stack == "studio"}
    assert kinds == {"AWS::IAM::RolePolicy"}
    assert made.outputs["root"]["DomainId"] == DOMAIN
    assert "UserProfiles" not in made.outputs["root"]
    assert made.outputs["root"]["StudioRole"].endswith(made.get("security", "StudioRole").reference)


def test_people_read_the_data_through_the_endpoint_of_their_domains_vpc() -> None:
    made = joined(s3_endpoint=ENDPOINT)
    policy = made.get("storage", "DataBucketPolicy").properties["PolicyDocument"]
    role = made.get("security", "StudioRole").reference
    for statement in policy["Statement"]:
        condition = statement.get("Condition", {})
        endpoint = condition.get("StringNotEquals", {}).get("aws:SourceVpce")
        holders = json.dumps(condition.get("ArnEquals", {}))
        if endpoint:
            assert (endpoint == ENDPOINT) is (f"role/{role}" in holders), statement["Sid"]
