"""The command lines that the definition writes are those that the scripts read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_type_hints

import evaluate
import jobs
import preprocess
import pytest
import train
from sagemaker_training import environment as toolkit
from sagemaker_training import mapping

from pipeline.definition import SMOKE, Environment, build
from pipeline.run_parameters import FAMILIES, METRICS, PRESETS, RUN_PARAMETERS
from pipeline.types import Json

CODE = ("sagemaker_program", "sagemaker_submit_directory")


@pytest.fixture
def definition() -> Json:
    """A definition; what a deployment decides is of no matter to the scripts."""
    return build(any_environment())


def any_environment() -> Environment:
    """What a deployment decides, with any values."""
    hints = get_type_hints(Environment)
    fields = dataclasses.fields(Environment)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    values: dict[object, Any] = {str: "x", float: 0.5}
    made = {name: values.get(hints[name], ("x",)) for name in required}
    return Environment(**made | {"quality_metric": "auto"})


def arguments(definition: Json, name: str) -> Json:
    """The request of one of the steps before the gate."""
    found: Json = next(step["Arguments"] for step in definition["Steps"] if step["Name"] == name)
    return found


def resolved(value: Any, definition: Json, given: dict[str, str]) -> str:
    """`value` as the service hands it to a job, with parameters as `given` or by default."""
    if isinstance(value, str):
        return value
    if "Std:Join" in value:
        parts = value["Std:Join"]["Values"]
        return "".join(resolved(part, definition, given) for part in parts)
    name = value["Get"].removeprefix("Parameters.")
    default = next(item for item in definition["Parameters"] if item["Name"] == name)
    return given.get(name, str(default["DefaultValue"]))


def command_line(definition: Json, name: str, given: dict[str, str]) -> list[str]:
    """What follows the script's name in a processing job."""
    parts = arguments(definition, name)["AppSpecification"]["ContainerArguments"]
    return [resolved(part, definition, given) for part in parts]


def hyperparameters(
    definition: Json, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> list[str]:
    """What the training toolkit makes of the definition's hyperparameters."""
    values = arguments(definition, "Train")["HyperParameters"]
    texts = {key: resolved(value, definition, given) for key, value in values.items()}
    path = tmp_path / "hyperparameters.json"
    path.write_text(json.dumps(texts))
    monkeypatch.setattr(toolkit, "hyperparameters_file_dir", str(path))
    parsed = toolkit.read_hyperparameters()
    for key in CODE:
        del parsed[key]
    found: list[str] = mapping.to_cmd_args(parsed)
    return found


def test_preprocess_reads_the_definitions_arguments(definition: Json) -> None:
    found = preprocess.settings(command_line(definition, "Preprocess", {}))
    assert (found.label, found.positive_class, found.test_fraction) == ("label", "auto", 0.2)
    assert (found.problem, found.metric, found.training_rows) == ("auto", "auto", 1_000_000)
    assert (found.group_column, found.time_column) == ("", "")
    assert (found.exclude_columns, found.missing_marks, found.column_kinds) == ((), (), {})
    assert found.input_uri == "s3://x/raw/data.csv"


def test_preprocess_reads_what_a_run_says_of_its_columns(definition: Json) -> None:
    given = {
        "GroupColumn": "customer id",
        "ExcludeColumns": '["a,b", "c"]',
        "MissingMarks": "none,-",
        "ColumnKinds": "zip=category",
    }
    found = preprocess.settings(command_line(definition, "Preprocess", given))
    assert found.group_column == "customer id"
    assert (found.exclude_columns, found.missing_marks) == (("a,b", "c"), ("none", "-"))
    assert found.column_kinds == {"zip": "category"}


def test_a_column_named_as_none_is_written_as_a_list(definition: Json) -> None:
    found = preprocess.settings(
        command_line(definition, "Preprocess", {"GroupColumn": '["none"]', "TimeColumn": "None"})
    )
    assert (found.group_column, found.time_column) == ("none", "None")
    with pytest.raises(jobs.JobError, match="names 2 columns"):
        preprocess.settings(command_line(definition, "Preprocess", {"GroupColumn": '["a", "b"]'}))


def test_evaluate_reads_the_definitions_arguments(definition: Json) -> None:
    found = evaluate.settings(command_line(definition, "Evaluate", {"QualityMetric": "f1"}))
    assert found.metric == "f1"


def test_train_reads_the_definitions_hyperparameters(
    definition: Json, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    found = train.settings(hyperparameters(definition, {}, monkeypatch, tmp_path))
    assert (found.preset, found.families) == ("medium_quality", ("GBM", "CAT", "XGB"))
    assert (found.time_limit, found.metric, found.latency_limit) == (600, "auto", 0)


def test_a_latency_limit_reaches_training(
    definition: Json, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given = {"LatencyLimitMilliseconds": "12"}
    found = train.settings(hyperparameters(definition, given, monkeypatch, tmp_path))
    assert found.latency_limit == 12


@pytest.mark.parametrize("name", ["true", "1.0", "01", "-1", "null", 'say "no"', "a b", "ü", "[1]"])
def test_names_reach_preprocessing_as_they_are(definition: Json, name: str) -> None:
    given = {"LabelColumn": name, "PositiveClass": name}
    found = preprocess.settings(command_line(definition, "Preprocess", given))
    assert (found.label, found.positive_class) == (name, name)


def folders(definition: Json, step: str) -> set[str]:
    """Where a processing step puts its inputs and takes its outputs, the code's aside."""
    request = arguments(definition, step)
    inputs = [item["S3Input"]["LocalPath"] for item in request["ProcessingInputs"]]
    outputs = request["ProcessingOutputConfig"]["Outputs"]
    found = {*inputs, *(item["S3Output"]["LocalPath"] for item in outputs)}
    return found - {"/opt/ml/processing/input/code"}


def test_the_scripts_folders_are_the_definitions(
    definition: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    first = preprocess.settings(["--label", "x"])
    places = {first.data, first.train, first.test, first.schema, first.profile}
    assert {str(place) for place in places} == folders(definition, "Preprocess")
    last = evaluate.settings(["--metric", "f1"])
    places = {last.model, last.test, last.evaluation}
    assert {str(place) for place in places} == folders(definition, "Evaluate")
    comparing = build(dataclasses.replace(any_environment(), champion_margin=0))
    assert folders(comparing, "Evaluate") == {*map(str, places), str(last.champion)}
    approving = build(dataclasses.replace(any_environment(), on_approval=True))
    assert folders(approving, "Evaluate") == {*map(str, places), SMOKE.folder}
    assert last.smoke is None
    assert (
        f"--smoke={SMOKE.folder}"
        in arguments(approving, "Evaluate")["AppSpecification"]["ContainerArguments"]
    )
    training = train.settings([])
    assert str(training.train) == "/opt/ml/input/data/train"
    assert str(training.schema) == "/opt/ml/input/data/schema"


def test_the_pipeline_offers_the_presets_that_training_takes() -> None:
    assert train.PRESETS == PRESETS


CHECKED = {
    "TestFraction": ("0.01", "0.99", "0", "1", "2", "-0.1"),
    "TrainingRows": ("10", "1000000", "9", "0"),
    "ProblemType": ("auto", "ranking"),
    "ExcludeColumns": ("a,b", '["a"]', "[a]", "[1]"),
    "MissingMarks": ("-", '["?"]', "[?]"),
    "ColumnKinds": ("a=number", '{"a": "text"}', "a=constant", "a=b", "a", '{"a": 1}', "{a}"),
    "Preset": (*PRESETS, "best"),
    "ModelFamilies": (*FAMILIES, "GBM, CAT", "GMB", "gbm"),
    "TimeLimitSeconds": ("1", "18000", "0", "-5"),
    "LatencyLimitMilliseconds": ("0", "2.5", "-1"),
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in CHECKED.items() for text in texts]
)
def test_a_job_takes_what_the_command_line_takes(
    definition: Json, name: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    kind = {"Integer": int, "Float": float}.get(RUN_PARAMETERS[name].kind, str)
    allowed = not RUN_PARAMETERS[name].problem(kind(text))
    try:
        preprocess.settings(command_line(definition, "Preprocess", {name: text}))
        train.settings(hyperparameters(definition, {name: text}, monkeypatch, tmp_path))
        taken = True
    except jobs.JobError:
        taken = False
    assert taken is allowed


def test_every_metric_of_the_gate_is_known_to_training_and_evaluation() -> None:
    assert sorted(jobs.METRICS) == sorted(METRICS)
    assert {jobs.AUTO, *train.OPTIMIZED} == set(METRICS)
