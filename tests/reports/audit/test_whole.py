"""The nested stacks as one template: every value from another stack is followed to its resource."""

from __future__ import annotations

from typing import Any

import pytest

from generator.cfn.evaluator import ResolveError
from generator.cfn.expressions import references
from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.audit.checkers import plain_stacks, with_visible_rights
from tabular_ml_vpc.reports.audit.whole import whole

PASSED_ON = {"Fn::GetAtt": ["ChildStack", "Outputs.KeyArn"]}


def root(**parameters: Any) -> dict[str, Any]:
    stack = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "./child.yaml", "Parameters": parameters},
    }
    return {
        "Parameters": {"Switch": {"Type": "String", "Default": "yes"}},
        "Resources": {"ChildStack": stack},
    }


def child(topic: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Switch": {"Type": "String"}, "Subnets": {"Type": "List<String>"}},
        "Conditions": {"On": {"Fn::Equals": [{"Ref": "Switch"}, "yes"]}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", **topic}},
        "Outputs": {"KeyArn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
        **sections,
    }


def topic_of(
    topic: dict[str, Any], switch: Any = None, subnets: Any = "", **sections: Any
) -> dict[str, Any]:
    stacks = {
        "root": root(Switch=switch or {"Ref": "Switch"}, Subnets=subnets),
        "child": child(topic, **sections),
    }
    resources = whole(stacks).template["Resources"]
    found: dict[str, Any] = resources.get("Topic", {})
    return found


def test_a_parameter_becomes_what_the_root_hands_over() -> None:
    assert topic_of({"Properties": {"Name": {"Ref": "Switch"}}})["Properties"] == {"Name": "yes"}


def test_a_list_that_crossed_joined_is_a_list_again() -> None:
    joined = {"Fn::Join": [",", [{"Ref": "A"}, {"Ref": "B"}]]}
    topic = topic_of({"Properties": {"Name": {"Ref": "Subnets"}}}, subnets=joined)
    assert topic["Properties"]["Name"] == [{"Ref": "A"}, {"Ref": "B"}]


def test_an_output_of_another_stack_becomes_the_resource_behind_it() -> None:
    stacks = {"root": root(Switch="yes", Subnets=""), "child": child({})}
    stacks["root"]["Resources"]["Alarm"] = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {"Key": PASSED_ON},
    }
    alarm = whole(stacks).template["Resources"]["Alarm"]
    assert alarm["Properties"]["Key"] == {"Fn::GetAtt": ["Key", "Arn"]}


@pytest.mark.parametrize(("switch", "expected"), [("yes", "in"), ("no", "out")])
def test_a_choice_is_made_as_the_parameters_say(switch: str, expected: str) -> None:
    chosen = {"Fn::If": ["On", "in", "out"]}
    assert topic_of({"Properties": {"Name": chosen}}, switch)["Properties"]["Name"] == expected


def test_no_value_leaves_the_property_out() -> None:
    chosen = {"Fn::If": ["On", {"Ref": "AWS::NoValue"}, "out"]}
    assert topic_of({"Properties": {"Name": chosen}})["Properties"] == {}


def test_a_resource_whose_condition_fails_is_left_out() -> None:
    assert topic_of({"Condition": "On"}, "no") == {}


def test_a_parameter_inside_a_text_becomes_its_value() -> None:
    topic = topic_of({"Properties": {"Name": {"Fn::Sub": "arn:${AWS::Partition}:${Switch}"}}})
    assert topic["Properties"]["Name"] == {"Fn::Sub": "arn:${AWS::Partition}:yes"}


def test_a_condition_on_the_account_is_refused() -> None:
    condition = {"On": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}}
    with pytest.raises(ResolveError, match="depends on the deployment"):
        topic_of({"Condition": "On"}, Conditions=condition)


def test_two_resources_of_one_name_are_refused() -> None:
    stacks = {"root": root(Switch="yes", Subnets=""), "child": child({})}
    stacks["root"]["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic"}
    with pytest.raises(ResolveError, match="Topic is in both root and child"):
        whole(stacks)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_reference_leads_to_a_resource(mode: Mode) -> None:
    resources = whole(plain_stacks(Settings(), mode)).template["Resources"]
    named = set(references(resources))
    assert {name for name in named if not name.startswith("AWS::")} <= resources.keys()


SEVERAL = Settings.model_validate({"pipelines": [{"name": "main"}, {"name": "churn"}]})


def test_stacks_of_one_template_each_have_resources_of_their_own() -> None:
    found = whole(plain_stacks(SEVERAL, Mode.DEV))
    resources = found.template["Resources"]
    named = {name for name in references(resources) if not name.startswith("AWS::")}
    assert named <= resources.keys()
    assert resources["PipelineRole"] != resources["ChurnPipelinePipelineRole"]
    pipeline = resources["ChurnPipelinePipeline"]["Properties"]
    assert pipeline["PipelineRoleArn"] == {"Fn::GetAtt": ["ChurnPipelinePipelineRole", "Arn"]}
    own = resources["ChurnPipelineProcessingRole"]["Properties"]["ManagedPolicyArns"]
    assert own == [{"Ref": "ManagerJobsLastingPolicy"}]


def test_a_finding_about_any_pipeline_is_judged_as_one_about_main() -> None:
    found = whole(plain_stacks(SEVERAL, Mode.DEV))
    assert found.resource("PipelineRole") == "security.PipelineRole"
    assert found.resource("ChurnPipelinePipelineRole") == "security.PipelineRole"
    assert found.resource("ChurnPipelineAlertTopic") == "pipeline.AlertTopic"
    assert found.resource("ManagerPipelineManagerFunction") == "pipeline.PipelineManagerFunction"


@pytest.mark.parametrize("mode", list(Mode))
def test_every_resource_that_the_defaults_make_is_there(mode: Mode) -> None:
    stacks = plain_stacks(Settings(), mode)
    kinds = [r["Type"] for stack in stacks.values() for r in stack["Resources"].values()]
    conditional = [
        title
        for stack in stacks.values()
        for title, resource in stack["Resources"].items()
        if "Condition" in resource
    ]
    nested = kinds.count("AWS::CloudFormation::Stack")
    made = whole(stacks).template["Resources"]
    left_out = [title for title in conditional if title not in made]
    assert len(made) == len(kinds) - nested - len(left_out)
    assert set(left_out) == {"AlertEmailSubscription", "StudioNfsEgress", "StudioNfsIngress"}


def test_checkers_see_the_rights_of_every_role() -> None:
    template = with_visible_rights(whole(plain_stacks(Settings(), Mode.DEV)).template)
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    assert "AWS::IAM::Policy" in kinds
    assert "AWS::IAM::RolePolicy" not in kinds
