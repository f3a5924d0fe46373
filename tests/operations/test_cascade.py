"""What an update replaces, followed through references and nested stacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from generator import emit
from generator.cfn.expressions import nested_stacks
from generator.cfn.identifiers import StackLocation
from generator.files import REPOSITORY
from generator.settings import Mode, Settings
from generator.stacks.root import build
from tabular_ml_vpc.operations import cascade
from tabular_ml_vpc.operations.cascade import DeploymentSide, Place
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.target import Target
from tests.existing_vpc import EXISTING
from tests.operations import replacing_edits as edits

REPLACE, MAYBE = ChangeAction.REPLACE, ChangeAction.MAYBE_REPLACE


def side(settings: Mapping[str, Any] | None = None, **parameters: str) -> DeploymentSide:
    """Return our templates with these settings and parameters."""
    stacks = build(Settings.model_validate(settings or {}), Mode.DEV)
    templates = {name: emit.as_dict(stack) for name, stack in stacks.items()}
    nested = {title: templates[name] for title, name in nested_stacks(templates["root"]).items()}
    return DeploymentSide(templates["root"], nested, parameters)


def follow(new: DeploymentSide, old: DeploymentSide | None = None) -> dict[Place, Change]:
    found = cascade.follow(old or side(), new, StackLocation(), {})
    assert found is not None
    return {(stack, one.logical_id): one for stack, changes in found.items() for one in changes}


def places(found: Mapping[Place, Change], action: ChangeAction) -> set[str]:
    return {"/".join(place) for place, change in found.items() if change.action is action}


def test_another_range_of_addresses_replaces_the_network_and_the_domain() -> None:
    found = follow(side({"network": {"cidr": "10.39.0.0/16"}}))
    replaced = places(found, REPLACE)
    assert {
        "NetworkStack/Vpc",
        "NetworkStack/StsEndpoint",
        "NetworkStack/StudioToS3",
        "NetworkStack/FlowLog",
        "StudioStack/Domain",
        "StudioStack/DataScientistUserProfile",
    } <= replaced
    assert places(found, MAYBE) == set()
    assert found["NetworkStack", "Vpc"].note == ""
    assert found["StudioStack", "Domain"].note == "follows"
    assert found["StorageStack", "EmptyBucketFunction"].action is ChangeAction.MODIFY


def test_an_existing_vpc_removes_the_network_and_replaces_the_domain() -> None:
    found = follow(side({"network": EXISTING}))
    assert {"NetworkStack/Vpc", "NetworkStack/RouteTable", "NetworkStack/FlowLog"} <= places(
        found, ChangeAction.REMOVE
    )
    assert {"NetworkStack/JobsSecurityGroup", "StudioStack/Domain"} <= places(found, REPLACE)


def test_the_same_templates_change_nothing() -> None:
    assert follow(side()) == {}


def test_zones_that_no_choice_of_aws_can_equal_certainly_replace_the_subnets() -> None:
    zones = {"AvailabilityZone1": "eu-west-1c", "AvailabilityZone2": "eu-west-1a"}
    found = follow(side(None, **zones))
    assert {"NetworkStack/Subnet1", "NetworkStack/Subnet2"} <= places(found, REPLACE)


def test_zones_that_aws_may_have_chosen_possibly_replace_the_subnets() -> None:
    zones = {"AvailabilityZone1": "eu-west-1a", "AvailabilityZone2": "eu-west-1b"}
    found = follow(side(None, **zones))
    assert places(found, REPLACE) == set()
    assert "NetworkStack/Subnet1RouteTableAssociation" in places(found, MAYBE)


def test_a_parameter_that_is_no_create_only_property_replaces_nothing() -> None:
    found = follow(side(Rows="700"))
    assert {place: one.action for place, one in found.items()} == {
        ("PipelineStack", "SeedData"): ChangeAction.MODIFY
    }


def test_a_condition_adds_and_removes_resources() -> None:
    found = follow(side(FunctionsInTheVpc="no"))
    assert places(found, ChangeAction.REMOVE) == {"NetworkStack/CloudformationEndpoint"}
    back = follow(side(), side(FunctionsInTheVpc="no"))
    assert places(back, ChangeAction.ADD) == {"NetworkStack/CloudformationEndpoint"}


def nested(**resources: Any) -> DeploymentSide:
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "./child.yaml"}}
    return DeploymentSide({"Resources": {"Child": child}}, {"Child": {"Resources": resources}}, {})


def tenancy(value: str) -> DeploymentSide:
    vpc = {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": value}
    return nested(
        Vpc={"Type": "AWS::EC2::VPC", "Properties": vpc},
        Table={"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}},
    )


def test_what_depends_on_a_possible_replacement_is_possible() -> None:
    found = follow(tenancy("default"), tenancy("dedicated"))
    assert places(found, MAYBE) == {"Child/Vpc", "Child/Table"}


def test_a_create_only_part_of_a_property_does_not_stand_for_the_whole() -> None:
    def domain(settings: Any) -> DeploymentSide:
        properties = {"DomainName": "d", "AuthMode": "IAM", "DomainSettings": settings}
        return nested(Domain={"Type": "AWS::SageMaker::Domain", "Properties": properties})

    found = follow(domain({"SecurityGroupIds": ["sg-1"]}), domain({"SecurityGroupIds": ["sg-2"]}))
    assert found["Child", "Domain"].action is ChangeAction.MODIFY


def test_templates_that_cannot_be_evaluated_are_left_to_cloudformation() -> None:
    odd = nested(A={"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Odd": 1}}})
    assert cascade.follow(odd, odd, StackLocation(), {}) is None


def change(name: str, action: ChangeAction, *children: Change) -> Change:
    kind = "AWS::CloudFormation::Stack" if children else "AWS::EC2::Subnet"
    return Change(name, kind, "", action, children=tuple(children))


def test_what_cloudformation_calls_possible_and_the_templates_certain_is_certain() -> None:
    told = (change("Network", ChangeAction.MODIFY, change("Subnet1", MAYBE)),)
    predicted = (change("Network", ChangeAction.MODIFY, change("Subnet1", REPLACE)),)
    (network,) = cascade.combine(told, predicted, complete=True)
    assert network.children[0].action is REPLACE


def test_cloudformation_s_word_is_never_weakened() -> None:
    told = (change("Network", ChangeAction.MODIFY, change("Subnet1", REPLACE)),)
    assert cascade.combine(told, (), complete=True) == told
    predicted = (change("Network", ChangeAction.MODIFY, change("Subnet1", MAYBE)),)
    assert cascade.combine(told, predicted, complete=True) == told


def test_replacements_in_stacks_that_cloudformation_does_not_mention_are_added() -> None:
    told = (change("Network", ChangeAction.MODIFY, change("Vpc", REPLACE)),)
    modified, replaced = change("Policy", ChangeAction.MODIFY), change("Domain", REPLACE)
    predicted = (*told, change("Studio", ChangeAction.MODIFY, modified, replaced))
    _, studio = cascade.combine(told, predicted, complete=True)
    assert [one.logical_id for one in studio.children] == ["Domain"]
    _, studio = cascade.combine(told, predicted, complete=False)
    assert [one.logical_id for one in studio.children] == ["Policy", "Domain"]


def test_the_forecast_is_what_then_happens(deployed: Target, built: Source) -> None:
    recorded = json.loads(edits.FIGURES.read_text(encoding="utf-8"))["by_edit"]
    outcome = edits.apply(deployed, edits.EDITS[0], built)
    assert outcome.as_json() == recorded[0]
    assert outcome.certain == outcome.replaced
    assert ("StudioStack", "Domain") in outcome.replaced
    back = edits.apply(deployed, edits.EDITS[-1], built)
    assert (back.missed, back.false) == (frozenset(), frozenset())


def test_the_recorded_figures_are_of_all_edits() -> None:
    recorded = json.loads(edits.FIGURES.read_text(encoding="utf-8"))
    assert [one["edit"] for one in recorded["by_edit"]] == [edit.name for edit in edits.EDITS]
    page = (REPOSITORY / "docs/commands/diff.md").read_text(encoding="utf-8")
    said = (
        f"{recorded['edits']} edits replaced {recorded['replaced']} resources; "
        f"{recorded['missed']} were missed, {recorded['false']} were forecast wrongly"
    )
    assert said in " ".join(page.split())


def test_another_way_to_sign_in_replaces_the_domain_and_all_profiles() -> None:
    found = follow(side({"studio": {"sign_in": "identity-center"}}))
    assert {"StudioStack/Domain", "StudioStack/DataScientistUserProfile"} <= places(found, REPLACE)
    assert "AuthMode" in found["StudioStack", "Domain"].properties


def test_another_user_name_replaces_one_person_s_profile() -> None:
    def team(user: str) -> DeploymentSide:
        people = [{"name": "ana", "user_name": user}, {"name": "ben"}]
        return side({"studio": {"sign_in": "identity-center", "people": people}})

    found = follow(team("ana@example.org"), team("ana@example.com"))
    assert places(found, REPLACE) == {"StudioStack/AnaUserProfile"}


def test_another_persona_changes_a_profile_and_replaces_nothing() -> None:
    def team(persona: str) -> DeploymentSide:
        people = [{"name": "ana", "persona": persona}, {"name": "ben", "persona": "ml-engineer"}]
        return side({"studio": {"people": people}})

    found = follow(team("ml-engineer"), team("data-scientist"))
    assert places(found, REPLACE) == places(found, MAYBE) == set()
    assert found["StudioStack", "AnaUserProfile"].action is ChangeAction.MODIFY
