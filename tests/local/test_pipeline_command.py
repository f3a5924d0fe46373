"""`python build.py pipeline`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline import example
from pipeline.definition import build
from pipeline.outline import Flow, OutlineNode, condition, everything, outline, text
from tabular_ml_vpc.cli import main


def nodes() -> dict[str, OutlineNode]:
    steps = build(example.environment())["Steps"]
    return {node.name: node for node in everything(outline(steps))}


def test_the_compiled_definition_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == build(example.environment())


def test_each_step_and_parameter_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline"]) == 0
    shown = capsys.readouterr().out
    definition = build(example.environment())
    for name in [*nodes(), *(item["Name"] for item in definition["Parameters"])]:
        assert name in shown
    assert shown.endswith("No errors: the definition fits the SageMaker API.\n")


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_fault_is_named_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    broken = replace(example.environment(), endpoint_instance_type="ml.p3.2xlarge")
    monkeypatch.setattr(example, "environment", lambda: broken)
    assert main(["pipeline", *option]) == 1
    shown = capsys.readouterr()
    fault = "CreateEndpointConfig: ProductionVariants[0].InstanceType: ml.p3.2xlarge is not"
    assert fault in (shown.err if option else shown.out)


def test_the_tree_hangs_each_step_on_the_last_that_it_waits_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["pipeline"])
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    names = [line.lstrip("│├└─ ") for line in lines]
    pairs = zip(names, lines, strict=True)
    depths = {name.split(" ")[0]: len(line) - len(name) for name, line in pairs}
    assert depths["Preprocess"] < depths["Train"] < depths["Evaluate"] < depths["QualityGate"]
    assert depths["RegisterModel"] < depths["CreateModel"] < depths["Deploy"]
    assert depths["RefuseModel"] == depths["RegisterModel"]


def test_what_a_step_reads_is_named_by_who_makes_it() -> None:
    found = nodes()
    assert Flow("train", "Preprocess: train") in found["Train"].inputs
    assert Flow("model", "Train: S3ModelArtifacts") in found["Evaluate"].inputs
    assert Flow("Gate", "gate.json in evaluation") in found["Evaluate"].outputs
    assert Flow("ModelName", "CreateModel: ModelName") in found["CreateEndpointConfig"].inputs


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Get": "Parameters.Rows"}, "parameter Rows"),
        ({"Get": "Execution.PipelineExecutionId"}, "PipelineExecutionId"),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Rows"}]}}, "parameter Rows"),
        ({"Std:Join": {"On": "/", "Values": ["a", {"Get": "Parameters.Rows"}]}}, "a/{Rows}"),
    ],
)
def test_an_expression_is_put_in_words(value: object, words: str) -> None:
    assert text(value) == words


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"Type": "LessThan", "LeftValue": {"Get": "Parameters.A"}, "RightValue": 1}, "{A} < 1"),
        (
            {"Type": "Not", "Expression": {"Type": "In", "QueryValue": "a", "Values": ["b", "c"]}},
            "not (a in b, c)",
        ),
        (
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "Equals", "LeftValue": "a", "RightValue": "b"},
                    {"Type": "GreaterThan", "LeftValue": 1, "RightValue": 2},
                ],
            },
            "a = b or 1 > 2",
        ),
    ],
)
def test_a_condition_is_put_in_words(item: dict[str, object], words: str) -> None:
    assert condition(item) == words
