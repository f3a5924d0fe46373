"""A pipeline besides ``main``: its roles, security group, pipeline, model registry and alerts.

All of them have this template, and one with Spark, each nested once for every pipeline with other
parameters. Pipelines with choices of their own (how they are deployed, served or watched) have
another template, which those with equal choices share. Nothing else names a pipeline: the policies
that all share match its roles by their path and its resources by the beginning of their names.

The security group depends on the roles. It is therefore deleted before them, and EC2 refuses that
while an interface of a job or of the endpoint exists: the roles outlive the interfaces, which
SageMaker deletes with their permissions (``generator.policies.jobs.from_first_to_last``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from awacs.aws import Statement
from troposphere import AWSObject, GetAtt, Sub, Template, ec2, iam, logs

from functions.pipeline_manager.properties import (
    PipelineProperties,
    PredictionPipelineProperties,
    TrialsProperties,
)
from generator import alerts, dashboard, deployment, images, pausing, schedule, watcher
from generator.custom_resources import shared_custom_resource
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
from generator.policies import people
from generator.policies.guards import Cluster, NetworkBoundary, keep_jobs_inside
from generator.policies.resources import NAMED_SCHEDULE, NAMED_SUCCESS, named_rule_name
from generator.policies.statements import (
    JOBS,
    STEPS,
    bare_role,
    managed_policy,
    role_path,
    role_policy,
    trust_pipelines,
    trust_sagemaker,
)
from generator.settings import (
    Mode,
    Settings,
    any_named_is_scheduled,
    named_await_new_data,
)
from generator.settings_choices import Choices
from generator.settings_serving import Serving
from generator.stacks.existing_network import endpoint_groups, has_own_endpoints
from generator.stacks.manager import ANSWERING_SECONDS
from generator.stacks.network_parts import (
    among_themselves,
    group_id,
    security_group,
    ways_out,
)
from generator.wiring import (
    BucketName,
    Expression,
    FunctionArn,
    KeyArn,
    Number,
    OptionalText,
    PolicyArn,
    QueueArn,
    QueueName,
    RoleArn,
    RoleName,
    SecurityGroupId,
    StackTemplate,
    SubnetIds,
    Text,
    TopicArn,
    UniqueName,
    VpcId,
    add,
    add_all,
    declare,
    publish,
)
from pipeline import layout
from pipeline.layout import CAPTURED, CODE, RAW, folder, named

FILE = "named-pipeline"
SPARK_FILE = "named-pipeline-spark"
OF = "-of-"
"""Stands before a pipeline's name in the file name of a template that not all of them share."""
_SPARK = ("spark_image_tag", "spark_instances")
_ENDPOINTS = ("endpoints_security_group_id",)


@dataclass(frozen=True)
class Inputs:
    """The inputs from the root."""

    unique_name: UniqueName
    entry_name: Text
    """The pipeline's name in the settings."""
    pipeline_name: UniqueName
    """Both names, joined: the pipeline's, its endpoint's and its model package group's."""
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    vpc_id: VpcId
    subnet_ids: SubnetIds
    s3_prefix_list_id: Text
    data_bucket: BucketName
    manager_function_arn: FunctionArn
    jobs_lasting_policy: PolicyArn
    spending_limits_policy: PolicyArn
    label_column: Text
    problem_type: Text
    processing_instance_type: Text
    training_instance_type: Text
    endpoint_instance_type: Text
    quality_metric: Text
    quality_threshold: Number
    auto_gluon_image_tag: Text
    deploy_model_function_arn: FunctionArn | None = None
    """Exists if models are deployed on approval."""
    pause_endpoint_function_arn: FunctionArn | None = None
    """Exists if the endpoint is paused on a schedule."""
    watch_model_function_arn: FunctionArn | None = None
    """Exists if requests are checked, or new data awaited."""
    new_data_minutes: Number | None = None
    """Exists if any of these pipelines awaits new data; 0 for the others."""
    alert_email: OptionalText | None = None
    """Exists unless there is a topic for all alerts."""
    endpoints_security_group_id: SecurityGroupId | None = None
    """That of our own endpoints; a foreign VPC may have none of them."""
    dead_letter_queue_name: QueueName | None = None
    """Exists if the pipelines have dashboards."""
    schedule: OptionalText | None = None
    """Exists if any of these pipelines has a schedule; empty for the others."""
    spark_image_tag: Text | None = None
    spark_instances: Number | None = None
    """Both exist if Preprocess runs on Spark."""


@dataclass(frozen=True)
class Outputs:
    """The pipeline, whose name its endpoint and group have too, and the topic for alerts."""

    pipeline_name: Text
    topic_arn: TopicArn


@dataclass(frozen=True)
class _Roles:
    """The roles of one pipeline, one for each purpose; ``spark`` prepares tables on a cluster."""

    processing: iam.Role
    training: iam.Role
    model: iam.Role
    pipeline: iam.Role
    spark: iam.Role | None

    @property
    def passed(self) -> dict[str, iam.Role]:
        """The roles that the pipeline passes to its jobs and its model, by purpose."""
        found = {"Processing": self.processing, "Training": self.training, people.MODEL: self.model}
        return found | ({SPARK_PROCESSING: self.spark} if self.spark else {})

    @property
    def all(self) -> list[iam.Role]:
        return [*self.passed.values(), self.pipeline]


def build(
    settings: Settings, mode: Mode, chosen: Choices, name: str, *, spark: bool
) -> StackTemplate[Inputs, Outputs]:
    """Return the stack of a pipeline whose Preprocess runs on one machine, or on ``spark``.

    ``name`` is that of the first pipeline with these choices.
    """
    template = Template(Description=f"{settings.project}: a named pipeline, its roles, its alerts")
    inputs = declare(Inputs, template, _not_needed(settings, chosen, spark=spark))
    template.add_mapping(images.MAPPING_NAME, images.accounts(spark))
    roles = _add_roles(template, inputs, settings, spark)
    group, cluster = _add_groups(template, inputs, roles, settings)
    guard = add(template, _guard(inputs, roles, group, cluster))
    logs_of_endpoint = endpoint_log_group(inputs.key_arn, inputs.pipeline_name, settings, mode)
    endpoint_logs = add(template, logs_of_endpoint)
    permissions = _permissions(inputs, roles, endpoint_logs, guard, chosen, settings)
    policies = add_all(template, permissions)
    registry = add(template, model_package_group(inputs.pipeline_name))
    values = _environment(inputs, roles, group, chosen)
    values |= _spark_environment(inputs, roles, cluster)
    needs = [*policies, guard, registry]
    pipeline = _managed("Pipeline", PipelineProperties, values, inputs, needs)
    add(template, pipeline)
    checked = None
    if settings.pipeline.predictions:
        own = values | predicting(inputs.pipeline_name, chosen)
        predictions = _managed(PREDICTIONS, PredictionPipelineProperties, own, inputs, [pipeline])
        add(template, predictions)
        checked = predictions if chosen.watching.checks else None
    told = _alerts(inputs, chosen, settings)
    found = _add_alerts(template, inputs, told, pipeline)
    if function := inputs.deploy_model_function_arn:
        deploying = _deployment(inputs, roles, group, chosen.serving)
        context = deployment.Context(function, deploying, chosen.serving, told, found)
        own = values | {"trials": "true"}
        trials = add(template, _managed(TRIALS, TrialsProperties, own, inputs, [pipeline]))
        deployment.add_deployment(template, context, trials)
    if inputs.pause_endpoint_function_arn:
        scheduled = _pausing(inputs, inputs.pause_endpoint_function_arn, chosen)
        pausing.add_pausing(template, scheduled, pipeline)
    if inputs.schedule is not None:
        schedule.add_schedule(template, _schedule(inputs, inputs.schedule, settings), pipeline)
    if function := inputs.watch_model_function_arn:
        watched = _watched(inputs, function, told, found.topic)
        watcher.add_watcher(template, watched, settings.pipeline, pipeline, checked)
    outputs = Outputs(pipeline_name=Text(GetAtt(pipeline, "PipelineName")), topic_arn=found.topic)
    publish(outputs, template)
    file = SPARK_FILE if spark else FILE
    if chosen != settings.usual_choices:
        file = f"{FILE}{OF}{name}"
    return StackTemplate(file, template, Inputs, Outputs)


def _not_needed(settings: Settings, chosen: Choices, *, spark: bool) -> list[str]:
    """Return the optional inputs that these settings do not need."""
    return [
        *(() if spark else _SPARK),
        *(() if has_own_endpoints(settings.network) else _ENDPOINTS),
        *(() if any_named_is_scheduled(settings) else ("schedule",)),
        *(("alert_email",) if settings.security.alert_topic else ()),
        *(() if chosen.on_approval else ("deploy_model_function_arn",)),
        *(() if chosen.serving.pauses else ("pause_endpoint_function_arn",)),
        *(() if chosen.watching.dashboard else ("dead_letter_queue_name",)),
        *(() if is_watched(settings, chosen) else ("watch_model_function_arn",)),
        *(() if named_await_new_data(settings) else ("new_data_minutes",)),
    ]


def is_watched(settings: Settings, chosen: Choices) -> bool:
    """Tell whether a named pipeline with these choices has rules that look for drift or data."""
    return chosen.watching.checks or named_await_new_data(settings)


def _managed(
    title: str,
    properties: type[object],
    values: Mapping[str, Expression],
    inputs: Inputs,
    needs: Sequence[AWSObject],
) -> AWSObject:
    """Return a custom resource of the function that owns all named pipelines."""
    manager = inputs.manager_function_arn
    return shared_custom_resource(title, properties, values, manager, ANSWERING_SECONDS, needs)


def _watched(
    inputs: Inputs, function: FunctionArn, told: alerts.Context, topic: TopicArn
) -> watcher.Context:
    """Return the pipeline as what watches for drift and new data sees it."""
    places = (_folder(inputs, kind) for kind in (RAW, CAPTURED, layout.PREDICTIONS))
    folders = watcher.Folders(inputs.data_bucket, *places)
    return watcher.Context(function, folders, inputs.new_data_minutes or "0", told, topic)


def _add_roles(template: Template, inputs: Inputs, settings: Settings, spark: bool) -> _Roles:
    """Add the roles; every role of a job or model can finish its work as long as it exists."""

    def role(
        title: str, description: str, use: str, trust: Statement, policy: PolicyArn
    ) -> iam.Role:
        bare = bare_role(title, description, trust, settings.security.permissions_boundary)
        bare.Path = Sub(role_path(use), Name=inputs.unique_name)
        bare.ManagedPolicyArns = [policy]
        return add(template, bare)

    lasting, limits = inputs.jobs_lasting_policy, inputs.spending_limits_policy
    job = trust_sagemaker("processing-job/*")
    purpose = "Evaluate" if spark else "Preprocess and evaluate"
    return _Roles(
        processing=role("ProcessingRole", purpose, JOBS, job, lasting),
        spark=role("SparkProcessingRole", "Preprocess on Spark", JOBS, job, lasting)
        if spark
        else None,
        training=role("TrainingRole", "Train", JOBS, trust_sagemaker("training-job/*"), lasting),
        model=role("ModelRole", "Serve the model", STEPS, trust_sagemaker("*"), lasting),
        pipeline=role(
            "PipelineRole",
            "Run the pipeline's steps",
            STEPS,
            trust_pipelines(inputs.pipeline_name, predicts=settings.pipeline.predictions),
            limits,
        ),
    )


def _add_groups(
    template: Template, inputs: Inputs, roles: _Roles, settings: Settings
) -> tuple[ec2.SecurityGroup, ec2.SecurityGroup | None]:
    """Add the security groups of the jobs and the model, and of the cluster, if there is one."""
    vpc, owner = inputs.vpc_id, inputs.pipeline_name if settings.network.is_existing else None
    group = security_group("Jobs", "SageMaker jobs and models", vpc, owner)
    cluster = security_group("Spark", "Instances of a Spark cluster", vpc, owner)
    groups = [group, cluster] if roles.spark else [group]
    for one in groups:
        one.DependsOn = [role.title for role in roles.all]
        add(template, one)
    reached = endpoint_groups(settings.network, inputs.endpoints_security_group_id)
    add_all(template, ways_out(groups, reached, inputs.s3_prefix_list_id))
    if not roles.spark:
        return group, None
    add_all(template, among_themselves(cluster))
    return group, cluster


def _guard(
    inputs: Inputs,
    roles: _Roles,
    group: ec2.SecurityGroup,
    cluster: ec2.SecurityGroup | None,
) -> iam.ManagedPolicy:
    """Return the policy that keeps the pipeline's jobs behind its own security group."""
    own = Cluster(group_id(cluster), _arn(roles.pipeline)) if cluster else None
    boundary = NetworkBoundary(inputs.subnet_ids, group_id(group), inputs.key_arn, own)
    return managed_policy(
        "JobsStayInsidePolicy",
        "No job or model outside the VPC, without our key, unisolated, or with plain traffic",
        [RoleName(roles.pipeline.ref())],
        keep_jobs_inside(boundary),
    )


def _arn(role: iam.Role) -> RoleArn:
    return RoleArn(GetAtt(role, "Arn"))


def _permissions(
    inputs: Inputs,
    roles: _Roles,
    endpoint_logs: logs.LogGroup,
    guard: iam.ManagedPolicy,
    chosen: Choices,
    settings: Settings,
) -> list[iam.RolePolicy]:
    """Return the permissions of the jobs, the model and the pipeline, on its own data only.

    The guard is in force before them. They are deleted before the endpoint's log group, which a
    late log line would otherwise recreate.
    """

    def at(kind: str) -> Expression:
        return folder(CODE) if kind == CODE else _folder(inputs, kind)

    passed = [(purpose, _arn(role)) for purpose, role in roles.passed.items()]
    predicts = settings.pipeline.predictions
    name = inputs.pipeline_name
    statements = step_permissions(inputs, name, chosen, passed, at, predicts=predicts)
    owners = roles.passed | {"Pipeline": roles.pipeline}
    policies = [
        role_policy(f"{purpose}Policy", RoleName(owners[purpose].ref()), rules)
        for purpose, rules in statements.items()
    ]
    for policy in policies:
        policy.DependsOn = [endpoint_logs.title, guard.title]
    return policies


def _folder(inputs: Inputs, kind: str) -> Sub:
    """Return the prefix of one kind of the pipeline's data."""
    return Sub(f"{named(kind)}${{Entry}}/", Entry=inputs.entry_name)


def _owner(inputs: Inputs) -> Sub:
    """Return the owner of what runs make.

    Not the stack's id, which would keep the manager's permissions from being a pattern.
    """
    return Sub("${Unique}/${Entry}", Unique=inputs.unique_name, Entry=inputs.entry_name)


def _deployment(
    inputs: Inputs, roles: _Roles, group: ec2.SecurityGroup, serving: Serving
) -> dict[str, Expression]:
    """Return what the function needs that deploys models on approval."""
    values: dict[str, Expression] = {
        "owner": _owner(inputs),
        "model_role_arn": GetAtt(roles.model, "Arn"),
        "subnet_ids": inputs.subnet_ids.across_border(),
        "security_group_ids": group_id(group).across_border(),
        "key_arn": inputs.key_arn.across_border(),
    }
    at = partial(_folder, inputs)
    return values | deployment.places(serving, inputs.data_bucket, at)


def _pausing(inputs: Inputs, function: FunctionArn, chosen: Choices) -> pausing.Context:
    return pausing.Context(
        function,
        inputs.pipeline_name,
        _owner(inputs),
        inputs.dead_letter_queue,
        chosen.serving,
        chosen.deploys,
    )


def _environment(
    inputs: Inputs, roles: _Roles, group: ec2.SecurityGroup, chosen: Choices
) -> dict[str, Expression]:
    """Return the deployment's values for the pipeline, by the names in the definition."""
    return environment(inputs, inputs.pipeline_name, chosen) | {
        "name": inputs.entry_name.across_border(),
        "pipeline_role_arn": GetAtt(roles.pipeline, "Arn"),
        "processing_role_arn": GetAtt(roles.processing, "Arn"),
        "training_role_arn": GetAtt(roles.training, "Arn"),
        "model_role_arn": GetAtt(roles.model, "Arn"),
        "security_group_ids": group_id(group).across_border(),
        "label_column": inputs.label_column.across_border(),
        "problem_type": inputs.problem_type.across_border(),
        "owner": _owner(inputs),
    }


def _spark_environment(
    inputs: Inputs, roles: _Roles, cluster: ec2.SecurityGroup | None
) -> dict[str, Expression]:
    """Return the values that only Preprocess on Spark has."""
    if not (cluster and roles.spark and inputs.spark_image_tag and inputs.spark_instances):
        return {}
    return {
        "spark_image": images.SPARK.uri(inputs.spark_image_tag),
        "spark_role_arn": GetAtt(roles.spark, "Arn"),
        "spark_security_group_ids": group_id(cluster).across_border(),
        "spark_instances": inputs.spark_instances.across_border(),
    }


def _add_alerts(
    template: Template, inputs: Inputs, told: alerts.Context, pipeline: AWSObject
) -> alerts.Alerts:
    """Add what reports runs and watches the endpoint, and a topic unless one exists."""
    found = alerts.add_alerts(template, told, pipeline)
    if inputs.dead_letter_queue_name is not None:
        context = dashboard.Context(
            inputs.pipeline_name,
            inputs.dead_letter_queue_name,
            inputs.entry_name,
            told.chosen.watching.latency_milliseconds,
            told.chosen.serving.asynchronous,
        )
        dashboard.add_dashboard(template, context, found.alarms)
    return found


def _alerts(inputs: Inputs, chosen: Choices, settings: Settings) -> alerts.Context:
    name = inputs.pipeline_name
    return alerts.Context(
        name,
        inputs.key_arn,
        inputs.dead_letter_queue,
        inputs.alert_email,
        alerts.RuleNames(
            run=named_rule_name(name, "run"),
            endpoint=named_rule_name(name, "end"),
            success=named_rule_name(name, NAMED_SUCCESS)
            if settings.pipeline.success_messages
            else None,
        ),
        inputs.quality_threshold,
        chosen,
        inputs.entry_name,
        settings.security.alert_topic,
    )


def _schedule(inputs: Inputs, expression: OptionalText, settings: Settings) -> schedule.Context:
    return schedule.Context(
        named_rule_name(inputs.pipeline_name, NAMED_SCHEDULE),
        expression,
        inputs.dead_letter_queue,
        settings.security.permissions_boundary,
    )
