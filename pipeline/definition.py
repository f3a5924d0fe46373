"""The SageMaker pipeline: preprocess, train, evaluate, quality gate, register, deploy if approved.

`build(environment)` returns the definition as plain dicts, in the language that `CreatePipeline`
accepts as `PipelineDefinition`. It is pure and deterministic and uses only the standard library,
because it runs in three places: in the pipeline manager's function, in the build, which checks
the result with `pipeline.validate`, and on a developer's machine.

The deployment's decisions are in `Environment`; those of the person who starts a run are pipeline
parameters (`pipeline.run_parameters`). A step's output reaches the next step as an expression
(`Output.uri`, `get("Steps.Train...")`), so that the service orders the steps; its path is written
once.

Sources: "Amazon SageMaker pipeline definition JSON schema" and the requests that the SageMaker
Python SDK 3.27 renders for the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.layout import CHAMPION, MAIN, MODELS, PROCESSED, RAW, folder
from pipeline.run_parameters import (
    APPROVAL,
    APPROVALS,
    PENDING,
    RUN_PARAMETERS,
    TRAINING_SECONDS,
    RunParameter,
    Value,
)
from pipeline.types import Json

SCRIPTS: Final = (
    "preprocess.py",
    "train.py",
    "serving_choice.py",
    "evaluate.py",
    "served.py",
    "scoring.py",
    "smoke.py",
    "champion.py",
    "predict.py",
    "reference.py",
    "drift.py",
    "quality.py",
    "captured.py",
    "class_quality.py",
    "number_quality.py",
    "inference.py",
    "jobs.py",
    "preprocess_spark.py",
    "start_spark.py",
    "columns.py",
    "cells.py",
    "tables.py",
    "decide.py",
    "labels.py",
    "hashing.py",
    "split.py",
    "leakage.py",
    "describe.py",
)
"""The job scripts and their shared modules, by their names under `Environment.code_prefix`."""

OWNER_TAG: Final = "pipeline-owner"
"""Tag, and metadata key of model packages, whose value is `Environment.owner`."""

SMOKE_TEST: Final = "smoke-test"
"""Metadata key of model packages that are deployed on approval: the S3 URI of a request and the
answer that the endpoint must give to it (`pipeline/scripts/smoke.py`).
"""

QUALITY_GATE: Final = "QualityGate"
APPROVAL_GATE: Final = "ApprovalGate"
"""The two conditions: a model at its threshold is registered, and an approved one deployed."""

CHAMPION_ARCHIVE: Final = "model.tar.gz"
CHAMPION_PLACEHOLDER: Final = "none.txt"
"""Objects of the champion's folder: a copy of the archive that serves; and one that is always
there, because a job fails if its input has no object.
"""

LEAD: Final = "lead"
"""The field of the gate's file with the model's value minus the serving model's."""

CLUSTER_INSTANCES: Final = 2
"""Default number of instances in a cluster."""

_PROCESSING_SECONDS: Final = 2 * 3600
_CODE_FOLDER: Final = "/opt/ml/processing/input/code"
_LIBRARIES: Final = "code/libraries/"
"""The bucket's folder with the wheels that the Spark image lacks (`docs/spark.md`)."""

_SPARK_PYTHON: Final = "/usr/local/bin/python3"
"""Python 3.12 of the Spark image, where `python3` is the system's 3.9: `/usr/bin` comes first in
its path (aws/sagemaker-spark-container, `spark/processing/3.5/py3/docker/py312/Dockerfile.cpu`).
"""
_MODEL_CONTENT_TYPES: Final = ["text/csv", "application/json", "application/x-parquet"]
_MODEL_ACCEPT_TYPES: Final = ["application/json", "text/csv"]


@dataclass(frozen=True)
class Environment:
    """A deployment's values for its pipeline.

    Names are complete, roles and key are ARNs, images are complete URIs. The three instance types
    are the defaults of pipeline parameters. `quality_metric` (one of `METRICS`) is the gate's, and
    a run cannot change it; `quality_threshold` is the minimum that a run can set. `code_prefix` is
    the folder in `bucket` that holds `SCRIPTS`, without a slash at either end. `owner` (the id of
    the stack) is the value of the tag `OWNER_TAG` on everything that a run creates. With a
    `spark_image`, Preprocess runs on a Spark cluster of `spark_instances` instances, with its own
    role and security groups; without one, it is a job like the others. `name` is the pipeline's in
    the settings and decides its folders (`pipeline.layout`). `label_column` and `problem_type` are
    defaults of pipeline parameters. Unless it `deploys`, a model that passes the gate is registered
    and not served. With `on_approval`, it is registered as pending, a run has no parameter
    `ApprovalStatus`, and what deploys a model once somebody approved it is not the run. The
    endpoint has `endpoint_instances` instances. With a `champion_margin` of 0 or more, a model is
    refused if its metric is worse by more than that than the metric of the model in the folder
    `champion` (`pipeline.layout`) on the same rows. If it `measures_answers`, the pipeline of
    predictions also takes labels that came later (`pipeline.prediction`).
    """

    pipeline_name: str
    endpoint_name: str
    model_package_group: str
    bucket: str
    key_arn: str
    pipeline_role_arn: str
    processing_role_arn: str
    training_role_arn: str
    model_role_arn: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    training_image: str
    inference_image: str
    processing_instance_type: str
    training_instance_type: str
    endpoint_instance_type: str
    quality_metric: str
    quality_threshold: float
    code_prefix: str
    owner: str
    spark_image: str = ""
    spark_role_arn: str = ""
    spark_security_group_ids: tuple[str, ...] = ()
    spark_instances: int = CLUSTER_INSTANCES
    name: str = MAIN
    label_column: str = str(RUN_PARAMETERS["LabelColumn"].default)
    problem_type: str = str(RUN_PARAMETERS["ProblemType"].default)
    deploys: bool = True
    on_approval: bool = False
    endpoint_instances: int = 1
    champion_margin: float = -1
    measures_answers: bool = False

    @property
    def has_champion(self) -> bool:
        """Whether models are compared with the one that serves."""
        return self.champion_margin >= 0


@dataclass(frozen=True)
class Output:
    """A folder that a processing step uploads to S3 when its job ends."""

    step: str
    name: str

    @property
    def folder(self) -> str:
        """The folder in the container."""
        return f"/opt/ml/processing/output/{self.name}"

    @property
    def uri(self) -> Json:
        """The expression for the folder's S3 URI; a step that uses it waits for `step`."""
        path = f"ProcessingOutputConfig.Outputs['{self.name}'].S3Output.S3Uri"
        return get(f"Steps.{self.step}.{path}")


TRAIN_DATA: Final = Output("Preprocess", "train")
TEST_DATA: Final = Output("Preprocess", "test")
TABLE_SCHEMA: Final = Output("Preprocess", "schema")
DATA_PROFILE: Final = Output("Preprocess", "profile")
EVALUATION: Final = Output("Evaluate", "evaluation")
SMOKE: Final = Output("Evaluate", "smoke")
"""Rows of the test data, which those who may read the evaluation may not read."""

_GATE_FILE: Final = "Gate"
"""The property file with only the gate's metric and value: the service limits the size of such
files, and the evaluation of a model with hundreds of classes exceeds it.
"""


def build(environment: Environment) -> Json:
    """The pipeline definition for `environment`, ready for `json.dumps`."""
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": _parameters(environment),
        # Without this, runs are added to an experiment, which needs undocumented permissions.
        "PipelineExperimentConfig": None,
        "Steps": [
            _preprocess(environment),
            _train(environment),
            _evaluate(environment),
            _gate(environment),
            *([_approval(environment)] if _run_deploys(environment) else []),
        ],
    }


def _run_deploys(environment: Environment) -> bool:
    return environment.deploys and not environment.on_approval


def get(path: str) -> Json:
    """The expression that the service replaces with the value at `path` when the step starts."""
    return {"Get": path}


def parameter(name: str) -> Json:
    """The expression for a pipeline parameter."""
    return get(f"Parameters.{name}")


def join(*values: str | Json) -> Json:
    """The expression that joins `values` to one string; numbers become text."""
    return {"Std:Join": {"On": "", "Values": list(values)}}


def _parameters(environment: Environment) -> list[Json]:
    """The parameters of a run, in the order in which the console shows them."""
    decided: dict[str, Value] = {
        "InputData": f"s3://{environment.bucket}/{folder(RAW, environment.name)}data.csv",
        "LabelColumn": environment.label_column,
        "ProblemType": environment.problem_type,
        "QualityMetric": environment.quality_metric,
        "QualityThreshold": environment.quality_threshold,
        "ProcessingInstanceType": environment.processing_instance_type,
        "TrainingInstanceType": environment.training_instance_type,
        "EndpointInstanceType": environment.endpoint_instance_type,
    }
    # The only possible value: the threshold's scale depends on the metric.
    fixed = {"QualityMetric": (environment.quality_metric,)}
    return [
        _declaration(one, decided.get(name, one.default), fixed.get(name, one.choices))
        for name, one in RUN_PARAMETERS.items()
        if name != APPROVAL or not environment.on_approval
    ]


def _declaration(one: RunParameter, default: Value, choices: tuple[str, ...]) -> Json:
    declaration: Json = {"Name": one.name, "Type": one.kind, "DefaultValue": default}
    return declaration | ({"EnumValues": list(choices)} if choices else {})


def _preprocess(environment: Environment) -> Json:
    """Determines the schema of the user's table (`TABLE_SCHEMA`), splits it, and describes it.

    SageMaker downloads every object whose key begins with the URI ("API_S3DataSource"). The job
    also gets the URI as an argument, so that it reads only the object or folder that was named.
    """
    job = Job(
        image=environment.spark_image or environment.training_image,
        command=[
            argument("input-uri", "InputData"),
            argument("label", "LabelColumn"),
            argument("positive-class", "PositiveClass"),
            argument("problem", "ProblemType"),
            argument("metric", "QualityMetric"),
            argument("group-column", "GroupColumn"),
            argument("time-column", "TimeColumn"),
            argument("exclude-columns", "ExcludeColumns"),
            argument("missing-marks", "MissingMarks"),
            argument("column-kinds", "ColumnKinds"),
            argument("test-fraction", "TestFraction"),
            argument("training-rows", "TrainingRows"),
        ],
        script="preprocess.py",
        inputs=[processing_input("data", parameter("InputData"))],
        outputs=[TRAIN_DATA, TEST_DATA, TABLE_SCHEMA, DATA_PROFILE],
    )
    request = processing(environment, job)
    if environment.spark_image:
        request = _on_spark(environment, request)
    return call_step("Preprocess", "Processing", request, job_retries())


def _on_spark(environment: Environment, request: Json) -> Json:
    """Runs the same job on a cluster, whose instances read the table from S3 themselves.

    They talk to each other and to S3, which network isolation prevents: only this job has its own
    role and security groups, and an exemption from the pipeline's Denies (`docs/security.md`).
    Every instance runs the entrypoint, which installs what the image lacks and then does what the
    image's own entrypoint does (aws/sagemaker-spark-container, `Dockerfile.cpu`).
    """
    cluster = request["ProcessingResources"]["ClusterConfig"]
    libraries = f"s3://{environment.bucket}/{_LIBRARIES}"
    inputs = [one for one in request["ProcessingInputs"] if one["InputName"] != "data"]
    entrypoint = [_SPARK_PYTHON, f"{_CODE_FOLDER}/start_spark.py"]
    groups = list(environment.spark_security_group_ids)
    return request | {
        "ProcessingResources": {
            "ClusterConfig": cluster | {"InstanceCount": environment.spark_instances}
        },
        "AppSpecification": request["AppSpecification"] | {"ContainerEntrypoint": entrypoint},
        "RoleArn": environment.spark_role_arn,
        "ProcessingInputs": [*inputs, processing_input("libraries", libraries)],
        "NetworkConfig": {
            "VpcConfig": _vpc(environment) | {"SecurityGroupIds": groups},
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": True,
        },
    }


def argument(option: str, name: str) -> Json:
    """A single argument, so that a value that begins with a hyphen is not parsed as an option.

    It has at most 256 characters ("API_AppSpecification"); `parameter_room` says how many remain.
    """
    return join(f"--{option}=", parameter(name))


def _train(environment: Environment) -> Json:
    """Trains the models, in the AutoGluon image's script mode."""
    arguments = {
        "AlgorithmSpecification": {
            "TrainingImage": environment.training_image,
            "TrainingInputMode": "File",
        },
        "RoleArn": environment.training_role_arn,
        "HyperParameters": _hyperparameters(),
        "InputDataConfig": [
            _channel("train", TRAIN_DATA.uri),
            _channel("schema", TABLE_SCHEMA.uri),
            _channel("code", _code_uri(environment)),
        ],
        "OutputDataConfig": {
            "S3OutputPath": run_folder(environment, MODELS),
            "KmsKeyId": environment.key_arn,
        },
        "ResourceConfig": _machines(environment, "Training"),
        "StoppingCondition": {"MaxRuntimeInSeconds": TRAINING_SECONDS},
        "VpcConfig": _vpc(environment),
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "ProfilerConfig": {"DisableProfiler": True},
        "Tags": _tags(environment),
    }
    return call_step("Train", "Training", arguments, job_retries())


def _hyperparameters() -> Json:
    """Settings of `train.py`; the first two are the image's own.

    The label, classes and kinds of the columns are in the channel `schema`. The code is in the
    channel `code`: the container would have to download the usual S3 archive itself, which network
    isolation prevents.
    """
    return {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "/opt/ml/input/data/code",
        "preset": parameter("Preset"),
        "families": parameter("ModelFamilies"),
        "time-limit": join(parameter("TimeLimitSeconds")),
        "metric": parameter("QualityMetric"),
        "latency-limit": join(parameter("LatencyLimitMilliseconds")),
    }


def _evaluate(environment: Environment) -> Json:
    """Scores the model with the code that will serve it, on rows not used for training.

    The schema is in the model; the only argument is the gate's metric. With the input `champion`,
    it also scores the model that serves on the same rows.
    """
    champion = f"s3://{environment.bucket}/{champion_folder(environment)}"
    job = Job(
        image=environment.training_image,
        command=[
            argument("metric", "QualityMetric"),
            *([f"--smoke={SMOKE.folder}"] if environment.on_approval else []),
        ],
        script="evaluate.py",
        inputs=[
            processing_input("model", get("Steps.Train.ModelArtifacts.S3ModelArtifacts")),
            processing_input("test", TEST_DATA.uri),
            *([processing_input(CHAMPION, champion)] if environment.has_champion else []),
        ],
        outputs=[EVALUATION, *([SMOKE] if environment.on_approval else [])],
    )
    gate = {
        "PropertyFileName": _GATE_FILE,
        "OutputName": EVALUATION.name,
        "FilePath": "gate.json",
    }
    step = call_step("Evaluate", "Processing", processing(environment, job), job_retries())
    return step | {"PropertyFiles": [gate]}


def champion_folder(environment: Environment) -> str:
    """The prefix of the archive that serves, with which a run's model is compared."""
    return folder(CHAMPION, environment.name)


def _gate(environment: Environment) -> Json:
    """Registers the model if it reaches the run's threshold, which must reach the deployment's."""
    branches = {
        "Conditions": _passes(environment),
        "IfSteps": [_register(environment)],
        "ElseSteps": [_refusal(environment)],
    }
    return {"Name": QUALITY_GATE, "Type": "Condition", "Arguments": branches}


def _approval(environment: Environment) -> Json:
    """Deploys a model that passed the quality gate if the run approves it.

    This is a separate condition beside the gate, neither inside nor after it: Pipelines supports
    neither a condition within a condition ("Add a step", Condition step, Limitations) nor a step
    that depends on one (sagemaker-python-sdk#3565). It therefore repeats the gate's conditions, and
    `CreateModel` waits for the registration.
    """
    approved = {
        "Type": "Equals",
        "LeftValue": parameter(APPROVAL),
        "RightValue": APPROVALS[0],
    }
    branches = {
        "Conditions": [approved, *_passes(environment)],
        "IfSteps": _deployment(environment),
        "ElseSteps": [],
    }
    return {"Name": APPROVAL_GATE, "Type": "Condition", "Arguments": branches}


def _passes(environment: Environment) -> list[Json]:
    """The gate's conditions: a run can raise the deployment's threshold but not lower it.

    `lead` is the value minus the serving model's; without one to compare with, it is so large that
    it always passes (`pipeline/scripts/champion.py`).
    """
    threshold = parameter("QualityThreshold")
    least_lead = 0 - environment.champion_margin
    return [
        _at_least(_gate_value("value"), threshold),
        _at_least(threshold, environment.quality_threshold),
        *([_at_least(_gate_value(LEAD), least_lead)] if environment.has_champion else []),
    ]


def _at_least(left: Json, right: Json | float) -> Json:
    return {"Type": "GreaterThanOrEqualTo", "LeftValue": left, "RightValue": right}


def _gate_value(field: str) -> Json:
    """A field of the gate's file, which the service reads with the pipeline's role."""
    file = get(f"Steps.{EVALUATION.step}.PropertyFiles.{_GATE_FILE}")
    return {"Std:JsonGet": {"PropertyFile": file, "Path": field}}


def _refusal(environment: Environment) -> Json:
    """Ends the run as failed, with the reason."""
    champion: list[str | Json] = []
    if environment.has_champion:
        champion = [
            "; that of the model that serves, on the same rows, is ",
            _gate_value("champion"),
            f", and a new model may be worse by at most {environment.champion_margin}",
        ]
    message = join(
        "The model was not registered or deployed: its ",
        _gate_value("metric"),
        " on the test data is ",
        _gate_value("value"),
        "; the run asked for at least ",
        parameter("QualityThreshold"),
        f", and this deployment for at least {environment.quality_threshold}",
        *champion,
        ". All metrics: ",
        EVALUATION.uri,
        "/evaluation.json",
    )
    return {"Name": "RefuseModel", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _deployment(environment: Environment) -> list[Json]:
    """Deploys the model to the endpoint."""
    return [_create_model(environment), _endpoint_config(environment), _endpoint(environment)]


def _register(environment: Environment) -> Json:
    """Adds the model to the registry, with its metrics.

    There are no instance types for batch transform: they are optional for a package in a group, and
    the API allows fewer of them than for endpoints (no ml.t2).

    A model package in a group cannot have its own tags ("API_CreateModelPackage"), only the
    group's. The owner is in its metadata instead.
    """
    quality = {
        "ContentType": "application/json",
        "S3Uri": join(EVALUATION.uri, "/model_quality.json"),
    }
    smoke_test: Json = {}
    if environment.on_approval:
        smoke_test = {SMOKE_TEST: join(SMOKE.uri, "/smoke.json")}
    arguments = {
        "ModelPackageGroupName": environment.model_package_group,
        "ModelApprovalStatus": PENDING if environment.on_approval else parameter(APPROVAL),
        "InferenceSpecification": {
            "Containers": [_serving_container(environment)],
            "SupportedContentTypes": list(_MODEL_CONTENT_TYPES),
            "SupportedResponseMIMETypes": list(_MODEL_ACCEPT_TYPES),
            "SupportedRealtimeInferenceInstanceTypes": [parameter("EndpointInstanceType")],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": quality}},
        "CustomerMetadataProperties": {OWNER_TAG: environment.owner} | smoke_test,
    }
    return call_step("RegisterModel", "RegisterModel", arguments, _call_retries())


def _create_model(environment: Environment) -> Json:
    arguments = {
        "PrimaryContainer": _serving_container(environment),
        "ExecutionRoleArn": environment.model_role_arn,
        "VpcConfig": _vpc(environment),
        "EnableNetworkIsolation": True,
        "Tags": _tags(environment),
    }
    step = call_step("CreateModel", "Model", arguments, _call_retries())
    return step | {"DependsOn": ["RegisterModel"]}  # deploy only registered models


def _serving_container(environment: Environment) -> Json:
    """The image, the model and the toolkit's settings, for both the registry and the endpoint."""
    return {
        "Image": environment.inference_image,
        "ModelDataUrl": get("Steps.Train.ModelArtifacts.S3ModelArtifacts"),
        "Environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            # One worker takes 245 MB; the default of one per core is too many for small instances.
            "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
            # Threads do not speed up a single row, and workers' threads block each other: with them
            # LightGBM took 39 ms a row on a busy machine of 2 cores, 4 ms with one (measured).
            "OMP_NUM_THREADS": "1",
        },
    }


def _endpoint_config(environment: Environment) -> Json:
    arguments = {
        "EndpointConfigName": environment.endpoint_name,
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": get("Steps.CreateModel.ModelName"),
                "InstanceType": parameter("EndpointInstanceType"),
                "InitialInstanceCount": environment.endpoint_instances,
            }
        ],
        "KmsKeyId": environment.key_arn,
        "Tags": _tags(environment),
    }
    return call_step("CreateEndpointConfig", "EndpointConfig", arguments, _call_retries())


def _endpoint(environment: Environment) -> Json:
    """Creates the endpoint, or updates it if one of that name exists.

    The configuration is a reference, not a name: the service adds a suffix to the requested name
    (SageMaker SDK, `test_deployment_steps.py`). This step type does not support a retry policy.
    """
    arguments = {
        "EndpointName": environment.endpoint_name,
        "EndpointConfigName": get("Steps.CreateEndpointConfig.EndpointConfigName"),
        "Tags": _tags(environment),
    }
    return {"Name": "Deploy", "Type": "Endpoint", "Arguments": arguments}


def call_step(name: str, kind: str, arguments: Json, retries: list[Json]) -> Json:
    """One step that calls the service with `arguments`."""
    return {"Name": name, "Type": kind, "Arguments": arguments, "RetryPolicies": retries}


@dataclass(frozen=True)
class Job:
    """The properties of one processing job."""

    image: str
    script: str
    command: list[str | Json]
    inputs: list[Json]
    outputs: list[Output]
    kind: str = PROCESSED
    """The kind of data that the outputs are (`pipeline.layout`)."""
    seconds: int = _PROCESSING_SECONDS


def processing(environment: Environment, job: Job) -> Json:
    """The request for a processing job that runs its script isolated and encrypted."""
    return {
        "ProcessingResources": {"ClusterConfig": _machines(environment, "Processing")},
        "AppSpecification": {
            "ImageUri": job.image,
            "ContainerEntrypoint": ["python3", f"{_CODE_FOLDER}/{job.script}"],
            "ContainerArguments": job.command,
        },
        "RoleArn": environment.processing_role_arn,
        "ProcessingInputs": [*job.inputs, processing_input("code", _code_uri(environment))],
        "ProcessingOutputConfig": {
            "Outputs": [
                _processing_output(environment, output, job.kind) for output in job.outputs
            ],
            "KmsKeyId": environment.key_arn,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": job.seconds},
        "NetworkConfig": {
            "VpcConfig": _vpc(environment),
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
        },
        "Tags": _tags(environment),
    }


def processing_input(name: str, uri: str | Json) -> Json:
    """An input of a processing job: every object whose key begins with the URI."""
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def _processing_output(environment: Environment, output: Output, kind: str) -> Json:
    return {
        "OutputName": output.name,
        "S3Output": {
            "S3Uri": run_folder(environment, kind, f"/{output.name}"),
            "LocalPath": output.folder,
            "S3UploadMode": "EndOfJob",
        },
    }


def _channel(name: str, uri: str | Json) -> Json:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _machines(environment: Environment, use: str) -> Json:
    return {
        "InstanceCount": 1,
        "InstanceType": parameter(f"{use}InstanceType"),
        "VolumeSizeInGB": parameter(f"{use}VolumeGB"),
        "VolumeKmsKeyId": environment.key_arn,
    }


def _vpc(environment: Environment) -> Json:
    return {
        "SecurityGroupIds": list(environment.security_group_ids),
        "Subnets": list(environment.subnet_ids),
    }


def _tags(environment: Environment) -> list[Json]:
    return [{"Key": OWNER_TAG, "Value": environment.owner}]


def _code_uri(environment: Environment) -> str:
    return f"s3://{environment.bucket}/{environment.code_prefix}/"


def run_folder(environment: Environment, kind: str, rest: str = "") -> Json:
    """The run's own folder, so that runs do not overwrite each other's output."""
    folder_of_kind = f"s3://{environment.bucket}/{folder(kind, environment.name)}"
    return join(folder_of_kind, get("Execution.PipelineExecutionId"), rest)


def _call_retries() -> list[Json]:
    """Retries of a step that is one call: only for errors that may pass immediately."""
    return [_retry("Step.SERVICE_FAULT", "Step.THROTTLING", seconds=10, attempts=5)]


def job_retries() -> list[Json]:
    """Retries of a job: capacity may be insufficient for a while."""
    return [*_call_retries(), _retry("SageMaker.CAPACITY_ERROR", seconds=120, attempts=5)]


def _retry(*exceptions: str, seconds: int, attempts: int) -> Json:
    return {
        "ExceptionType": list(exceptions),
        "IntervalSeconds": seconds,
        "BackoffRate": 2.0,
        "MaxAttempts": attempts,
    }
