"""Alerts of one pipeline: an encrypted topic, rules for failed runs and endpoints, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from troposphere import AWSObject, Equals, GetAtt, Not, Ref, Sub, Template, cloudwatch, events, sns

from generator import watching
from generator.policies.resources import topic_policy
from generator.settings_choices import Choices
from generator.wiring import (
    Expression,
    KeyArn,
    Number,
    OptionalText,
    QueueArn,
    QueueName,
    Text,
    TopicArn,
    UniqueName,
    add,
    add_all,
)

EMAIL_GIVEN = "AlertEmailIsGiven"
_OPTION = "{option}"
FAILED = "Failed"
SUCCEEDED = "Succeeded"
STATUS_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
_RUN = {"run": "$.detail.pipelineExecutionArn"}
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
ENDPOINT_FAILURES = (
    "FAILED",
    "Failed",
    "ROLLING_BACK",
    "RollingBack",
    "UPDATE_ROLLBACK_FAILED",
    "UpdateRollbackFailed",
)
"""Each status as in events and as in DescribeEndpoint: AWS's documents show both spellings."""
ENDPOINT_FAILED = (
    "The endpoint <endpoint> is <status>. If it failed, it cannot be updated and every later run "
    "fails: run `python build.py endpoint repair{option}`, which deletes it; the next run "
    "recreates it. If it is rolling back, it continues to serve the previous model. "
    "`python build.py logs{option} --source endpoint` shows why."
)
RUN_FAILED = (
    "A run of the pipeline failed, or its model did not pass the quality gate. "
    "`python build.py run{option} --follow <run>` shows the reason and what to do."
)
RUN_SUCCEEDED = (
    "A run of the pipeline succeeded: its model passed the quality gate. "
    "`python build.py history{option} <run>` shows its metrics, and "
    "`python build.py status{option}` which model the endpoint serves, if there is an endpoint."
)
ENDPOINT_IS_SLOW = (
    "The model takes longer than {milliseconds} milliseconds for more than 1 of 100 requests (p99 "
    "of ModelLatency), in 3 of the last 5 minutes. `python build.py logs{option} --source "
    "endpoint` shows its log; a larger EndpointInstanceType of the next run may help."
)
ENDPOINT_IS_IDLE = (
    "The endpoint got no request in {hours} hours, and costs as much as a busy one. "
    "`python build.py endpoint pause{option}` deletes it; `python build.py endpoint "
    "resume{option}` creates it again, with the same model."
)
DRIFT_FOUND = (
    "In at least one column, the requests that the newest drift check read differ from the "
    "training data of the model that serves. `aws sagemaker list-pipeline-executions "
    "--pipeline-name ${Name}-predict` names the columns in the check's description. If clients "
    "send something wrong, correct that; if the world has changed, replace the table that runs "
    "read, then `python build.py run{option}`."
)
QUALITY_IS_LOW = (
    "By the labels that have come, the answers of the endpoint that the newest quality check "
    "measured are worse than the quality gate permits a new model to be. `aws sagemaker "
    "list-pipeline-executions --pipeline-name ${Name}-predict` shows the metric and the day in "
    "the check's description and name. If the labels are right, replace the table that runs read "
    "by one with newer rows, then `python build.py run{option}`."
)
CHECK_FAILED = (
    "A check of requests or a batch prediction failed: <run>. `aws sagemaker "
    "list-pipeline-execution-steps --pipeline-execution-arn <run>` shows why. The next check comes "
    "when it is due; its alarm keeps its state until then."
)
DEPLOYMENT_WAITS = (
    "The function that deploys approved models waits for a person. `python build.py logs{option} "
    "--source functions` shows why, and `python build.py models{option}` which version waits."
)
ALARM_SECONDS = 300


@dataclass(frozen=True)
class RuleNames:
    """The names of the rules, which the queue's policy matches."""

    run: Expression
    endpoint: Expression
    success: Expression | None = None
    """None if nobody is told of runs that succeeded."""


@dataclass(frozen=True)
class Context:
    """One pipeline, as its alerts see it."""

    name: UniqueName
    """The name of the pipeline and its endpoint."""
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    alert_email: OptionalText | None
    """None if the topic exists, whose owner decides who is told."""
    rules: RuleNames
    quality_threshold: Number
    """The quality gate's minimum, below which answers are reported if they are measured."""
    chosen: Choices
    """How its models are deployed, served and watched, which decides on its alarms."""
    entry: Text | None = None
    """The pipeline's name in the settings, if commands need it."""
    topic: str = ""
    """ARN of a topic that exists; empty: the pipeline gets its own."""


@dataclass(frozen=True)
class Alerts:
    """The topic, and the alarms of one pipeline's endpoint."""

    topic: TopicArn
    server_errors: cloudwatch.Alarm
    latency: cloudwatch.Alarm | None = None
    idle: cloudwatch.Alarm | None = None
    drift: cloudwatch.Alarm | None = None
    quality: cloudwatch.Alarm | None = None
    complaint: cloudwatch.Alarm | None = None
    """The last five exist if the settings choose them."""

    @property
    def alarms(self) -> list[cloudwatch.Alarm]:
        """Return all alarms."""
        found = (
            *(self.server_errors, self.latency, self.idle, self.drift, self.quality),
            self.complaint,
        )
        return [alarm for alarm in found if alarm is not None]

    @property
    def of_bad_models(self) -> list[cloudwatch.Alarm]:
        """Return the alarms that a bad model raises: errors, and if there, latency."""
        return [one for one in (self.server_errors, self.latency) if one is not None]


def add_alerts(template: Template, context: Context, pipeline: AWSObject) -> Alerts:
    """Add the rules, the endpoint's alarms, and a topic unless there is one."""
    topic = TopicArn(context.topic or _add_topic(template, context))
    add_all(template, [_failure_rule(context, pipeline, topic), _endpoint_rule(context, topic)])
    if context.rules.success is not None:
        add(template, _success_rule(context, pipeline, topic, context.rules.success))
    found = Alerts(
        topic,
        _server_error_alarm(context, topic),
        _latency_alarm(context, topic),
        _idle_alarm(context, topic),
        _drift_alarm(context, topic),
        _quality_alarm(context, topic),
        _complaint_alarm(context, topic),
    )
    add_all(template, found.alarms)
    return found


def _add_topic(template: Template, context: Context) -> Ref:
    """Add the encrypted topic with its policy and, if there is an address, its subscription."""
    template.add_condition(EMAIL_GIVEN, Not(Equals(context.alert_email, "")))
    topic = add(template, sns.Topic("AlertTopic", KmsMasterKeyId=context.key_arn))
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
            Endpoint=context.alert_email,
            Protocol="email",
            TopicArn=topic.ref(),
        ),
    )
    return topic.ref()


def _failure_rule(context: Context, pipeline: AWSObject, topic: TopicArn) -> events.Rule:
    """Return the rule for failed runs; the event identifies the pipeline only by its ARN.

    Source: SageMaker developer guide, "Events that SageMaker AI sends to Amazon EventBridge".
    """
    return events.Rule(
        "RunFailedRule",
        Description="A run of the pipeline failed, or its model was rejected",
        EventPattern=_run_pattern(pipeline, FAILED),
        Name=context.rules.run,
        Targets=[to_topic(context, topic, RUN_FAILED, _RUN)],
    )


def _success_rule(
    context: Context, pipeline: AWSObject, topic: TopicArn, name: Expression
) -> events.Rule:
    """Return the rule for runs that succeeded."""
    return events.Rule(
        "RunSucceededRule",
        Description="A run of the pipeline succeeded",
        EventPattern=_run_pattern(pipeline, SUCCEEDED),
        Name=name,
        Targets=[to_topic(context, topic, RUN_SUCCEEDED, _RUN)],
    )


def _run_pattern(pipeline: AWSObject, status: str) -> dict[str, object]:
    """Return the pattern of the events of a run's last status."""
    return {
        "source": ["aws.sagemaker"],
        "detail-type": [STATUS_CHANGE],
        "detail": {
            "currentPipelineExecutionStatus": [status],
            "pipelineArn": [GetAtt(pipeline, "PipelineArn")],
        },
    }


def _endpoint_rule(context: Context, topic: TopicArn) -> events.Rule:
    """Return the rule for an endpoint that failed or whose update AWS rolls back.

    Source: SageMaker developer guide, "SageMaker endpoint state change".
    """
    paths = {"endpoint": "$.detail.EndpointName", "status": "$.detail.EndpointStatus"}
    return events.Rule(
        "EndpointFailedRule",
        Description="The endpoint failed (python build.py endpoint repair), or was rolled back",
        EventPattern={
            "source": ["aws.sagemaker"],
            "detail-type": [ENDPOINT_CHANGE],
            "detail": {
                "EndpointName": [context.name],
                "EndpointStatus": list(ENDPOINT_FAILURES),
            },
        },
        Name=context.rules.endpoint,
        Targets=[to_topic(context, topic, ENDPOINT_FAILED, paths)],
    )


def to_topic(
    context: Context, topic: TopicArn, text: str, paths: Mapping[str, str]
) -> events.Target:
    """Send a sentence that says what to do, and the event as it came.

    ``paths`` are the event's fields for the ``<...>`` in ``text``. Source: EventBridge user guide,
    "Amazon EventBridge input transformation".
    """
    content = f'{{"alert": "{text}", "event": <aws.events.event.json>}}'
    transformer = events.InputTransformer(
        InputPathsMap=dict(paths), InputTemplate=_filled(content, context)
    )
    return events.Target(
        Arn=topic,
        DeadLetterConfig=events.DeadLetterConfig(Arn=context.dead_letter_queue),
        Id="AlertTopic",
        InputTransformer=transformer,
    )


def _filled(text: str, context: Context) -> Expression:
    """Return a text with the pipeline's name in SageMaker, if it asks for it.

    ``_OPTION`` in it becomes the option that names the pipeline, if commands need one.
    """
    values: dict[str, Expression] = {}
    if "${Name}" in text:
        values["Name"] = context.name.across_border()
    if context.entry is not None and _OPTION in text:
        values["Entry"] = context.entry
    text = text.replace(_OPTION, " --pipeline ${Entry}" if "Entry" in values else "")
    return Sub(text, values) if values else text


def _server_error_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm:
    """Return the alarm for 5xx responses: a broken model passes SageMaker's own health check."""
    return _alarm(
        "EndpointServerErrorAlarm",
        "The endpoint returned server errors (5xx)",
        topic,
        watching.REQUESTS,
        "Invocation5XXErrors",
        watching.dimensions(context.name),
    )


def _latency_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm | None:
    """Return the alarm for a slow model, if the settings have a limit."""
    limit = context.chosen.watching.latency_milliseconds
    if not limit:
        return None
    text = ENDPOINT_IS_SLOW.replace("{milliseconds}", f"{limit:,}")
    return watching.latency_alarm(context.name, topic, _filled(text, context), limit)


def _idle_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm | None:
    """Return the alarm for an endpoint without requests, if the settings have a limit."""
    hours = context.chosen.watching.idle_hours
    if not hours:
        return None
    text = ENDPOINT_IS_IDLE.replace("{hours} hours", "1 hour" if hours == 1 else f"{hours} hours")
    return watching.idle_alarm(context.name, topic, _filled(text, context), hours)


def _drift_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm | None:
    """Return the alarm for drift, if the settings ask for checks."""
    if not context.chosen.watching.drift_hours:
        return None
    return watching.drift_alarm(context.name, topic, _filled(DRIFT_FOUND, context))


def _quality_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm | None:
    """Return the alarm for answers below the gate's threshold, if the settings ask for checks."""
    if not context.chosen.watching.quality_days:
        return None
    text = _filled(QUALITY_IS_LOW, context)
    return watching.quality_alarm(context.name, topic, text, context.quality_threshold)


def _complaint_alarm(context: Context, topic: TopicArn) -> cloudwatch.Alarm | None:
    """Return the alarm for what the deployment leaves to people, if a function deploys."""
    if not context.chosen.on_approval:
        return None
    return watching.complaint_alarm(context.name, topic, _filled(DEPLOYMENT_WAITS, context))


def dead_letter_alarm(queue: QueueName, topic: TopicArn) -> cloudwatch.Alarm:
    """Return the alarm for events that a function or the topic did not process."""
    return _alarm(
        "DeadLetterAlarm",
        "The dead-letter queue contains an undeliverable event",
        topic,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        [cloudwatch.MetricDimension(Name="QueueName", Value=queue)],
    )


def _alarm(
    title: str,
    description: str,
    topic: TopicArn,
    namespace: str,
    metric: str,
    dimensions: list[cloudwatch.MetricDimension],
) -> cloudwatch.Alarm:
    return cloudwatch.Alarm(
        title,
        AlarmActions=[topic],
        AlarmDescription=description,
        ComparisonOperator="GreaterThanThreshold",
        Dimensions=dimensions,
        EvaluationPeriods=1,
        MetricName=metric,
        Namespace=namespace,
        Period=ALARM_SECONDS,
        Statistic="Sum",
        Threshold=0,
        TreatMissingData="notBreaching",
    )
