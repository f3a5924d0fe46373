"""Our pipeline, built once more: of the SageMaker Python SDK's own steps (version 3).

It is written from the SDK's side: every value is handed to the class or session method that the
SDK has for it. Nothing is taken from `pipeline.definition` but `Environment`, the names of the
parameters' defaults and the limits in numbers, so that a wrong field there shows up as a
difference. Compiling it needs no account and no network.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from boto3.session import Session
from sagemaker.core.model_registry import create_model_package_from_containers
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    Channel,
    DataSource,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
    StoppingCondition,
    Tag,
)
from sagemaker.core.training.configs import Compute, Networking
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.endpoint_step import EndpointConfigStep, EndpointStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

from pipeline.definition import OWNER_TAG, Environment
from pipeline.run_parameters import PRESETS, PROBLEMS
from pipeline.types import Json

CODE_FOLDER = "/opt/ml/processing/input/code"
OFFLINE = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


class Builder:
    """The steps of one pipeline, each a method; `definition` compiles them."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        self.session = PipelineSession(
            boto_session=Session(region_name="eu-west-1", **keys),
            default_bucket=environment.bucket,
            sagemaker_config=OFFLINE,
        )
        self.parameters = self._parameters()
        self.tags = [{"Key": OWNER_TAG, "Value": environment.owner}]
        self.code = f"s3://{environment.bucket}/{environment.code_prefix}/"

    def definition(self) -> Json:
        """What the SDK would hand to `CreatePipeline`."""
        pipeline = Pipeline(
            name=self.environment.pipeline_name,
            parameters=list(self.parameters.values()),
            steps=self._steps(),
            sagemaker_session=self.session,
            pipeline_experiment_config=None,
        )
        found: Json = json.loads(pipeline.definition())
        return found

    def _parameters(self) -> dict[str, Any]:
        given = self.environment
        found = [
            ParameterString("InputData", default_value=f"s3://{given.bucket}/raw/data.csv"),
            ParameterString("LabelColumn", default_value="label"),
            ParameterString("PositiveClass", default_value="auto"),
            ParameterString("ProblemType", default_value="auto", enum_values=list(PROBLEMS)),
            ParameterString("GroupColumn", default_value="none"),
            ParameterString("TimeColumn", default_value="none"),
            ParameterString("ExcludeColumns", default_value="[]"),
            ParameterString("MissingMarks", default_value="[]"),
            ParameterString("ColumnKinds", default_value="{}"),
            ParameterFloat("TestFraction", default_value=0.2),
            ParameterInteger("TrainingRows", default_value=1_000_000),
            ParameterString("Preset", default_value="medium_quality", enum_values=list(PRESETS)),
            ParameterString("ModelFamilies", default_value="GBM,CAT,XGB"),
            ParameterInteger("TimeLimitSeconds", default_value=600),
            ParameterFloat("LatencyLimitMilliseconds", default_value=0.0),
            ParameterString(
                "QualityMetric",
                default_value=given.quality_metric,
                enum_values=[given.quality_metric],
            ),
            ParameterFloat("QualityThreshold", default_value=given.quality_threshold),
            *([] if given.on_approval else [self._status()]),
            ParameterString("ProcessingInstanceType", default_value=given.processing_instance_type),
            ParameterInteger("ProcessingVolumeGB", default_value=30),
            ParameterString("TrainingInstanceType", default_value=given.training_instance_type),
            ParameterInteger("TrainingVolumeGB", default_value=30),
            ParameterString("EndpointInstanceType", default_value=given.endpoint_instance_type),
        ]
        return {parameter.name: parameter for parameter in found}

    @staticmethod
    def _status() -> Any:
        statuses = ["Approved", "PendingManualApproval", "Rejected"]
        return ParameterString("ApprovalStatus", default_value="Approved", enum_values=statuses)

    def _steps(self) -> list[Any]:
        preprocess = self._preprocess()
        self.train_data = self._output_of(preprocess, "train")
        self.test_data = self._output_of(preprocess, "test")
        self.schema = self._output_of(preprocess, "schema")
        self.train = self._train()
        self.model_data = self.train.properties.ModelArtifacts.S3ModelArtifacts
        file = PropertyFile("Gate", "evaluation", "gate.json")
        evaluate = self._evaluate(file)
        self.evaluation = self._output_of(evaluate, "evaluation")
        if self.environment.on_approval:
            self.smoke = self._output_of(evaluate, "smoke")
        self.of_gate = {
            path: JsonGet(step_name="Evaluate", property_file=file, json_path=path)
            for path in ("metric", "value", "lead", "champion")
        }
        register = self._register()
        steps = [preprocess, self.train, evaluate, self._gate(register)]
        if self.environment.on_approval or not self.environment.deploys:
            return steps
        return [*steps, self._approval(register)]

    @staticmethod
    def _output_of(step: Any, name: str) -> Any:
        return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri

    def _preprocess(self) -> Any:
        options = {
            "input-uri": "InputData",
            "label": "LabelColumn",
            "positive-class": "PositiveClass",
            "problem": "ProblemType",
            "metric": "QualityMetric",
            "group-column": "GroupColumn",
            "time-column": "TimeColumn",
            "exclude-columns": "ExcludeColumns",
            "missing-marks": "MissingMarks",
            "column-kinds": "ColumnKinds",
            "test-fraction": "TestFraction",
            "training-rows": "TrainingRows",
        }
        arguments = [self._argument(option, name) for option, name in options.items()]
        processor = self._processor(self.environment.training_image, "preprocess.py")
        run = processor.run(
            inputs=[
                self._input("data", self.parameters["InputData"]),
                self._input("code", self.code),
            ],
            outputs=[self._output(name) for name in ("train", "test", "schema", "profile")],
            arguments=arguments,
        )
        return ProcessingStep("Preprocess", step_args=run, retry_policies=job_retries())

    def _argument(self, option: str, name: str) -> Any:
        return Join(on="", values=[f"--{option}=", self.parameters[name]])

    def _evaluate(self, file: Any) -> Any:
        given, bucket = self.environment, self.environment.bucket
        processor = self._processor(given.training_image, "evaluate.py")
        arguments = [self._argument("metric", "QualityMetric")]
        champion = [self._input("champion", f"s3://{bucket}/champion/")]
        if given.on_approval:
            arguments.append("--smoke=/opt/ml/processing/output/smoke")
        run = processor.run(
            inputs=[
                self._input("model", self.model_data),
                self._input("test", self.test_data),
                *(champion if given.has_champion else []),
                self._input("code", self.code),
            ],
            outputs=[
                self._output("evaluation"),
                *([self._output("smoke")] if given.on_approval else []),
            ],
            arguments=arguments,
        )
        return ProcessingStep(
            "Evaluate", step_args=run, property_files=[file], retry_policies=job_retries()
        )

    def _processor(self, image: str, script: str) -> Any:
        given = self.environment
        return Processor(
            role=given.processing_role_arn,
            image_uri=image,
            instance_count=1,
            instance_type=self.parameters["ProcessingInstanceType"],
            entrypoint=["python3", f"{CODE_FOLDER}/{script}"],
            volume_size_in_gb=self.parameters["ProcessingVolumeGB"],
            volume_kms_key=given.key_arn,
            output_kms_key=given.key_arn,
            max_runtime_in_seconds=7200,
            sagemaker_session=self.session,
            tags=self.tags,
            network_config=NetworkConfig(
                enable_network_isolation=True,
                security_group_ids=list(given.security_group_ids),
                subnets=list(given.subnet_ids),
                encrypt_inter_container_traffic=True,
            ),
        )

    @staticmethod
    def _input(name: str, uri: Any) -> Any:
        source = ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
            s3_data_distribution_type="FullyReplicated",
        )
        return ProcessingInput(input_name=name, s3_input=source)

    def _output(self, name: str) -> Any:
        target = ProcessingS3Output(
            s3_uri=self._run_folder("processed", f"/{name}"),
            local_path=f"/opt/ml/processing/output/{name}",
            s3_upload_mode="EndOfJob",
        )
        return ProcessingOutput(output_name=name, s3_output=target)

    def _run_folder(self, prefix: str, rest: str = "") -> Any:
        start = f"s3://{self.environment.bucket}/{prefix}/"
        return Join(on="", values=[start, ExecutionVariables.PIPELINE_EXECUTION_ID, rest])

    def _train(self) -> Any:
        given = self.environment
        trainer = ModelTrainer(
            sagemaker_session=self.session,
            role=given.training_role_arn,
            base_job_name="train",
            training_image=given.training_image,
            hyperparameters=self._hyperparameters(),
            compute=Compute(
                instance_type=self.parameters["TrainingInstanceType"],
                instance_count=1,
                volume_size_in_gb=30,  # its type takes no parameter, the API does
                volume_kms_key_id=given.key_arn,
            ),
            networking=Networking(
                subnets=list(given.subnet_ids),
                security_group_ids=list(given.security_group_ids),
                enable_network_isolation=True,
                enable_inter_container_traffic_encryption=True,
            ),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=21600),
            output_data_config=OutputDataConfig(
                s3_output_path=self._run_folder("models"), kms_key_id=given.key_arn
            ),
            tags=[Tag(key=tag["Key"], value=tag["Value"]) for tag in self.tags],
        )
        channels = [
            self._channel("train", self.train_data),
            self._channel("schema", self.schema),
            self._channel("code", self.code),
        ]
        run = trainer.train(input_data_config=channels)
        return TrainingStep("Train", step_args=run, retry_policies=job_retries())

    def _hyperparameters(self) -> Json:
        return {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code",
            "preset": self.parameters["Preset"],
            "families": self.parameters["ModelFamilies"],
            "time-limit": self.parameters["TimeLimitSeconds"].to_string(),
            "metric": self.parameters["QualityMetric"],
            "latency-limit": self.parameters["LatencyLimitMilliseconds"].to_string(),
        }

    @staticmethod
    def _channel(name: str, uri: Any) -> Any:
        source = S3DataSource(
            s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated"
        )
        return Channel(channel_name=name, data_source=DataSource(s3_data_source=source))

    def _gate(self, register: Any) -> Any:
        return ConditionStep(
            "QualityGate",
            conditions=self._passes(),
            if_steps=[register],
            else_steps=[self._refusal()],
        )

    def _approval(self, register: Any) -> Any:
        approved = ConditionEquals(left=self.parameters["ApprovalStatus"], right="Approved")
        return ConditionStep(
            "ApprovalGate",
            conditions=[approved, *self._passes()],
            if_steps=self._deployment(register),
            else_steps=[],
        )

    def _passes(self) -> list[Any]:
        threshold, least = self.parameters["QualityThreshold"], self.environment.quality_threshold
        pairs = [(self.of_gate["value"], threshold), (threshold, least)]
        if self.environment.has_champion:
            pairs.append((self.of_gate["lead"], -self.environment.champion_margin))
        return [ConditionGreaterThanOrEqualTo(left=one, right=other) for one, other in pairs]

    def _refusal(self) -> Any:
        margin, champion = self.environment.champion_margin, list[Any]()
        if self.environment.has_champion:
            champion = [
                "; that of the model that serves, on the same rows, is ",
                self.of_gate["champion"],
                f", and a new model may be worse by at most {margin}",
            ]
        message = Join(
            on="",
            values=[
                "The model was not registered or deployed: its ",
                self.of_gate["metric"],
                " on the test data is ",
                self.of_gate["value"],
                "; the run asked for at least ",
                self.parameters["QualityThreshold"],
                f", and this deployment for at least {self.environment.quality_threshold}",
                *champion,
                ". All metrics: ",
                self.evaluation,
                "/evaluation.json",
            ],
        )
        return FailStep("RefuseModel", error_message=message)

    def _container(self) -> Json:
        return {
            "Image": self.environment.inference_image,
            "ModelDataUrl": self.model_data,
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
                "OMP_NUM_THREADS": "1",
            },
        }

    def _deployment(self, register: Any) -> list[Any]:
        model = self._model(register)
        config = self._endpoint_config(model)
        return [model, config, self._endpoint(config)]

    def _register(self) -> Any:
        self._start_model_step()
        statistics = {
            "ContentType": "application/json",
            "S3Uri": Join(on="", values=[self.evaluation, "/model_quality.json"]),
        }
        status: Any = "PendingManualApproval"
        metadata = {OWNER_TAG: self.environment.owner}
        if self.environment.on_approval:
            metadata["smoke-test"] = Join(on="", values=[self.smoke, "/smoke.json"])
        else:
            status = self.parameters["ApprovalStatus"]
        create_model_package_from_containers(
            self.session,
            containers=[self._container()],
            content_types=["text/csv", "application/json", "application/x-parquet"],
            response_types=["application/json", "text/csv"],
            inference_instances=[self.parameters["EndpointInstanceType"]],
            model_package_group_name=self.environment.model_package_group,
            model_metrics={"ModelQuality": {"Statistics": statistics}},
            approval_status=status,
            customer_metadata_properties=metadata,
        )
        return self._end_model_step("RegisterModel")

    def _model(self, register: Any) -> Any:
        self._start_model_step()
        given = self.environment
        self.session.create_model(
            name="named-by-the-service",
            role=given.model_role_arn,
            container_defs=self._container(),
            vpc_config={
                "SecurityGroupIds": list(given.security_group_ids),
                "Subnets": list(given.subnet_ids),
            },
            enable_network_isolation=True,
            tags=self.tags,
        )
        return self._end_model_step("CreateModel", depends_on=[register])

    def _start_model_step(self) -> None:
        """Let the session collect a model step's request, as `ModelBuilder` does."""
        self.session.init_model_step_arguments(SimpleNamespace(sagemaker_session=self.session))

    def _end_model_step(self, name: str, **more: Any) -> Any:
        collected, self.session.context = self.session.context, None
        return ModelStep(name, step_args=collected, retry_policies=call_retries(), **more)

    def _endpoint_config(self, model: Any) -> Any:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model.properties.ModelName,
            "InstanceType": self.parameters["EndpointInstanceType"],
            "InitialInstanceCount": self.environment.endpoint_instances,
        }
        arguments = self.session.create_endpoint_config(
            name=self.environment.endpoint_name,
            production_variants=[variant],
            tags=self.tags,
            kms_key=self.environment.key_arn,
        )
        return EndpointConfigStep(
            "CreateEndpointConfig", step_args=arguments, retry_policies=call_retries()
        )

    def _endpoint(self, config: Any) -> Any:
        arguments = self.session.create_endpoint(
            endpoint_name=self.environment.endpoint_name,
            config_name=config.properties.EndpointConfigName,
            tags=self.tags,
        )
        return EndpointStep("Deploy", step_args=arguments)


def call_retries() -> list[Any]:
    """Retries of a step that is one call."""
    types = [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING]
    return [StepRetryPolicy(exception_types=types, interval_seconds=10, max_attempts=5)]


def job_retries() -> list[Any]:
    """Retries of a job."""
    short = SageMakerJobStepRetryPolicy(
        exception_types=[SageMakerJobExceptionTypeEnum.CAPACITY_ERROR],
        interval_seconds=120,
        max_attempts=5,
    )
    return [*call_retries(), short]
