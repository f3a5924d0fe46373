"""Runs that new data and drift start, and checks of captured requests: once each, whatever woke."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from functions.shared.errors import PropertyError
from functions.watch_model import metrics
from functions.watch_model.core import newest_check, newest_quality_check
from functions.watch_model.handler import handler
from functions.watch_model.properties import WatchModelProperties
from tests.functions.fakes.wire import ApiError
from tests.functions.watch_world import (
    ARCHIVE,
    BESIDE,
    BUCKET,
    DRIFT,
    LABELS,
    NEW_DATA,
    PIPELINE,
    QUALITY,
    Watching,
    quality_report,
    report,
    watching,
)
from tests.functions.world import Context, World

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def data(world: World, capsys: Capture) -> Watching:
    """A pipeline whose table is watched, with a table that a run has read."""
    found = watching(world, capsys, NEW_DATA)
    found.upload()
    found.wait(60)
    found.sagemaker.begin(PIPELINE)
    found.end()
    found.wait(60)
    return found


@pytest.fixture
def served(world: World, capsys: Capture) -> Watching:
    """A pipeline whose endpoint got requests yesterday; it is half past midnight."""
    found = watching(world, capsys, DRIFT)
    found.serve()
    found.capture()
    found.wait(24.5 * 60)
    return found


# New data


def test_an_old_table_starts_nothing(data: Watching) -> None:
    data.settle()
    assert len(data.runs()) == 1


def test_a_new_table_starts_one_run_after_a_while(data: Watching) -> None:
    data.upload(b"new")
    data.wait(9)
    data.wake()
    assert len(data.runs()) == 1
    data.wait(1)
    data.settle()
    data.end()
    data.settle()
    (_, run) = data.runs()
    assert run.name == "new-data-2026-01-01T02-00-00Z"
    assert run.description == "New data: raw/data.csv"
    assert run.parameters == {}


def test_a_table_that_is_still_being_replaced_starts_one_run(data: Watching) -> None:
    for number in range(6):
        data.upload(b"%d" % number)
        data.wait(5)
        data.wake()
    assert len(data.runs()) == 1
    data.settle()
    assert len(data.runs()) == 2


def test_the_synthetic_table_starts_nothing(data: Watching) -> None:
    data.upload(seeded=True)
    data.wait(60)
    data.settle()
    assert len(data.runs()) == 1


def test_a_table_before_the_first_run_starts_it(world: World, capsys: Capture) -> None:
    found = watching(world, capsys, NEW_DATA)
    found.upload()
    found.wait(10)
    found.wake()
    assert len(found.runs()) == 1


def test_without_a_table_nothing_starts(world: World, capsys: Capture) -> None:
    found = watching(world, capsys, NEW_DATA)
    found.settle()
    assert found.runs() == []


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
def test_a_run_in_progress_is_awaited(data: Watching, status: str) -> None:
    data.sagemaker.begin(PIPELINE)
    data.end(status)
    data.wait()
    data.upload(b"new")
    data.wait(60)
    data.wake()
    assert len(data.runs()) == 2
    data.end("Failed")
    data.wake()
    assert len(data.runs()) == 3


def test_a_table_that_a_failed_run_read_is_not_tried_again(data: Watching) -> None:
    data.upload(b"new")
    data.wait(10)
    data.wake()
    data.end("Failed")
    data.settle()
    assert len(data.runs()) == 2


def test_a_persons_run_after_the_upload_counts(data: Watching) -> None:
    data.upload(b"new")
    data.wait(1)
    data.sagemaker.begin(PIPELINE)
    data.end()
    data.settle()
    assert len(data.runs()) == 2


def test_two_calls_at_the_same_time_start_one_run(data: Watching) -> None:
    """The other call comes after the first one has looked, and before it starts."""
    data.upload(b"new")
    data.wait(10)
    data.sagemaker.before["StartPipelineExecution"].append(data.wake)
    data.wake()
    assert len(data.sagemaker.requested("StartPipelineExecution")) == 2
    assert len(data.runs()) == 2


def test_a_pipeline_that_is_being_deleted_is_no_failure(data: Watching) -> None:
    data.upload(b"new")
    data.wait(10)
    data.sagemaker.pipelines.clear()
    data.wake()
    assert len(data.runs()) == 1


# Drift checks


def test_a_check_reads_the_last_whole_day_with_the_model_that_serves(served: Watching) -> None:
    served.settle()
    (check,) = served.runs(BESIDE)
    assert check.name == "drift-2026-01-02T00Z"
    assert check.parameters == {
        "InputData": f"s3://{BUCKET}/captured/{PIPELINE}/AllTraffic/2026/01/01/",
        "ModelArchive": ARCHIVE,
    }


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "name", "folder"),
    [
        (24, at(2, 0, 15), "drift-2026-01-02T00Z", "2026/01/01/"),
        (24, at(2, 0, 14), "drift-2026-01-01T00Z", "2025/12/31/"),
        (24, at(2, 23, 59), "drift-2026-01-02T00Z", "2026/01/01/"),
        (6, at(2, 13), "drift-2026-01-02T12Z", "2026/01/02/"),
        (6, at(2, 0, 30), "drift-2026-01-02T00Z", "2026/01/01/"),
        (1, at(2, 13, 20), "drift-2026-01-02T13Z", "2026/01/02/12/"),
        (1, at(2, 13, 10), "drift-2026-01-02T12Z", "2026/01/02/11/"),
        (1, at(2, 0, 20), "drift-2026-01-02T00Z", "2026/01/01/23/"),
        (168, at(2, 13), "drift-2026-01-01T00Z", "2025/12/31/"),
    ],
)
def test_a_check_covers_hours_that_one_prefix_names(
    hours: int, now: datetime, name: str, folder: str
) -> None:
    found = newest_check(now, hours)
    assert (found.name, found.folder) == (name, folder)


def test_nothing_is_checked_if_nothing_was_captured(served: Watching) -> None:
    served.wait(24 * 60)
    served.settle()
    assert served.runs(BESIDE) == []


def test_nothing_is_checked_without_an_endpoint(world: World, capsys: Capture) -> None:
    found = watching(world, capsys, DRIFT)
    found.capture()
    found.wait(24.5 * 60)
    found.settle()
    assert found.runs(BESIDE) == []


def test_a_model_that_is_not_from_the_registry_is_not_checked(
    world: World, capsys: Capture
) -> None:
    found = watching(world, capsys, DRIFT)
    found.serve("somebodys")
    found.capture()
    found.wait(24.5 * 60)
    found.wake()
    assert found.runs(BESIDE) == []


def test_requests_to_another_variant_are_not_checked(world: World, capsys: Capture) -> None:
    found = watching(world, capsys, DRIFT)
    found.serve()
    found.capture(variant="Other")
    found.wait(24.5 * 60)
    found.wake()
    assert found.runs(BESIDE) == []


def test_a_failed_check_is_not_repeated_before_the_next_one_is_due(served: Watching) -> None:
    served.wake()
    served.end("Failed", BESIDE)
    served.settle()
    assert len(served.runs(BESIDE)) == 1
    assert served.printed == []
    served.capture()
    served.wait(24 * 60)
    served.settle()
    assert len(served.runs(BESIDE)) == 2


def test_a_check_in_progress_is_awaited(served: Watching) -> None:
    served.wake()
    served.capture()
    served.wait(24 * 60)
    served.wake()
    assert len(served.runs(BESIDE)) == 1


def test_what_a_check_found_is_published_once(served: Watching) -> None:
    served.wake()
    served.end_check(report("plan"))
    served.settle()
    (line,) = served.printed
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "tabular-ml-vpc"
    assert directive["Dimensions"] == [["Pipeline"]]
    assert [one["Name"] for one in directive["Metrics"]] == [
        "DriftedColumns",
        "LargestPsiRatio",
        "Rows",
    ]
    assert (line["Pipeline"], line["DriftedColumns"], line["Rows"]) == (PIPELINE, 1, 480)
    assert line["LargestPsiRatio"] == pytest.approx(2.5)
    assert line["_aws"]["Timestamp"] == 1000 * int(at(2, 0, 30).timestamp())
    (check,) = served.runs(BESIDE)
    assert check.description == "Drifted columns: 1 of 4, rows: 480 (plan)"


def test_the_absence_of_drift_is_published_too(served: Watching) -> None:
    served.wake()
    served.end_check(report())
    served.wake()
    (line,) = served.printed
    assert line["DriftedColumns"] == 0
    assert line["LargestPsiRatio"] == pytest.approx(0.25)


@pytest.mark.parametrize("found", [{"drifted": None, "reason": "too few rows"}, None])
def test_what_is_unknown_is_no_metric(served: Watching, found: dict[str, object] | None) -> None:
    served.wake()
    served.end_check(found)
    served.settle()
    assert served.printed == []
    assert served.runs(BESIDE)[0].description.startswith("Drift is unknown: ")


def test_metrics_are_published_again_rather_than_lost(served: Watching) -> None:
    served.wake()
    served.end_check(report("plan"))
    served.sagemaker.failures["UpdatePipelineExecution"].append(
        ApiError("InternalFailure", "", 400)
    )
    with pytest.raises(ClientError):
        served.wake()
    served.wake()
    assert [line["DriftedColumns"] for line in served.printed] == [1, 1]


def test_predictions_of_people_are_no_checks(served: Watching) -> None:
    served.sagemaker.begin(BESIDE, "drift-of-my-table")
    served.end(pipeline=BESIDE)
    served.wake()
    assert served.printed == []
    assert len(served.runs(BESIDE)) == 2


def test_an_execution_that_is_gone_before_it_is_described_is_no_failure(served: Watching) -> None:
    served.wake()
    served.end_check(report("plan"))
    gone = ApiError("ResourceNotFound", "does not exist")
    served.sagemaker.failures["UpdatePipelineExecution"].append(gone)
    served.wake()


def test_the_specification_holds_for_the_line() -> None:
    """Root members that the directive names exist; dimensions are texts, metrics are numbers."""
    text = metrics.line(PIPELINE, metrics.of_report(report("age", "plan")), at(1, 0))
    assert "\n" not in text
    root = json.loads(text)
    assert set(root["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
    for directive in root["_aws"]["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        for name in (one for dimensions in directive["Dimensions"] for one in dimensions):
            assert isinstance(root[name], str)
        for metric in directive["Metrics"]:
            assert isinstance(root[metric["Name"]], int | float)
            assert metric["Unit"] in {"Count", "None"}


# Quality checks


@pytest.fixture
def answered(world: World, capsys: Capture) -> Watching:
    """A pipeline whose endpoint answered on the first of January; it is the fifth at 0:30."""
    found = watching(world, capsys, QUALITY)
    found.serve()
    found.capture()
    found.wait((4 * 24 + 0.5) * 60)
    return found


def label(watched: Watching) -> None:
    watched.s3.put(BUCKET, f"{LABELS}january.csv", b"order,label\n")


@pytest.mark.parametrize(
    ("days", "now", "name", "folder"),
    [
        (3, at(5, 0, 15), "quality-2026-01-01", "2026/01/01/"),
        (3, at(5, 0, 14), "quality-2025-12-31", "2025/12/31/"),
        (3, at(5, 23, 59), "quality-2026-01-01", "2026/01/01/"),
        (1, at(3, 12), "quality-2026-01-01", "2026/01/01/"),
    ],
)
def test_the_answers_of_a_day_are_measured_so_many_days_after_its_end(
    days: int, now: datetime, name: str, folder: str
) -> None:
    found = newest_quality_check(now, days)
    assert (found.name, found.folder) == (name, folder)


def test_a_quality_check_reads_labels_and_the_answers_of_that_day(answered: Watching) -> None:
    label(answered)
    answered.settle()
    (check,) = answered.runs(BESIDE)
    assert check.name == "quality-2026-01-01"
    captured = f"captured/{PIPELINE}/AllTraffic/2026/01/01/"
    assert check.description == f"Quality check of {captured}"
    assert check.parameters == {
        "InputData": f"s3://{BUCKET}/{captured}",
        "ModelArchive": ARCHIVE,
        "LabelData": f"s3://{BUCKET}/{LABELS}",
    }


def test_nothing_is_measured_before_there_are_labels(answered: Watching) -> None:
    answered.settle()
    assert answered.runs(BESIDE) == []
    label(answered)
    answered.wake()
    assert len(answered.runs(BESIDE)) == 1


@pytest.mark.parametrize("name", ["", ".keep", "_SUCCESS", "_old/january.csv", "empty.csv"])
def test_folder_markers_and_hidden_files_are_no_labels(answered: Watching, name: str) -> None:
    content = b"" if name in {"", "empty.csv"} else b"order,label\n"
    answered.s3.put(BUCKET, f"{LABELS}{name}", content)
    answered.wake()
    assert answered.runs(BESIDE) == []
    label(answered)
    answered.wake()
    assert len(answered.runs(BESIDE)) == 1


def test_nothing_is_measured_of_a_day_without_requests(answered: Watching) -> None:
    label(answered)
    answered.wait(24 * 60)
    answered.settle()
    assert answered.runs(BESIDE) == []


def test_the_quality_is_published_once(answered: Watching) -> None:
    label(answered)
    answered.wake()
    answered.end_check(quality_report())
    answered.settle()
    (line,) = answered.printed
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Metrics"] == [
        {"Name": "Quality", "Unit": "None"},
        {"Name": "LabeledRows", "Unit": "Count"},
    ]
    assert (line["Pipeline"], line["Quality"], line["LabeledRows"]) == (PIPELINE, 0.8125, 320)
    (check,) = answered.runs(BESIDE)
    assert check.description == "Quality: roc_auc 0.8125 of 320 of 480 captured rows"


def test_what_was_left_out_is_counted_and_no_label_is_quoted(answered: Watching) -> None:
    label(answered)
    answered.wake()
    unknown = {"labels": 4, "examples": {"secret": 4}}
    answered.end_check(quality_report(conflicting=2, unknown=unknown, unmatched=7))
    answered.wake()
    assert answered.runs(BESIDE)[0].description == (
        "Quality: roc_auc 0.8125 of 320 of 480 captured rows; 2 identifiers with different "
        "labels; 4 unknown labels; 7 labels of other rows"
    )


@pytest.mark.parametrize(
    ("found", "labeled"),
    [(quality_report(None, reason="12 of 480 captured rows", labeled=12), 12), (None, 0)],
)
def test_of_an_unknown_quality_the_labeled_rows_alone_are_published(
    answered: Watching, found: dict[str, object] | None, labeled: int
) -> None:
    label(answered)
    answered.wake()
    answered.end_check(found)
    answered.settle()
    (line,) = answered.printed
    assert ("Quality" in line, line["LabeledRows"]) == (False, labeled)
    reason = "there is no predictions/" if found is None else "12 of 480 captured rows"
    description = answered.runs(BESIDE)[0].description
    assert description.startswith(f"Quality is unknown: {reason}")


def test_a_failed_quality_check_is_not_repeated(answered: Watching) -> None:
    label(answered)
    answered.wake()
    answered.end("Failed", BESIDE)
    answered.settle()
    assert len(answered.runs(BESIDE)) == 1
    assert answered.printed == []


def test_both_checks_are_made_and_told_apart(answered: Watching) -> None:
    """Also beside each other; a low quality starts no run."""
    answered.properties = replace(QUALITY, drift_hours=24, drift_cooldown_hours=24)
    label(answered)
    answered.capture(at(4, 12))
    answered.wake()
    first, second = answered.runs(BESIDE)
    assert (first.name, second.name) == ("drift-2026-01-05T00Z", "quality-2026-01-01")
    answered.end_check(quality_report(0.1))
    drift, _ = answered.sagemaker.of(BESIDE)
    drift.status = "Succeeded"
    key = f"predictions/{drift.arn.rpartition('/')[2]}/drift/drift.json"
    answered.s3.put(BUCKET, key, json.dumps(report()).encode())
    answered.settle()
    assert [set(line) & {"Quality", "DriftedColumns"} for line in answered.printed] == [
        {"DriftedColumns"},
        {"Quality"},
    ]
    assert answered.runs() == []


# Runs because of drift


@pytest.fixture
def retraining(served: Watching) -> Watching:
    """Drift starts runs, at most one in two days; a check has found some."""
    served.properties = replace(DRIFT, drift_cooldown_hours=48)
    served.sagemaker.begin(PIPELINE)
    served.end()
    served.wake()
    served.end_check(report("plan"))
    return served


def next_day(watched: Watching, found: dict[str, object]) -> None:
    """Let a day pass, at the end of which a check finds something."""
    watched.capture()
    watched.wait(24 * 60)
    watched.wake()
    watched.end_check(found)
    watched.settle()


def test_found_drift_starts_one_run(retraining: Watching) -> None:
    retraining.settle()
    retraining.end()
    retraining.settle(3)
    (_, run) = retraining.runs()
    assert run.name == "drift-2026-01-02T00Z"
    assert run.description.startswith("Drifted columns: 1 of 4")
    assert run.parameters == {}


def test_no_drift_starts_no_run(retraining: Watching) -> None:
    retraining.end_check(report())
    retraining.settle()
    assert len(retraining.runs()) == 1


def test_drift_starts_no_second_run_before_the_cool_down_is_over(retraining: Watching) -> None:
    retraining.settle()
    retraining.end()
    next_day(retraining, report("plan"))
    assert len(retraining.runs()) == 2
    next_day(retraining, report("plan"))
    assert len(retraining.runs()) == 3


def test_drift_that_went_away_in_the_cool_down_starts_no_run(retraining: Watching) -> None:
    retraining.properties = replace(retraining.properties, drift_cooldown_hours=72)
    retraining.settle()
    retraining.end()
    next_day(retraining, report("plan"))
    next_day(retraining, report())
    assert len(retraining.runs()) == 2


def test_drift_does_not_start_a_run_beside_another_one(retraining: Watching) -> None:
    retraining.sagemaker.begin(PIPELINE)
    retraining.settle()
    assert len(retraining.runs()) == 2
    retraining.end()
    retraining.settle()
    assert len(retraining.runs()) == 3


def test_new_data_and_drift_start_one_run(retraining: Watching) -> None:
    retraining.properties = replace(
        retraining.properties, table_key=NEW_DATA.table_key, new_data_minutes=10
    )
    retraining.wait(1)
    retraining.upload(b"new")
    retraining.wait(10)
    retraining.wake()
    retraining.wake()
    assert [run.name[:8] for run in retraining.runs()] == ["", "new-data"]


def test_drift_alone_starts_no_run_unless_asked(served: Watching) -> None:
    served.wake()
    served.end_check(report("plan"))
    served.settle(3)
    assert served.runs() == []
    asked = [p["PipelineName"] for p in served.sagemaker.requested("ListPipelineExecutions")]
    assert set(asked) == {BESIDE}


# Failures


def test_a_missing_permission_fails_the_call(
    data: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    denied = ApiError("AccessDenied", "not authorized to perform: s3:GetObject", 403)
    data.s3.failures["HeadObject"].append(denied)
    with pytest.raises(ClientError):
        data.wake()
    assert "Grant the function's role this permission" in caplog.text


@pytest.mark.parametrize("failing", ["DescribeEndpoint", "GetObject", "StartPipelineExecution"])
def test_any_other_error_fails_the_call(served: Watching, failing: str) -> None:
    if failing == "GetObject":
        served.wake()
        served.end_check(report())
    backend = served.s3 if failing == "GetObject" else served.sagemaker
    backend.failures[failing].append(ApiError("AccessDenied", "not authorized", 403))
    with pytest.raises(ClientError):
        served.wake()


def test_properties_of_another_version_are_refused(world: World) -> None:
    with pytest.raises(PropertyError, match="unknown property Color"):
        handler({"PipelineName": "x", "Color": "red"}, Context(world.clock, 60))


def test_nothing_is_asked_if_nothing_is_watched(world: World, capsys: Capture) -> None:
    found = watching(world, capsys, WatchModelProperties(pipeline_name=PIPELINE, bucket=BUCKET))
    found.wake()
    assert found.sagemaker.requests == []
    assert found.s3.requests == []


def test_checks_are_due_at_every_multiple_once() -> None:
    """In a week, with a look every five minutes, each check is named as often as it should be."""
    for hours in (1, 2, 12, 24, 48):
        looks = [at(1, 0) + timedelta(minutes=5 * number) for number in range(7 * 24 * 12)]
        names = {newest_check(now, hours).name for now in looks}
        assert abs(len(names) - 7 * 24 / hours) < 2
