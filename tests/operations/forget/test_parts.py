"""The parts of ``forget``: values, documents, captured requests, versions, lifecycles, deletion."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout
from tabular_ml_vpc.operations.forget import captured
from tabular_ml_vpc.operations.forget.findings import Finding
from tabular_ml_vpc.operations.forget.runs import seen
from tabular_ml_vpc.operations.forget.search import StackSearch
from tabular_ml_vpc.operations.forget.sought import Sought
from tabular_ml_vpc.operations.forget.versions import (
    Lifecycle,
    Place,
    Version,
    listed,
    place_of,
)
from tabular_ml_vpc.operations.runs.executions import Execution
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOUGHT = Sought("age", ("40", "C-1"))


def at(days: float) -> datetime:
    return NOON + timedelta(days=days)


def version(key: str, modified: float = 0, superseded: float | None = None) -> Version:
    return Version(key, "v", 1, at(modified), None if superseded is None else at(superseded))


class TestSought:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("40", (0, "exact")),
            (40, (0, "exact")),
            (40.0, (0, "number")),
            ("0040", (0, "number")),
            ("4e1", (0, "number")),
            (" C-1 ", (1, "exact")),
            ("c-1", None),
            ("", None),
            (None, None),
            (True, None),
            ("1_0", None),
            ("٤٠", None),
        ],
    )
    def test_a_cell_matches_as_text_or_as_a_number(self, cell: object, expected: object) -> None:
        assert SOUGHT.match(cell) == expected

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (["a", "age"], 1),
            (["Age", "age "], 1),
            ([" AGE"], 0),
            (["Age", "AGE"], None),
            (["ages"], None),
        ],
    )
    def test_the_column_is_found_as_jobs_find_it(
        self, header: list[str], expected: int | None
    ) -> None:
        assert SOUGHT.place(header) == expected

    @pytest.mark.parametrize(
        ("document", "quotes"),
        [
            ({"columns": [{"name": "age", "categories": ["39", "40"]}]}, 1),
            ({"columns": [{"name": "size", "categories": ["39", "40"]}]}, 0),
            ({"columns": [{"name": "age", "odd": {"C-1": 3}}]}, 1),
            ({"columns": [{"name": "age", "missing": 40, "distinct": 40, "mean": 40.0}]}, 0),
            ({"columns": [{"name": "age", "least": 3.0, "most": 40.0}]}, 1),
            ({"columns": [{"name": "age", "top": [{"value": "40", "rows": 2}]}]}, 1),
            ({"label": {"column": "age", "classes": [{"value": "40", "rows": 40}]}}, 1),
            ({"instances": [{"age": 40, "size": 1}, {"age": 41, "size": 40}]}, 1),
            ({"body": json.dumps({"instances": [{"age": "40"}]})}, 1),
            ({"warnings": ["column 'age': 1 of 9 cells cannot be read: 'C-1' (1)"]}, 1),
            ({"warnings": ["column 'size': 1 of 9 cells cannot be read: 'C-1' (1)"]}, 0),
            ({"rows": 40}, 0),
            ([], 0),
        ],
    )
    def test_documents_quote_values_where_they_describe_the_column(
        self, document: Any, quotes: int
    ) -> None:
        assert SOUGHT.quoted(document).total() == quotes

    @given(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        )
    )
    def test_any_document_can_be_searched(self, document: Any) -> None:
        SOUGHT.quoted(document)


class TestCaptured:
    def search(self, *lines: object) -> Counter[tuple[int, str]]:
        def parquet(_: bytes) -> Counter[tuple[int, str]]:
            return Counter({(0, "exact"): 7})

        return captured.search([json.dumps(line).encode() for line in lines], SOUGHT, parquet)

    def request(self, data: str, encoding: str = "CSV") -> object:
        return {"captureData": {"endpointInput": {"data": data, "encoding": encoding}}}

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ("age,size\n40,1\n41,40\n040,2\n", {(0, "exact"): 1, (0, "number"): 1}),
            ("40,1\n41,40\n", {(0, "unnamed"): 2}),
            ('{"age": 40}', {(0, "exact"): 1}),
            ('[{"age": 40}, {"age": 40, "size": 40}, {"size": 40}]', {(0, "exact"): 2}),
            ('{"instances": [[40, 1], [1, 2]]}', {(0, "unnamed"): 1}),
            ("[40, 1]", {(0, "unnamed"): 1}),
            ("[40,1\n", {}),
            ("", {}),
        ],
    )
    def test_each_form_of_a_request_is_read(
        self, data: str, expected: dict[tuple[int, str], int]
    ) -> None:
        assert self.search(self.request(data)) == expected
        encoded = base64.b64encode(data.encode()).decode()
        assert self.search(self.request(encoded, "BASE64")) == expected

    def test_a_request_in_parquet_is_searched_as_a_file(self) -> None:
        body = base64.b64encode(b"PAR1...PAR1").decode()

        assert self.search(self.request(body, "BASE64")) == {(0, "exact"): 7}

    def test_answers_are_not_searched(self) -> None:
        assert self.search({"captureData": {"endpointOutput": {"data": "40"}}}) == {}

    @pytest.mark.parametrize("line", ["text", {}, [], {"captureData": {"endpointInput": {"a": 1}}}])
    def test_another_line_is_an_error_with_its_number(self, line: object) -> None:
        with pytest.raises(ValueError, match="line 2 is not a captured request"):
            self.search(self.request("1"), line)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("raw/data.csv", Place("raw", "main", "", "data.csv")),
        ("processed/r/train/a.parquet", Place("processed", "main", "r", "train/a.parquet")),
        ("pipelines/models/churn/r/m.tar.gz", Place("models", "churn", "r", "m.tar.gz")),
        ("pipelines/raw/churn/a/b.csv", Place("raw", "churn", "", "a/b.csv")),
        ("captured/e/a.jsonl", Place("captured", "main", "", "e/a.jsonl")),
        ("studio/ada/x", Place("studio", rest="ada/x")),
        ("code/h/train.py", Place("code", rest="h/train.py")),
        ("data.csv", Place("")),
    ],
)
def test_a_key_says_whose_an_object_is(key: str, place: Place) -> None:
    assert place_of(key) == place


@pytest.mark.parametrize("kind", [layout.RAW, layout.PROCESSED, layout.MODELS, layout.CAPTURED])
@pytest.mark.parametrize("pipeline", ["main", "churn"])
def test_keys_are_read_as_the_layout_writes_them(kind: str, pipeline: str) -> None:
    place = place_of(f"{layout.folder(kind, pipeline)}r/x")

    assert (place.kind, place.pipeline) == (kind, pipeline)


def test_versions_know_when_they_were_superseded() -> None:
    """Also by a deletion; folders' markers have no content and are left out."""

    def entry(key: str, identity: str, day: int, latest: bool, **more: int) -> dict[str, Any]:
        names = {"Key": key, "VersionId": identity, "IsLatest": latest}
        return {**names, "LastModified": at(day), **more}

    answer = {
        "Versions": [
            entry("a", "3", 3, latest=True, Size=1),
            entry("a", "1", 1, latest=False, Size=1),
            entry("b", "4", 4, latest=False, Size=1),
            entry("folder/", "5", 1, latest=True, Size=0),
        ],
        "DeleteMarkers": [entry("a", "2", 2, latest=False), entry("b", "6", 6, latest=True)],
    }
    s3 = canned.session({"s3.ListObjectVersions": answer}).client("s3")

    found = listed(s3, "bucket", "123456789012", [""])

    assert [(one.id, one.superseded) for one in found] == [
        ("3", None),
        ("1", at(2)),
        ("4", at(6)),
    ]


class TestLifecycle:
    rules = Lifecycle(
        (
            {"Filter": {"Prefix": "processed/"}, "Expiration": {"Days": 10}},
            {"Prefix": "", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
        )
    )

    @pytest.mark.parametrize(
        ("one", "gone"),
        [
            (version("raw/a"), None),
            (version("raw/a", 0, 1), datetime(2026, 2, 2, tzinfo=UTC)),
            (version("processed/a"), datetime(2026, 2, 11, tzinfo=UTC)),
            (version("processed/a", 0, 1), datetime(2026, 2, 2, tzinfo=UTC)),
        ],
    )
    def test_a_version_is_gone_after_both_rules(self, one: Version, gone: datetime | None) -> None:
        """S3 rounds each date up to the next midnight."""
        assert self.rules.gone(one) == gone

    def test_without_a_rule_for_old_versions_nothing_is_ever_gone(self) -> None:
        assert Lifecycle(self.rules.rules[:1]).gone(version("processed/a")) is None

    def test_a_rule_for_some_objects_only_promises_nothing(self) -> None:
        days = {"NoncurrentDays": 1}
        rules: list[dict[str, Any]] = [
            {
                "ID": "a",
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "", "ObjectSizeGreaterThan": 5}},
                "NoncurrentVersionExpiration": days,
            },
            {
                "ID": "b",
                "Status": "Disabled",
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": days,
            },
        ]
        answers = {"s3.GetBucketLifecycleConfiguration": {"Rules": rules}}

        found = Lifecycle.read(canned.session(answers).client("s3"), "bucket", "1")

        assert found.rules == ()

    def test_a_bucket_without_rules_has_none(self) -> None:
        refusal = canned.refusal("NoSuchLifecycleConfiguration", "none")
        session = canned.session({"s3.GetBucketLifecycleConfiguration": refusal})

        assert Lifecycle.read(session.client("s3"), "bucket", "1") == Lifecycle(())


def test_a_run_read_the_versions_that_were_current_meanwhile() -> None:
    run = Execution("arn/r", "", "Succeeded", at(10), at(11), "")
    versions = {
        "before": version("raw/t/a.csv", 1, 9),
        "replaced meanwhile": version("raw/t/a.csv", 9, 10.5),
        "put meanwhile": version("raw/t/a.csv", 10.5, 20),
        "after": version("raw/t/a.csv", 20),
        "hidden": version("raw/t/_x/a.csv", 1),
        "other": version("raw/t2/a.csv", 1),
        "longer": version("raw/t.csv.bak", 1),
    }
    names = {one: name for name, one in versions.items()}

    assert [names[one] for one in seen(versions.values(), "raw/t/", run)] == [
        "replaced meanwhile",
        "put meanwhile",
    ]
    assert not list(seen(versions.values(), "raw/t.csv", run))


class TestDeletion:
    def finding(self, key: str, identity: str = "v") -> Finding:
        one = replace(version(key), id=identity)
        return Finding(one.place.kind, key, Counter({(0, "exact"): 1}), one)

    def search(self, answer: canned.Answer) -> StackSearch:
        caller = {
            "Account": "123456789012",
            "UserId": "u",
            "Arn": "arn:aws:iam::123456789012:user/u",
        }
        answers = {"s3.DeleteObjects": answer, "sts.GetCallerIdentity": caller}
        return StackSearch(Target(canned.session(answers), "tabular"), "bucket", (), ("",))

    @pytest.mark.parametrize(
        "key", ["raw/a.csv", "models/r/m.tar.gz", "studio/a.csv", "pipelines/raw/x/a.csv", "x.csv"]
    )
    def test_what_is_not_derived_is_never_deleted(self, key: str) -> None:
        findings = [self.finding("processed/r/train/a.parquet"), self.finding(key)]
        assert not findings[1].deletable

        with pytest.raises(ValueError, match="only versions of derived objects"):
            self.search({"Error": {"Code": "Called", "Message": ""}}).delete(findings)

    def test_nothing_but_a_version_is_deleted(self) -> None:
        package = Finding("package", "arn", Counter())
        assert not package.deletable

        with pytest.raises(ValueError, match="only versions of derived objects"):
            self.search({"Error": {"Code": "Called", "Message": ""}}).delete([package])

    def test_what_s3_refuses_is_kept_and_said(self) -> None:
        """Each request names at most a thousand versions, by their ids."""
        findings = [self.finding("predictions/r/predictions/a", str(n)) for n in range(1001)]
        error = {"Key": findings[0].name, "VersionId": "0", "Code": "AccessDenied", "Message": "no"}
        bodies: list[bytes] = []

        def answer(body: Any) -> dict[str, Any]:
            bodies.append(body)
            return {"Errors": [error]} if len(bodies) == 1 else {}

        done = self.search(answer).delete(findings)

        assert [body.count(b"<VersionId>") for body in bodies] == [1000, 1]
        assert [(one.version and one.version.id, why) for one, why in done.kept] == [("0", "no")]
        assert len(done.deleted) == 1000
