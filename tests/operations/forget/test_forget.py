"""What ``build.py forget`` finds in a stack's bucket, registry and endpoint, and deletes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.emulated import Done, Run
from tests.operations.forget.conftest import (
    HEADER,
    STACK,
    Holder,
    captured,
    packed,
    row,
    table,
)
from tests.operations.test_json import faults


def kinds(done: Done) -> Counter[str]:
    return Counter(one["kind"] for one in done.json["findings"])


def of_kind(done: Done, kind: str) -> list[dict[str, Any]]:
    return [one for one in done.json["findings"] if one["kind"] == kind]


def keys(done: Done) -> set[str]:
    return {one["name"] for one in done.json["findings"]}


def test_nothing_is_found_of_somebody_unknown(forget: Run) -> None:
    done = forget("--column", "customer", "--value", "nobody")

    assert (done.status, done.out.splitlines()[0][:21]) == (0, "Nothing was found in "), done.err
    assert "Searching " in done.err
    assert "lack the column" in done.err  # the synthetic table


def test_a_row_in_the_training_data_leads_to_model_registry_and_endpoint(
    forget: Run, holder: Holder
) -> None:
    done = forget("--column", "customer", "--value", holder.in_train, "--json")

    assert done.status == 1, done.err
    assert not list(faults(done.json))
    assert kinds(done) == {"raw": 1, "processed": 2, "models": 1, "package": 1, "endpoint": 1}
    (raw,), (profile, prepared) = of_kind(done, "raw"), of_kind(done, "processed")
    assert (raw["name"], raw["current"], raw["deletable"]) == ("raw/people.csv", True, False)
    assert raw["matches"] == [{"value": holder.in_train, "kind": "exact", "count": 1}]
    assert prepared["name"] == f"processed/{holder.run}/train/train.parquet"
    assert [one["kind"] for one in prepared["matches"]] == ["row"]
    assert profile["name"] == f"processed/{holder.run}/profile/profile.json"
    assert [one["kind"] for one in profile["matches"]] == ["quoted"]  # one of ten values
    (model,), (package,) = of_kind(done, "models"), of_kind(done, "package")
    assert (model["name"], model["reason"]) == (
        holder.archive,
        "its training data hold such rows",
    )
    assert package["reason"] == f"Approved: made of {holder.archive}"
    assert f"--model-package-arn {package['name']} --model-approval-status" in package["advice"]


def test_a_row_in_the_test_data_was_not_trained_on(forget: Run, holder: Holder) -> None:
    done = forget("--column", "customer", "--value", holder.in_test, "--json")

    assert kinds(done) == {"raw": 1, "processed": 2}
    assert f"processed/{holder.run}/test/test.parquet" in keys(done)


def test_files_that_quote_a_value_are_found(forget: Run, holder: Holder) -> None:
    done = forget("--column", "plan", "--value", "premium", "--json")

    quoting = {
        one["name"]
        for one in done.json["findings"]
        for m in one["matches"]
        if m["kind"] == "quoted"
    }
    assert quoting == {
        f"processed/{holder.run}/schema/schema.json",
        f"processed/{holder.run}/profile/profile.json",
        holder.archive,
    }
    assert {"raw", "processed", "models"} <= set(kinds(done))


def test_numbers_are_compared_as_numbers_too_and_said_to_be(forget: Run) -> None:
    done = forget("--column", "income", "--value", "007.50")

    assert done.status == 1
    assert "1 row as a number only" in done.out


def test_several_values_are_told_apart(forget: Run, holder: Holder, tmp_path: Path) -> None:
    file = tmp_path / "values.txt"
    file.write_text(f"\ufeff{holder.in_train}\n\n {holder.in_test}\nnobody\n", encoding="utf-8")

    done = forget("--column", "customer", "--values", str(file))

    (line,) = [line for line in done.out.splitlines() if "raw/people.csv  " in line]
    assert "2 rows: " in line
    assert f"'{holder.in_train}'" in line
    assert "nobody" not in line


def test_predictions_captured_requests_and_files_of_people_are_searched(
    forget: Run, holder: Holder
) -> None:
    person = row(7).split(",")[0]
    header = HEADER.strip()
    content = {
        "predictions/p1/predictions/people.csv": f"{header},prediction\n{row(7).strip()},1\n",
        "predictions/p2/predictions/other.csv": f"{header},prediction\n{row(8).strip()},1\n",
        "studio/ada/copy.csv": f"{HEADER}{row(7)}",
        "studio/ada/notes.ipynb": "{}",
        "asynchronous/requests/4711": f"{HEADER}{row(7)}",
        "asynchronous/requests/4712": f'{{"customer": "{person}"}}',
        "asynchronous/answers/4711.out": '{"predictions": [{"prediction": 7.5}]}',
    }
    requests = captured(f"{HEADER}{row(7)}{row(8)}", row(7), '{"customer": "C-0007"}', row(9))
    versions = {key: holder.put(key, body.encode()) for key, body in content.items()}
    versions["captured/e/AllTraffic/a.jsonl"] = holder.put(
        "captured/e/AllTraffic/a.jsonl", requests
    )
    try:
        done = forget("--column", "customer", "--value", person, "--json")
        only = forget("--column", "customer", "--value", person, "--pipeline", "main", "--json")
    finally:
        for key, version in versions.items():
            holder.s3.delete_object(Bucket=holder.bucket, Key=key, VersionId=version)

    found = {one["name"]: one for one in done.json["findings"]}
    assert {key for key in found if key in versions} == {
        "predictions/p1/predictions/people.csv",
        "studio/ada/copy.csv",
        "captured/e/AllTraffic/a.jsonl",
        "asynchronous/requests/4711",
        "asynchronous/requests/4712",
    }
    asked = found["asynchronous/requests/4711"]
    assert (asked["kind"], asked["deletable"]) == ("asynchronous", False)
    assert asked["advice"].startswith("once it is answered: aws s3api delete-object")
    matches = found["captured/e/AllTraffic/a.jsonl"]["matches"]
    assert {one["kind"]: one["count"] for one in matches} == {"exact": 2, "unnamed": 1}
    assert found["predictions/p1/predictions/people.csv"]["run"] == "p1"
    assert {"prefix": "studio", "versions": 1} in done.json["not_searched"]
    assert keys(done) - keys(only) == {"studio/ada/copy.csv"}


def test_old_versions_are_found_and_say_when_they_are_gone(forget: Run, holder: Holder) -> None:
    person = holder.in_train
    without = table(int(person[2:]))
    new = holder.put("raw/people.csv", without)
    try:
        done = forget("--column", "customer", "--value", person, "--json")
    finally:
        holder.s3.delete_object(Bucket=holder.bucket, Key="raw/people.csv", VersionId=new)

    (raw,) = of_kind(done, "raw")
    assert (raw["current"], bool(raw["gone"])) == (False, True)
    assert raw["advice"].startswith("aws s3api delete-object ")
    assert kinds(done)["models"] == 1  # trained before


def test_what_cannot_be_read_is_said(forget: Run, holder: Holder) -> None:
    version = holder.put("raw/people.xlsx", b"PK\x03\x04")
    try:
        done = forget("--column", "customer", "--value", "nobody")
    finally:
        holder.s3.delete_object(Bucket=holder.bucket, Key="raw/people.xlsx", VersionId=version)

    assert done.status == 1
    assert "Not read: raw/people.xlsx: table is a zip archive or an Excel file" in done.err


def test_an_archive_that_is_incomplete_is_said(forget: Run, holder: Holder) -> None:
    key = "models/r9/job/output/model.tar.gz"
    version = holder.put(key, packed({"schema.json": "{}" * 5000})[:-20])
    try:
        done = forget("--column", "customer", "--value", "nobody", "--json")
    finally:
        holder.s3.delete_object(Bucket=holder.bucket, Key=key, VersionId=version)

    assert [one["key"] for one in done.json["unread"]] == [key]


def test_without_the_run_s_files_the_archive_is_read(forget: Run, holder: Holder) -> None:
    """A pipeline that the stack does not have any more leaves its models behind."""
    key = "pipelines/models/former/r1/job/output/model.tar.gz"
    reference = '{"columns": [{"name": "customer", "categories": {"C-0003": 2}}]}'
    version = holder.put(key, packed({"reference.json": reference, "weights": "C-0003"}))
    try:
        done = forget("--column", "customer", "--value", "C-0003", "--json")
    finally:
        holder.s3.delete_object(Bucket=holder.bucket, Key=key, VersionId=version)

    (model,) = [one for one in of_kind(done, "models") if one["name"] == key]
    assert (model["pipeline"], model["matches"][0]["kind"]) == ("former", "quoted")
    assert done.json["unknown_runs"] == [
        {"run": "r1", "reason": "the stack has no pipeline former"}
    ]


def test_a_missing_permission_ends_it_before_anything_is_read(
    forget: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Any, _: int) -> list[Any]:
        self.unseen.add("list_pipeline_executions")
        return []

    monkeypatch.setattr("tabular_ml_vpc.operations.workload.Workload.executions", denied)

    done = forget("--column", "customer", "--value", "C-0003")

    assert done.status == 1
    assert "no permission for sagemaker:ListPipelineExecutions" in done.err
    assert not done.out


def test_a_mistyped_column_is_an_error(forget: Run) -> None:
    done = forget("--column", "custmer", "--value", "C-0001")

    assert done.status == 1
    assert "--column: none of the tables has a column 'custmer'" in done.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "--value: give at least one value"),
        (("--value", " "), "--value: give at least one value"),
        (("--values", "none.txt"), "--values: cannot read 'none.txt': No such file"),
        (("--value", "\udcff"), "--value: must be UTF-8 text"),
        (("--value", "1", "--delete"), "--delete needs --yes"),
        (("--value", "1", "--pipeline", "churn"), "--pipeline: "),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], problem: str, forget: Run) -> None:
    done = forget("--column", "customer", *arguments)

    assert (done.status, problem in done.err, done.err.count("\n")) == (2, True, 1), done.err


def test_delete_deletes_derived_versions_and_nothing_else(forget: Run, holder: Holder) -> None:
    person = holder.in_test
    folder = f"processed/{holder.run}"
    names = [f"{folder}/test/test.parquet", f"{folder}/profile/profile.json"]
    bodies = {
        name: holder.s3.get_object(Bucket=holder.bucket, Key=name)["Body"].read() for name in names
    }
    predicted = "predictions/p3/predictions/people.csv"
    before = holder.put(predicted, f"{HEADER}{row(9)}".encode())
    holder.put(predicted, f"{HEADER}{row(int(person[2:]))}".encode())

    done = forget("--column", "customer", "--value", person, "--delete", "--yes", "--json")
    again = forget("--column", "customer", "--value", person, "--json")

    for name, body in bodies.items():
        holder.put(name, body)
    listed = holder.s3.list_object_versions(Bucket=holder.bucket, Prefix=predicted)
    holder.s3.delete_object(Bucket=holder.bucket, Key=predicted, VersionId=before)
    assert done.status == 1  # the table remains
    assert {one["key"] for one in done.json["deleted"]} == {*names, predicted}
    assert done.json["not_deleted"] == []
    assert [one["VersionId"] for one in listed["Versions"]] == [before]
    assert "DeleteMarkers" not in listed
    assert not [one for one in again.json["findings"] if one["deletable"]]
    assert keys(again) >= {"raw/people.csv"}
    # Its test data are gone, so that nothing tells on which side of the split the row was.
    assert kinds(again)["models"] == 1
    assert of_kind(again, "models")[0]["reason"].startswith("possible: its run read raw/people")


def test_delete_without_anything_derived_deletes_nothing(forget: Run) -> None:
    done = forget("--column", "customer", "--value", "nobody", "--delete", "--yes")

    assert (done.status, done.out.splitlines()[-1]) == (0, "Deleted 0 versions of objects.")


def test_delete_is_refused_while_a_run_is_in_progress(
    forget: Run, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [{"PipelineExecutionArn": "arn:aws:x:::pipeline/y/execution/abc"}]
    monkeypatch.setattr(
        "tabular_ml_vpc.operations.workload.Workload.running", lambda _: list(running)
    )

    done = forget("--column", "customer", "--value", holder.in_train, "--delete", "--yes")

    assert done.status == 1
    assert "execution abc is in progress and may read what --delete deletes" in done.err
    head = holder.s3.head_object(
        Bucket=holder.bucket, Key=f"processed/{holder.run}/train/train.parquet"
    )
    assert head["ContentLength"]


def test_a_stack_that_does_not_exist_is_one_line(forget: Run) -> None:
    done = forget("--column", "customer", "--value", "1", "--stack-name", f"{STACK}-2")

    assert (done.status, done.err.count("\n")) == (1, 1)


def test_a_table_that_is_gone_leaves_its_runs_unknown(forget: Run, holder: Holder) -> None:
    """The last test: the version that the run read is deleted for good."""
    listed = holder.s3.list_object_versions(Bucket=holder.bucket, Prefix="raw/people.csv")
    (version,) = [one["VersionId"] for one in listed["Versions"]]
    other = holder.put("raw/_uploads/x/people.csv", table(0))
    holder.s3.delete_object(Bucket=holder.bucket, Key="raw/people.csv", VersionId=version)
    try:
        done = forget("--column", "customer", "--value", "C-0000", "--json")
    finally:
        holder.put("raw/people.csv", table())
        holder.s3.delete_object(
            Bucket=holder.bucket, Key="raw/_uploads/x/people.csv", VersionId=other
        )

    assert done.status == 1
    (unknown,) = done.json["unknown_runs"]
    assert unknown["run"] == holder.run
    assert unknown["reason"].startswith("its table no longer exists: s3://")
