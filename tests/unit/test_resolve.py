"""Templates resolved to concrete values, as CloudFormation would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator.cfn.evaluator import ResolveError, resolve_templates
from generator.cfn.identifiers import StackLocation, UnknownAttributeError
from generator.resolved import resolve
from generator.settings import Mode


def one_stack(properties: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return templates with one topic of these properties."""
    resources = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": properties}}
    return {"root": {"Resources": resources, **sections}}


def properties_of(properties: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return dict(
        resolve_templates(one_stack(properties, **sections)).get("root", "Topic").properties
    )


@pytest.mark.parametrize("mode", Mode)
def test_no_intrinsic_function_is_left(mode: Mode) -> None:
    deployment = resolve(mode=mode)
    text = json.dumps([dict(resource.properties) for resource in deployment])
    assert '"Fn::' not in text
    assert '"Ref"' not in text
    assert "${AWS::" not in text


def test_values_cross_stacks_as_the_root_hands_them_on() -> None:
    deployment = resolve()
    key = deployment.get("security", "Key").reference
    assert deployment.parameters["storage"]["KeyArn"].endswith(f":key/{key}")
    subnets = [subnet.reference for subnet in deployment.of_type("AWS::EC2::Subnet")]
    function = deployment.get("storage", "EmptyBucketFunction")
    assert function.properties["VpcConfig"]["SubnetIds"] == subnets


def test_conditions_decide_which_resources_and_properties_there_are() -> None:
    outside = resolve(parameters={"FunctionsInTheVpc": "no", "AlertEmail": "a@example.org"})
    inside = resolve()
    assert "VpcConfig" not in outside.get("storage", "EmptyBucketFunction").properties
    assert "CloudformationEndpoint" not in outside.stacks["network"]
    assert "CloudformationEndpoint" in inside.stacks["network"]
    assert "AlertEmailSubscription" in outside.stacks["pipeline"]
    assert "AlertEmailSubscription" not in inside.stacks["pipeline"]


def test_a_place_names_account_region_and_partition() -> None:
    place = StackLocation("210987654321", "us-east-1", "aws-x")
    rights = resolve(place=place).get("storage", "DataBucketPolicy").properties
    text = json.dumps(rights)
    assert "arn:aws-x:iam::210987654321:role/" in text
    assert "123456789012" not in text


def test_the_same_templates_resolve_to_the_same_values() -> None:
    assert resolve() == resolve()


def test_a_variable_of_iam_stays_in_a_sub() -> None:
    assert properties_of({"TopicName": {"Fn::Sub": "${AWS::Region}/${!aws:userid}"}}) == {
        "TopicName": "eu-west-1/${aws:userid}"
    }


def test_no_value_removes_a_property_and_an_item() -> None:
    nothing = {"Ref": "AWS::NoValue"}
    assert properties_of({"DisplayName": nothing, "Tags": [nothing, "kept"]}) == {"Tags": ["kept"]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"Ref": "Missing"}, "unknown resource Missing"),
        ({"Fn::Transform": "x"}, "Fn::Transform is not known here"),
        ({"Fn::FindInMap": ["Colors", "red", "dark"]}, "Colors has no red, dark"),
    ],
)
def test_what_cannot_be_resolved_is_named(value: dict[str, Any], problem: str) -> None:
    with pytest.raises(ResolveError, match=problem):
        properties_of({"DisplayName": value}, Mappings={"Colors": {}})


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(UnknownAttributeError, match="AWS::SNS::Topic has no known attribute Age"):
        properties_of({"DisplayName": {"Fn::GetAtt": ["Topic", "Age"]}})


def test_an_unknown_root_parameter_is_refused() -> None:
    with pytest.raises(ResolveError, match="root: no parameter Colour"):
        resolve(parameters={"Colour": "red"})
