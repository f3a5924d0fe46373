"""Alarms of one endpoint that the settings choose: slow, unused, wrong, asked what is new to it.

The metrics are in the SageMaker developer guide, "Amazon SageMaker AI metrics in Amazon
CloudWatch".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troposphere import cloudwatch

from functions.deploy_model.properties import COMPLAINTS
from functions.shared.names import METRICS_DIMENSION, METRICS_NAMESPACE
from functions.watch_model.properties import DRIFTED_COLUMNS, QUALITY
from generator.settings_watching import SECONDS_AN_HOUR
from generator.wiring import Expression, Number, TopicArn, UniqueName

VARIANT: Final = "AllTraffic"
REQUESTS: Final = "AWS/SageMaker"
"""Namespace of the metrics of requests; an hour or minute without a request has no data point."""
INSTANCES: Final = "/aws/sagemaker/Endpoints"
"""Namespace of the metrics of an endpoint's instances: they exist only while the endpoint does."""
MICROSECONDS: Final = 1000
"""In a millisecond. ``ModelLatency`` and ``OverheadLatency`` are in microseconds."""
LATENCY_ALARM: Final = "EndpointLatencyAlarm"
IDLE_ALARM: Final = "EndpointIdleAlarm"
DRIFT_ALARM: Final = "DriftAlarm"
QUALITY_ALARM: Final = "QualityAlarm"
COMPLAINT_ALARM: Final = "DeploymentComplaintAlarm"
_MINUTE: Final = 60
_MINUTES, _SLOW_MINUTES = 5, 3
_TICK_SECONDS: Final = 300
_TICKS, _COMPLAINING_TICKS = 3, 2
_MORE_THAN_SAMPLES: Final = 1_000_000
"""More than an endpoint's samples in an hour: 60 of each instance, or 360 if the endpoint publishes
them every ten seconds."""
_IDLE: Final = f"FILL(running, 0) > FILL(requests, 0) * {_MORE_THAN_SAMPLES}"
"""1 for an hour in which the endpoint ran and got no request; otherwise 0.

``running`` counts the samples of the CPU's utilization. An endpoint that got no request at all has
no data point of ``requests``, and no document says whether FILL fills a series without any. Either
way the result is 1: in a comparison of two series, a value that is missing in one of them is 0
(CloudWatch user guide, "Using math expressions with CloudWatch metrics").
"""


def dimensions(endpoint: UniqueName) -> list[cloudwatch.MetricDimension]:
    """Return the dimensions of an endpoint's metrics."""
    named: dict[str, Expression] = {"EndpointName": endpoint, "VariantName": VARIANT}
    return [cloudwatch.MetricDimension(Name=name, Value=value) for name, value in named.items()]


def latency_alarm(
    endpoint: UniqueName, topic: TopicArn, description: Expression, milliseconds: int
) -> cloudwatch.Alarm:
    """Return the alarm for a model that is slow in three of five minutes.

    It notices a slow new model while a deployment can still be rolled back, and ignores one slow
    minute, such as the first one of a new instance. With fewer than a hundred requests in a
    minute, the 99th percentile is that minute's slowest request, which counts like any other
    (``EvaluateLowSampleCountPercentile``: CloudWatch user guide, "Percentile-based alarms and low
    data samples").
    """
    return cloudwatch.Alarm(
        LATENCY_ALARM,
        AlarmActions=[topic],
        AlarmDescription=description,
        ComparisonOperator="GreaterThanThreshold",
        DatapointsToAlarm=_SLOW_MINUTES,
        Dimensions=dimensions(endpoint),
        EvaluateLowSampleCountPercentile="evaluate",
        EvaluationPeriods=_MINUTES,
        ExtendedStatistic="p99",
        MetricName="ModelLatency",
        Namespace=REQUESTS,
        Period=_MINUTE,
        Threshold=milliseconds * MICROSECONDS,
        TreatMissingData="notBreaching",
    )


def idle_alarm(
    endpoint: UniqueName, topic: TopicArn, description: Expression, hours: int
) -> cloudwatch.Alarm:
    """Return the alarm for an endpoint that exists and got no request for some hours.

    No endpoint, and a paused one, has no metric of instances: the expression is 0 or has no data
    point, which is not breaching (CloudWatch user guide, "Configuring how CloudWatch alarms treat
    missing data"). The hours end when the alarm is evaluated, not when the clock's do: by
    default the window slides ("Alarm evaluation window").
    """
    return cloudwatch.Alarm(
        IDLE_ALARM,
        AlarmActions=[topic],
        AlarmDescription=description,
        ComparisonOperator="GreaterThanThreshold",
        DatapointsToAlarm=hours,
        EvaluationPeriods=hours,
        Metrics=[
            cloudwatch.MetricDataQuery(
                Id="idle", Expression=_IDLE, Label="Hour without a request", ReturnData=True
            ),
            _hourly("requests", endpoint, REQUESTS, "Invocations", "Sum"),
            _hourly("running", endpoint, INSTANCES, "CPUUtilization", "SampleCount"),
        ],
        Threshold=0,
        TreatMissingData="notBreaching",
    )


def drift_alarm(pipeline: UniqueName, topic: TopicArn, description: Expression) -> cloudwatch.Alarm:
    """Return the alarm for drift that the newest check found.

    Checks are hours apart, and a missing data point leaves the alarm as it is: it goes off when a
    check finds drift, and ends when a later one finds none. The period is an hour because
    CloudWatch may extract a metric from a log late (Amazon CloudWatch user guide, "Setting alarms
    on metrics created with the embedded metric format").
    """
    drifted = _Finding(DRIFTED_COLUMNS, "GreaterThanThreshold", "Maximum", 0)
    return _check_alarm(DRIFT_ALARM, pipeline, topic, description, drifted)


def quality_alarm(
    pipeline: UniqueName, topic: TopicArn, description: Expression, threshold: Number
) -> cloudwatch.Alarm:
    """Return the alarm for answers below the gate's threshold; higher is better in every metric.

    As for drift, a missing data point leaves the alarm as it is.
    """
    low = _Finding(QUALITY, "LessThanThreshold", "Minimum", threshold)
    return _check_alarm(QUALITY_ALARM, pipeline, topic, description, low)


@dataclass(frozen=True)
class _Finding:
    """What an alarm on checks reports: a metric, and which of its values."""

    metric: str
    operator: str
    statistic: str
    threshold: int | Number


def _check_alarm(
    title: str, pipeline: UniqueName, topic: TopicArn, description: Expression, finding: _Finding
) -> cloudwatch.Alarm:
    """Return an alarm on what the newest check found."""
    return cloudwatch.Alarm(
        title,
        AlarmActions=[topic],
        AlarmDescription=description,
        ComparisonOperator=finding.operator,
        Dimensions=[cloudwatch.MetricDimension(Name=METRICS_DIMENSION, Value=pipeline)],
        EvaluationPeriods=1,
        MetricName=finding.metric,
        Namespace=METRICS_NAMESPACE,
        Period=SECONDS_AN_HOUR,
        Statistic=finding.statistic,
        Threshold=finding.threshold,
        TreatMissingData="ignore",
    )


def complaint_alarm(
    pipeline: UniqueName, topic: TopicArn, description: Expression
) -> cloudwatch.Alarm:
    """Return the alarm for what the deployment of approved models leaves to people.

    The function complains at each tick as long as the problem lasts. The alarm tells once, when it
    goes off: at the second of three ticks, because two calls at the same time may mistake each
    other's work for somebody else's. Without complaints, the metric has no data.
    """
    return cloudwatch.Alarm(
        COMPLAINT_ALARM,
        AlarmActions=[topic],
        AlarmDescription=description,
        ComparisonOperator="GreaterThanThreshold",
        DatapointsToAlarm=_COMPLAINING_TICKS,
        Dimensions=[cloudwatch.MetricDimension(Name=METRICS_DIMENSION, Value=pipeline)],
        EvaluationPeriods=_TICKS,
        MetricName=COMPLAINTS,
        Namespace=METRICS_NAMESPACE,
        Period=_TICK_SECONDS,
        Statistic="Sum",
        Threshold=0,
        TreatMissingData="notBreaching",
    )


def _hourly(
    name: str, endpoint: UniqueName, namespace: str, metric: str, statistic: str
) -> cloudwatch.MetricDataQuery:
    """Return a metric of the endpoint by the hour, by its name in the expression."""
    measured = cloudwatch.MetricStat(
        Metric=cloudwatch.Metric(
            Dimensions=dimensions(endpoint), MetricName=metric, Namespace=namespace
        ),
        Period=SECONDS_AN_HOUR,
        Stat=statistic,
    )
    return cloudwatch.MetricDataQuery(Id=name, MetricStat=measured, ReturnData=False)
