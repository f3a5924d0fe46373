"""Planted faults: each is found, and the message names step and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.definition import SCRIPTS
from pipeline.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.types import Json


def step(definition: Json, name: str) -> Json:
    """The step `name`, inside the gate or outside."""
    gates = [one["Arguments"] for one in definition["Steps"] if one["Type"] == "Condition"]
    inner = [one for gate in gates for one in gate["IfSteps"] + gate["ElseSteps"]]
    for candidate in definition["Steps"] + inner:
        if candidate["Name"] == name:
            found: Json = candidate
            return found
    raise AssertionError(name)


def arguments(definition: Json, name: str) -> Json:
    """The arguments of the step `name`."""
    found: Json = step(definition, name)["Arguments"]
    return found


def outputs(definition: Json, name: str) -> list[Json]:
    """The outputs of the processing step `name`."""
    found: list[Json] = arguments(definition, name)["ProcessingOutputConfig"]["Outputs"]
    return found


def cluster(definition: Json, name: str) -> Json:
    """The machines of the processing step `name`."""
    found: Json = arguments(definition, name)["ProcessingResources"]["ClusterConfig"]
    return found


def parameter(definition: Json, name: str) -> Json:
    """The declaration of a pipeline parameter."""
    found: Json = next(item for item in definition["Parameters"] if item["Name"] == name)
    return found


def container(definition: Json) -> Json:
    """The container of the step that creates the model."""
    found: Json = arguments(definition, "CreateModel")["PrimaryContainer"]
    return found


def train_channel(definition: Json) -> Json:
    """Where training reads its rows."""
    found: Json = arguments(definition, "Train")["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    return found


def put(where: Any, key: Any, value: object) -> None:
    """Set one item, as an expression that a lambda can hold."""
    where[key] = value


UNTYPED = "Type must be one of"

FAULTS: dict[str, tuple[Callable[[Json], object], str]] = {
    "a parameter without a type": (
        lambda d: parameter(d, "LabelColumn").pop("Type"),
        f"Parameters: LabelColumn: {UNTYPED}",
    ),
    "a default of another type": (
        lambda d: put(parameter(d, "TimeLimitSeconds"), "DefaultValue", "600"),
        "Parameters: TimeLimitSeconds: the default '600' is not of type Integer",
    ),
    "a default outside its list": (
        lambda d: put(parameter(d, "QualityMetric"), "DefaultValue", "auc"),
        "Parameters: QualityMetric: the default 'auc' is not among EnumValues",
    ),
    "a default that the service refuses": (
        lambda d: put(parameter(d, "GroupColumn"), "DefaultValue", ""),
        "Parameters: GroupColumn: the default is empty, which the service rejects",
    ),
    "a parameter that nothing uses": (
        lambda d: d["Parameters"].append({"Name": "Spare", "Type": "String"}),
        "Parameters: Spare: no step uses it",
    ),
    "two parameters of one name": (
        lambda d: d["Parameters"].append(dict(parameter(d, "Preset"))),
        "Parameters: Preset: 2 parameters have this name",
    ),
    "two steps of one name": (
        lambda d: d["Steps"].append(dict(step(d, "Train"))),
        "Train: Name: 2 steps have this name",
    ),
    "a step type that does not exist": (
        lambda d: put(step(d, "Train"), "Type", "Trainning"),
        "Train: Type: 'Trainning' is not one of",
    ),
    "a misspelt field": (
        lambda d: put(arguments(d, "Train"), "HyperParameter", {}),
        "Train: HyperParameter: unknown field",
    ),
    "a missing field": (
        lambda d: arguments(d, "Train").pop("OutputDataConfig"),
        "Train: OutputDataConfig: is required",
    ),
    "a number where text belongs": (
        lambda d: put(arguments(d, "Train")["HyperParameters"], "time-limit", 600),
        "Train: HyperParameters.time-limit: must be a string",
    ),
    "a numeric parameter where text belongs": (
        lambda d: put(
            arguments(d, "Train")["HyperParameters"],
            "time-limit",
            {"Get": "Parameters.TimeLimitSeconds"},
        ),
        "Train: HyperParameters.time-limit: Parameters.TimeLimitSeconds is a Integer",
    ),
    "text where a number belongs": (
        lambda d: put(cluster(d, "Preprocess"), "InstanceCount", "1"),
        "Preprocess: ProcessingResources.ClusterConfig.InstanceCount: must be a integer",
    ),
    "a value out of range": (
        lambda d: put(cluster(d, "Preprocess"), "VolumeSizeInGB", 0),
        "Preprocess: ProcessingResources.ClusterConfig.VolumeSizeInGB: 0: at least 1",
    ),
    "a value that is not in the API's list": (
        lambda d: put(train_channel(d), "S3DataType", "Prefix"),
        "Train: InputDataConfig[0].DataSource.S3DataSource.S3DataType: 'Prefix' is not one",
    ),
    "an ARN of another form": (
        lambda d: put(arguments(d, "Train"), "RoleArn", "training-role"),
        "Train: RoleArn: 'training-role' does not match",
    ),
    "an expression for a structure": (
        lambda d: put(arguments(d, "Train"), "VpcConfig", {"Get": "Parameters.Preset"}),
        "Train: VpcConfig: an expression cannot be a structure",
    ),
    "a name that the service gives": (
        lambda d: put(arguments(d, "CreateModel"), "ModelName", "mine"),
        "CreateModel: ModelName: the pipeline service does not support this field",
    ),
    "tags on a model package": (
        lambda d: put(arguments(d, "RegisterModel"), "Tags", []),
        "RegisterModel: Tags: the pipeline service does not support this field",
    ),
    "a deployment policy on the endpoint": (
        lambda d: put(arguments(d, "Deploy"), "DeploymentConfig", {}),
        "Deploy: DeploymentConfig: the pipeline service does not support this field",
    ),
    "a parameter that does not exist": (
        lambda d: put(arguments(d, "Train")["HyperParameters"], "x", {"Get": "Parameters.X"}),
        "Train: HyperParameters.x: Parameters.X: unknown parameter",
    ),
    "an execution variable that does not exist": (
        lambda d: put(arguments(d, "Train")["HyperParameters"], "x", {"Get": "Execution.Id"}),
        "Train: HyperParameters.x: Execution.Id: unknown execution variable",
    ),
    "a step that does not exist": (
        lambda d: put(container(d), "ModelDataUrl", {"Get": "Steps.Fit.ModelArtifacts"}),
        "CreateModel: PrimaryContainer.ModelDataUrl: Steps.Fit.ModelArtifacts: unknown step",
    ),
    "a value that the step does not have": (
        lambda d: put(container(d), "ModelDataUrl", {"Get": "Steps.Train.ModelArtifacts.Url"}),
        "CreateModel: PrimaryContainer.ModelDataUrl: Steps.Train.ModelArtifacts.Url: "
        "DescribeTrainingJob returns no Url here",
    ),
    "a structure where a value belongs": (
        lambda d: put(container(d), "ModelDataUrl", {"Get": "Steps.Train.ModelArtifacts"}),
        "CreateModel: PrimaryContainer.ModelDataUrl: Steps.Train.ModelArtifacts: "
        "ModelArtifacts is a structure",
    ),
    "an output that the step does not have": (
        lambda d: put(outputs(d, "Preprocess")[0], "OutputName", "rows"),
        "Train: InputDataConfig[0].DataSource.S3DataSource.S3Uri: "
        "Steps.Preprocess.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri: "
        "Preprocess has no output 'train'",
    ),
    "a property file that does not exist": (
        lambda d: step(d, "Evaluate").pop("PropertyFiles"),
        "QualityGate: Conditions[0].LeftValue: "
        "Steps.Evaluate.PropertyFiles.Gate: Evaluate has no property file",
    ),
    "a property file of no output": (
        lambda d: put(step(d, "Evaluate")["PropertyFiles"][0], "OutputName", "report"),
        "QualityGate: Conditions[0].LeftValue: "
        "Steps.Evaluate.PropertyFiles.Gate: its output 'report' is not",
    ),
    "a step that depends on itself": (
        lambda d: put(step(d, "Preprocess"), "DependsOn", ["Evaluate"]),
        "Preprocess: Name: depends on itself",
    ),
    "a dependency on no step": (
        lambda d: put(step(d, "CreateModel"), "DependsOn", ["Register"]),
        "CreateModel: DependsOn: unknown step Register",
    ),
    "a reference into the other branch": (
        lambda d: put(
            arguments(d, "RefuseModel"), "ErrorMessage", {"Get": "Steps.CreateModel.ModelName"}
        ),
        "RefuseModel: ErrorMessage: Steps.CreateModel.ModelName: "
        "CreateModel may not have run: it is inside ApprovalGate.IfSteps",
    ),
    "a condition inside a condition": (
        lambda d: arguments(d, "QualityGate")["IfSteps"].append(d["Steps"].pop()),
        "ApprovalGate: Type: a condition inside QualityGate.IfSteps is not supported",
    ),
    "a dependency on a condition": (
        lambda d: put(step(d, "ApprovalGate"), "DependsOn", ["QualityGate"]),
        "ApprovalGate: DependsOn: a step cannot depend on the condition QualityGate",
    ),
    "an input that is written out": (
        lambda d: put(train_channel(d), "S3Uri", "s3://demo-data/processed/train/"),
        "Train: InputDataConfig[0].DataSource.S3DataSource.S3Uri: "
        "s3://demo-data/processed/train/ is neither a parameter nor an output",
    ),
    "an input of the run's own, joined by hand": (
        lambda d: put(
            train_channel(d),
            "S3Uri",
            {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Execution.PipelineName"}]}},
        ),
        "Train: InputDataConfig[0].DataSource.S3DataSource.S3Uri: an expression is neither",
    ),
    "a processing script that does not ship": (
        lambda d: put(
            arguments(d, "Evaluate")["AppSpecification"],
            "ContainerEntrypoint",
            ["python3", "/opt/ml/processing/input/code/score.py"],
        ),
        "Evaluate: AppSpecification.ContainerEntrypoint: score.py is not a shipped script",
    ),
    "a processing script in no input": (
        lambda d: put(
            arguments(d, "Evaluate")["AppSpecification"],
            "ContainerEntrypoint",
            ["python3", "/opt/ml/code/evaluate.py"],
        ),
        "Evaluate: AppSpecification.ContainerEntrypoint: /opt/ml/code is not the folder of an",
    ),
    "a training script that does not ship": (
        lambda d: put(arguments(d, "Train")["HyperParameters"], "sagemaker_program", "fit.py"),
        "Train: HyperParameters.sagemaker_program: fit.py is not a shipped script",
    ),
    "training code in no channel": (
        lambda d: arguments(d, "Train")["InputDataConfig"].pop(),
        "Train: HyperParameters.sagemaker_submit_directory: /opt/ml/input/data/code is not the",
    ),
    "a serving script that does not ship": (
        lambda d: put(container(d)["Environment"], "SAGEMAKER_PROGRAM", "serve.py"),
        "CreateModel: PrimaryContainer.Environment.SAGEMAKER_PROGRAM: serve.py is not a shipped",
    ),
    "two outputs to one folder": (
        lambda d: put(
            outputs(d, "Preprocess")[1], "S3Output", outputs(d, "Preprocess")[0]["S3Output"]
        ),
        "Preprocess: ProcessingOutputConfig.Outputs[1].S3Output.S3Uri: "
        "s3://demo-data/processed/{Execution.PipelineExecutionId}/train/ is also the output folder",
    ),
    "an output that the next run overwrites": (
        lambda d: put(
            arguments(d, "Train")["OutputDataConfig"], "S3OutputPath", "s3://demo-data/m"
        ),
        "Train: OutputDataConfig.S3OutputPath: s3://demo-data/m/ is not in a folder of the run",
    ),
    "an instance type that takes no volume key": (
        lambda d: put(parameter(d, "TrainingInstanceType"), "DefaultValue", "ml.g5.xlarge"),
        "Train: ResourceConfig.InstanceType: ml.g5.xlarge is not a SageMaker instance type",
    ),
    "an instance type of another use": (
        lambda d: put(parameter(d, "EndpointInstanceType"), "DefaultValue", "ml.t3.medium"),
        "CreateEndpointConfig: ProductionVariants[0].InstanceType: ml.t3.medium is not a",
    ),
    "a retry policy on the endpoint": (
        lambda d: put(step(d, "Deploy"), "RetryPolicies", step(d, "CreateModel")["RetryPolicies"]),
        "Deploy: RetryPolicies[0]: Endpoint steps cannot retry Step.SERVICE_FAULT",
    ),
    "a job's retry on a call": (
        lambda d: put(step(d, "CreateModel"), "RetryPolicies", step(d, "Train")["RetryPolicies"]),
        "CreateModel: RetryPolicies[1]: Model steps cannot retry SageMaker.CAPACITY_ERROR",
    ),
}


def test_the_definition_has_no_fault(definition: Json) -> None:
    assert validate(definition) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(definition: Json, name: str) -> None:
    plant, message = FAULTS[name]
    plant(definition)
    assert [str(fault) for fault in validate(definition) if str(fault).startswith(message)]


def test_a_script_that_is_taken_away_is_missed_by_its_steps(definition: Json) -> None:
    faults = validate(definition, scripts=set(SCRIPTS) - {"inference.py"})
    assert {fault.step for fault in faults} == {"RegisterModel", "CreateModel"}
