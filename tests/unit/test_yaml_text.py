"""Templates as text: what a parser reads is what the generator meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load as cfn_lint_load

from generator.cfn.yaml_text import from_yaml, to_yaml

TEMPLATE: dict[str, Any] = {
    "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["NetworkStack", "Outputs.VpcId"]}}},
    "Resources": {
        "Bucket": {
            "Properties": {"BucketName": "x", "AccessControl": "Private"},
            "DeletionPolicy": "Retain",
            "Type": "AWS::S3::Bucket",
        },
        "Access": {"Type": "AWS::S3::AccessPoint", "Properties": {"Bucket": {"Ref": "Bucket"}}},
    },
    "Parameters": {"Zone": {"Default": "", "Type": "String"}, "Also": {"Type": "String"}},
    "Description": "what it is",
    "Conditions": {"Given": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Zone"}, ""]}]}},
}


def text_of(value: object) -> str:
    """Return the lines of one output's value."""
    return to_yaml({"Outputs": {"X": {"Value": value}}}, "header").partition("X:\n")[2]


TEXTS = (
    *(
        "",
        " ",
        "yes",
        "No",
        "null",
        "~",
        "true",
        "0",
        "1.5",
        "1e3",
        "0x1F",
        "089123456789",
        "12:30",
    ),
    *("2012-10-17", "a: b", "a #b", "- a", "*", "&a", "!a", "%a", "@a", "'", '"', "{a}", "[a]"),
    *(
        "a\nb\n",
        "a\n\n  b",
        "\ttab",
        "ends in space ",
        "ends in colon:",
        "émigré ☃",
        "${AWS::Region}",
    ),
    *("long " * 60, "arn:aws:s3:::" + "x" * 200, "=", "<<", "?", "|", ">"),
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_back_as_it_was(text: str) -> None:
    template = {"Resources": {"A": {"Properties": {"P": text, "S": {"Fn::Sub": text}}}}}

    assert from_yaml(to_yaml(template, "header")) == template


@pytest.mark.parametrize("value", [0, 7, -1, 1.5, True, False, [], {}, [[1], []]])
def test_a_value_that_is_no_text_keeps_its_type(value: object) -> None:
    template = {"Outputs": {"A": {"Value": value}}}
    read = from_yaml(to_yaml(template, "header"))["Outputs"]["A"]["Value"]

    assert (read, type(read)) == (value, type(value))


def test_digits_are_quoted_where_parsers_disagree_on_them() -> None:
    assert text_of("089123456789").strip() == "Value: '089123456789'"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"Ref": "Bucket"}, "!Ref Bucket"),
        ({"Ref": "AWS::Region"}, "!Ref AWS::Region"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "!GetAtt Role.Arn"),
        ({"Fn::Sub": "${A}-b"}, "!Sub ${A}-b"),
        ({"Fn::GetAZs": ""}, "!GetAZs ''"),
        ({"Fn::Equals": [{"Ref": "A"}, "yes"]}, "!Equals [!Ref A, 'yes']"),
        ({"Fn::If": ["C", {"Ref": "A"}, {"Ref": "B"}]}, "!If [C, !Ref A, !Ref B]"),
    ],
)
def test_a_function_of_short_arguments_takes_one_line(value: object, written: str) -> None:
    assert text_of(value).strip() == f"Value: {written}"


def test_a_function_of_a_function_is_long_outside_because_yaml_knows_no_two_tags() -> None:
    assert "Fn::GetAZs: !Ref AWS::Region" in text_of({"Fn::GetAZs": {"Ref": "AWS::Region"}})


def test_functions_that_some_parsers_do_not_know_stay_long() -> None:
    assert "Fn::ToJsonString:" in text_of({"Fn::ToJsonString": {"a": {"Ref": "B"}}})


def test_a_policy_s_condition_of_one_key_is_no_function() -> None:
    condition = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}

    assert "!" not in text_of(condition)


def test_sections_come_in_their_order_and_entries_in_the_given_one() -> None:
    lines = to_yaml(TEMPLATE, "header").splitlines()
    names = [line.strip(": ") for line in lines if line.endswith(":")]

    assert [name for name in names if name in TEMPLATE] == [
        "Parameters",
        "Conditions",
        "Resources",
        "Outputs",
    ]
    assert lines[2] == "Description: what it is"
    assert names.index("Zone") < names.index("Also") < names.index("Bucket") < names.index("Access")


def test_a_resource_begins_with_its_type_and_ends_with_its_properties() -> None:
    keys = list(from_yaml(to_yaml(TEMPLATE, "header"))["Resources"]["Bucket"])

    assert keys == ["Type", "DeletionPolicy", "Properties"]


def test_the_header_is_a_comment_of_every_line() -> None:
    assert to_yaml(TEMPLATE, "one\ntwo").startswith("# one\n# two\n\n")


def test_a_value_used_twice_is_written_twice() -> None:
    shared = {"Effect": "Allow", "Action": ["a", "b"]}

    assert "&" not in text_of([shared, shared])


def test_cfn_lint_reads_the_same_template(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(to_yaml(TEMPLATE, "header"), encoding="utf-8")

    assert cfn_lint_load(str(file)) == TEMPLATE
