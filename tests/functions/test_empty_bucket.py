"""A bucket is emptied if its own tag says so, to the last version, marker and upload."""

from __future__ import annotations

import pytest

from functions.empty_bucket.core import DENY_SID, PERMISSION_TAG
from functions.empty_bucket.handler import handler
from tests.functions.fakes.s3 import FakeS3, Upload
from tests.functions.fakes.wire import ApiError
from tests.functions.world import STACK_ID, World

BUCKET = "demo-data"
PROPERTIES = {"Bucket": BUCKET}
TLS_ONLY = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*"}


@pytest.fixture
def s3(world: World) -> FakeS3:
    """A bucket with versions, delete markers and unfinished uploads."""
    s3 = FakeS3(BUCKET, "other")
    s3.buckets[BUCKET].tags = {PERMISSION_TAG: STACK_ID, "team": "ml"}
    for number in range(3):
        for _ in range(2):
            s3.put(BUCKET, f"raw/{number}.csv", b"x")
    s3.delete_object({"Bucket": BUCKET, "Key": "raw/0.csv"})
    s3.put(BUCKET, "raw/data.csv", b"the user's own")
    s3.buckets[BUCKET].uploads = {f"u{n}": Upload("big", {}) for n in range(3)}
    s3.put("other", "a", b"x")
    world.backed_by(s3=s3)
    return s3


def test_nothing_is_left(world: World, s3: FakeS3) -> None:
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert (s3.buckets[BUCKET].versions, s3.buckets[BUCKET].uploads) == ([], {})


def test_other_buckets_are_not_touched(world: World, s3: FakeS3) -> None:
    world.send(handler, "Delete", PROPERTIES)
    assert s3.buckets["other"].readable() == {"a"}
    assert s3.buckets["other"].policy is None


@pytest.mark.parametrize(
    "tags",
    [
        None,
        {"team": "ml"},
        {PERMISSION_TAG: "true"},
        {PERMISSION_TAG: f"{STACK_ID}x"},
        {PERMISSION_TAG.upper(): STACK_ID},
    ],
)
def test_a_bucket_without_the_stacks_tag_is_left_alone(
    world: World, s3: FakeS3, tags: dict[str, str] | None
) -> None:
    s3.buckets[BUCKET].tags = tags
    before = [*s3.buckets[BUCKET].versions]
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == before
    assert (len(s3.buckets[BUCKET].uploads), s3.buckets[BUCKET].policy) == (3, None)


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_IN_PROGRESS"])
def test_a_replacement_or_removal_from_the_template_touches_nothing(
    world: World, s3: FakeS3, status: str
) -> None:
    world.cloudformation.status = status
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.requests == []


def test_writes_are_denied_before_anything_is_removed(world: World, s3: FakeS3) -> None:
    refused: list[str] = []

    def log_delivery() -> None:
        try:
            s3.put(BUCKET, "logs/late", b"x")
        except ApiError as error:
            refused.append(error.code)

    s3.before["ListObjectVersions"] = [log_delivery] * 2
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert refused == ["AccessDenied"] * 2


def test_the_deny_joins_the_statements_that_are_there(world: World, s3: FakeS3) -> None:
    s3.buckets[BUCKET].policy = {"Version": "2012-10-17", "Statement": [TLS_ONLY]}
    world.send(handler, "Delete", PROPERTIES)
    policy = s3.buckets[BUCKET].policy or {}
    tls, deny = policy["Statement"]
    assert tls == TLS_ONLY
    assert (deny["Sid"], deny["Effect"], deny["Action"]) == (DENY_SID, "Deny", "s3:PutObject")
    assert (deny["Principal"], deny["Resource"]) == ("*", f"arn:aws:s3:::{BUCKET}/*")


def test_the_deny_is_added_once(world: World, s3: FakeS3) -> None:
    for _ in range(2):
        world.send(handler, "Delete", PROPERTIES)
    assert len((s3.buckets[BUCKET].policy or {})["Statement"]) == 1


def test_the_partition_is_the_stacks(world: World, s3: FakeS3) -> None:
    stack = STACK_ID.replace("arn:aws:", "arn:aws-us-gov:")
    world.cloudformation.stack_id = stack
    s3.buckets[BUCKET].tags = {PERMISSION_TAG: stack}
    world.send(handler, "Delete", PROPERTIES, StackId=stack)
    (deny,) = (s3.buckets[BUCKET].policy or {})["Statement"]
    assert deny["Resource"] == f"arn:aws-us-gov:s3:::{BUCKET}/*"


def test_more_than_a_page_of_versions_is_removed(world: World, s3: FakeS3) -> None:
    for number in range(2500):
        s3.put(BUCKET, f"many/{number}", b"")
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == []


def test_what_arrives_late_is_removed_too(world: World, s3: FakeS3) -> None:
    """A write under way when the Deny was put."""
    late = s3.buckets[BUCKET].versions[0]

    def arrive() -> None:
        s3.buckets[BUCKET].versions.append(late)

    s3.before["ListMultipartUploads"] = [arrive]
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == []


def test_emptying_goes_on_where_it_stopped(world: World, s3: FakeS3) -> None:
    for number in range(2500):
        s3.put(BUCKET, f"many/{number}", b"")
    s3.before["DeleteObjects"] = [lambda: world.clock.sleep(450)] * 2
    put = world.send(handler, "Delete", PROPERTIES)
    assert "2003 versions, markers and uploads were removed" in put.reason
    assert "Delete the stack again to continue." in put.reason
    left = len(s3.buckets[BUCKET].versions)
    assert 0 < left < 1000
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == []


def test_an_object_that_may_not_be_removed_is_named_after_all_others_went(
    world: World, s3: FakeS3
) -> None:
    bucket = s3.buckets[BUCKET]
    for number in range(1100):
        s3.put(BUCKET, f"z/{number}", b"x")
    bucket.locked = {"raw/2.csv"}
    put = world.send(handler, "Delete", PROPERTIES)
    assert not put.succeeded
    assert "raw/2.csv could not be removed (AccessDenied), after 1109 others" in put.reason
    assert ({one.key for one in bucket.versions}, bucket.uploads) == ({"raw/2.csv"}, {})
    bucket.locked = set()
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert bucket.versions == []


def test_a_bucket_that_may_not_be_emptied_at_all_is_given_up_early(
    world: World, s3: FakeS3
) -> None:
    for number in range(3000):
        s3.put(BUCKET, f"z/{number:04}", b"x")
    s3.buckets[BUCKET].locked = s3.buckets[BUCKET].readable()
    put = world.send(handler, "Delete", PROPERTIES)
    assert " more could not be removed (AccessDenied)" in put.reason
    assert len(s3.requested("DeleteObjects")) <= 2


def test_a_passing_failure_of_one_object_is_tried_again(
    world: World, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, answers = s3.delete_objects, [{"Key": "raw/2.csv", "Code": "SlowDown"}]
    monkeypatch.setattr(
        s3, "delete_objects", lambda p: {"Errors": [answers.pop()]} if answers else delete(p)
    )
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == []


@pytest.mark.parametrize("letter", ["\x00", "\x01", "\x1f", "\n", "\r"])
def test_a_control_character_in_a_key_does_not_stop_it(
    world: World, s3: FakeS3, letter: str
) -> None:
    """A request to delete many is in XML, which has no such characters."""
    s3.put(BUCKET, f"raw/odd{letter}.csv", b"x")
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == []
    assert len(s3.requested("DeleteObject")) == 1


def test_an_object_that_passing_failures_keep_is_named_after_some_pauses(
    world: World, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.buckets[BUCKET].versions = s3.buckets[BUCKET].versions[-1:]
    error = {"Key": "raw/data.csv", "Code": "InternalError"}
    monkeypatch.setattr(s3, "delete_objects", lambda _p: {"Errors": [error]})
    put = world.send(handler, "Delete", PROPERTIES)
    assert "raw/data.csv could not be removed (InternalError), after 3 others." in put.reason
    assert len(s3.requested("DeleteObjects")) < 10
    assert world.clock.now > 30


def test_an_upload_that_ends_meanwhile_is_no_failure(world: World, s3: FakeS3) -> None:
    s3.before["AbortMultipartUpload"] = [s3.buckets[BUCKET].uploads.clear]
    assert world.send(handler, "Delete", PROPERTIES).succeeded


@pytest.mark.usefixtures("s3")
def test_the_same_deletion_twice_succeeds(world: World) -> None:
    first, second = (world.send(handler, "Delete", PROPERTIES) for _ in range(2))
    assert first.body == second.body
    assert first.succeeded


@pytest.mark.parametrize(
    "operation", ["GetBucketTagging", "GetBucketPolicy", "ListObjectVersions", "DeleteObjects"]
)
def test_a_bucket_that_goes_meanwhile_is_no_failure(
    world: World, s3: FakeS3, operation: str
) -> None:
    s3.before[operation] = [lambda: s3.buckets.pop(BUCKET)]
    assert world.send(handler, "Delete", PROPERTIES).succeeded


@pytest.mark.parametrize(
    "operation", ["GetBucketTagging", "GetBucketPolicy", "PutBucketPolicy", "AbortMultipartUpload"]
)
def test_a_missing_right_is_said(world: World, s3: FakeS3, operation: str) -> None:
    s3.failures[operation] = [ApiError("AccessDenied", "no", 403)]
    put = world.send(handler, "Delete", PROPERTIES)
    assert not put.succeeded
    assert operation in put.reason


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_creation_and_update_change_nothing(world: World, s3: FakeS3, kind: str) -> None:
    before = [*s3.buckets[BUCKET].versions]
    assert world.send(handler, kind, PROPERTIES).succeeded
    assert s3.buckets[BUCKET].versions == before
    assert s3.buckets[BUCKET].policy is None


def test_a_bucket_that_does_not_exist_is_refused_and_that_can_be_deleted(
    world: World, s3: FakeS3
) -> None:
    missing = {"Bucket": "missing"}
    put = world.send(handler, "Create", missing)
    assert put.reason == "Bucket missing does not exist. Specify an existing bucket."
    assert world.send(handler, "Delete", missing).succeeded
    assert [name for name, _ in s3.requests if name.startswith(("Put", "Delete"))] == []


def test_a_bucket_of_somebody_else_is_said(world: World, s3: FakeS3) -> None:
    s3.failures["HeadBucket"] = [ApiError("403", "Forbidden", 403)]
    assert "403" in world.send(handler, "Create", PROPERTIES).reason
