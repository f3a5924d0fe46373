"""Names, regions and partitions: what is given, and what CloudFormation may choose."""

from __future__ import annotations

import json
import re

from generator.cfn.evaluator import ResolvedDeployment
from generator.cfn.identifiers import StackLocation
from generator.resolved import resolve
from generator.settings import Settings
from tests.templates.conftest import Templates

GIVEN = {
    ("AWS::KMS::Alias", "AliasName"),
    ("AWS::SageMaker::Domain", "DomainName"),
    ("AWS::SageMaker::UserProfile", "UserProfileName"),
    ("AWS::SageMaker::ModelPackageGroup", "ModelPackageGroupName"),
    ("AWS::Events::Rule", "Name"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("Custom::Pipeline", "PipelineName"),
    ("Custom::Pipeline", "EndpointName"),
}
"""Names that AWS demands, or that policies and people outside the stack need."""
NAME = re.compile(
    r"^(Name|\w*(Alias|Bucket|Domain|Endpoint|Function|Group|Log\w*|Pipeline|Profile"
    r"|Queue|Role|Rule|Topic)Name)$"
)
REFERRING = {
    ("AWS::IAM::RolePolicy", "RoleName"),
    ("AWS::EC2::FlowLog", "LogGroupName"),
    ("AWS::Lambda::EventInvokeConfig", "FunctionName"),
}
"""Properties that name something else."""
LONGEST = 63
REGION = re.compile(r"\b(af|ap|ca|eu|il|me|mx|sa|us)(-gov|-iso\w?)?-[a-z]+-\d\b")


def given_names(deployment: ResolvedDeployment) -> dict[tuple[str, str], str]:
    return {
        (resource.type, name): str(value)
        for resource in deployment
        for name, value in resource.properties.items()
        if NAME.match(name) and (resource.type, name) not in REFERRING
    }


def test_names_are_left_to_cloudformation_but_for_those_that_must_be_given(
    deployment: ResolvedDeployment,
) -> None:
    assert set(given_names(deployment)) == GIVEN


def test_given_names_fit_however_long_project_and_stack_are() -> None:
    settings = Settings(project="a" * 30)
    deployment = resolve(settings, place=StackLocation(stack_name="s" * 128))
    for (kind, name), value in given_names(deployment).items():
        assert len(value.split("/")[-1]) <= LONGEST, (kind, name, value)


def test_two_copies_have_no_given_name_in_common() -> None:
    first, second = (
        given_names(resolve(place=StackLocation(stack_name=name))) for name in ("one", "two")
    )
    shared = {key for key in first if first[key] == second[key]}
    assert shared == {("AWS::SageMaker::UserProfile", "UserProfileName")}  # within a domain


def test_no_region_stands_outside_the_image_mapping_and_its_rule(templates: Templates) -> None:
    for stack, template in templates.items():
        for section in ("Resources", "Outputs", "Conditions"):
            found = REGION.search(json.dumps(template.get(section, {})))
            assert found is None, (stack, section, found)


def test_no_partition_stands_in_an_arn_or_image(templates: Templates) -> None:
    for stack, template in templates.items():
        text = json.dumps(template["Resources"])
        assert "arn:aws" not in text, stack
        left = re.sub(r'"[a-z0-9.$:{}A-Z-]+\.amazonaws\.com"', "", text)  # service principals
        assert ".amazonaws.com" not in left, stack


def test_service_principals_are_the_same_in_every_partition() -> None:
    isolated = StackLocation(region="us-iso-east-1", partition="aws-iso", suffix="c2s.ic.gov")
    text = json.dumps(
        [dict(one.properties) for one in resolve(place=isolated) if one.type == "AWS::IAM::Role"]
    )
    assert "c2s.ic.gov" not in text
