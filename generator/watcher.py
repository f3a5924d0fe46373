"""The function that checks requests and starts runs for new data or drift, and what wakes it.

The function is told for which pipeline by the rule that wakes it, as the one that deploys models
(``generator.deployment``). It looks at what there is and does what is due, whatever woke it.
Source: SageMaker developer guide, "Events that SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from awacs.aws import Statement
from troposphere import AWSObject, Equals, GetAtt, Not, Sub, Template, awslambda, events

from functions.watch_model.properties import WatchModelProperties
from generator import alerts
from generator.custom_resources import FunctionContext, FunctionSpec, add_function
from generator.policies.resources import DRIFT_RULES, WATCH_TICK, named_rule_name
from generator.policies.watcher import TABLE
from generator.settings_pipelines import PipelineSettings
from generator.wiring import BucketName, Expression, FunctionArn, Number, RoleName, TopicArn, add
from generator.woken import let_rules_invoke, rule_input
from pipeline.layout import LABELS
from pipeline.prediction import SUFFIX

NEW_DATA_AWAITED: Final = "NewDataIsAwaited"
WATCHING_SECONDS: Final = 120
TICK: Final = "rate(5 minutes)"
SUCCEEDED: Final = "Succeeded"
_CHECKED, _FAILED = DRIFT_RULES
_RUN: Final = {"run": "$.detail.pipelineExecutionArn"}


def add_watching_function(
    template: Template,
    role: RoleName,
    permissions: Sequence[Statement],
    context: FunctionContext,
    rules: Sub,
) -> awslambda.Function:
    """Add the function, and let rules whose ARN matches invoke it."""
    spec = FunctionSpec(
        package="watch_model",
        description="Checks captured requests, and starts runs for new data or drift",
        role=role,
        permissions=permissions,
        timeout_seconds=WATCHING_SECONDS,
    )
    function = add_function(template, spec, context)
    add(template, let_rules_invoke(function, rules))
    return function


@dataclass(frozen=True)
class Folders:
    """Where one pipeline keeps what the function looks at; prefixes end with a slash."""

    bucket: BucketName
    raw: Expression
    captured: Expression
    predictions: Expression


@dataclass(frozen=True)
class Context:
    """One pipeline, as the function sees it."""

    function: FunctionArn
    folders: Folders
    new_data_minutes: str | Number
    """0 if a new table starts no run; a parameter if pipelines share the template."""
    told: alerts.Context
    """Whom alerts tell, and the pipeline's name."""
    topic: TopicArn


def add_watcher(
    template: Template,
    context: Context,
    settings: PipelineSettings,
    pipeline: AWSObject,
    predictions: AWSObject | None,
) -> None:
    """Add the rules that wake the function, and the one that tells of a check that failed.

    They are deleted before the pipelines, whose deletion stops what the function started: that of
    predictions depends on the other one.
    """
    target = events.Target(
        Arn=context.function.across_border(),
        DeadLetterConfig=events.DeadLetterConfig(Arn=context.told.dead_letter_queue),
        Id="WatchModel",
        Input=rule_input(WatchModelProperties, _values(context, settings)),
    )

    def rule(title: str, word: str, description: str, target: events.Target, wakes: Any) -> None:
        made = events.Rule(
            title,
            Description=description,
            Name=named_rule_name(context.told.name, word),
            Targets=[target],
            **wakes,
        )
        if isinstance(context.new_data_minutes, Number) and predictions is None:
            template.add_condition(NEW_DATA_AWAITED, Not(Equals(context.new_data_minutes, "0")))
            made.Condition = NEW_DATA_AWAITED
        add(template, made)

    last = pipeline if predictions is None else predictions
    tick = {"ScheduleExpression": TICK, "DependsOn": [last.title]}
    rule("WatchTickRule", WATCH_TICK, "Has new data and drift looked for", target, tick)
    if predictions is not None:
        ended = {"EventPattern": _ended(predictions, SUCCEEDED)}
        rule("DriftCheckedRule", _CHECKED, "A check of requests has ended", target, ended)
        told = alerts.to_topic(context.told, context.topic, alerts.CHECK_FAILED, _RUN)
        failed = {"EventPattern": _ended(predictions, alerts.FAILED)}
        description = "A check of requests or a batch prediction failed"
        rule("DriftCheckFailedRule", _FAILED, description, told, failed)


def _ended(predictions: AWSObject, status: str) -> dict[str, object]:
    """Return the pattern of the events of executions of the pipeline of predictions."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": [alerts.STATUS_CHANGE],
        "detail": {
            "currentPipelineExecutionStatus": [status],
            "pipelineArn": [GetAtt(predictions, "PipelineArn")],
        },
    }


def _values(context: Context, settings: PipelineSettings) -> dict[str, Expression]:
    """Return the function's properties by field; it is told only what it is asked for."""
    folders, name = context.folders, context.told.name
    values: dict[str, Expression] = {
        "pipeline_name": name.across_border(),
        "bucket": folders.bucket.across_border(),
    }
    minutes = context.new_data_minutes
    if minutes != "0":
        values["table_key"] = _in(folders.raw, TABLE)
        values["new_data_minutes"] = (
            minutes if isinstance(minutes, str) else minutes.across_border()
        )
    watching = context.told.chosen.watching
    if watching.checks:
        values |= {
            "endpoint_name": name.across_border(),
            "predictions_pipeline": Sub(f"${{Name}}{SUFFIX}", Name=name),
            "capture_prefix": folders.captured,
            "predictions_prefix": folders.predictions,
        }
    if hours := watching.drift_hours:
        values["drift_hours"] = str(hours)
    if days := watching.quality_days:
        values |= {"quality_days": str(days), "labels_prefix": _in(folders.raw, LABELS)}
    if hours and settings.on_drift:
        values["drift_cooldown_hours"] = str(settings.drift_cooldown_hours)
    return values


def _in(folder: Expression, name: str) -> Expression:
    return (
        f"{folder}{name}" if isinstance(folder, str) else Sub(f"${{Folder}}{name}", Folder=folder)
    )
