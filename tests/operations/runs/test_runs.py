"""The life of a deployed pipeline: runs to the endpoint, refused, failed, stopped; its end."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from generator.errors import CommandError
from generator.policies import operator
from generator.settings import Settings
from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.operations.runs.upload import DataBucket
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run, as_user, hearing
from tests.operations.runs.conftest import FAST, STACK

STEPS = [
    "Preprocess",
    "Train",
    "Evaluate",
    "QualityGate",
    "RegisterModel",
    "ApprovalGate",
    "CreateModel",
    "CreateEndpointConfig",
    "Deploy",
]
ROWS = 5
V01 = Path(__file__).parents[2] / "cloud" / "fixtures" / "v0.1" / "model.tar.gz"


@pytest.fixture(scope="module")
def table(aws: Session, outputs: dict[str, str]) -> list[str]:
    """Give the seeded table's lines, header and label included."""
    found = aws.client("s3").get_object(Bucket=outputs["DataBucket"], Key="raw/data.csv")
    return str(found["Body"].read().decode()).splitlines()


@pytest.fixture
def rows(table: list[str], tmp_path: Path) -> Path:
    """Give a file with a header and some rows of the table."""
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(table[: ROWS + 1]), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def alerts(aws: Session, outputs: dict[str, str]) -> Iterator[str]:
    """Let a queue hear what the alert topic hears; give its URL."""
    with hearing(aws, outputs["AlertTopic"]) as queue:
        yield queue


def heard_of(aws: Session, queue: str, execution: str) -> bool:
    """Tell whether an alert about an execution arrives; alerts take a moment."""
    sqs = aws.client("sqs")
    for _ in range(50):
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            if execution in message["Body"]:
                return True
        time.sleep(0.1)
    return False


def described(build_py: Run, execution: str) -> Any:
    return build_py("history", execution, "--json").json


def test_a_run_goes_through_all_steps_and_ends_with_the_endpoint(
    build_py: Run, succeeded: str, outputs: dict[str, str]
) -> None:
    found = described(build_py, succeeded)

    assert found["status"] == "Succeeded"
    assert [step["name"] for step in found["steps"]] == STEPS
    assert {step["status"] for step in found["steps"]} == {"Succeeded"}
    assert found["endpoint"] == outputs["EndpointName"]
    assert found["parameters"]["ModelFamilies"] == "GBM"
    assert found["gate"] == {
        "metric": "roc_auc",
        "value": found["metrics"]["roc_auc"],
        "threshold": 0.7,
        "passed": True,
        "champion": None,
    }


def test_a_run_is_told_step_by_step_with_metrics_and_the_gate_s_reason(
    build_py: Run, succeeded: str
) -> None:
    shown = build_py("run", "--follow", succeeded).out

    for step in STEPS:
        assert f"{step}: started" in shown
    assert "Evaluate: Succeeded in" in shown
    assert "(roc_auc 0." in shown
    assert "The model passed the quality gate: roc_auc 0." in shown
    assert "/raw/data.csv - --region eu-west-1 | head -n 6 | python build.py invoke" in shown


def test_jobs_are_described_as_the_service_does(
    aws: Session, build_py: Run, succeeded: str
) -> None:
    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    made = {step["name"]: step["made"] for step in described(build_py, succeeded)["steps"]}

    training = sagemaker.describe_training_job(TrainingJobName=made["Train"].rpartition("/")[2])
    evaluation = sagemaker.describe_processing_job(
        ProcessingJobName=made["Evaluate"].rpartition("/")[2]
    )

    assert training["TrainingJobStatus"] == training["SecondaryStatus"] == "Completed"
    assert training["TrainingStartTime"] < training["TrainingEndTime"]
    bucket, _, key = (
        training["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    )
    stored = s3.head_object(Bucket=bucket, Key=key)
    assert stored["SSEKMSKeyId"] == training["OutputDataConfig"]["KmsKeyId"]
    assert evaluation["ProcessingJobStatus"] == "Completed"
    assert evaluation["ProcessingStartTime"] >= training["TrainingEndTime"]


def test_what_jobs_and_endpoint_write_is_among_the_logs(build_py: Run, succeeded: str) -> None:
    assert succeeded

    said = logged(build_py, "--source", "jobs", "--source", "endpoint", "--all")
    assert "rows for training" in said["Preprocess"]
    assert "Reporting training SUCCESS" in said["Train"]
    assert "roc_auc" in said["Evaluate"]
    assert said["endpoint"]


def test_a_job_s_log_has_its_own_lines_and_not_those_of_the_toolkits(
    build_py: Run, succeeded: str
) -> None:
    assert succeeded

    said = logged(build_py, "--source", "jobs")
    assert "rows for training" not in said["Evaluate"]
    assert "Fitting model: LightGBM" in said["Train"]
    for noise in ("sagemaker-training-toolkit", "SM_HPS", "channel_input_dirs", "PYTHONPATH"):
        assert noise not in said["Train"]


def test_the_end_of_the_log_is_its_last_lines(build_py: Run, succeeded: str) -> None:
    assert succeeded
    every = build_py("logs", "--source", "jobs").out.splitlines()
    assert build_py("logs", "--source", "jobs", "--tail", "2").out.splitlines() == every[-2:]
    assert build_py("logs", "--source", "jobs", "--tail", "0").out == ""


def logged(build_py: Run, *arguments: str) -> dict[str, str]:
    """Return the lines of the last run, by source."""
    lines = [json.loads(line) for line in build_py("logs", *arguments, "--json").out.splitlines()]
    by_source: dict[str, str] = {}
    for line in lines:
        by_source[line["source"]] = f"{by_source.get(line['source'], '')}{line['text']}\n"
    return by_source


def test_the_endpoint_answers_rows_of_a_file(build_py: Run, succeeded: str, rows: Path) -> None:
    assert succeeded
    found = build_py("invoke", "--file", str(rows), "--json").json["predictions"]

    assert len(found) == ROWS
    for one in found:
        assert one["label"] in one["probabilities"]
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_the_endpoint_answers_a_row_without_header_the_same_as_with(
    build_py: Run,
    succeeded: str,
    rows: Path,
    table: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert succeeded
    bare = table[1].rpartition(",")[0]
    with_header = build_py("invoke", "--file", str(rows), "--json").json["predictions"][0]

    given = build_py("invoke", bare, "--json").json["predictions"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(bare))
    piped = build_py("invoke", "--json").json["predictions"]

    assert given == piped == [with_header]


def test_predictions_are_shown_as_a_table(build_py: Run, succeeded: str, rows: Path) -> None:
    assert succeeded
    header, *lines = build_py("invoke", "--file", str(rows)).out.splitlines()

    assert header.split() == ["row", "label", "p(0)", "p(1)"]
    assert len(lines) == ROWS


def test_latency_is_measured(build_py: Run, succeeded: str, rows: Path) -> None:
    assert succeeded
    found = build_py("invoke", "--file", str(rows), "--bench", "7", "--json").json

    assert (found["requests"], found["rows"]) == (7, ROWS)
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["slowest_ms"]


def test_a_table_is_predicted_as_the_endpoint_predicts_it(
    build_py: Run, succeeded: str, rows: Path, tmp_path: Path
) -> None:
    assert succeeded
    where = ("--input", str(rows), "--output", str(tmp_path / "predicted"))
    done = build_py("predict", *where, "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["drift"]["reason"] == "fewer than 30 rows are too few to compare"
    (file,) = found["files"]
    assert Path(file["file"]) == tmp_path / "predicted/rows.csv"
    predicted = list(csv.DictReader(io.StringIO(Path(file["file"]).read_text(encoding="utf-8"))))
    given = list(csv.DictReader(io.StringIO(rows.read_text(encoding="utf-8"))))
    assert [{name: row[name] for name in given[0]} for row in predicted] == given
    answers = json.loads(build_py("invoke", "--file", str(rows), "--json").out)["predictions"]
    assert [row["prediction"] for row in predicted] == [one["label"] for one in answers]
    for row, one in zip(predicted, answers, strict=True):
        chances = {name: float(row[f"probability_{name}"]) for name in one["probabilities"]}
        assert chances == one["probabilities"]

    again = build_py("predict", *where)
    assert (again.status, again.out) == (2, "")
    assert again.err.startswith("build.py: --output: ")
    assert "exists: nothing was written over it" in again.err


def test_drift_of_a_predicted_table_is_told(
    build_py: Run, succeeded: str, table: list[str], tmp_path: Path
) -> None:
    assert succeeded
    names = table[0].split(",")
    file = tmp_path / "moved.csv"
    moved = [dict(zip(names, line.split(","), strict=True)) for line in table[1:301]]
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, names)
        writer.writeheader()
        writer.writerows(row | {"plan": "platinum"} for row in moved)
    done = build_py("predict", "--input", str(file))
    assert done.status == 0, done.err
    assert "1 of 10 columns drifted from the training data" in done.out
    assert re.search(r"plan +unseen categories +100\.0%: 'platinum'", done.out)


def test_wrong_use_of_predict_is_told_in_one_line_and_starts_nothing(
    build_py: Run, outputs: dict[str, str], rows: Path
) -> None:
    bucket = outputs["DataBucket"]
    for arguments, said in (
        (("--input", "nowhere.csv"), "--input: 'nowhere.csv' does not exist"),
        (
            ("--input", "s3://elsewhere/x.csv"),
            f"--input: got 's3://elsewhere/x.csv': must be a local file or folder, or begin with "
            f"s3://{bucket}/raw/ or s3://{bucket}/processed/",
        ),
        (
            ("--input", str(rows), "--model", "best"),
            "--model: got 'best': must be endpoint, latest, the number of a version in the "
            "registry, or the S3 URI of a model.tar.gz",
        ),
        (
            ("--input", str(rows), "--output", "s3:///predicted"),
            "--output: got 's3:///predicted': must be a folder or an S3 URI with a bucket",
        ),
        (
            ("--input", str(rows), "--model", "999"),
            "--model: the registry has no version 999 of this model",
        ),
    ):
        done = build_py("predict", *arguments)
        assert (done.status, done.out, done.err) == (2, "", f"build.py: {said}\n")


def test_rows_that_the_model_cannot_read_are_wrong_use(build_py: Run, succeeded: str) -> None:
    assert succeeded
    done = build_py("invoke", "1,2")

    assert done.status == 2
    assert done.err.startswith("build.py: the model rejected these rows (400): row 1 has 2 values")
    assert done.err.count("\n") == 1


def serve(aws: Session, endpoint: str, config: str) -> None:
    """Let the endpoint serve another configuration, and wait until it does."""
    sagemaker = aws.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    for _ in range(600):
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] != "Updating":
            assert found["EndpointConfigName"] == config, found.get("FailureReason")
            return
        time.sleep(0.1)
    raise AssertionError("the endpoint was not updated")


def test_the_endpoint_can_go_back_to_a_model_of_0_1_and_forward_again(
    build_py: Run, succeeded: str, aws: Session, outputs: dict[str, str], rows: Path
) -> None:
    assert succeeded
    sagemaker, endpoint = aws.client("sagemaker"), outputs["EndpointName"]
    today = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=today)
    variant = config["ProductionVariants"][0]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    answers = build_py("invoke", "--file", str(rows), "--json").json["predictions"]
    key = "models/by-0.1/output/model.tar.gz"
    aws.client("s3").put_object(Bucket=outputs["DataBucket"], Key=key, Body=V01.read_bytes())
    archive = {"ModelDataUrl": f"s3://{outputs['DataBucket']}/{key}"}
    sagemaker.create_model(
        ModelName="by-0-1",
        PrimaryContainer={**model["PrimaryContainer"], **archive},
        **{name: model[name] for name in ("ExecutionRoleArn", "VpcConfig")},
        EnableNetworkIsolation=True,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="by-0-1", ProductionVariants=[{**variant, "ModelName": "by-0-1"}]
    )

    serve(aws, endpoint, "by-0-1")
    older = build_py("invoke", "--file", str(rows), "--json").json["predictions"]
    serve(aws, endpoint, today)

    assert [one["label"] in {"0", "1"} for one in older] == [True] * ROWS
    assert older != answers
    assert build_py("invoke", "--file", str(rows), "--json").json["predictions"] == answers
    sagemaker.delete_endpoint_config(EndpointConfigName="by-0-1")
    sagemaker.delete_model(ModelName="by-0-1")


def test_a_value_that_no_argument_holds_is_refused_before_the_start(
    build_py: Run, outputs: dict[str, str]
) -> None:
    assert outputs
    runs = len(build_py("history", "--json").json)
    done = build_py("run", "--set", f"ExcludeColumns={'x' * 300}")

    assert done.status == 2
    assert "has 300 characters; at most 238 fit into a job's argument" in done.err
    assert done.err.count("\n") == 1
    assert len(build_py("history", "--json").json) == runs


def test_a_refused_model_is_explained_and_what_serves_stays(
    build_py: Run, succeeded: str, aws: Session, outputs: dict[str, str], alerts: str
) -> None:
    assert succeeded
    sagemaker = aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=outputs["EndpointName"])
    done = build_py("run", *FAST, "--set", "QualityThreshold=0.999")

    assert done.status == 1
    assert "QualityGate: No" in done.out
    assert "RefuseModel: Rejected" in done.out
    assert "The quality gate rejected the model: roc_auc 0." in done.out
    assert "< 0.999." in done.out
    after = sagemaker.describe_endpoint(EndpointName=outputs["EndpointName"])
    for name in ("EndpointStatus", "EndpointConfigName", "LastModifiedTime"):
        assert after[name] == before[name]
    assert heard_of(aws, alerts, build_py("history", "--json").json[0]["id"])


def test_a_run_that_asks_for_less_than_the_deployment_is_wrong_use(
    build_py: Run, outputs: dict[str, str]
) -> None:
    assert outputs
    done = build_py("run", "--set", "QualityThreshold=-1000")

    assert done.status == 2
    assert "QualityThreshold=-1000.0 is too low: it must be at least 0.7" in done.err


@pytest.fixture
def mine(table: list[str], tmp_path: Path) -> Path:
    """Give a table of the user's own, with another label."""
    file = tmp_path / "mine.csv"
    file.write_text("\n".join([table[0].replace("label", "churned"), *table[1:]]), "utf-8")
    return file


def test_a_table_of_the_user_s_is_uploaded_and_trained_on_and_an_unapproved_model_not_deployed(
    build_py: Run, succeeded: str, aws: Session, outputs: dict[str, str], mine: Path
) -> None:
    assert succeeded
    sagemaker = aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=outputs["EndpointName"])
    own = ("--data", str(mine), "--label", "churned")
    done = build_py("run", *FAST, *own, "--set", "ApprovalStatus=PendingManualApproval")

    assert done.status == 0
    newest = build_py("history", "--json").json[0]["id"]
    uri = described(build_py, newest)["parameters"]["InputData"]
    assert f" bytes) to {uri}\n" in done.out
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    assert bucket == outputs["DataBucket"]
    assert re.fullmatch(r"raw/_uploads/[0-9a-f]{32}/mine\.csv", key)
    stored = aws.client("s3").get_object(Bucket=bucket, Key=key)
    assert stored["Body"].read() == mine.read_bytes()
    assert "ApprovalGate: No" in done.out
    assert "(PendingManualApproval) but not deployed" in done.out
    after = sagemaker.describe_endpoint(EndpointName=outputs["EndpointName"])
    assert after["EndpointConfigName"] == before["EndpointConfigName"]


def test_a_table_is_uploaded_once_and_overwrites_nothing(
    aws: Session, outputs: dict[str, str], mine: Path
) -> None:
    bucket = DataBucket(Target(aws, STACK), outputs["DataBucket"])
    mine.write_text("a,label\n1,0\n", encoding="utf-8")

    first, second = bucket.upload(mine), bucket.upload(mine)
    assert (first.sent, first.bytes, second.sent, second.uri) == (1, 12, 0, first.uri)

    name, _, key = first.uri.removeprefix("s3://").partition("/")
    aws.client("s3").put_object(Bucket=name, Key=key, Body=b"somebody's own")
    with pytest.raises(CommandError, match="exists with other content: it was not overwritten"):
        bucket.upload(mine)
    assert aws.client("s3").get_object(Bucket=name, Key=key)["Body"].read() == b"somebody's own"


def test_a_folder_is_one_table(aws: Session, outputs: dict[str, str], tmp_path: Path) -> None:
    for name in ("a.csv", "b/c.csv", ".hidden"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_text("a,label\n1,0\n", encoding="utf-8")

    table = DataBucket(Target(aws, STACK), outputs["DataBucket"]).upload(tmp_path / "t")

    name, _, prefix = table.uri.removeprefix("s3://").partition("/")
    found = aws.client("s3").list_objects_v2(Bucket=name, Prefix=prefix)["Contents"]
    assert [one["Key"] for one in found] == [f"{prefix}a.csv", f"{prefix}b/c.csv"]
    assert prefix.endswith("/")


def test_a_table_without_the_label_is_refused_before_it_is_uploaded(
    build_py: Run, aws: Session, outputs: dict[str, str], mine: Path
) -> None:
    mine.write_text("age,churned\n1,0\n", encoding="utf-8")
    done = build_py("run", "--data", str(mine), "--label", "chrned")

    assert done.status == 2
    assert "--label: mine.csv has no column 'chrned'" in done.err
    assert "did you mean 'churned'?" in done.err
    assert build_py("run", "--data", str(mine), "--set", "InputData=s3://a-b/c").status == 2
    listed = aws.client("s3").list_objects_v2(Bucket=outputs["DataBucket"], Prefix="raw/_uploads/")
    digest = "".join(one["Key"] for one in listed.get("Contents", []) if one["Size"] == 16)
    assert digest == ""


def test_a_failed_step_is_told_with_its_reason_and_the_end_of_its_log(
    build_py: Run, outputs: dict[str, str]
) -> None:
    assert outputs
    done = build_py("run", "--set", "LabelColumn=nope")

    assert done.status == 1
    assert "Preprocess failed: label column: 'nope' is not in the table" in done.out
    _, _, log = done.out.partition("The end of its log (/aws/sagemaker/ProcessingJobs/pipelines-")
    assert "error: label column: 'nope'" in log


def test_a_failure_is_told_to_programs_too(build_py: Run, outputs: dict[str, str]) -> None:
    assert outputs
    done = build_py("run", "--set", "LabelColumn=nope", "--json")

    assert done.status == 1
    failure = done.json["failure"]
    assert failure["step"] == "Preprocess"
    assert failure["reason"].startswith("label column: 'nope' is not in the table")
    assert any("nope" in line for line in failure["log"])
    assert [step["status"] for step in done.json["steps"]] == ["Failed"]


def test_a_run_that_is_stopped_ends_its_job_and_goes_no_further(
    build_py: Run, aws: Session, outputs: dict[str, str], emulator: Emulator
) -> None:
    assert outputs
    started = build_py("run", *FAST, "--no-wait", "--json").json
    job = until_training_runs(build_py, started["id"])

    stopped = build_py("stop", started["id"], "--json")

    assert stopped.status == 0
    assert [one["status"] for one in stopped.json] == ["Stopped"]
    steps = described(build_py, started["id"])["steps"]
    assert [step["status"] for step in steps] == ["Succeeded", "Stopped"]
    found = aws.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert found["TrainingJobStatus"] == "Stopped"
    assert not (emulator.directory / "jobs" / job).exists()
    assert build_py("stop", started["id"]).status == 1
    assert build_py("stop").out.endswith(" is in progress\n")


def until_training_runs(build_py: Run, execution: str) -> str:
    for _ in range(200):
        steps = described(build_py, execution)["steps"]
        if steps[1:] and steps[1]["made"]:
            return str(steps[1]["made"].rpartition("/")[2])
        time.sleep(0.05)
    raise AssertionError("no training job was started")


@contextmanager
def denied(aws: Session, role_arn: str, action: str) -> Iterator[None]:
    """Deny a role one action for a while."""
    iam, role = aws.client("iam"), role_arn.rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="Denied", PolicyDocument=document)
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="Denied")


def roles(aws: Session, outputs: dict[str, str]) -> dict[str, str]:
    """The roles of the pipeline and of its first job."""
    described = aws.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    first = json.loads(described["PipelineDefinition"])["Steps"][0]
    return {"pipeline": described["RoleArn"], "job": first["Arguments"]["RoleArn"]}


@pytest.mark.parametrize(
    ("whose", "action"), [("pipeline", "sagemaker:CreateProcessingJob"), ("job", "s3:GetObject")]
)
def test_a_right_that_is_missing_fails_the_step(
    build_py: Run, aws: Session, outputs: dict[str, str], whose: str, action: str
) -> None:
    with denied(aws, roles(aws, outputs)[whose], action):
        done = build_py("run", *FAST, "--json")

    assert done.status == 1
    assert done.json["failure"]["step"] == "Preprocess"
    assert "AccessDenied" in done.json["failure"]["reason"]
    assert action in done.json["failure"]["reason"]


def test_an_unusable_parameter_is_refused_by_the_command_and_by_the_service(
    build_py: Run, aws: Session, outputs: dict[str, str]
) -> None:
    done = build_py("run", "--set", "TimeLimitSeconds=soon")
    with pytest.raises(ClientError, match="'soon' is not a whole number"):
        aws.client("sagemaker").start_pipeline_execution(
            PipelineName=outputs["PipelineName"],
            ClientRequestToken="t" * 32,
            PipelineParameters=[{"Name": "TimeLimitSeconds", "Value": "soon"}],
        )

    assert done.status == 2
    assert done.err == ("build.py: --set TimeLimitSeconds: 'soon' is not a whole number\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "--name", "a b"), "--name: 'a b' is not a valid name: use at most 82 letters"),
        (("run", "--follow", "nope"), "ID: unknown execution 'nope'"),
        (("run", "--data", "no/such.csv"), "--data: 'no/such.csv' does not exist"),
        (("run", "--data", "x", "--follow"), "--follow cannot be combined with --data"),
        (("run", "--set", "QualityThreshold=1.1"), "QualityThreshold: got 1.1: must be at most 1"),
        (("run", "--set", "ModelFamilies=GMB"), "did you mean GBM?"),
        (("run", "--follow", "--no-wait"), "--follow cannot be combined with"),
        (("stop", "x", "--all"), "give an ID or --all, not both"),
        (("history", "nope"), "ID: unknown execution 'nope'"),
        (("invoke", "1,2", "--file", "x"), "give ROWs or --file, not both"),
        (("invoke", "--file", "no/such.csv"), "--file: cannot read 'no/such.csv': No such file"),
        (("invoke", "--bench", "0", "1"), "Invalid value for '--bench'"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    build_py: Run, arguments: tuple[str, ...], told: str
) -> None:
    done = build_py(*arguments)

    assert done.status == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_history_shows_every_run_with_its_metrics(build_py: Run, succeeded: str) -> None:
    everything = build_py("history", "--json").json
    shown = build_py("history").out

    (row,) = [one for one in everything if one["id"] == succeeded]
    assert (row["status"], row["name"], row["model_version"]) == ("Succeeded", "first", 1)
    assert 0.7 < row["metrics"]["roc_auc"] <= 1
    assert [one["started"] for one in everything] == sorted(
        (one["started"] for one in everything), reverse=True
    )
    header, *lines = shown.splitlines()
    assert header.split()[:5] == ["run", "started", "took", "status", "accuracy"]
    assert [line.split()[0] for line in lines] == [one["id"] for one in everything]


def test_a_second_model_takes_the_place_of_the_first_without_a_gap(
    build_py: Run, succeeded: str, aws: Session, outputs: dict[str, str], table: list[str]
) -> None:
    assert succeeded
    sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
    name = {"EndpointName": outputs["EndpointName"]}
    before = sagemaker.describe_endpoint(**name)
    aws.client("s3").delete_object(Bucket=outputs["DataBucket"], Key="raw/data.csv.bak")
    whole_folder = f"InputData=s3://{outputs['DataBucket']}/raw/"
    started = build_py("run", *FAST, "--set", whole_folder, "--no-wait", "--json").json
    arn, asked = {"PipelineExecutionArn": started["arn"]}, 0
    while sagemaker.describe_pipeline_execution(**arn)["PipelineExecutionStatus"] == "Executing":
        runtime.invoke_endpoint(**name, Body="\n".join(table[:2]), ContentType="text/csv")
        asked += 1
        time.sleep(0.3)

    assert described(build_py, started["id"])["status"] == "Succeeded"
    assert asked
    after = sagemaker.describe_endpoint(**name)
    assert after["EndpointConfigName"] != before["EndpointConfigName"]
    assert after["CreationTime"] == before["CreationTime"]


def test_only_who_may_gets_predictions(
    aws: Session, succeeded: str, outputs: dict[str, str], table: list[str]
) -> None:
    assert succeeded
    iam, account = aws.client("iam"), "arn:aws:iam::123456789012:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName="nobody", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    found = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="nobody")["Credentials"]
    nobody = Session(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    with pytest.raises(ClientError, match=r"AccessDenied.*sagemaker:InvokeEndpoint"):
        nobody.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=outputs["EndpointName"], Body=table[1], ContentType="text/csv"
        )
    iam.delete_role(RoleName="nobody")


def test_an_operator_runs_looks_and_predicts_but_changes_nothing(
    build_py: Run, aws: Session, succeeded: str, rows: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "operator-policy.json"
    settings = Settings.model_validate({"pipeline": {"predictions": True}})
    policy.write_text(operator.render(settings), encoding="utf-8")
    with as_user(aws, "operator", [policy]):
        for command in (
            ("status",),
            ("outputs",),
            ("history", succeeded),
            ("logs",),
            ("invoke", "--file", str(rows)),
        ):
            done = build_py(*command, "--json")
            assert (done.status, done.err) == (0, ""), done
        for model in ("endpoint", "latest"):
            assert build_py("predict", "--input", str(rows), "--model", model).status == 0
        assert described(build_py, succeeded)["metrics"]
        started = json.loads(build_py("run", "--no-wait", "--json").out)
        assert build_py("stop", started["id"]).status == 0
        for command in (("destroy", "--yes"), ("deploy", "--yes")):
            done = build_py(*command)
            assert (done.status, done.err.count("\n")) == (1, 1)
            assert "no permission " in done.err
    assert build_py("status", "--json").json["stack"]["status"].endswith("_COMPLETE")


def test_a_paused_endpoint_is_gone_and_serves_the_same_model_when_it_is_resumed(
    build_py: Run, aws: Session, outputs: dict[str, str], succeeded: str, rows: Path
) -> None:
    assert succeeded
    sagemaker, name = aws.client("sagemaker"), outputs["EndpointName"]
    before = sagemaker.describe_endpoint(EndpointName=name)
    tags = sagemaker.list_tags(ResourceArn=before["EndpointArn"])["Tags"]
    answers = build_py("invoke", "--file", str(rows), "--json").out
    assert "nothing to resume" in build_py("endpoint", "resume").out

    assert build_py("endpoint", "pause").status == 0
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_endpoint(EndpointName=name)
    assert "nothing to pause" in build_py("endpoint", "pause").out
    resumed = build_py("endpoint", "resume")

    assert resumed.status == 0, resumed.err
    after = sagemaker.describe_endpoint(EndpointName=name)
    assert after["EndpointConfigName"] == before["EndpointConfigName"]
    assert sagemaker.list_tags(ResourceArn=after["EndpointArn"])["Tags"] == tags
    assert build_py("invoke", "--file", str(rows), "--json").out == answers


def test_an_endpoint_is_not_paused_while_a_run_may_deploy_to_it(
    build_py: Run, aws: Session, outputs: dict[str, str], succeeded: str
) -> None:
    assert succeeded
    started = json.loads(build_py("run", "--no-wait", "--json").out)
    done = build_py("endpoint", "pause")
    build_py("stop", started["id"])
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert f"execution {started['id']} is in progress and may deploy to" in done.err
    found = aws.client("sagemaker").describe_endpoint(EndpointName=outputs["EndpointName"])
    assert found["EndpointStatus"] == "InService"


def test_destroying_the_stack_ends_the_endpoint_and_leaves_nothing(
    build_py: Run, succeeded: str, emulator: Emulator
) -> None:
    assert succeeded
    assert model_servers(emulator)
    done = build_py("destroy", "--yes")

    assert done.status == 0, done.err
    assert "Nothing is left." in done.out
    for _ in range(100):
        if not model_servers(emulator):
            break
        time.sleep(0.1)
    assert model_servers(emulator) == []
    assert build_py("run").status == 1


def model_servers(emulator: Emulator) -> list[Path]:
    """The folders of the endpoints that the emulator serves."""
    return [path for path in (emulator.directory / "jobs").iterdir() if path.is_dir()]
