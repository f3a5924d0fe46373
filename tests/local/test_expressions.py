"""What expressions stand for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.expressions import ExpressionError, Values, member

REPORT = {"Get": "Steps.Evaluate.PropertyFiles.Report"}


def values(report: str = '{"gate": {"value": 0.9}}') -> Values:
    found = Values({"Rows": 3, "Name": "x"}, {"PipelineExecutionId": "abc"}, lambda _s, _n: report)
    outputs = [{"OutputName": "test"}, {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/t"}}]
    found.describe("Prepare", {"ProcessingOutputConfig": {"Outputs": outputs}})
    return found


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Get": "Parameters.Rows"}, 3),
        ({"Get": "Execution.PipelineExecutionId"}, "abc"),
        (
            {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"},
            "s3://b/t",
        ),
        ({"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs[0].OutputName"}, "test"),
        ({"Std:Join": {"On": "/", "Values": ["a", {"Get": "Parameters.Rows"}]}}, "a/3"),
        ({"Std:JsonGet": {"PropertyFile": REPORT, "Path": "gate.value"}}, 0.9),
        ([{"a": {"Get": "Parameters.Name"}}, 1], [{"a": "x"}, 1]),
    ],
)
def test_an_expression_stands_for_its_value(expression: Any, value: Any) -> None:
    assert values().resolve(expression) == value


@pytest.mark.parametrize("number", [0.2, 600, 0.1 + 0.2])
def test_a_number_is_joined_as_json_writes_it(number: float) -> None:
    expression = {"Std:Join": {"On": "", "Values": [number]}}
    assert json.loads(values().resolve(expression)) == number


@pytest.mark.parametrize("path", ["Parameters.No", "Steps.Train.ModelName", "Steps.Prepare.X['y']"])
def test_a_path_to_nothing_is_named(path: str) -> None:
    with pytest.raises(ExpressionError, match=path.replace("[", r"\[").replace("]", r"\]")):
        values().resolve({"Get": path})


def test_a_property_file_without_the_value_is_named() -> None:
    query = {"Std:JsonGet": {"PropertyFile": REPORT, "Path": "gate.value"}}
    with pytest.raises(ExpressionError, match=r"PropertyFiles\.Report.*gate\.value"):
        values('{"gate": {}}').resolve(query)


def test_a_property_file_that_is_no_json_is_named() -> None:
    query = {"Std:JsonGet": {"PropertyFile": REPORT, "Path": "gate.value"}}
    with pytest.raises(ExpressionError, match="not valid JSON"):
        values("gate: 1").resolve(query)


@pytest.mark.parametrize("path", ["a['b.c'][1]", 'a["b.c"][1]'])
def test_keys_with_dots_are_quoted(path: str) -> None:
    assert member({"a": {"b.c": [1, 2]}}, path) == 2
