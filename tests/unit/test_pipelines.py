"""The list of pipelines: what is read, what it decides, and the messages for mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.resolved import resolve
from generator.settings import Settings, named_pipelines, read
from generator.settings_section import SettingsError
from pipeline import example
from pipeline.definition import build
from pipeline.layout import MODELS, PROCESSED, RAW, folder, named

LIST = """
[[pipelines]]
name = "main"
[[pipelines]]
name = "churn"
label = "churned"
problem = "binary"
quality_metric = "roc_auc"
quality_threshold = 0.8
endpoint_instance_type = "ml.c5.large"
"""


def read_text(folder: Path, text: str) -> Settings:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def test_a_list_is_read_with_what_each_pipeline_decides(tmp_path: Path) -> None:
    settings = read_text(tmp_path, LIST)

    (churn,) = named_pipelines(settings)
    assert (churn.label, churn.problem, churn.quality_threshold) == ("churned", "binary", 0.8)
    assert churn.training_instance_type is None
    assert named_pipelines(Settings()) == ()


MAIN = "{ name = 'main' }"
MISTAKES = {
    "no pipeline": ("pipelines = []", ["pipelines: got []", "at least 1 item"]),
    "without main": ("pipelines = [{ name = 'churn' }]", ["pipelines: got", "must contain main"]),
    "without a name": ("pipelines = [{ label = 'x' }]", ["pipelines.0.name: missing"]),
    "twice": (f"pipelines = [{MAIN}, {MAIN}]", ["must not name 'main' twice"]),
    "a name in capitals": (
        f"pipelines = [{MAIN}, {{ name = 'Churn' }}]",
        ["pipelines.1.name: got 'Churn'", "lower-case"],
    ),
    "a long name": (
        f"pipelines = [{MAIN}, {{ name = 'a23456789012345678901' }}]",
        ["pipelines.1.name", "at most 20 characters"],
    ),
    "a name of a folder, which policies match": (
        f"pipelines = [{MAIN}, {{ name = 'models' }}]",
        ["pipelines.1.name: got 'models'", "must not be the name of a folder: raw, processed"],
    ),
    "one logical id": (
        f"pipelines = [{MAIN}, {{ name = 'a-1' }}, {{ name = 'a1' }}]",
        ["'a-1' and 'a1' would both be the resource A1PipelineStack"],
    ),
    "names that are long together": (
        f"project = 'a23456789012345678901234567'\npipelines = [{MAIN}, "
        "{ name = 'a2345678901234567890' }]",
        ["pipelines: got 'a2345678901234567890'", "46 characters"],
    ),
    "an unknown key": (
        f"pipelines = [{MAIN}, {{ name = 'churn', lable = 'x' }}]",
        ["pipelines.1.lable: unknown setting; did you mean label?"],
    ),
    "an unknown problem": (
        f"pipelines = [{MAIN}, {{ name = 'churn', problem = 'binry' }}]",
        ["pipelines.1.problem: got 'binry'", "did you mean binary?"],
    ),
    "an unknown metric": (
        f"pipelines = [{MAIN}, {{ name = 'churn', quality_metric = 'auc' }}]",
        ["pipelines.1.quality_metric: got 'auc'", "roc_auc"],
    ),
    "a threshold of another metric": (
        f"pipelines = [{MAIN}, {{ name = 'churn', quality_metric = 'neg_log_loss' }}]",
        ["churn: quality_threshold (the parameter's default): got 0.7: must be at most 0"],
    ),
    "a threshold above 1": (
        "pipelines = [{ name = 'main', quality_threshold = 2 }]",
        ["pipelines.0.quality_threshold: got 2", "less than or equal to 1"],
    ),
    "a machine with a GPU": (
        "pipelines = [{ name = 'main', training_instance_type = 'ml.g5.xlarge' }]",
        ["pipelines.0.training_instance_type: got 'ml.g5.xlarge'", "no GPU"],
    ),
    "a machine beyond the limits": (
        "pipelines = [{ name = 'main', training_instance_type = 'ml.m5.24xlarge' }]",
        ["main: training_instance_type: got 'ml.m5.24xlarge'", "limits.job_instance_types"],
    ),
    "a label that CloudFormation would replace": (
        "pipelines = [{ name = 'main', label = '{{resolve:ssm:x}}' }]",
        ["pipelines.0.label", "name of a column"],
    ),
    "a label of no characters": (
        "pipelines = [{ name = 'main', label = '' }]",
        ["pipelines.0.label: got ''", "1 to 248"],
    ),
    "no address": (
        "pipelines = [{ name = 'main', alert_email = 'ada' }]",
        ["pipelines.0.alert_email: got 'ada': must be empty or an e-mail address, such as "],
    ),
    "too many for one security group": (
        f"pipelines = [{MAIN}, "
        + ", ".join(f"{{ name = 'p{n}', preprocess_engine = 'spark' }}" for n in range(26))
        + "]",
        ["pipelines: got 52 besides main", "counts twice", "at most 50"],
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_list_is_named_in_one_line(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_text(tmp_path, text)

    message = str(caught.value)
    assert [part for part in ["settings.toml: ", *said] if part not in message] == []
    assert "\n" not in message
    assert "more)" not in message
    assert len(message) < 600


def test_what_main_decides_replaces_the_parameters_that_nobody_else_needs() -> None:
    main = {"name": "main", "label": "price", "quality_threshold": 0.9, "alert_email": ""}
    deployment = resolve(Settings.model_validate({"pipelines": [main]}))

    properties = deployment.get("pipeline", "Pipeline").properties
    assert (properties["LabelColumn"], properties["QualityThreshold"]) == ("price", "0.9")
    parameters = deployment.parameters["root"]
    assert {"QualityThreshold", "AlertEmail"} & parameters.keys() == set()
    assert "QualityMetric" in parameters


def definition(name: str = "main", label: str = "label", problem: str = "auto") -> dict[str, Any]:
    return build(example.environment(name=name, label_column=label, problem_type=problem))


def test_a_named_pipeline_reads_and_writes_below_its_own_folders() -> None:
    text = str(definition("churn", "churned", "binary"))

    for kind in (RAW, PROCESSED, MODELS):
        assert f"s3://{example.BUCKET}/{folder(kind, 'churn')}" in text
        assert f"s3://{example.BUCKET}/{folder(kind)}" not in text


def test_a_named_pipeline_s_label_and_problem_are_defaults_of_its_runs() -> None:
    found = definition(label="churned", problem="binary")

    defaults = {one["Name"]: one["DefaultValue"] for one in found["Parameters"]}
    assert (defaults["LabelColumn"], defaults["ProblemType"]) == ("churned", "binary")


def test_no_pipeline_s_folder_is_below_another_one_s() -> None:
    folders = [folder(kind, name) for kind in (RAW, PROCESSED, MODELS) for name in ("main", "a")]
    folders += [folder(RAW, "a-b"), folder(RAW, "raw"), "code/", "studio/"]

    inside = [(a, b) for a in folders for b in folders if a != b and a.startswith(b)]
    assert inside == []
    assert folder(RAW, "a").startswith(named(RAW))
