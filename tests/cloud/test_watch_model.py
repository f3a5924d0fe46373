"""Drift and bad answers that raise alarms, and runs that new data and drift start, once each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.watch_model.core import newest_check, newest_quality_check
from functions.watch_model.state import StartCheck
from generator.settings import Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import CSV, Account, chosen
from tests.cloud.test_approval import Registry, wait
from tests.emulated_events import tick
from tests.functions.watch_world import quality_report, report

STACK = "watching"
SETTLE_SECONDS = 4
SOON = timedelta(minutes=2)
"""While a check is asserted, no later one is due: it would be a second check."""
CHOSEN = Settings.model_validate(
    {
        "pipeline": {
            "deploy": "on-approval",
            "predictions": True,
            "on_new_data": True,
            "new_data_minutes": 1,
            "on_drift": True,
        },
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "serving": {"capture_percent": 100},
        "watching": {"drift_hours": 1, "quality_days": 1},
        "studio": {"domain": "none"},
    }
)


class Watched(Registry):
    """A pipeline that is watched."""

    def look(self) -> None:
        """Wake the function twice at a time, as EventBridge may."""
        for _ in range(2):
            tick(self.account.session, f"{self.name}-ask")
        time.sleep(SETTLE_SECONDS)

    def executions(self, suffix: str = "") -> list[dict[str, Any]]:
        """Return the executions, newest first."""
        found = self.sagemaker.list_pipeline_executions(
            PipelineName=f"{self.name}{suffix}",
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=100,
        )
        return list(found["PipelineExecutionSummaries"])

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Return the drift checks, newest first."""
        return self._named("drift-")

    @property
    def quality_checks(self) -> list[dict[str, Any]]:
        """Return the quality checks, newest first."""
        return self._named("quality-")

    def _named(self, beginning: str) -> list[dict[str, Any]]:
        found = self.executions("-predict")
        return [one for one in found if one["PipelineExecutionDisplayName"].startswith(beginning)]

    @property
    def prefix(self) -> str:
        """What a kind of data's prefix begins with, and ends with."""
        return "{}/" if self.option[1] == "main" else f"pipelines/{{}}/{self.option[1]}/"

    def upload(self) -> None:
        """Replace the table, as a person does."""
        self.account.put(self.bucket, f"{self.prefix.format('raw')}data.csv", CSV)

    def capture(self) -> None:
        """Store a request of the last hour, as data capture does."""
        self._capture(lambda now: newest_check(now, CHOSEN.watching.drift_hours))

    def capture_earlier(self) -> None:
        """Store a request of the day whose labels are known by now."""
        self._capture(lambda now: newest_quality_check(now, CHOSEN.watching.quality_days), "12/")

    def _capture(self, due: Callable[[datetime], StartCheck], hour: str = "") -> None:
        """Store a request of what the due check reads, as soon as no other check is due soon."""
        now = datetime.now(UTC)
        while due(now + SOON) != due(now):
            time.sleep(1)
            now = datetime.now(UTC)
        place = f"{self.prefix.format('captured')}{self.name}/AllTraffic/{due(now).folder}{hour}"
        self.account.put(self.bucket, f"{place}20-00-one.jsonl")

    def label(self) -> str:
        """Upload labels, as a person does; return where they are."""
        folder = f"{self.prefix.format('raw')}_labels/"
        self.account.put(self.bucket, f"{folder}new.csv", b"order,label\n1,1\n")
        return f"s3://{self.bucket}/{folder}"

    def end_check(self, found: dict[str, Any]) -> None:
        """Write the report of the newest check, which the emulator's job does not.

        The emulator's clock cannot be moved, so that a check's report can be replaced: the check
        is then one that was not published.
        """
        kind = "quality" if "value" in found else "drift"
        check = (self.quality_checks if kind == "quality" else self.checks)[0]
        arn = check["PipelineExecutionArn"]
        key = f"{self.prefix.format('predictions')}{arn.rpartition('/')[2]}/{kind}/{kind}.json"
        self.account.put(self.bucket, key, json.dumps(found).encode())
        self.sagemaker.update_pipeline_execution(
            PipelineExecutionArn=arn, PipelineExecutionDescription="not published"
        )

    def sent(self, check: dict[str, Any]) -> dict[str, str]:
        """Return the parameters of a check by name."""
        found = self.sagemaker.list_pipeline_parameters_for_execution(
            PipelineExecutionArn=check["PipelineExecutionArn"]
        )["PipelineParameters"]
        return {item["Name"]: item["Value"] for item in found}

    def metric(self, name: str) -> list[float]:
        """Return the largest value of a metric in each minute."""
        now = datetime.now(UTC)
        found = self.account.client("cloudwatch").get_metric_statistics(
            Namespace="tabular-ml-vpc",
            MetricName=name,
            Dimensions=[{"Name": "Pipeline", "Value": self.name}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Maximum"],
        )
        return [point["Maximum"] for point in found["Datapoints"]]

    def alarm(self, which: str = "DriftAlarm") -> str:
        """Return the state of an alarm."""
        title = "PipelineStack" if self.option[1] == "main" else "ChurnPipelineStack"
        alarm = self.account.resource(self.account.resource(STACK, title), which)
        found = self.account.client("cloudwatch").describe_alarms(AlarmNames=[alarm])
        return str(found["MetricAlarms"][0]["StateValue"])

    def serve(self) -> int:
        """Register and approve a version, and wait until it serves."""
        number = self.register("one")
        self.approve(number)
        wait("served", lambda: self.serves() == "one" and self.settled())
        return number


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and delete it while a run is held; nothing is left."""
    before = inventory(account.session)
    account.deploy(account.package(change=chosen(CHOSEN)), STACK)
    given = account.outputs(STACK)
    yield given
    account.run_pipeline(f"{given['PipelineName']}-predict", PipelineExecutionDisplayName="hold")
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    assert inventory(account.session) == before


@pytest.fixture(scope="module")
def main(account: Account, outputs: dict[str, str]) -> Watched:
    """The pipeline `main`."""
    return Watched(
        account, outputs["DataBucket"], outputs["PipelineName"], ("--pipeline", "main"), STACK
    )


@pytest.fixture(scope="module")
def churn(account: Account, outputs: dict[str, str]) -> Watched:
    """The other one, whose function all named pipelines share."""
    name = outputs["PipelineNameChurn"]
    return Watched(account, outputs["DataBucket"], name, ("--pipeline", "churn"), STACK)


def test_the_synthetic_table_starts_no_run(main: Watched) -> None:
    table = main.account.client("s3").head_object(Bucket=main.bucket, Key="raw/data.csv")
    age = datetime.now(UTC) - table["LastModified"]
    time.sleep(max(0.0, 61 - age.total_seconds()))
    main.look()
    assert main.executions() == []


def test_a_new_table_starts_one_run_however_often_the_function_is_woken(
    main: Watched, churn: Watched
) -> None:
    for one in (main, churn):
        one.upload()
        one.look()
        assert one.executions() == []
    time.sleep(61)
    for one in (main, churn):
        for _ in range(3):
            one.look()
        (run,) = one.executions()
        assert run["PipelineExecutionDisplayName"].startswith("new-data-")
        assert run["PipelineExecutionStatus"] == "Succeeded"


def test_nothing_is_checked_before_something_serves(main: Watched) -> None:
    main.capture()
    main.look()
    assert main.checks == []


def test_the_absence_of_drift_raises_no_alarm(main: Watched, churn: Watched) -> None:
    for one in (main, churn):
        number = one.serve()
        one.capture()
        one.look()
        (check,) = one.checks
        values = one.sent(check)
        (container,) = one.version(number)["InferenceSpecification"]["Containers"]
        assert values["ModelArchive"] == container["ModelDataUrl"]
        captured = f"s3://{one.bucket}/{one.prefix.format('captured')}{one.name}/AllTraffic/"
        assert values["InputData"].startswith(captured)
        one.end_check(report())
        one.look()
        one.look()
        assert one.metric("DriftedColumns") == [0]
        assert one.metric("Rows") == [480]
        assert one.alarm() == "OK"
        assert one.checks[0]["PipelineExecutionDescription"].startswith("Drifted columns: 0 of 4")


def test_planted_drift_raises_the_alarm_and_starts_one_run(main: Watched) -> None:
    before = len(main.executions())
    main.end_check(report("plan"))
    for _ in range(3):
        main.look()
    assert max(main.metric("DriftedColumns")) == 1
    assert max(main.metric("LargestPsiRatio")) == pytest.approx(2.5)
    assert main.alarm() == "ALARM"
    assert len(main.checks) == 1
    new = main.executions()[: len(main.executions()) - before]
    assert [run["PipelineExecutionDisplayName"][:6] for run in new] == ["drift-"]


def test_good_answers_raise_no_alarm(main: Watched, churn: Watched) -> None:
    for one in (main, churn):
        one.capture_earlier()
        one.look()
        assert one.quality_checks == []
        labels = one.label()
        one.look()
        (check,) = one.quality_checks
        assert one.sent(check)["LabelData"] == labels
        one.end_check(quality_report(0.9))
        one.look()
        assert one.metric("Quality") == [pytest.approx(0.9)]
        assert one.metric("LabeledRows") == [320]
        assert one.alarm("QualityAlarm") == "OK"
        description = one.quality_checks[0]["PipelineExecutionDescription"]
        assert description.startswith("Quality: roc_auc 0.9 of 320 of 480")


def test_planted_errors_raise_the_alarm_and_start_no_run(main: Watched, churn: Watched) -> None:
    """The emulator's alarms disregard dimensions, its metrics do not."""
    runs = len(main.executions())
    main.end_check(quality_report(0.6))
    for _ in range(2):
        main.look()
    assert main.alarm("QualityAlarm") == "ALARM"
    assert churn.metric("Quality") == [pytest.approx(0.9)]
    assert len(main.quality_checks) == 1
    assert len(main.executions()) == runs


def test_the_function_needed_no_right_that_it_has_not(account: Account, main: Watched) -> None:
    """An event that it could not handle would be in the queue of undeliverable events."""
    sqs = account.client("sqs")
    queue = account.resource(account.nested(STACK, "security"), "DeadLetterQueue")
    found = sqs.get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert found["ApproximateNumberOfMessages"] == "0", main.name
