"""Endpoints that are paused and resumed on a schedule: the function, and what wakes it.

The function is told for which pipeline, and what to do, by the rule that wakes it. A third rule
tells it that the endpoint serves again, so that it forgets the pause. Sources: EventBridge user
guide, "Retry policies and using dead-letter queues", "Amazon EventBridge input transformation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from awacs.aws import Statement
from troposphere import AWSObject, Sub, Template, awslambda, events

from functions.pause_endpoint.properties import PAUSE, RESUME, RESUMED, PauseEndpointProperties
from generator import alerts
from generator.custom_resources import FunctionContext, FunctionSpec, add_function
from generator.policies.resources import PAUSING_RULES, named_rule_name
from generator.policies.statements import arn
from generator.settings_serving import Serving
from generator.wiring import Expression, FunctionArn, QueueArn, RoleName, UniqueName, add
from generator.woken import rule_input

TITLES: Final = {PAUSE: "PauseRule", RESUME: "ResumeRule", RESUMED: "ResumedRule"}
PAUSING_SECONDS: Final = 300
EVENT_SECONDS: Final = 3600
"""How long an event may wait for the function, its repetitions included."""
DELIVERY_SECONDS: Final = {PAUSE: 3600, RESUME: 43_200, RESUMED: 3600}
"""How long EventBridge tries to deliver an event. A late pause would end what people use in the
morning; a late resumption ends the harm."""
SERVES: Final = ("IN_SERVICE", "InService")
"""The status as in events and as in DescribeEndpoint: AWS's documents show both spellings."""


def add_pausing_function(
    template: Template,
    role: RoleName,
    permissions: Sequence[Statement],
    context: FunctionContext,
    rules: str,
    name: UniqueName,
) -> awslambda.Function:
    """Add the function; rules may invoke it whose names are ``rules`` and one of their words.

    ``rules`` is a pattern in which ``${Name}`` stands for ``name``, such as ``${Name}-*``.
    """
    spec = FunctionSpec(
        package="pause_endpoint",
        description="Pauses and resumes endpoints on a schedule",
        role=role,
        permissions=permissions,
        timeout_seconds=PAUSING_SECONDS,
        oldest_event_seconds=EVENT_SECONDS,
    )
    function = add_function(template, spec, context)
    for action, word in PAUSING_RULES.items():
        permission = awslambda.Permission(
            f"{TITLES[action]}Permission",
            Action="lambda:InvokeFunction",
            FunctionName=function.ref(),
            Principal="events.amazonaws.com",
            SourceAccount=Sub("${AWS::AccountId}"),
            SourceArn=arn("events", f"rule/{rules}-{word}", Name=name),
        )
        add(template, permission)
    return function


@dataclass(frozen=True)
class Context:
    """One pipeline, as the schedule of its endpoint sees it."""

    function: FunctionArn
    name: UniqueName
    """The name of the pipeline and its endpoint."""
    owner: Expression
    dead_letter_queue: QueueArn
    serving: Serving
    runs_deploy: bool


def add_pausing(template: Template, context: Context, pipeline: AWSObject) -> None:
    """Add the rules that wake the function for a pipeline.

    They are deleted before the pipeline, whose deletion removes what they had created.
    """
    detail = {"EndpointName": [context.name], "EndpointStatus": list(SERVES)}
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": [alerts.ENDPOINT_CHANGE],
        "detail": detail,
    }
    wakes: Mapping[str, tuple[str, dict[str, Any]]] = {
        PAUSE: ("Pauses the endpoint", {"ScheduleExpression": context.serving.pause}),
        RESUME: ("Resumes the endpoint", {"ScheduleExpression": context.serving.resume}),
        RESUMED: ("The endpoint serves: the pause is over", {"EventPattern": pattern}),
    }
    for action, (description, wake) in wakes.items():
        rule = events.Rule(
            TITLES[action],
            DependsOn=[pipeline.title],
            Description=description,
            Name=named_rule_name(context.name, PAUSING_RULES[action]),
            Targets=[_target(context, action)],
            **wake,
        )
        add(template, rule)


def _target(context: Context, action: str) -> events.Target:
    values: dict[str, Expression] = {
        "endpoint_name": context.name,
        "owner": context.owner,
        "action": action,
        "time": "<time>",
    }
    if context.runs_deploy:
        values["pipeline_name"] = context.name
    return events.Target(
        Arn=context.function.across_border(),
        DeadLetterConfig=events.DeadLetterConfig(Arn=context.dead_letter_queue),
        Id="PauseEndpoint",
        InputTransformer=events.InputTransformer(
            InputPathsMap={"time": "$.time"},
            InputTemplate=rule_input(PauseEndpointProperties, values),
        ),
        RetryPolicy=events.RetryPolicy(MaximumEventAgeInSeconds=DELIVERY_SECONDS[action]),
    )
