"""The role by which EventBridge starts the runs of one pipeline, and nothing else."""

from __future__ import annotations

from awacs import sagemaker, sts
from awacs.aws import Allow, ArnEquals, Condition, Principal, Statement, StringEquals
from troposphere import Ref

from generator.policies.statements import allow, arn
from generator.wiring import Expression


def trust_rule(rule_name: Expression) -> Statement:
    """Trust EventBridge, but only on behalf of one rule in this account and region.

    Source: EventBridge user guide, "Cross-service confused deputy prevention in Amazon
    EventBridge".
    """
    return Statement(
        Effect=Allow,
        Principal=Principal("Service", "events.amazonaws.com"),
        Action=[sts.AssumeRole],
        Condition=Condition(
            [
                StringEquals("aws:SourceAccount", Ref("AWS::AccountId")),
                ArnEquals("aws:SourceArn", arn("events", "rule/${Rule}", Rule=rule_name)),
            ]
        ),
    )


def start(pipeline_arn: Expression) -> list[Statement]:
    """Start runs of one pipeline, which run with the pipeline's own role.

    Source: SageMaker developer guide, "Schedule Pipeline Runs".
    """
    return [allow("StartRuns", [sagemaker.StartPipelineExecution], [pipeline_arn])]
