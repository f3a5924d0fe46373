"""The pipeline: rights of its roles, first data, the pipeline itself, and who hears of failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from troposphere import (
    AWSObject,
    Equals,
    GetAtt,
    Not,
    Ref,
    Sub,
    Template,
    awslambda,
    cloudwatch,
    events,
    iam,
    logs,
    sagemaker,
    sns,
)

from functions.pipeline_manager.properties import PipelineProperties
from functions.seed_data.properties import SeedDataProperties
from generator import images, package
from generator.custom_resources import (
    FunctionContext,
    FunctionInputs,
    FunctionSpec,
    add_function,
    custom_resource,
    surroundings,
)
from generator.policies import functions as rights
from generator.policies import jobs, people
from generator.policies.resources import endpoint_rule_name, failure_rule_name, topic_policy
from generator.policies.statements import role_arn, role_policy
from generator.retention import lifetime
from generator.settings import Mode, Settings, on_spark
from generator.wiring import (
    BucketName,
    Expression,
    Number,
    OptionalText,
    QueueName,
    RoleName,
    SecurityGroupId,
    StackTemplate,
    Text,
    TopicArn,
    UniqueName,
    add,
    add_all,
    declare,
    publish,
)

EMAIL_GIVEN = "AlertEmailIsGiven"
DATA_KEY = "raw/data.csv"
SEEDING_SECONDS = 900
SEEDING_MEMORY_MB = 1024
"""Lambda gives processor in proportion to memory; a thousand rows need none of it."""
MANAGING_SECONDS = 900
FAILED = "Failed"
STATUS_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
ENDPOINT_FAILURES = (
    "FAILED",
    "Failed",
    "ROLLING_BACK",
    "RollingBack",
    "UPDATE_ROLLBACK_FAILED",
    "UpdateRollbackFailed",
)
"""As events spell a status, and as DescribeEndpoint does: documents show both."""
ALARM_SECONDS = 300
VARIANT = "AllTraffic"


@dataclass(frozen=True)
class Inputs(FunctionInputs):
    """What the root hands in."""

    unique_name: UniqueName
    dead_letter_queue_name: QueueName
    jobs_security_group_id: SecurityGroupId
    data_bucket: BucketName
    processing_role: RoleName
    training_role: RoleName
    model_role: RoleName
    pipeline_role: RoleName
    notebook_jobs_role: RoleName
    seed_data_role: RoleName
    pipeline_manager_role: RoleName
    rows: Number
    seed: Number
    processing_instance_type: Text
    training_instance_type: Text
    endpoint_instance_type: Text
    quality_metric: Text
    quality_threshold: Number
    auto_gluon_image_tag: Text
    alert_email: OptionalText


@dataclass(frozen=True)
class SparkInputs(Inputs):
    """What the root hands in where Preprocess runs on Spark."""

    spark_role: RoleName
    spark_security_group_id: SecurityGroupId
    spark_image_tag: Text


def for_spark(
    inputs: Inputs, role: RoleName, group: SecurityGroupId, image_tag: Text
) -> SparkInputs:
    """Return the inputs with what Preprocess then has of its own."""
    values = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return SparkInputs(
        **values,
        spark_role=role,
        spark_security_group_id=group,
        spark_image_tag=image_tag,
    )


@dataclass(frozen=True)
class Outputs:
    """The pipeline, and where failures are told."""

    pipeline_name: Text
    endpoint_name: Text
    topic_arn: TopicArn


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: training pipeline, model, alerts")
    kind = SparkInputs if on_spark(settings) else Inputs
    inputs = declare(kind, template)
    template.add_mapping(images.MAPPING_NAME, images.accounts(on_spark(settings)))
    around = surroundings(template, inputs, settings, mode)
    endpoint_logs = add(template, _endpoint_log_group(inputs, settings, mode))
    role_policies = add_all(template, _rights_of_roles(inputs, endpoint_logs))
    seed = _add_seeding(template, inputs, around)
    group = add(template, _model_package_group(inputs))
    pipeline = _add_pipeline(template, inputs, around, [*role_policies, group, seed])
    topic = _add_alerts(template, inputs, pipeline)
    outputs = Outputs(
        pipeline_name=Text(GetAtt(pipeline, "PipelineName")),
        endpoint_name=Text(inputs.unique_name.across_border()),
        topic_arn=TopicArn(topic.ref()),
    )
    publish(outputs, template)
    return StackTemplate("pipeline", template, kind, Outputs)


def _endpoint_log_group(inputs: Inputs, settings: Settings, mode: Mode) -> logs.LogGroup:
    """Return the group that SageMaker would make for the endpoint's log, without key and end."""
    return logs.LogGroup(
        "EndpointLogGroup",
        KmsKeyId=inputs.key_arn,
        LogGroupName=Sub(f"{jobs.ENDPOINT_LOGS}/${{Name}}", Name=inputs.unique_name),
        RetentionInDays=settings.storage.log_retention_days,
        **lifetime(mode),
    )


def _rights_of_roles(inputs: Inputs, endpoint_logs: logs.LogGroup) -> list[iam.RolePolicy]:
    """Return the rights of jobs, model and pipeline to their work.

    At deletion they go before the endpoint's log group: a late line would else make it anew.
    """
    data, key, name = inputs.data_bucket, inputs.key_arn, inputs.unique_name
    passed = [
        ("Processing", inputs.processing_role),
        ("Training", inputs.training_role),
        ("Model", inputs.model_role),
    ]
    statements = {
        "Processing": jobs.processing(data, key, [images.TRAINING]),
        "Training": jobs.training(data, key, [images.TRAINING]),
        "Model": jobs.model(data, key, [images.INFERENCE], name),
        "NotebookJobs": jobs.notebook_jobs(data, key, [images.TRAINING]),
    }
    if isinstance(inputs, SparkInputs):
        passed.append(("SparkProcessing", inputs.spark_role))
        statements["Processing"] = jobs.processing(data, key, [images.TRAINING], jobs.RESULTS)
        statements["SparkProcessing"] = jobs.processing(data, key, [images.SPARK], jobs.TABLES)
    statements["Pipeline"] = people.pipeline(name, data, key, passed, [images.INFERENCE])
    own = [("NotebookJobs", inputs.notebook_jobs_role), ("Pipeline", inputs.pipeline_role)]
    roles = dict([*passed, *own])
    policies = [
        role_policy(f"{purpose}Policy", roles[purpose], rules)
        for purpose, rules in statements.items()
    ]
    for policy in policies:
        policy.DependsOn = [endpoint_logs.title]
    return policies


def _add_seeding(template: Template, inputs: Inputs, around: FunctionContext) -> AWSObject:
    """Add the custom resource that puts a synthetic table where no table is yet.

    It would take its table back at deletion: where data stays, it is not told to.
    """
    plan = FunctionSpec(
        package="seed_data",
        description="Writes synthetic data for a first run, never over data of others",
        role=inputs.seed_data_role,
        rights=rights.seed_data(inputs.data_bucket, DATA_KEY, inputs.key_arn),
        timeout_seconds=SEEDING_SECONDS,
        memory_mb=SEEDING_MEMORY_MB,
    )
    values: dict[str, Expression] = {
        "bucket": inputs.data_bucket.across_border(),
        "key": DATA_KEY,
        "rows": inputs.rows.across_border(),
        "seed": inputs.seed.across_border(),
    }
    function = add_function(template, plan, around)
    seed = custom_resource(
        "SeedData", SeedDataProperties, values, function, attributes=lifetime(around.mode)
    )
    return add(template, seed)


def _model_package_group(inputs: Inputs) -> sagemaker.ModelPackageGroup:
    return sagemaker.ModelPackageGroup(
        "ModelPackageGroup",
        ModelPackageGroupDescription="Models that passed the pipeline's quality gate",
        ModelPackageGroupName=inputs.unique_name,
    )


def _add_pipeline(
    template: Template, inputs: Inputs, around: FunctionContext, needs: list[AWSObject]
) -> AWSObject:
    """Add the custom resource that owns the pipeline.

    It needs what a run needs, so that at deletion it goes first and stops the runs.
    """
    plan = FunctionSpec(
        package="pipeline_manager",
        description="Owns the pipeline; with the stack, removes what its runs made",
        role=inputs.pipeline_manager_role,
        rights=rights.pipeline_manager(
            inputs.data_bucket, inputs.key_arn, inputs.unique_name, inputs.pipeline_role
        ),
        timeout_seconds=MANAGING_SECONDS,
    )
    function: awslambda.Function = add_function(template, plan, around)
    resource = custom_resource(
        "Pipeline", PipelineProperties, _environment(inputs), function, needs
    )
    return add(template, resource)


def _environment(inputs: Inputs) -> Mapping[str, Expression]:
    """Return what the deployment decides about the pipeline, by the definition's names."""
    name = inputs.unique_name.across_border()
    return _spark_environment(inputs) | {
        "pipeline_name": name,
        "endpoint_name": name,
        "model_package_group": name,
        "bucket": inputs.data_bucket.across_border(),
        "key_arn": inputs.key_arn.across_border(),
        "pipeline_role_arn": role_arn(inputs.pipeline_role),
        "processing_role_arn": role_arn(inputs.processing_role),
        "training_role_arn": role_arn(inputs.training_role),
        "model_role_arn": role_arn(inputs.model_role),
        "subnet_ids": inputs.subnet_ids.across_border(),
        "security_group_ids": inputs.jobs_security_group_id.across_border(),
        "training_image": images.TRAINING.uri(inputs.auto_gluon_image_tag),
        "inference_image": images.INFERENCE.uri(inputs.auto_gluon_image_tag),
        "processing_instance_type": inputs.processing_instance_type.across_border(),
        "training_instance_type": inputs.training_instance_type.across_border(),
        "endpoint_instance_type": inputs.endpoint_instance_type.across_border(),
        "quality_metric": inputs.quality_metric.across_border(),
        "quality_threshold": inputs.quality_threshold.across_border(),
        "source_hash": package.source_hash(),
        "owner": Ref("AWS::StackId"),
    }


def _spark_environment(inputs: Inputs) -> dict[str, Expression]:
    """Return what Preprocess has of its own, where it runs on Spark."""
    if not isinstance(inputs, SparkInputs):
        return {}
    return {
        "spark_image": images.SPARK.uri(inputs.spark_image_tag),
        "spark_role_arn": role_arn(inputs.spark_role),
        "spark_security_group_ids": inputs.spark_security_group_id.across_border(),
    }


def _add_alerts(template: Template, inputs: Inputs, pipeline: AWSObject) -> sns.Topic:
    """Add the encrypted topic, the rule for failed runs, and the alarms."""
    template.add_condition(EMAIL_GIVEN, Not(Equals(inputs.alert_email, "")))
    topic = add(template, sns.Topic("AlertTopic", KmsMasterKeyId=inputs.key_arn))
    add(
        template,
        sns.TopicPolicy(
            "AlertTopicPolicy", PolicyDocument=topic_policy(topic.ref()), Topics=[topic.ref()]
        ),
    )
    add(
        template,
        sns.SubscriptionResource(
            "AlertEmailSubscription",
            Condition=EMAIL_GIVEN,
            Endpoint=inputs.alert_email,
            Protocol="email",
            TopicArn=topic.ref(),
        ),
    )
    add_all(template, [_failure_rule(inputs, pipeline, topic), _endpoint_rule(inputs, topic)])
    add_all(template, [_server_error_alarm(inputs, topic), _dead_letter_alarm(inputs, topic)])
    return topic


def _failure_rule(inputs: Inputs, pipeline: AWSObject, topic: sns.Topic) -> events.Rule:
    """Tell of failed runs; the event names the pipeline by ARN only.

    Source: SageMaker developer guide, "Events that SageMaker AI sends to Amazon EventBridge".
    """
    return events.Rule(
        "RunFailedRule",
        Description="Runs of the pipeline that failed, or whose model was refused",
        EventPattern={
            "source": ["aws.sagemaker"],
            "detail-type": [STATUS_CHANGE],
            "detail": {
                "currentPipelineExecutionStatus": [FAILED],
                "pipelineArn": [GetAtt(pipeline, "PipelineArn")],
            },
        },
        Name=failure_rule_name(inputs.unique_name),
        Targets=[_to_topic(inputs, topic)],
    )


def _endpoint_rule(inputs: Inputs, topic: sns.Topic) -> events.Rule:
    """Tell of an endpoint that failed, or whose update AWS rolls back, whoever started the run.

    Source: SageMaker developer guide, "SageMaker endpoint state change".
    """
    return events.Rule(
        "EndpointFailedRule",
        Description="The endpoint failed (python build.py endpoint repair), or went back",
        EventPattern={
            "source": ["aws.sagemaker"],
            "detail-type": [ENDPOINT_CHANGE],
            "detail": {
                "EndpointName": [inputs.unique_name],
                "EndpointStatus": list(ENDPOINT_FAILURES),
            },
        },
        Name=endpoint_rule_name(inputs.unique_name),
        Targets=[_to_topic(inputs, topic)],
    )


def _to_topic(inputs: Inputs, topic: sns.Topic) -> events.Target:
    return events.Target(
        Arn=topic.ref(),
        DeadLetterConfig=events.DeadLetterConfig(Arn=inputs.dead_letter_queue),
        Id="AlertTopic",
    )


def _server_error_alarm(inputs: Inputs, topic: sns.Topic) -> cloudwatch.Alarm:
    """Tell of an endpoint that answers 5xx: a broken model passes SageMaker's own health check."""
    dimensions = {"EndpointName": inputs.unique_name, "VariantName": VARIANT}
    return _alarm(
        "EndpointServerErrorAlarm",
        "The endpoint answers with server errors (5xx)",
        topic,
        "AWS/SageMaker",
        "Invocation5XXErrors",
        dimensions,
    )


def _dead_letter_alarm(inputs: Inputs, topic: sns.Topic) -> cloudwatch.Alarm:
    """Tell of events that a function or the topic did not take."""
    queue_name = {"QueueName": inputs.dead_letter_queue_name}
    return _alarm(
        "DeadLetterAlarm",
        "An event could not be handled; it waits in the dead-letter queue",
        topic,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        queue_name,
    )


def _alarm(
    title: str,
    description: str,
    topic: sns.Topic,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, object],
) -> cloudwatch.Alarm:
    return cloudwatch.Alarm(
        title,
        AlarmActions=[topic.ref()],
        AlarmDescription=description,
        ComparisonOperator="GreaterThanThreshold",
        Dimensions=[
            cloudwatch.MetricDimension(Name=name, Value=value) for name, value in dimensions.items()
        ],
        EvaluationPeriods=1,
        MetricName=metric,
        Namespace=namespace,
        Period=ALARM_SECONDS,
        Statistic="Sum",
        Threshold=0,
        TreatMissingData="notBreaching",
    )
