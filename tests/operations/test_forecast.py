"""What an update would change, read from the templates alone."""

from __future__ import annotations

from typing import Any

import pytest

from generator.cfn import schemas
from pipeline.types import Json
from tabular_ml_vpc.operations import forecast
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.forecast import Side


def template(conditions: Json | None = None, **resources: Json) -> Json:
    return {"Resources": resources, "Conditions": conditions or {}}


def vpc(cidr: Any = "10.0.0.0/16", **more: Any) -> Json:
    return {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": cidr}} | more


def compare(old: Json, new: Json, before: Json | None = None, after: Json | None = None) -> Any:
    return forecast.compare(Side(old, before or {}), Side(new, after or {}), {"Vpc": "vpc-1"})


def only(old: Json, new: Json, before: Json | None = None, after: Json | None = None) -> Change:
    (found,) = compare(old, new, before, after)
    assert isinstance(found, Change)
    return found


def test_the_same_template_changes_nothing() -> None:
    assert compare(template(Vpc=vpc()), template(Vpc=vpc())) == ()


def test_a_literal_create_only_property_is_a_certain_replacement() -> None:
    found = only(template(Vpc=vpc()), template(Vpc=vpc("10.1.0.0/16")))
    assert (found.action, found.physical_id) == (ChangeAction.REPLACE, "vpc-1")
    assert found.properties == ("CidrBlock",)


def test_a_computed_create_only_property_is_a_possible_replacement() -> None:
    found = only(template(Vpc=vpc()), template(Vpc=vpc({"Ref": "Cidr"})))
    assert found.action is ChangeAction.MAYBE_REPLACE


def test_another_property_is_modified() -> None:
    tagged = vpc()
    tagged["Properties"]["EnableDnsSupport"] = True
    assert only(template(Vpc=vpc()), template(Vpc=tagged)).action is ChangeAction.MODIFY


def test_another_type_is_a_replacement() -> None:
    found = only(template(Vpc=vpc()), template(Vpc={"Type": "AWS::SNS::Topic"}))
    assert (found.action, found.properties) == (ChangeAction.REPLACE, ("Type",))


def test_what_comes_and_goes_is_said() -> None:
    old = template(Vpc=vpc(DeletionPolicy="Retain"))
    found = compare(old, template(Topic={"Type": "AWS::SNS::Topic"}))
    assert [(one.logical_id, one.action, one.kept) for one in found] == [
        ("Topic", ChangeAction.ADD, False),
        ("Vpc", ChangeAction.REMOVE, True),
    ]


def test_another_value_of_a_parameter_reaches_what_refers_to_it() -> None:
    same = template(Vpc=vpc({"Fn::Sub": "${Cidr}"}))
    found = only(same, same, {"Cidr": "10.0.0.0/16"}, {"Cidr": "10.1.0.0/16"})
    assert (found.action, found.properties) == (ChangeAction.MAYBE_REPLACE, ("CidrBlock",))


def test_another_value_of_a_parameter_reaches_through_conditions() -> None:
    choice = {"Fn::If": ["Big", "10.0.0.0/16", "10.0.0.0/24"]}
    same = template({"Big": {"Fn::Equals": [{"Ref": "Size"}, "big"]}}, Vpc=vpc(choice))
    found = only(same, same, {"Size": "big"}, {"Size": "small"})
    assert found.properties == ("CidrBlock",)


def test_a_custom_resource_is_modified() -> None:
    def custom(rows: int) -> Json:
        return template(Data={"Type": "Custom::SeedData", "Properties": {"Rows": rows}})

    assert only(custom(1), custom(2)).action is ChangeAction.MODIFY


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("AWS::SageMaker::Domain", "KmsKeyId"),
        ("AWS::SageMaker::Domain", "DomainName"),
        ("AWS::S3::Bucket", "BucketName"),
        ("AWS::EC2::Subnet", "AvailabilityZone"),
    ],
)
def test_the_schemas_say_what_replaces_a_resource(kind: str, name: str) -> None:
    assert name in schemas.create_only(kind)
