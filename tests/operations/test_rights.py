"""Rights read from templates, and what changes about them."""

from __future__ import annotations

from typing import Any

from pipeline.types import Json
from tabular_ml_vpc.operations import rights
from tabular_ml_vpc.operations.rights import RightsChange


def policy(*statements: Json) -> Json:
    body = {
        "Type": "AWS::IAM::RolePolicy",
        "Properties": {
            "RoleName": {"Ref": "JobsRole"},
            "PolicyDocument": {"Statement": list(statements)},
        },
    }
    return {"Resources": {"Policy": body}}


def allow(action: str | list[Any], resource: Any = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def compare(old: Json, new: Json) -> list[RightsChange]:
    return rights.compare(rights.of_template(old, "S"), rights.of_template(new, "S"))


def test_the_order_and_form_of_statements_do_not_matter() -> None:
    one = policy(allow(["s3:GetObject", "s3:PutObject"]))
    other = policy(allow("s3:PutObject"), allow(["s3:GetObject"]))
    assert compare(one, other) == []


def test_an_action_that_is_added_widens() -> None:
    (found,) = compare(policy(allow("s3:GetObject")), policy(allow(["s3:GetObject", "s3:*"])))
    assert (found.comes, found.widens, found.actions) == (True, True, ("s3:*",))
    assert (found.place, found.principal) == ("S/Policy", "${JobsRole}")


def test_an_action_that_is_removed_does_not_widen() -> None:
    (found,) = compare(policy(allow(["s3:GetObject", "s3:*"])), policy(allow("s3:GetObject")))
    assert (found.comes, found.widens) == (False, False)


def test_a_deny_that_is_removed_widens() -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    (found,) = compare(policy(deny), policy())
    assert (found.comes, found.widens) == (False, True)


def test_a_condition_that_is_dropped_widens() -> None:
    condition = {"StringEquals": {"aws:SourceVpce": {"Ref": "Endpoint"}}}
    narrow = policy(allow("s3:GetObject", Condition=condition))
    found = compare(narrow, policy(allow("s3:GetObject")))
    assert [(one.comes, one.widens) for one in found] == [(True, True), (False, False)]
    assert found[1].condition == '{"StringEquals": {"aws:SourceVpce": "${Endpoint}"}}'


def test_who_may_take_a_role_is_a_right() -> None:
    def role(service: str) -> Json:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = {"Statement": [trust]}
        body = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        return {"Resources": {"Role": body}}

    came, went = compare(role("lambda.amazonaws.com"), role("ec2.amazonaws.com"))
    assert (came.principal, came.actions, came.resources) == (
        "ec2.amazonaws.com",
        ("sts:AssumeRole",),
        ("${Role}",),
    )
    assert went.principal == "lambda.amazonaws.com"


def test_both_sides_of_a_condition_of_the_template_count() -> None:
    either = {"Fn::If": ["InVpc", "s3:GetObject", {"Ref": "AWS::NoValue"}]}
    (found,) = compare(policy(), policy(allow([either])))
    assert found.actions == ("s3:GetObject",)


def test_everyone_is_named() -> None:
    body = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"PolicyDocument": {"Statement": [allow("s3:GetObject", Principal="*")]}},
    }
    (found,) = compare({"Resources": {}}, {"Resources": {"Open": body}})
    assert found.principal == "everyone"


def test_computed_resources_are_written_for_people() -> None:
    arn = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${B}/raw/*", {"B": {"Ref": "DataBucket"}}]}
    (found,) = compare(policy(), policy(allow("s3:GetObject", arn)))
    assert found.resources == ("arn:s3:::${DataBucket}/raw/*",)


def test_rights_with_the_same_actions_are_one_row() -> None:
    (found,) = compare(policy(), policy(allow(["s3:A", "s3:B"], ["one", "two"])))
    assert (found.actions, found.resources) == (("s3:A", "s3:B"), ("one", "two"))
