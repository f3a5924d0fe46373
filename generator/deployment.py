"""The deployment of approved models: the function that does it, and what wakes it.

The function is told for which pipeline by the rule that wakes it, whose target has the pipeline's
values as its input. It looks at what there is and does the next step, whatever woke it: events may
come twice, late or not at all, and a tick makes up for those that are lost. Source: SageMaker
developer guide, "Events that SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from awacs.aws import Statement
from troposphere import AWSObject, Join, Ref, Sub, Template, awslambda, events, sns

from functions.deploy_model.properties import DeployModelProperties
from functions.shared.names import trial_name
from generator import alerts
from generator.custom_resources import FunctionContext, FunctionSpec, add_function
from generator.policies.jobs import RESULT_TOPICS
from generator.policies.resources import named_rule_name, results_policy
from generator.settings_serving import Serving
from generator.wiring import BucketName, Expression, FunctionArn, RoleName, UniqueName, add
from generator.woken import rule_input
from pipeline import layout
from pipeline.definition import CHAMPION_ARCHIVE

TITLES: Final = {"approval": "ApprovalRule", "endpoint": "EndpointChangeRule", "tick": "TickRule"}
DEPLOYING_SECONDS: Final = 300
TICK: Final = "rate(5 minutes)"
VERSION_CHANGE: Final = "SageMaker Model Package State Change"
ENDPOINT_CHANGES: Final = (
    alerts.ENDPOINT_CHANGE,
    "SageMaker Endpoint Deployment State Change",
)
TOPICS: Final = dict(zip(RESULT_TOPICS, ("answered_topic", "failed_topic"), strict=True))
"""Topics of an asynchronous endpoint, and the function's property of each."""
WAITS: Final = "PendingManualApproval"
TOLD: Final = (WAITS, "Rejected")
REVIEW: Final = (
    "Version <version> of the model in <group> is <status>. If it waits for approval: `python "
    "build.py models{option}` shows it beside the one that serves, and `python build.py "
    "approve{option} <version>` deploys it. If it was rejected, `models` shows why."
)


def add_deploying_function(
    template: Template, role: RoleName, permissions: Sequence[Statement], context: FunctionContext
) -> awslambda.Function:
    """Add the function; what lets rules invoke it is ``woken.let_rules_invoke``."""
    spec = FunctionSpec(
        package="deploy_model",
        description="Tries and deploys models that somebody approved",
        role=role,
        permissions=permissions,
        timeout_seconds=DEPLOYING_SECONDS,
    )
    return add_function(template, spec, context)


@dataclass(frozen=True)
class Context:
    """One pipeline, as the deployment of its models sees it."""

    function: FunctionArn
    values: Mapping[str, Expression]
    """Values of ``DeployModelProperties`` by field: roles, network, key, owner."""
    serving: Serving
    told: alerts.Context
    """Whom alerts tell."""
    made: alerts.Alerts
    """The topic, and the alarms that take requests back during a deployment."""

    @property
    def name(self) -> UniqueName:
        """The name of the pipeline, its endpoint and its model package group."""
        return self.told.name


def add_deployment(template: Template, context: Context, trials: AWSObject) -> None:
    """Add the rules that wake the function for a pipeline, and the one that tells people.

    They are deleted before ``trials``, whose deletion removes the trial endpoint, and that before
    the pipeline, whose deletion removes the rest of what the function made.
    """
    topics = TOPICS if context.serving.asynchronous else {}
    made = {field: _add_topic(template, context, what) for what, field in topics.items()}
    target = events.Target(
        Arn=context.function.across_border(),
        DeadLetterConfig=events.DeadLetterConfig(Arn=context.told.dead_letter_queue),
        Id="DeployModel",
        Input=_input(context, made),
    )
    versions = {"ModelPackageGroupName": [context.name]}
    changes = {"EndpointName": [context.name, Sub(trial_name("${Name}"), Name=context.name)]}
    patterns: dict[str, dict[str, Any]] = {
        "approval": {"EventPattern": _pattern([VERSION_CHANGE], versions)},
        "endpoint": {"EventPattern": _pattern(ENDPOINT_CHANGES, changes)},
        "tick": {"ScheduleExpression": TICK},
    }
    for what, wakes in patterns.items():
        rule = events.Rule(
            TITLES[what],
            DependsOn=[trials.title],
            Description=f"Wakes the deployment of approved models: {what}",
            Name=named_rule_name(context.name, what),
            Targets=[target],
            **wakes,
        )
        add(template, rule)
    add(template, _review_rule(context))


def _add_topic(template: Template, context: Context, what: str) -> Ref:
    """Add a topic to which the role of models publishes; whoever needs it subscribes."""
    title = f"{what.capitalize()}Topic"
    topic = sns.Topic(
        title,
        KmsMasterKeyId=context.told.key_arn,
        TopicName=Sub(f"${{Name}}-{what}", Name=context.name),
    )
    reference = add(template, topic).ref()
    policy = sns.TopicPolicy(
        f"{title}Policy", PolicyDocument=results_policy(reference), Topics=[reference]
    )
    add(template, policy)
    return reference


def _pattern(kinds: Sequence[str], detail: Mapping[str, object]) -> dict[str, object]:
    return {"source": ["aws.sagemaker"], "detail-type": list(kinds), "detail": dict(detail)}


def _input(context: Context, topics: Mapping[str, Ref]) -> Sub:
    """Return the function's properties as JSON text."""
    serving = context.serving
    values: dict[str, Expression] = {
        **context.values,
        "endpoint_name": context.name,
        "model_package_group": context.name,
        "instances": str(serving.instances),
        "shift": str(serving.shift),
        "step_percent": str(serving.step_percent),
        "bake_minutes": str(serving.bake_minutes),
        "deadline_hours": str(serving.deadline_hours),
        "alarms": Join(",", [alarm.ref() for alarm in context.made.of_bad_models]),
    }
    if serving.captures:
        values["capture_percent"] = str(serving.capture_percent)
    if serving.scales:
        values["maximum_instances"] = str(serving.most_instances)
    if serving.asynchronous:
        values |= {"target_backlog": str(serving.target_backlog), **topics}
    elif serving.scales:
        values["target_invocations"] = str(serving.target_invocations)
    return rule_input(DeployModelProperties, values)


def _review_rule(context: Context) -> events.Rule:
    """Return the rule that tells of a version that waits for approval, or was rejected."""
    paths = {
        "version": "$.detail.ModelPackageVersion",
        "group": "$.detail.ModelPackageGroupName",
        "status": "$.detail.ModelApprovalStatus",
    }
    detail = {"ModelPackageGroupName": [context.name], "ModelApprovalStatus": list(TOLD)}
    return events.Rule(
        "ReviewRule",
        Description="A version waits for approval, or was rejected",
        EventPattern=_pattern([VERSION_CHANGE], detail),
        Name=named_rule_name(context.name, "review"),
        Targets=[alerts.to_topic(context.told, context.made.topic, REVIEW, paths)],
    )


def places(
    serving: Serving, bucket: BucketName, at: Callable[[str], Expression]
) -> dict[str, Expression]:
    """Return the function's properties about places in the bucket; ``at`` says where a kind is."""
    wanted = {
        "models_uri": (layout.MODELS, ""),
        **({"capture_uri": (layout.CAPTURED, "")} if serving.captures else {}),
        **({"asynchronous_uri": (layout.ASYNCHRONOUS, "")} if serving.asynchronous else {}),
        **({"champion_uri": (layout.CHAMPION, CHAMPION_ARCHIVE)} if serving.compares else {}),
    }
    return {field: uri(bucket, at(kind), name) for field, (kind, name) in wanted.items()}


def uri(bucket: Expression, folder: Expression, name: str = "") -> Sub:
    """Return the URI of a folder in the bucket, or of an object in it."""
    return Sub(f"s3://${{Bucket}}/${{Folder}}{name}", Bucket=bucket, Folder=folder)
