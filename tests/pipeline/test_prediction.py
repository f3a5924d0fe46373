"""The pipeline of batch predictions."""

from __future__ import annotations

from dataclasses import replace

from pipeline import prediction
from pipeline.definition import Environment
from pipeline.types import Json
from pipeline.validate import validate


def request_of(environment: Environment) -> Json:
    """The request of its only step."""
    (step,) = prediction.build(environment)["Steps"]
    arguments: Json = step["Arguments"]
    return arguments


def test_the_definition_has_no_fault(environment: Environment) -> None:
    assert validate(prediction.build(environment)) == []


def test_an_execution_names_its_table_and_its_model(environment: Environment) -> None:
    declared = {item["Name"]: item for item in prediction.build(environment)["Parameters"]}
    required = [name for name, item in declared.items() if "DefaultValue" not in item]
    assert required == ["InputData", "ModelArchive"]


def test_a_pipeline_that_measures_answers_also_takes_labels(environment: Environment) -> None:
    """By default, they are a job script: a job fails if its input has no object."""
    measuring = replace(environment, measures_answers=True, quality_metric="f1")
    definition = prediction.build(measuring)
    assert validate(definition) == []
    declared = {item["Name"]: item for item in definition["Parameters"]}
    code = f"s3://{environment.bucket}/{environment.code_prefix}"
    assert declared["LabelData"]["DefaultValue"] == f"{code}/predict.py"
    request = request_of(measuring)
    inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in request["ProcessingInputs"]}
    assert inputs["labels"] == {"Get": "Parameters.LabelData"}
    assert "--metric=f1" in request["AppSpecification"]["ContainerArguments"]
    outputs = [one["OutputName"] for one in request["ProcessingOutputConfig"]["Outputs"]]
    assert outputs == ["predictions", "drift", "quality"]


def test_the_job_is_isolated_and_encrypted(environment: Environment) -> None:
    request = request_of(environment)
    assert request["NetworkConfig"]["EnableNetworkIsolation"] is True
    assert request["RoleArn"] == environment.processing_role_arn
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == environment.key_arn
    cluster = request["ProcessingResources"]["ClusterConfig"]
    assert cluster["VolumeKmsKeyId"] == environment.key_arn


def test_each_execution_writes_to_a_folder_of_its_own(environment: Environment) -> None:
    for name, start in (
        ("main", "s3://demo-data/predictions/"),
        ("churn", "s3://demo-data/pipelines/predictions/churn/"),
    ):
        request = request_of(replace(environment, name=name))
        output, _ = request["ProcessingOutputConfig"]["Outputs"]
        assert output["S3Output"]["S3Uri"]["Std:Join"]["Values"] == [
            start,
            {"Get": "Execution.PipelineExecutionId"},
            "/predictions",
        ]
