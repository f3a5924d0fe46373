"""The schedule of one pipeline: a rule that starts runs with the default parameters, and its role.

Source: SageMaker developer guide, "Schedule Pipeline Runs".
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import AWSObject, Equals, GetAtt, Not, Template, events, iam

from generator.policies import schedule
from generator.policies.statements import bare_role, role_policy
from generator.wiring import Expression, OptionalText, QueueArn, RoleName, add

SCHEDULE_GIVEN = "ScheduleIsGiven"


@dataclass(frozen=True)
class Context:
    """One pipeline, as its schedule sees it."""

    rule_name: Expression
    expression: str | OptionalText
    """An expression, or a parameter that is empty if this pipeline has no schedule."""
    dead_letter_queue: QueueArn
    boundary: str


def add_schedule(template: Template, context: Context, pipeline: AWSObject) -> None:
    """Add the rule and its role; the rule is deleted before the pipeline, which it names."""
    arn = GetAtt(pipeline, "PipelineArn")
    role = bare_role(
        "ScheduleRole",
        "Start the pipeline on its schedule",
        schedule.trust_rule(context.rule_name),
        context.boundary,
    )
    policy = role_policy("SchedulePolicy", RoleName(role.ref()), schedule.start(arn))
    resources = (role, policy, _rule(context, arn, role, policy))
    if isinstance(context.expression, OptionalText):
        template.add_condition(SCHEDULE_GIVEN, Not(Equals(context.expression, "")))
    for one in resources:
        if isinstance(context.expression, OptionalText):
            one.Condition = SCHEDULE_GIVEN
        add(template, one)


def _rule(
    context: Context, pipeline_arn: GetAtt, role: iam.Role, policy: iam.RolePolicy
) -> events.Rule:
    target = events.Target(
        Arn=pipeline_arn,
        DeadLetterConfig=events.DeadLetterConfig(Arn=context.dead_letter_queue),
        Id="Pipeline",
        RoleArn=GetAtt(role, "Arn"),
    )
    return events.Rule(
        "RunScheduleRule",
        DependsOn=[policy.title],
        Description="Starts a run of the pipeline with its default parameters",
        Name=context.rule_name,
        ScheduleExpression=context.expression,
        Targets=[target],
    )
