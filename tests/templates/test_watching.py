"""Dashboards and alarms of endpoints: as CloudWatch documents them, where the settings say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from troposphere import cloudwatch

from generator.alerts import Alerts
from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks import root
from generator.wiring import TopicArn
from pipeline.types import Json
from tests.templates.metric_math import Series, is_alarm, result

HOURS, MILLISECONDS = 24, 1_500
STACKS = ("pipeline", "ChurnPipeline", "FraudPipeline")
OPTIONS = ("", " --pipeline churn", " --pipeline fraud")
CHOSEN: dict[str, Any] = {
    "pipelines": [
        {"name": "main"},
        {"name": "churn"},
        {"name": "fraud", "preprocess_engine": "spark"},
    ],
    "watching": {
        "dashboard": True,
        "idle_hours": HOURS,
        "latency_milliseconds": MILLISECONDS,
    },
}
COLUMNS = 24
COMMON = {"type", "x", "y", "width", "height", "properties"}
PROPERTIES = {
    "metric": {
        *("accountId", "annotations", "end", "labels", "legend", "liveData", "metrics", "period"),
        *("region", "setPeriodToTimeRange", "singleValueFullPrecision", "sparkline", "stacked"),
        *("start", "stat", "table", "timezone", "title", "trend", "view", "yAxis"),
    },
    "alarm": {"alarms", "sortBy", "states", "title"},
    "text": {"background", "markdown"},
}
REQUIRED = {"metric": {"region"}, "alarm": {"alarms"}, "text": {"markdown"}}
RENDERED = {
    *("accountId", "color", "expression", "id", "label", "period", "region", "stat", "visible"),
    "yAxis",
}
"""CloudWatch API reference, "Dashboard Body Structure and Syntax"."""
ENDPOINT = ("EndpointName", "VariantName")
DOCUMENTED = {
    "AWS/SageMaker": (
        ENDPOINT,
        {"Invocations", "Invocation4XXErrors", "Invocation5XXErrors"}
        | {"ModelLatency", "OverheadLatency"},
    ),
    "/aws/sagemaker/Endpoints": (
        ENDPOINT,
        {"CPUUtilization", "MemoryUtilization", "DiskUtilization"},
    ),
    "AWS/SQS": (("QueueName",), {"ApproximateNumberOfMessagesVisible"}),
}
"""By namespace, the dimensions and the metrics that the guides of SageMaker and SQS document."""


@pytest.fixture(scope="module")
def watched() -> ResolvedDeployment:
    """Three pipelines that are watched, one of them on Spark."""
    return resolve(Settings.model_validate(CHOSEN))


def body(deployment: ResolvedDeployment, stack: str) -> Json:
    """Return the body of a pipeline's dashboard."""
    found: Json = json.loads(deployment.get(stack, "Dashboard").properties["DashboardBody"])
    return found


def widgets(deployment: ResolvedDeployment) -> Iterator[Json]:
    """Yield the widgets of all dashboards."""
    for stack in STACKS:
        yield from body(deployment, stack)["widgets"]


def metrics(deployment: ResolvedDeployment, stack: str) -> list[list[Any]]:
    """Return the metrics on a pipeline's dashboard."""
    shown = [one["properties"].get("metrics", ()) for one in body(deployment, stack)["widgets"]]
    return [metric for each in shown for metric in each]


def alarm(deployment: ResolvedDeployment, stack: str, title: str) -> Json:
    """Return the properties of an alarm."""
    return dict(deployment.get(stack, title).properties)


def test_by_default_there_is_no_dashboard_and_no_alarm_but_the_usual() -> None:
    settings = Settings.model_validate({"pipelines": CHOSEN["pipelines"]})
    for template in root.build(settings, Mode.DEV).values():
        titles = [*template.resources, *template.parameters]
        assert not {"Dashboard", "EndpointLatencyAlarm", "EndpointIdleAlarm"}.intersection(titles)


def test_each_choice_adds_one_resource_to_each_pipeline() -> None:
    usual = len(list(resolve(Settings.model_validate({"pipelines": CHOSEN["pipelines"]}))))
    for name, value in CHOSEN["watching"].items():
        one = {"pipelines": CHOSEN["pipelines"], "watching": {name: value}}
        assert len(list(resolve(Settings.model_validate(one)))) == usual + len(STACKS), name


def test_a_dashboard_has_its_pipelines_name(watched: ResolvedDeployment) -> None:
    for stack in STACKS:
        name = watched.get(stack, "Dashboard").properties["DashboardName"]
        assert name == watched.get(stack, "Pipeline").properties["PipelineName"]
        assert name.replace("-", "").isalnum()
    assert len({one.reference for one in watched.of_type("AWS::CloudWatch::Dashboard")}) == 3


def test_a_dashboard_is_deleted_with_its_stack_in_every_mode() -> None:
    settings = Settings.model_validate(CHOSEN)
    for mode in Mode:
        for template in root.build(settings, mode).values():
            made = template.to_dict()["Resources"].values()
            for one in made:
                if one["Type"] == "AWS::CloudWatch::Dashboard":
                    assert not {"DeletionPolicy", "UpdateReplacePolicy"}.intersection(one)


def test_widgets_have_the_documented_structure(watched: ResolvedDeployment) -> None:
    for widget in widgets(watched):
        assert set(widget) == COMMON
        given = set(widget["properties"])
        assert given <= PROPERTIES[widget["type"]], widget
        assert REQUIRED[widget["type"]] <= given, widget
    for stack in STACKS:
        found = body(watched, stack)
        assert set(found) <= {"end", "periodOverride", "start", "variables", "widgets"}
        assert found["start"].startswith("-P")
        assert 0 < len(found["widgets"]) <= 500


def test_widgets_lie_on_the_grid_and_not_on_each_other(watched: ResolvedDeployment) -> None:
    for widget in widgets(watched):
        assert 0 <= widget["x"] <= 23
        assert 1 <= widget["width"] <= COLUMNS - widget["x"]
        assert widget["y"] >= 0
        assert 1 <= widget["height"] <= 1000
    for stack in STACKS:
        for one, other in combinations(body(watched, stack)["widgets"], 2):
            apart = any(
                first[start] + first[length] <= second[start]
                for start, length in (("x", "width"), ("y", "height"))
                for first, second in ((one, other), (other, one))
            )
            assert apart, (one, other)


def test_graphs_are_of_the_deployments_region(watched: ResolvedDeployment) -> None:
    for widget in widgets(watched):
        if widget["type"] == "metric":
            shown = widget["properties"]
            assert shown["region"] == watched.place.region
            assert shown["view"] in {"timeSeries", "singleValue", "gauge", "bar", "pie", "table"}
            assert shown["period"] % 60 == 0
            assert 1 <= len(shown["metrics"]) <= 500
            assert set(shown["yAxis"]["left"]) <= {"label", "max", "min", "showUnits"}


def test_every_metric_is_a_documented_one(watched: ResolvedDeployment) -> None:
    for stack in STACKS:
        found = metrics(watched, stack)
        assert len(found) <= 50  # more make it a dearer kind of dashboard
        for namespace, name, *pairs, shown in found:
            dimensions, names = DOCUMENTED[namespace]
            assert name in names
            assert tuple(pairs[::2]) == dimensions
            assert set(shown) <= RENDERED


def test_a_dashboard_shows_its_own_endpoint_and_the_queue(watched: ResolvedDeployment) -> None:
    queue = watched.get("security", "DeadLetterQueue").reference.rpartition("/")[2]
    for stack in STACKS:
        name = watched.get(stack, "Pipeline").properties["EndpointName"]
        found = metrics(watched, stack)
        values = {tuple(metric[2:-1:2]): metric[3:-1:2] for metric in found}
        assert values == {ENDPOINT: [name, "AllTraffic"], ("QueueName",): [queue]}
        shown = [(metric[1], metric[-1]["stat"]) for metric in found]
        assert [stat for metric, stat in shown if metric == "ModelLatency"] == ["p50", "p99"]
        assert {metric for metric, _ in shown} == set().union(
            *(names for _, names in DOCUMENTED.values())
        )


def test_a_dashboard_shows_the_alarms_of_its_stack(watched: ResolvedDeployment) -> None:
    for stack in STACKS:
        alarms = [
            watched.place.arn("cloudwatch", f"alarm:{one.reference}")
            for one in watched.of_type("AWS::CloudWatch::Alarm")
            if one.stack == stack
        ]
        (shown,) = [
            one["properties"]["alarms"]
            for one in body(watched, stack)["widgets"]
            if one["type"] == "alarm"
        ]
        assert sorted(shown) == sorted(alarms)
        assert 1 <= len(shown) <= 100


def test_a_dashboard_names_the_commands_for_its_pipeline(watched: ResolvedDeployment) -> None:
    for stack, option in zip(STACKS, OPTIONS, strict=True):
        (text,) = [
            one["properties"]["markdown"]
            for one in body(watched, stack)["widgets"]
            if one["type"] == "text"
        ]
        for command in ("status", "history", "logs --source endpoint", "endpoint pause"):
            assert f"`python build.py {command}{option}`" in text
        group = watched.get(stack, "EndpointLogGroup").properties["LogGroupName"]
        assert f"#logsV2:log-groups/log-group/{group.replace('/', '$252F')})" in text


def test_the_latency_alarms_limit_is_in_microseconds(watched: ResolvedDeployment) -> None:
    for stack in STACKS:
        found = alarm(watched, stack, "EndpointLatencyAlarm")
        assert (found["Namespace"], found["MetricName"]) == ("AWS/SageMaker", "ModelLatency")
        assert found["ExtendedStatistic"] == "p99"
        assert "Statistic" not in found
        assert found["Threshold"] == MILLISECONDS * 1000
        assert found["DatapointsToAlarm"] <= found["EvaluationPeriods"]
        lines = [
            line["value"]
            for widget in body(watched, stack)["widgets"]
            for line in widget["properties"].get("annotations", {}).get("horizontal", ())
        ]
        assert lines == [found["Threshold"]]


def test_without_a_latency_alarm_the_graph_has_no_limit() -> None:
    made = resolve(Settings.model_validate({"watching": {"dashboard": True}}))
    for widget in body(made, "pipeline")["widgets"]:
        assert "annotations" not in widget["properties"]


@pytest.mark.parametrize("hours", [1, HOURS, 168])
def test_the_idle_alarm_is_within_cloudwatchs_limits(hours: int) -> None:
    settings = Settings.model_validate({"watching": {"idle_hours": hours}})
    found = alarm(resolve(settings), "pipeline", "EndpointIdleAlarm")
    periods = {one["MetricStat"]["Period"] for one in found["Metrics"] if "MetricStat" in one}
    assert periods == {3600}  # "each metric must be using the same period"
    assert found["DatapointsToAlarm"] == found["EvaluationPeriods"] == hours
    assert 3600 * found["EvaluationPeriods"] <= 604_800
    assert not {"MetricName", "Namespace", "Dimensions", "Period", "Statistic"}.intersection(found)


def test_the_idle_alarm_compares_requests_with_what_only_an_endpoint_has(
    watched: ResolvedDeployment,
) -> None:
    for stack in STACKS:
        found = alarm(watched, stack, "EndpointIdleAlarm")
        name = watched.get(stack, "Pipeline").properties["EndpointName"]
        assert [one["Id"] for one in found["Metrics"] if one["ReturnData"]] == ["idle"]
        measured = {one["Id"]: one["MetricStat"] for one in found["Metrics"] if "MetricStat" in one}
        assert {
            key: (one["Metric"]["Namespace"], one["Metric"]["MetricName"], one["Stat"])
            for key, one in measured.items()
        } == {
            "requests": ("AWS/SageMaker", "Invocations", "Sum"),
            "running": ("/aws/sagemaker/Endpoints", "CPUUtilization", "SampleCount"),
        }
        for one in measured.values():
            dimensions = {each["Name"]: each["Value"] for each in one["Metric"]["Dimensions"]}
            assert dimensions == {"EndpointName": name, "VariantName": "AllTraffic"}


ON, OFF = 60.0, None
IDLE_CASES: dict[str, tuple[Series, Series, bool]] = {
    "no endpoint, ever": ([OFF] * 6, [None] * 6, False),
    "an endpoint that nobody ever used": ([ON] * 6, [None] * 6, True),
    "an endpoint that is used each hour": ([ON] * 6, [3, 1, 5, 2, 9, 1], False),
    "one request in the last hours": ([ON] * 6, [None, None, None, None, 1, None], False),
    "no request since some hours": ([ON] * 6, [4, 7, None, None, None, None], True),
    "a million requests an hour": ([ON] * 6, [1e6] * 6, False),
    "many instances, and nobody uses them": ([ON * 6 * 1000] * 6, [None] * 6, True),
    "paused an hour ago, after idle hours": ([ON] * 5 + [OFF], [None] * 6, False),
    "paused after it was used": ([ON] * 4 + [OFF] * 2, [5, 5, 5, 5, None, None], False),
    "resumed an hour ago": ([ON] * 2 + [OFF] * 3 + [ON], [None] * 6, False),
    "created an hour ago": ([OFF] * 5 + [ON], [None] * 6, False),
}
"""By what happened: an endpoint's samples and its requests by the hour, and whether it is idle for
three hours."""


@pytest.mark.parametrize("fills_empty", [True, False])
@pytest.mark.parametrize("case", IDLE_CASES)
def test_only_an_endpoint_that_runs_without_requests_is_idle(case: str, fills_empty: bool) -> None:
    running, requests, idle = IDLE_CASES[case]
    made = resolve(Settings.model_validate({"watching": {"idle_hours": 3}}))
    found = alarm(made, "pipeline", "EndpointIdleAlarm")
    (expression,) = [one["Expression"] for one in found["Metrics"] if one["ReturnData"]]
    measured = {"running": running, "requests": requests}
    series = result(expression, measured, fills_empty=fills_empty)
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    assert found["TreatMissingData"] == "notBreaching"
    assert is_alarm(series, found["EvaluationPeriods"], found["Threshold"]) is idle


def test_alarms_tell_the_pipelines_topic_what_to_do(watched: ResolvedDeployment) -> None:
    for stack, option in zip(STACKS, OPTIONS, strict=True):
        usual = alarm(watched, stack, "EndpointServerErrorAlarm")
        for title, command in (
            ("EndpointIdleAlarm", f"python build.py endpoint pause{option}`"),
            ("EndpointLatencyAlarm", f"python build.py logs{option} --source endpoint`"),
        ):
            found = alarm(watched, stack, title)
            assert found["AlarmActions"] == usual["AlarmActions"]
            assert command in found["AlarmDescription"]
            assert len(found["AlarmDescription"]) <= 1024


def test_a_rollback_can_name_the_alarms_of_a_bad_model_by_stable_ids() -> None:
    chosen = root.build(Settings.model_validate(CHOSEN), Mode.DEV)["pipeline"]

    def made(title: str) -> cloudwatch.Alarm:
        found = chosen.resources[title]
        assert isinstance(found, cloudwatch.Alarm)
        return found

    errors, latency = made("EndpointServerErrorAlarm"), made("EndpointLatencyAlarm")
    topic, idle = TopicArn("arn"), made("EndpointIdleAlarm")
    assert Alerts(topic, errors, latency, idle).of_bad_models == [errors, latency]
    assert Alerts(topic, errors).of_bad_models == [errors]
