"""Roles, the key, and the queue for undeliverable events.

The policies of the key and the buckets name roles, and the permissions of roles name buckets. The
roles are therefore created first, and each gets its permissions in the stack that uses it. The
permissions that AWS needs before and after that (to check the role, encrypt volumes, remove network
interfaces) are granted here, because this stack is created first and deleted last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from awacs.aws import Statement
from troposphere import GetAtt, Ref, Sub, Tags, Template, iam, kms, sqs

from generator.policies.functions import every_function, function_in_the_vpc
from generator.policies.jobs import from_first_to_last
from generator.policies.resources import (
    DEPLOYING_RULES,
    DRIFT_RULES,
    NAMED_SCHEDULE,
    NAMED_SUCCESS,
    PAUSING_RULES,
    RUN_SCHEDULE,
    RUN_SUCCEEDED,
    WATCH_TICK,
    dead_letter_policy,
    key_policy,
)
from generator.policies.statements import (
    bare_role,
    managed_policy,
    trust_flow_logs,
    trust_lambda,
    trust_pipelines,
    trust_sagemaker,
)
from generator.retention import deleted_with_stack, retention
from generator.settings import (
    Mode,
    Settings,
    any_asynchronous,
    any_named_is_scheduled,
    main_choices,
    main_is_scheduled,
    main_is_watched,
    named_are_watched,
    named_choices,
    on_spark,
    shares_pipelines,
)
from generator.settings_choices import Choices
from generator.settings_people import Persona
from generator.stacks import personas
from generator.wiring import (
    Expression,
    KeyArn,
    QueueArn,
    QueueName,
    RoleList,
    RoleName,
    RootStackName,
    StackTemplate,
    UniqueName,
    add,
    add_all,
    declare,
    publish,
)

WATCHES = "that checks for drift and starts runs"
DAYS_UNTIL_KEY_IS_DELETED = {Mode.DEV: 7, Mode.PROD: 30}
MESSAGE_SECONDS = 14 * 24 * 3600
"""SQS's longest retention ("SetQueueAttributes")."""


@dataclass(frozen=True)
class Inputs:
    """The inputs from the root."""

    unique_name: UniqueName
    root_stack: RootStackName


@dataclass(frozen=True, kw_only=True)
class RoleNames:
    """The roles by purpose; one principal and one purpose each.

    Preprocess has its own role if it runs on Spark; otherwise it is an isolated processing job like
    any other. There is no role for flow logs in an existing VPC, whose owner decides on them.
    People's roles exist only with Studio; the function that clears Studio has one if profiles in it
    are the stack's.
    """

    processing_role: RoleName
    preprocess_role: RoleName
    training_role: RoleName
    model_role: RoleName
    pipeline_role: RoleName
    studio_role: RoleName | None = None
    notebook_jobs_role: RoleName | None = None
    flow_logs_role: RoleName | None = None
    vpc_baseline_role: RoleName
    empty_bucket_role: RoleName
    clear_studio_role: RoleName | None = None
    seed_data_role: RoleName
    pipeline_manager_role: RoleName
    deploy_model_role: RoleName | None = None
    """Exists if models of ``main`` are deployed on approval."""
    named_manager_role: RoleName | None = None
    """Exists if there are pipelines besides ``main``."""
    deploy_named_model_role: RoleName | None = None
    """Exists if those of any other pipeline are."""
    pause_endpoint_role: RoleName | None = None
    """Exists if the endpoint of ``main`` is paused on a schedule."""
    pause_named_endpoint_role: RoleName | None = None
    """Exists if that of any other pipeline is."""
    watch_model_role: RoleName | None = None
    watch_named_model_role: RoleName | None = None
    """Exist if requests are checked, or new data awaited, of ``main`` or of the others."""


@dataclass(frozen=True, kw_only=True)
class Outputs(RoleNames):
    """The roles' names, the key and the queue."""

    key_arn: KeyArn
    dead_letter_queue: QueueArn
    dead_letter_queue_name: QueueName
    persona_roles: RoleList | None = None
    """Exist if somebody is something else than a data scientist."""


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: roles, key, queue")
    inputs = declare(Inputs, template)
    roles = _add_roles(template, inputs, settings)
    key = KeyArn(settings.security.key or _add_key(template, inputs, roles, settings, mode))
    persona_roles: list[Expression] = [
        _add_persona_role(template, persona, settings) for persona in personas.of(settings)
    ]
    queue = add(template, _queue(key, inputs.root_stack))
    add(template, _queue_policy(inputs, queue, settings))
    tracing = settings.functions.tracing
    add_all(template, _lasting_permissions(roles, key, queue, tracing))
    outputs = Outputs(
        **{field.name: getattr(roles, field.name) for field in fields(RoleNames)},
        key_arn=key,
        dead_letter_queue=QueueArn(GetAtt(queue, "Arn")),
        dead_letter_queue_name=QueueName(GetAtt(queue, "QueueName")),
        persona_roles=RoleList(persona_roles) if persona_roles else None,
    )
    publish(outputs, template)
    return StackTemplate("security", template, Inputs, Outputs)


def _add_roles(template: Template, inputs: Inputs, settings: Settings) -> RoleNames:
    """Add the roles for SageMaker's jobs, for people, for flow logs and for our functions."""

    def role(title: str, description: str, trust: Statement) -> RoleName:
        bare = bare_role(title, description, trust, settings.security.permissions_boundary)
        return RoleName(add(template, bare).ref())

    jobs = trust_sagemaker("processing-job/*")
    ours = not settings.network.is_existing
    spark, studio = on_spark(settings), settings.studio
    purpose = "Evaluate" if spark else "Preprocess and evaluate"
    processing = role("ProcessingRole", purpose, jobs)
    preprocess = processing
    if spark:
        preprocess = role("SparkProcessingRole", "Preprocess on Spark", jobs)
    return RoleNames(
        processing_role=processing,
        preprocess_role=preprocess,
        training_role=role("TrainingRole", "Train", trust_sagemaker("training-job/*")),
        model_role=role("ModelRole", "Serve the model", trust_sagemaker("*")),
        pipeline_role=role(
            "PipelineRole",
            "Run the pipeline's steps",
            trust_pipelines(inputs.unique_name, predicts=settings.pipeline.predictions),
        ),
        studio_role=role("StudioRole", "People in Studio", trust_sagemaker("*"))
        if studio.in_use
        else None,
        notebook_jobs_role=role(
            "NotebookJobsRole",
            "Jobs that people start from notebooks",
            trust_sagemaker("processing-job/*", "training-job/*"),
        )
        if studio.in_use
        else None,
        flow_logs_role=role("FlowLogsRole", "Write the VPC's flow logs", trust_flow_logs())
        if ours
        else None,
        **_function_roles(template, settings),
    )


def _function_roles(template: Template, settings: Settings) -> dict[str, RoleName]:
    """Add the roles of our functions; return them by their fields in ``RoleNames``."""
    ours, several = not settings.network.is_existing, shares_pipelines(settings)
    main, named = main_choices(settings), named_choices(settings)
    functions = {
        "VpcBaseline": "that closes the default security group"
        if ours
        else "that finds the S3 prefix list",
        "EmptyBucket": "that empties buckets",
        **({"ClearStudio": "that deletes Studio's apps"} if settings.studio.everyone else {}),
        "SeedData": "that writes the synthetic table",
        "PipelineManager": "that owns the pipeline",
        **({"DeployModel": "that deploys approved models"} if main.on_approval else {}),
        **({"NamedPipelinesManager": "that owns the named pipelines"} if several else {}),
        **(
            {"DeployNamedModel": "that deploys approved models of named pipelines"}
            if any(one.on_approval for one in named)
            else {}
        ),
        **(
            {"PauseEndpoint": "that pauses and resumes the endpoint"} if main.serving.pauses else {}
        ),
        **(
            {"PauseNamedEndpoint": "that pauses and resumes the endpoints of named pipelines"}
            if any(one.serving.pauses for one in named)
            else {}
        ),
        **({"WatchModel": WATCHES} if main_is_watched(settings) else {}),
        **(
            {"WatchNamedModel": f"{WATCHES} of named pipelines"}
            if named_are_watched(settings)
            else {}
        ),
    }
    boundary = settings.security.permissions_boundary
    roles = {}
    for title, function in functions.items():
        role = bare_role(f"{title}Role", f"Function {function}", trust_lambda(), boundary)
        roles[_FIELDS[title]] = RoleName(add(template, role).ref())
    return roles


_FIELDS: Final = {
    "VpcBaseline": "vpc_baseline_role",
    "EmptyBucket": "empty_bucket_role",
    "ClearStudio": "clear_studio_role",
    "SeedData": "seed_data_role",
    "PipelineManager": "pipeline_manager_role",
    "DeployModel": "deploy_model_role",
    "NamedPipelinesManager": "named_manager_role",
    "DeployNamedModel": "deploy_named_model_role",
    "PauseEndpoint": "pause_endpoint_role",
    "PauseNamedEndpoint": "pause_named_endpoint_role",
    "WatchModel": "watch_model_role",
    "WatchNamedModel": "watch_named_model_role",
}


def _add_persona_role(template: Template, persona: Persona, settings: Settings) -> Ref:
    """Add the role that everybody with a persona shares; return its name."""
    title, description = personas.TITLES[persona]
    boundary = settings.security.permissions_boundary
    return add(template, bare_role(title, description, trust_sagemaker("*"), boundary)).ref()


def _lasting_permissions(
    roles: RoleNames, key: KeyArn, queue: sqs.Queue, tracing: bool
) -> list[iam.ManagedPolicy]:
    """Return the permissions that roles need for as long as they exist."""
    jobs = _existing(
        roles.processing_role, roles.training_role, roles.notebook_jobs_role, roles.model_role
    )
    if roles.preprocess_role is not roles.processing_role:
        jobs.append(roles.preprocess_role)
    inside = _existing(
        roles.empty_bucket_role,
        roles.clear_studio_role,
        roles.seed_data_role,
        roles.pipeline_manager_role,
        roles.deploy_model_role,
        roles.named_manager_role,
        roles.deploy_named_model_role,
        roles.pause_endpoint_role,
        roles.pause_named_endpoint_role,
        roles.watch_model_role,
        roles.watch_named_model_role,
    )
    dead_letters = QueueArn(GetAtt(queue, "Arn"))
    return [
        managed_policy(
            "JobsLastingPolicy",
            "What SageMaker does with the role of a job or model, until its last interface is gone",
            jobs,
            from_first_to_last(key),
        ),
        managed_policy(
            "FunctionsLastingPolicy",
            "What Lambda does with the role of every function",
            [roles.vpc_baseline_role, *inside],
            every_function(dead_letters, key, tracing),
        ),
        managed_policy(
            "FunctionsInTheVpcLastingPolicy",
            "What Lambda does with a role of a function in the VPC, until its interfaces are gone",
            inside,
            function_in_the_vpc(),
        ),
    ]


def _existing(*roles: RoleName | None) -> list[RoleName]:
    return [role for role in roles if role is not None]


def _add_key(
    template: Template, inputs: Inputs, roles: RoleNames, settings: Settings, mode: Mode
) -> GetAtt:
    """Add the key and its alias; return its ARN."""
    key = add(template, _key(inputs, roles, settings, mode))
    add(template, _alias(inputs, key))
    return GetAtt(key, "Arn")


def _key(inputs: Inputs, roles: RoleNames, settings: Settings, mode: Mode) -> kms.Key:
    """Return the key; its policy names the roles that use it other than through S3 or Logs.

    Those two services use the key for every caller whose own policy allows it.
    """
    through_s3_and_logs = ("flow_logs_role", "model_role", "pipeline_role", "studio_role")
    users = {
        id(role): role
        for field in fields(RoleNames)
        if field.name not in through_s3_and_logs
        for role in _existing(getattr(roles, field.name))
    }.values()
    return kms.Key(
        "Key",
        Description=Sub("Data, models, disks, logs, alerts of ${Name}", Name=inputs.unique_name),
        EnableKeyRotation=True,
        KeyPolicy=key_policy(
            inputs.root_stack,
            inputs.unique_name,
            list(users),
            settings.security.break_glass,
            several=shares_pipelines(settings),
            domain=settings.studio.owns_domain,
            alarms=not settings.security.alert_topic,
            results=any_asynchronous(settings),
        ),
        PendingWindowInDays=DAYS_UNTIL_KEY_IS_DELETED[mode],
        **retention(mode),
    )


def _alias(inputs: Inputs, key: kms.Key) -> kms.Alias:
    return kms.Alias(
        "KeyAlias",
        AliasName=Sub("alias/${Name}", Name=inputs.unique_name),
        TargetKeyId=key.ref(),
    )


def _queue(key: KeyArn, root_stack: RootStackName) -> sqs.Queue:
    """Return the queue for events that a function or an EventBridge target did not process."""
    return sqs.Queue(
        "DeadLetterQueue",
        KmsMasterKeyId=key,
        MessageRetentionPeriod=MESSAGE_SECONDS,
        Tags=Tags(Name=Sub("${Stack}-dead-letters", Stack=root_stack)),
        **deleted_with_stack(),
    )


def _rules_of_choices(chosen: Sequence[Choices]) -> list[str]:
    """Return the last words of the names of rules that any of these choices adds."""
    return [
        *(DEPLOYING_RULES if any(one.on_approval for one in chosen) else ()),
        *(PAUSING_RULES.values() if any(one.serving.pauses for one in chosen) else ()),
        *(DRIFT_RULES if any(one.watching.checks for one in chosen) else ()),
    ]


def _queue_policy(inputs: Inputs, queue: sqs.Queue, settings: Settings) -> sqs.QueuePolicy:
    succeeds = settings.pipeline.success_messages
    more = [
        *([RUN_SUCCEEDED] if succeeds else []),
        *([RUN_SCHEDULE] if main_is_scheduled(settings) else []),
        *([WATCH_TICK] if main_is_watched(settings) else []),
        *_rules_of_choices([main_choices(settings)]),
    ]
    more_named = [
        *([NAMED_SUCCESS] if succeeds else []),
        *([NAMED_SCHEDULE] if any_named_is_scheduled(settings) else []),
        *([WATCH_TICK] if named_are_watched(settings) else []),
        *_rules_of_choices(named_choices(settings)),
    ]
    return sqs.QueuePolicy(
        "DeadLetterQueuePolicy",
        Queues=[queue.ref()],
        PolicyDocument=dead_letter_policy(
            GetAtt(queue, "Arn"),
            inputs.unique_name,
            several=shares_pipelines(settings),
            more=more,
            more_named=more_named,
        ),
    )
