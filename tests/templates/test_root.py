"""The root template: nothing but nested stacks, their wiring, and what people see."""

from __future__ import annotations

import json
import re

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.images import ACCOUNTS
from generator.resolved import resolve
from generator.settings import Mode, Settings
from tests.templates.conftest import Templates

OUTPUTS = {
    "AlertTopic",
    "DataBucket",
    "DomainId",
    "DomainUrl",
    "EndpointName",
    "LogBucket",
    "Mode",
    "NotebookJobsRole",
    "OpenStudioCommand",
    "PipelineName",
    "SettingsHash",
    "StartPipelineCommand",
    "UserProfiles",
    "VpcId",
}


def test_the_root_holds_nested_stacks_only(templates: Templates) -> None:
    kinds = {one["Type"] for one in templates["root"]["Resources"].values()}
    assert kinds == {"AWS::CloudFormation::Stack"}
    assert set(templates["root"]["Outputs"]) == OUTPUTS


def test_every_parameter_is_described_grouped_labelled_and_used(templates: Templates) -> None:
    root = templates["root"]
    interface = root["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(root["Parameters"])
    used = json.dumps([root["Resources"], root["Conditions"]])
    for name, parameter in root["Parameters"].items():
        assert parameter["Description"], name
        assert "Default" in parameter, name
        assert interface["ParameterLabels"][name]["default"], name
        assert f'"Ref": "{name}"' in used, name
        if {"AllowedPattern", "MinValue"} & set(parameter):
            assert parameter["ConstraintDescription"], name


def test_defaults_fit_their_own_patterns(templates: Templates) -> None:
    for name, parameter in templates["root"]["Parameters"].items():
        if "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"]), name
        if "AllowedValues" in parameter:
            assert parameter["Default"] in parameter["AllowedValues"], name


def test_the_region_rule_is_the_image_mapping(templates: Templates) -> None:
    assertion = templates["root"]["Rules"]["RegionHasImages"]["Assertions"][0]
    regions, asked = assertion["Assert"]["Fn::Contains"]
    assert sorted(regions) == sorted(ACCOUNTS)
    assert asked == {"Ref": "AWS::Region"}
    assert "AutoGluon" in assertion["AssertDescription"]
    mapping = templates["pipeline"]["Mappings"]["ImageAccounts"]
    assert sorted(mapping) == sorted(regions)


def test_every_nested_stack_has_the_tags_of_the_settings() -> None:
    deployment = resolve(Settings(tags={"team": "risk"}))
    stacks = deployment.of_type("AWS::CloudFormation::Stack")
    assert len(stacks) == 5
    for stack in stacks:
        tags = {tag["Key"]: tag["Value"] for tag in stack.properties["Tags"]}
        assert tags == {"tabular-ml-vpc:project": "tabular", "team": "risk"}, stack


def test_lists_reach_nested_stacks_as_one_text(deployment: ResolvedDeployment) -> None:
    for stack in deployment.of_type("AWS::CloudFormation::Stack"):
        for name, value in stack.properties["Parameters"].items():
            assert isinstance(value, str | int), (stack, name)


@pytest.mark.parametrize("zones", [2, 3])
def test_zones_can_be_chosen_when_deploying(zones: int) -> None:
    settings = Settings.model_validate({"network": {"zones": zones}})
    names = [f"eu-west-1{letter}" for letter in "cba"[:zones]]
    chosen = {f"AvailabilityZone{number}": name for number, name in enumerate(names, start=1)}
    deployment = resolve(settings, Mode.DEV, chosen)
    subnets = deployment.of_type("AWS::EC2::Subnet")
    assert [subnet.properties["AvailabilityZone"] for subnet in subnets] == names


def test_endpoints_stand_in_as_many_zones_as_the_settings_say() -> None:
    settings = Settings.model_validate({"network": {"zones": 3, "endpoint_zones": 1}})
    deployment = resolve(settings)
    assert len(deployment.of_type("AWS::EC2::Subnet")) == 3
    for endpoint in deployment.of_type("AWS::EC2::VPCEndpoint"):
        if endpoint.properties["VpcEndpointType"] == "Interface":
            assert len(endpoint.properties["SubnetIds"]) == 1, endpoint


def test_each_user_profile_of_the_settings_is_made() -> None:
    settings = Settings.model_validate({"studio": {"user_profiles": ["ana", "ben-2", "Cleo"]}})
    profiles = resolve(settings).of_type("AWS::SageMaker::UserProfile")
    names = [profile.properties["UserProfileName"] for profile in profiles]
    assert names == ["ana", "ben-2", "Cleo"]


def test_people_of_a_persona_share_its_role_and_all_others_keep_the_domain_s() -> None:
    people = [
        {"name": "ana"},
        {"name": "ben", "persona": "ml-engineer"},
        {"name": "cleo", "persona": "ml-engineer"},
        {"name": "rae", "persona": "reviewer"},
    ]
    settings = Settings.model_validate({"studio": {"user_profiles": ["dan"], "people": people}})
    deployment = resolve(settings)
    profiles = deployment.of_type("AWS::SageMaker::UserProfile")
    roles = {
        one.properties["UserProfileName"]: one.properties.get("UserSettings", {})
        .get("ExecutionRole", "")
        .rpartition("-")[0]
        .rpartition("-")[2]
        for one in profiles
    }
    assert roles == {
        **dict.fromkeys(("ana", "dan"), ""),
        **dict.fromkeys(("ben", "cleo"), "MlEngineerRole"),
        "rae": "ReviewerRole",
    }
    assert deployment.outputs["root"]["UserProfiles"] == "dan,ana,ben,cleo,rae"


def test_with_people_nobody_is_added_who_is_not_named() -> None:
    settings = Settings.model_validate({"studio": {"people": [{"name": "ana"}]}})
    assert resolve(settings).outputs["root"]["UserProfiles"] == "ana"
