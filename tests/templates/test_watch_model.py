"""New data, drift checks and drift: what wakes the function, what it is told, who is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from functions.deploy_model.properties import DeployModelProperties
from functions.pipeline_manager.properties import PipelineProperties, PredictionPipelineProperties
from functions.shared.properties import from_event
from functions.watch_model import act, metrics
from functions.watch_model.properties import WatchModelProperties
from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.settings_pipelines import LONGEST_NAMES
from generator.stacks import root
from pipeline.definition import build as definition
from pipeline.prediction import LABELS, MODEL, TABLE
from pipeline.prediction import build as prediction
from tests.functions.watch_world import quality_report, report

NAMED = [{"name": "main"}, {"name": "churn"}]
CHECKED: dict[str, Any] = {
    "pipelines": NAMED,
    "pipeline": {"deploy": "on-approval", "predictions": True},
    "serving": {"capture_percent": 10},
    "watching": {"drift_hours": 24, "quality_days": 7},
}
DRIFT_ALONE = Settings.model_validate({**CHECKED, "watching": {"drift_hours": 24}})
QUALITY_ALONE = Settings.model_validate({**CHECKED, "watching": {"quality_days": 7}})
STACKS = {"pipeline": ("", "main"), "ChurnPipeline": ("-churn", "churn")}


def chosen(**pipeline: object) -> Settings:
    """Return settings with drift checks, and more of `[pipeline]`."""
    return Settings.model_validate({**CHECKED, "pipeline": CHECKED["pipeline"] | pipeline})


@pytest.fixture(scope="module")
def everything() -> ResolvedDeployment:
    """Two pipelines of which everything is watched."""
    return resolve(chosen(on_new_data=True, new_data_minutes=5, on_drift=True))


def rules(deployment: ResolvedDeployment, stack: str) -> dict[str, Mapping[str, Any]]:
    """Return the properties of a stack's rules by logical id."""
    return {
        one.logical_id: one.properties
        for one in deployment.of_type("AWS::Events::Rule")
        if one.stack == stack
    }


def told(
    deployment: ResolvedDeployment, stack: str, rule: str = "WatchTickRule"
) -> WatchModelProperties:
    """Return what the function is told for a pipeline."""
    (target,) = rules(deployment, stack)[rule]["Targets"]
    return from_event(WatchModelProperties, json.loads(target["Input"]))


def test_by_default_nothing_of_it_exists() -> None:
    for template in root.build(Settings(), Mode.DEV).values():
        titles = [*template.resources, *template.parameters, *template.outputs]
        assert [
            one for one in titles if any(word in one for word in ("Watch", "Drift", "QualityAlarm"))
        ] == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_function_is_told_what_is_the_pipelines_own(
    everything: ResolvedDeployment, stack: str
) -> None:
    found = told(everything, stack)
    assert found == told(everything, stack, "DriftCheckedRule")
    made = everything.get(stack, "Pipeline").properties
    beside = everything.get(stack, "Predictions").properties
    assert found.pipeline_name == made["PipelineName"]
    assert found.endpoint_name == made["EndpointName"]
    assert found.predictions_pipeline == beside["PipelineName"]
    assert found.bucket == made["Bucket"]
    assert (found.new_data_minutes, found.drift_hours) == (5, 24)
    assert found.drift_cooldown_hours == 168
    assert found.quality_days == 7
    _, entry = STACKS[stack]
    assert found.labels_prefix == f"{'raw' if entry == 'main' else 'pipelines/raw/churn'}/_labels/"
    kinds = {"captured/": found.capture_prefix, "predictions/": found.predictions_prefix}
    for kind, prefix in kinds.items():
        assert prefix == (kind if entry == "main" else f"pipelines/{kind}{entry}/")


def test_the_table_is_the_one_that_runs_read_by_default(everything: ResolvedDeployment) -> None:
    """As the definition has it: the default of `InputData`."""
    for stack in STACKS:
        made = {n: str(v) for n, v in everything.get(stack, "Pipeline").properties.items()}
        text = definition(from_event(PipelineProperties, made))
        (default,) = [
            one["DefaultValue"] for one in text["Parameters"] if one["Name"] == "InputData"
        ]
        found = told(everything, stack)
        assert default == f"s3://{found.bucket}/{found.table_key}"


def test_the_parameters_of_a_check_are_those_of_the_pipeline_of_predictions() -> None:
    assert (act._TABLE, act._MODEL, act._LABELS) == (TABLE, MODEL, LABELS)


def test_only_a_pipeline_whose_answers_are_measured_takes_labels(
    everything: ResolvedDeployment,
) -> None:
    def parameters(deployment: ResolvedDeployment, stack: str) -> dict[str, Any]:
        made = deployment.get(stack, "Predictions").properties
        properties = from_event(PredictionPipelineProperties, {n: str(v) for n, v in made.items()})
        found = prediction(properties)["Parameters"]
        return {one["Name"]: one.get("DefaultValue") for one in found}

    for stack in STACKS:
        script = parameters(everything, stack)[LABELS]
        assert script.startswith("s3://")
        assert script.endswith("/predict.py")
    assert LABELS not in parameters(resolve(DRIFT_ALONE), "pipeline")


def test_captured_requests_are_where_the_endpoint_stores_them(
    everything: ResolvedDeployment,
) -> None:
    for stack in STACKS:
        (target,) = rules(everything, stack)["TickRule"]["Targets"]
        deploying = from_event(DeployModelProperties, json.loads(target["Input"]))
        found = told(everything, stack)
        assert deploying.capture_uri == f"s3://{found.bucket}/{found.capture_prefix}"


def test_without_drift_checks_only_the_table_is_looked_at() -> None:
    deployment = resolve(Settings.model_validate({"pipeline": {"on_new_data": True}}))
    found = told(deployment, "pipeline")
    assert (found.drift_hours, found.endpoint_name, found.predictions_pipeline) == (0, "", "")
    assert found.new_data_minutes == 10
    assert [one for one in rules(deployment, "pipeline") if "Drift" in one] == []
    assert "DriftAlarm" not in {
        one.logical_id for one in deployment.of_type("AWS::CloudWatch::Alarm")
    }


def test_only_the_pipelines_that_await_new_data_are_woken() -> None:
    entries = [{"name": "main"}, {"name": "churn", "on_new_data": True}, {"name": "fraud"}]
    deployment = resolve(Settings.model_validate({"pipelines": entries}))
    assert told(deployment, "ChurnPipeline").new_data_minutes == 10
    for stack in ("pipeline", "FraudPipeline"):
        assert "WatchTickRule" not in rules(deployment, stack)
    functions = [one.logical_id for one in deployment.of_type("AWS::Lambda::Function")]
    assert functions.count("WatchModelFunction") == 1


def test_a_pipeline_can_leave_new_data_alone() -> None:
    entries = [{"name": "main", "on_new_data": False}, {"name": "churn"}]
    settings = {"pipelines": entries, "pipeline": {"on_new_data": True}}
    deployment = resolve(Settings.model_validate(settings))
    assert "WatchTickRule" not in rules(deployment, "pipeline")
    assert told(deployment, "ChurnPipeline").new_data_minutes == 10


@pytest.mark.parametrize("stack", STACKS)
def test_rules_wake_the_function_for_their_own_pipeline(
    everything: ResolvedDeployment, stack: str
) -> None:
    found = rules(everything, stack)
    assert found["WatchTickRule"]["ScheduleExpression"] == "rate(5 minutes)"
    name = everything.get(stack, "Predictions").properties["PipelineName"]
    arn = everything.place.arn("sagemaker", f"pipeline/{name}")
    for title, status in (("DriftCheckedRule", "Succeeded"), ("DriftCheckFailedRule", "Failed")):
        detail = found[title]["EventPattern"]["detail"]
        assert detail == {"currentPipelineExecutionStatus": [status], "pipelineArn": [arn]}


def test_only_our_rules_may_invoke_the_functions(everything: ResolvedDeployment) -> None:
    permissions = {
        one.properties["FunctionName"]: one.properties
        for one in everything.of_type("AWS::Lambda::Permission")
        if one.logical_id == "WatchModelPermission"
    }
    assert len(permissions) == 2
    for stack in STACKS:
        for title in ("WatchTickRule", "DriftCheckedRule"):
            rule = rules(everything, stack)[title]
            allowed = permissions[str(rule["Targets"][0]["Arn"]).rpartition(":")[2]]
            assert allowed["Principal"] == "events.amazonaws.com"
            assert allowed["SourceAccount"] == everything.place.account
            assert fnmatchcase(
                everything.place.arn("events", f"rule/{rule['Name']}"), allowed["SourceArn"]
            )


def test_what_a_rule_cannot_deliver_goes_to_the_queue(everything: ResolvedDeployment) -> None:
    policy = everything.get("security", "DeadLetterQueuePolicy").properties["PolicyDocument"]
    allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    for rule in everything.of_type("AWS::Events::Rule"):
        arn = everything.place.arn("events", f"rule/{rule.properties['Name']}")
        assert any(fnmatchcase(arn, pattern) for pattern in allowed), rule


@pytest.mark.parametrize("stack", STACKS)
def test_the_alarm_watches_what_the_function_publishes(
    everything: ResolvedDeployment, stack: str
) -> None:
    """The function's own line is held against the alarm's definition."""
    alarm = everything.get(stack, "DriftAlarm").properties
    found = told(everything, stack)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    line = json.loads(metrics.line(found.pipeline_name, metrics.of_report(report("age")), now))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == alarm["Namespace"]
    assert alarm["MetricName"] in {one["Name"] for one in directive["Metrics"]}
    (dimensions,) = directive["Dimensions"]
    assert {name: line[name] for name in dimensions} == {
        one["Name"]: one["Value"] for one in alarm["Dimensions"]
    }
    assert line[alarm["MetricName"]] > alarm["Threshold"]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "ignore"
    option, name = STACKS[stack]
    assert alarm["AlarmDescription"].endswith(
        "`python build.py run`." if name == "main" else "`python build.py run --pipeline churn`."
    )
    assert f"{option}-predict` names the columns" in alarm["AlarmDescription"]
    assert alarm["AlarmActions"] == [everything.get(stack, "AlertTopic").reference]


@pytest.mark.parametrize("stack", STACKS)
def test_the_quality_alarm_watches_what_the_function_publishes(
    everything: ResolvedDeployment, stack: str
) -> None:
    """Its threshold is the one of the pipeline's quality gate."""
    alarm = everything.get(stack, "QualityAlarm").properties
    found = told(everything, stack)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    values = metrics.of_quality(quality_report(0.1))
    line = json.loads(metrics.line(found.pipeline_name, values, now))
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == alarm["Namespace"]
    assert alarm["MetricName"] in {one["Name"] for one in directive["Metrics"]}
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {
        "Pipeline": line["Pipeline"]
    }
    gate = everything.get(stack, "Pipeline").properties["QualityThreshold"]
    assert float(alarm["Threshold"]) == float(gate)
    assert (alarm["ComparisonOperator"], alarm["Statistic"]) == ("LessThanThreshold", "Minimum")
    assert alarm["TreatMissingData"] == "ignore"
    assert alarm["AlarmActions"] == [everything.get(stack, "AlertTopic").reference]
    option = "" if stack == "pipeline" else " --pipeline churn"
    assert alarm["AlarmDescription"].endswith(f"`python build.py run{option}`.")


def test_a_pipelines_own_gate_is_the_alarms_threshold() -> None:
    entries = [{"name": "main"}, {"name": "churn", "quality_threshold": 0.9}]
    deployment = resolve(
        Settings.model_validate({**CHECKED, "pipelines": entries, "watching": {"quality_days": 7}})
    )
    alarm = deployment.get("ChurnPipeline", "QualityAlarm").properties
    assert float(alarm["Threshold"]) == 0.9


def test_quality_alone_needs_no_drift_checks() -> None:
    deployment = resolve(QUALITY_ALONE)
    for stack in STACKS:
        found = told(deployment, stack, "DriftCheckedRule")
        assert (found.drift_hours, found.quality_days) == (0, 7)
    alarms = [one.logical_id for one in deployment.of_type("AWS::CloudWatch::Alarm")]
    assert (alarms.count("QualityAlarm"), alarms.count("DriftAlarm")) == (2, 0)


def test_checks_take_no_requests_back(everything: ResolvedDeployment) -> None:
    (target,) = rules(everything, "pipeline")["TickRule"]["Targets"]
    alarms = json.loads(target["Input"])["Alarms"]
    assert "DriftAlarm" not in alarms
    assert "QualityAlarm" not in alarms


def test_the_rules_are_deleted_before_the_pipelines_that_they_start() -> None:
    for template in ("pipeline", "named-pipeline"):
        stack = root.build(chosen(on_new_data=True), Mode.DEV)[template]
        assert stack.resources["WatchTickRule"].DependsOn == ["Predictions"]
        assert "Pipeline" in stack.resources["Predictions"].DependsOn
        checked = stack.resources["DriftCheckedRule"].to_dict()["Properties"]["EventPattern"]
        assert {"Fn::GetAtt": ["Predictions", "PipelineArn"]} in checked["detail"]["pipelineArn"]


def test_jobs_read_captured_requests_only_to_check_them() -> None:
    def reads(deployment: ResolvedDeployment) -> bool:
        return any(
            "captured/" in json.dumps(statement["Resource"])
            for one in deployment.of_type("AWS::IAM::RolePolicy")
            if "Processing" in one.logical_id
            for statement in one.properties["PolicyDocument"]["Statement"]
            if statement["Action"] == ["s3:GetObject"]
        )

    assert reads(resolve(chosen()))
    assert not reads(resolve(Settings.model_validate({**CHECKED, "watching": {}})))


def test_the_longest_names_fit() -> None:
    for settings in (
        {"project": "a" * 26, "pipeline": {"on_new_data": True}},
        {**CHECKED, "project": "a" * 15},
    ):
        longest = LONGEST_NAMES if "watching" not in settings else 35
        entry = "b" * (longest - len(str(settings["project"])))
        names = [{"name": "main"}, {"name": entry}]
        made = resolve(Settings.model_validate({**settings, "pipelines": names}))
        found = [one.properties["Name"] for one in made.of_type("AWS::Events::Rule")]
        assert max(map(len, found)) <= 64
