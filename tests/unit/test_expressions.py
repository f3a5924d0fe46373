"""What intrinsic functions refer to, how people read them, and what stays of them symbolically."""

from __future__ import annotations

from typing import Any

import pytest

from generator.cfn.evaluator import evaluate
from generator.cfn.expressions import alternatives, as_text, references

NOTHING = {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"Ref": "A"}, ["A"]),
        ({"Fn::GetAtt": ["A", "Arn"]}, ["A"]),
        ({"Fn::GetAtt": "A.Outputs.B"}, ["A"]),
        ({"Fn::Sub": "${A}-${B.Arn}-${!aws:userid}"}, ["A", "B"]),
        ({"Fn::Sub": ["${Own}-${A}", {"Own": {"Ref": "B"}}]}, ["A", "B"]),
        ({"Fn::If": ["Is", {"Ref": "A"}, "b"]}, ["Is", "A"]),
        ({"Fn::Not": [{"Condition": "Is"}]}, ["Is"]),
        ({"Condition": {"StringEquals": {"k": {"Ref": "A"}}}}, ["A"]),
        (["a", {"b": {"Ref": "A"}}], ["A"]),
    ],
)
def test_a_value_tells_what_it_refers_to(value: Any, names: list[str]) -> None:
    assert list(references(value)) == names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ({"Fn::GetAtt": ["A", "Arn"]}, "${A.Arn}"),
        ({"Fn::Join": ["/", [{"Ref": "A"}, "*"]]}, "${A}/*"),
        ({"Fn::Sub": ["${B}/${C}", {"B": {"Ref": "A"}}]}, "${A}/${C}"),
        ({"Fn::Select": [0, "x"]}, '{"Fn::Select": [0, "x"]}'),
    ],
)
def test_an_expression_is_written_for_people(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_both_sides_of_a_choice_are_alternatives() -> None:
    assert alternatives(["a", {"Fn::If": ["Is", ["b", NOTHING], "c"]}]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"Fn::Sub": "${P}-${Topic}-${!x}"}, {"Fn::Sub": "1-${Topic}-${!x}"}),
        ({"Fn::Sub": "${P}-${!x}"}, "1-${x}"),
        (
            {"Fn::Sub": ["${N}", {"N": {"Ref": "Topic"}}]},
            {"Fn::Sub": ["${N}", {"N": {"Ref": "Topic"}}]},
        ),
        ({"Fn::Join": ["-", ["a", {"Ref": "P"}]]}, "a-1"),
        ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
        ({"Fn::Select": [1, ["a", {"Ref": "P"}]]}, "1"),
        ({"Fn::GetAtt": "Topic.Arn"}, {"Fn::GetAtt": ["Topic", "Arn"]}),
        (
            {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "x"]},
            {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "x"]},
        ),
        ({"Fn::FindInMap": ["M", "here", "x"]}, "found"),
    ],
)
def test_without_a_place_references_are_kept_and_the_rest_is_evaluated(
    value: Any, left: Any
) -> None:
    template = {
        "Parameters": {"P": {"Type": "Number", "Default": 1}},
        "Mappings": {"M": {"here": {"x": "found"}}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }
    (root,) = evaluate({"root": template})
    assert root.value(value) == left
