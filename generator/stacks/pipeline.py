"""The pipeline: permissions of its roles, synthetic data, the pipeline itself, and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from troposphere import (
    AWSObject,
    GetAtt,
    Ref,
    Template,
    awslambda,
    iam,
    logs,
)

from functions.pipeline_manager.properties import (
    PipelineProperties,
    PredictionPipelineProperties,
    TrialsProperties,
)
from functions.seed_data.properties import SeedDataProperties
from generator import alerts, dashboard, deployment, images, pausing, schedule, watcher
from generator.custom_resources import (
    FunctionContext,
    FunctionInputs,
    FunctionSpec,
    add_function,
    custom_resource,
    function_context,
)
from generator.pipeline_parts import (
    PREDICTIONS,
    SPARK_PROCESSING,
    TRIALS,
    endpoint_log_group,
    environment,
    model_package_group,
    predicting,
    step_permissions,
)
from generator.policies import approval, jobs, people
from generator.policies import functions as permissions
from generator.policies.pausing import pause_endpoint
from generator.policies.resources import (
    endpoint_rule_name,
    failure_rule_name,
    schedule_rule_name,
    success_rule_name,
)
from generator.policies.statements import arn, role_arn, role_policy
from generator.policies.watcher import Wants, watch_model
from generator.retention import retention
from generator.settings import (
    Mode,
    Settings,
    main_choices,
    main_is_watched,
    main_pipeline,
    on_spark,
    shares_pipelines,
)
from generator.settings_pipelines import awaits_new_data, instances, minutes_of, schedule_of
from generator.settings_serving import Serving
from generator.wiring import (
    BucketName,
    Expression,
    FunctionArn,
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
    present,
    publish,
)
from generator.woken import let_rules_invoke
from pipeline import layout
from pipeline.layout import CAPTURED, RAW, folder

DATA_KEY = "raw/data.csv"
SEEDING_SECONDS = 900
SEEDING_MEMORY_MB = 1024
"""For speed: Lambda allocates CPU in proportion to memory. A thousand rows need far less."""
MANAGING_SECONDS = 900
_SPARK = ("spark_role", "spark_security_group_id", "spark_image_tag")


@dataclass(frozen=True, kw_only=True)
class Inputs(FunctionInputs):
    """The inputs from the root."""

    unique_name: UniqueName
    dead_letter_queue_name: QueueName
    jobs_security_group_id: SecurityGroupId
    data_bucket: BucketName
    processing_role: RoleName
    training_role: RoleName
    model_role: RoleName
    pipeline_role: RoleName
    notebook_jobs_role: RoleName | None = None
    seed_data_role: RoleName
    pipeline_manager_role: RoleName
    deploy_model_role: RoleName | None = None
    """Exists if models are deployed on approval."""
    pause_endpoint_role: RoleName | None = None
    """Exists if the endpoint is paused on a schedule."""
    watch_model_role: RoleName | None = None
    """Exists if requests are checked, or new data awaited."""
    rows: Number
    seed: Number
    processing_instance_type: Text
    training_instance_type: Text
    endpoint_instance_type: Text
    quality_metric: Text
    quality_threshold: Number
    auto_gluon_image_tag: Text
    alert_email: OptionalText | None = None
    spark_role: RoleName | None = None
    spark_security_group_id: SecurityGroupId | None = None
    spark_image_tag: Text | None = None
    """The last three exist if Preprocess runs on Spark."""


@dataclass(frozen=True)
class Outputs:
    """The pipeline, its endpoint, and the topic for alerts."""

    pipeline_name: Text
    endpoint_name: Text
    topic_arn: TopicArn


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: training pipeline, model, alerts")
    chosen = main_choices(settings)
    inputs = declare(Inputs, template, _not_needed(settings))
    template.add_mapping(images.MAPPING_NAME, images.accounts(on_spark(settings)))
    context = function_context(template, inputs, settings, mode)
    endpoint_logs = add(
        template, endpoint_log_group(inputs.key_arn, inputs.unique_name, settings, mode)
    )
    role_policies = add_all(template, _role_permissions(inputs, endpoint_logs, settings))
    seed = _add_seeding(template, inputs, context)
    group = add(template, model_package_group(inputs.unique_name))
    values = {**_environment(inputs, settings)}
    manager = _add_manager(template, inputs, context)
    needs = [*role_policies, group, seed, *_add_end_of_scaling(template, inputs, settings)]
    pipeline = custom_resource("Pipeline", PipelineProperties, values, manager, needs)
    add(template, pipeline)
    beside = None
    if settings.pipeline.predictions:
        own = values | predicting(inputs.unique_name, chosen)
        beside = custom_resource(
            PREDICTIONS, PredictionPipelineProperties, own, manager, [pipeline]
        )
        add(template, beside)
    told = _alerts(inputs, settings)
    found = _add_alerts(template, inputs, told, pipeline)
    if inputs.deploy_model_role:
        own = values | {"trials": "true"}
        trials = add(template, custom_resource(TRIALS, TrialsProperties, own, manager, [pipeline]))
        deploying = deployment.Context(
            FunctionArn(GetAtt(_add_deploying_function(template, inputs, context), "Arn")),
            _deployment(inputs, chosen.serving),
            chosen.serving,
            told,
            found,
        )
        deployment.add_deployment(template, deploying, trials)
    if inputs.pause_endpoint_role:
        _add_pausing(template, inputs, context, inputs.pause_endpoint_role, pipeline)
    _add_schedule(template, inputs, pipeline, settings)
    if inputs.watch_model_role:
        watched = _watched(template, inputs, context, told, found.topic)
        checks = beside if chosen.watching.checks else None
        watcher.add_watcher(template, watched, settings.pipeline, pipeline, checks)
    outputs = Outputs(
        pipeline_name=Text(GetAtt(pipeline, "PipelineName")),
        endpoint_name=Text(inputs.unique_name.across_border()),
        topic_arn=found.topic,
    )
    publish(outputs, template)
    return StackTemplate("pipeline", template, Inputs, Outputs)


def _watched(
    template: Template,
    inputs: Inputs,
    context: FunctionContext,
    told: alerts.Context,
    topic: TopicArn,
) -> watcher.Context:
    """Add the function that watches for drift and new data; return the pipeline as it sees it."""
    settings, role = context.settings, present(inputs.watch_model_role)
    places = (folder(kind) for kind in (RAW, CAPTURED, layout.PREDICTIONS))
    return watcher.Context(
        _add_watching_function(template, inputs, context, role),
        watcher.Folders(inputs.data_bucket, *places),
        minutes_of(main_pipeline(settings), settings.pipeline),
        told,
        topic,
    )


def _not_needed(settings: Settings) -> list[str]:
    """Return the optional inputs that these settings do not need."""
    chosen = main_choices(settings)
    return [
        *([] if settings.studio.in_use else ["notebook_jobs_role"]),
        *(["alert_email"] if settings.security.alert_topic else []),
        *([] if on_spark(settings) else _SPARK),
        *([] if chosen.on_approval else ["deploy_model_role"]),
        *([] if chosen.serving.pauses else ["pause_endpoint_role"]),
        *([] if main_is_watched(settings) else ["watch_model_role"]),
    ]


def _role_permissions(
    inputs: Inputs, endpoint_logs: logs.LogGroup, settings: Settings
) -> list[iam.RolePolicy]:
    """Return the permissions of the jobs, the model and the pipeline.

    They are deleted before the endpoint's log group, which a late log line would otherwise
    recreate.
    """
    passed = [
        ("Processing", inputs.processing_role),
        ("Training", inputs.training_role),
        (people.MODEL, inputs.model_role),
        *([(SPARK_PROCESSING, inputs.spark_role)] if inputs.spark_role else []),
    ]
    statements = step_permissions(
        inputs,
        inputs.unique_name,
        main_choices(settings),
        passed,
        predicts=settings.pipeline.predictions,
    )
    roles = dict([*passed, ("Pipeline", inputs.pipeline_role)])
    if inputs.notebook_jobs_role:
        roles["NotebookJobs"] = inputs.notebook_jobs_role
        statements["NotebookJobs"] = jobs.notebook_jobs(
            inputs.data_bucket,
            inputs.key_arn,
            [images.TRAINING],
            several=shares_pipelines(settings),
            personal=settings.studio.personal_prefixes,
        )
    policies = [
        role_policy(f"{purpose}Policy", roles[purpose], rules)
        for purpose, rules in statements.items()
    ]
    for policy in policies:
        policy.DependsOn = [endpoint_logs.title]
    return policies


def _add_seeding(template: Template, inputs: Inputs, context: FunctionContext) -> AWSObject:
    """Add the custom resource that writes a synthetic table unless there is a table already.

    Deleting it deletes its table. It is retained where the data is.
    """
    spec = FunctionSpec(
        package="seed_data",
        description="Writes synthetic data for a first run; never overwrites other data",
        role=inputs.seed_data_role,
        permissions=permissions.seed_data(inputs.data_bucket, DATA_KEY, inputs.key_arn),
        timeout_seconds=SEEDING_SECONDS,
        memory_mb=SEEDING_MEMORY_MB,
    )
    values: dict[str, Expression] = {
        "bucket": inputs.data_bucket.across_border(),
        "key": DATA_KEY,
        "rows": inputs.rows.across_border(),
        "seed": inputs.seed.across_border(),
    }
    function = add_function(template, spec, context)
    seed = custom_resource(
        "SeedData", SeedDataProperties, values, function, attributes=retention(context.mode)
    )
    return add(template, seed)


def _add_manager(
    template: Template, inputs: Inputs, context: FunctionContext
) -> awslambda.Function:
    """Add the function behind the custom resources that own pipelines.

    A pipeline depends on everything that a run needs, so that it is deleted first and stops the
    runs.
    """
    managed = permissions.one_pipeline(inputs.unique_name, inputs.pipeline_role)
    spec = FunctionSpec(
        package="pipeline_manager",
        description="Manages the pipeline; at deletion, removes what its runs created",
        role=inputs.pipeline_manager_role,
        permissions=permissions.pipeline_manager(
            inputs.data_bucket,
            inputs.key_arn,
            managed,
            compares=main_choices(context.settings).serving.compares,
        ),
        timeout_seconds=MANAGING_SECONDS,
    )
    return add_function(template, spec, context)


def _add_end_of_scaling(
    template: Template, inputs: Inputs, settings: Settings
) -> list[iam.RolePolicy]:
    """Let the manager end the endpoint's scaling, if it scales.

    The policy is a resource of its own: an update without scaling deletes it after the manager has
    used it.
    """
    if not main_choices(settings).serving.scales:
        return []
    managed = permissions.one_pipeline(inputs.unique_name, inputs.pipeline_role)
    policy = role_policy(
        "EndScalingPolicy", inputs.pipeline_manager_role, approval.end_scaling(managed)
    )
    return [add(template, policy)]


def _environment(inputs: Inputs, settings: Settings) -> Mapping[str, Expression]:
    """Return the deployment's values for the pipeline, by the names in the definition."""
    entry = main_pipeline(settings)
    own = {"label_column": entry.label, "problem_type": entry.problem}
    chosen = {field: value for field, value in own.items() if value is not None}
    spark = _spark_environment(inputs, instances(entry, settings.pipeline))
    return (
        environment(inputs, inputs.unique_name, main_choices(settings))
        | spark
        | chosen
        | {
            "pipeline_role_arn": role_arn(inputs.pipeline_role),
            "processing_role_arn": role_arn(inputs.processing_role),
            "training_role_arn": role_arn(inputs.training_role),
            "model_role_arn": role_arn(inputs.model_role),
            "security_group_ids": inputs.jobs_security_group_id.across_border(),
            "owner": Ref("AWS::StackId"),
        }
    )


def _spark_environment(inputs: Inputs, instances: int) -> dict[str, Expression]:
    """Return the values that only Preprocess on Spark has."""
    if not (inputs.spark_role and inputs.spark_security_group_id and inputs.spark_image_tag):
        return {}
    return {
        "spark_image": images.SPARK.uri(inputs.spark_image_tag),
        "spark_role_arn": role_arn(inputs.spark_role),
        "spark_security_group_ids": inputs.spark_security_group_id.across_border(),
        "spark_instances": str(instances),
    }


def _add_deploying_function(
    template: Template, inputs: Inputs, context: FunctionContext
) -> awslambda.Function:
    """Add the function that deploys models on approval, which only its rules wake."""
    role = present(inputs.deploy_model_role)
    managed = permissions.one_pipeline(inputs.unique_name, inputs.model_role)
    alarms = [approval.endpoint_alarms()]
    allowed = approval.deploy_model(
        managed,
        inputs.data_bucket,
        inputs.key_arn,
        alarms,
        [main_choices(context.settings).serving],
    )
    function = deployment.add_deploying_function(template, role, allowed, context)
    rules = arn("events", "rule/${Name}-*", Name=inputs.unique_name)
    add(template, let_rules_invoke(function, rules))
    return function


def _add_watching_function(
    template: Template, inputs: Inputs, context: FunctionContext, role: RoleName
) -> FunctionArn:
    """Add the function that checks requests and starts runs, which only its rules wake."""
    settings = context.settings
    wants = Wants(
        new_data=awaits_new_data(main_pipeline(settings), settings.pipeline),
        drift=bool(main_choices(settings).watching.drift_hours),
        quality=bool(main_choices(settings).watching.quality_days),
        on_drift=settings.pipeline.on_drift,
    )
    managed = permissions.one_pipeline(inputs.unique_name, inputs.pipeline_role)
    allowed = watch_model(managed, inputs.data_bucket, inputs.key_arn, wants)
    rules = arn("events", "rule/${Name}-*", Name=inputs.unique_name)
    function = watcher.add_watching_function(template, role, allowed, context, rules)
    return FunctionArn(GetAtt(function, "Arn"))


def _deployment(inputs: Inputs, serving: Serving) -> dict[str, Expression]:
    """Return what the function needs that deploys models on approval."""
    values: dict[str, Expression] = {
        "owner": Ref("AWS::StackId"),
        "model_role_arn": role_arn(inputs.model_role),
        "subnet_ids": inputs.subnet_ids.across_border(),
        "security_group_ids": inputs.jobs_security_group_id.across_border(),
        "key_arn": inputs.key_arn.across_border(),
    }
    return values | deployment.places(serving, inputs.data_bucket, folder)


def _add_pausing(
    template: Template,
    inputs: Inputs,
    context: FunctionContext,
    role: RoleName,
    pipeline: AWSObject,
) -> None:
    """Add what pauses and resumes the endpoint."""
    name, chosen = inputs.unique_name, main_choices(context.settings)
    managed = permissions.one_pipeline(name, inputs.model_role)
    allowed = pause_endpoint(managed, inputs.key_arn, runs_deploy=chosen.deploys)
    function = pausing.add_pausing_function(template, role, allowed, context, "${Name}", name)
    scheduled = pausing.Context(
        FunctionArn(GetAtt(function, "Arn")),
        name,
        Ref("AWS::StackId"),
        inputs.dead_letter_queue,
        chosen.serving,
        chosen.deploys,
    )
    pausing.add_pausing(template, scheduled, pipeline)


def _add_schedule(
    template: Template, inputs: Inputs, pipeline: AWSObject, settings: Settings
) -> None:
    """Add what starts runs, if there is a schedule."""
    expression = schedule_of(main_pipeline(settings), settings.pipeline)
    if not expression:
        return
    context = schedule.Context(
        schedule_rule_name(inputs.unique_name),
        expression,
        inputs.dead_letter_queue,
        settings.security.permissions_boundary,
    )
    schedule.add_schedule(template, context, pipeline)


def _alerts(inputs: Inputs, settings: Settings) -> alerts.Context:
    name = inputs.unique_name
    success = success_rule_name(name) if settings.pipeline.success_messages else None
    rules = alerts.RuleNames(failure_rule_name(name), endpoint_rule_name(name), success)
    return alerts.Context(
        name,
        inputs.key_arn,
        inputs.dead_letter_queue,
        inputs.alert_email,
        rules,
        inputs.quality_threshold,
        main_choices(settings),
        topic=settings.security.alert_topic,
    )


def _add_alerts(
    template: Template, inputs: Inputs, told: alerts.Context, pipeline: AWSObject
) -> alerts.Alerts:
    """Add what reports runs and watches the endpoint, the shared queue's alarm, and a topic."""
    found = alerts.add_alerts(template, told, pipeline)
    queue, watching = inputs.dead_letter_queue_name, told.chosen.watching
    dead_letters = add(template, alerts.dead_letter_alarm(queue, found.topic))
    if watching.dashboard:
        shown = dashboard.Context(
            told.name,
            queue,
            latency_milliseconds=watching.latency_milliseconds,
            asynchronous=told.chosen.serving.asynchronous,
        )
        dashboard.add_dashboard(template, shown, [*found.alarms, dead_letters])
    return found
