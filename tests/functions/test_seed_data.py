"""The synthetic table is kept where the pipeline reads, and a file of the user's never touched."""

from __future__ import annotations

import tracemalloc

import pytest
from botocore.exceptions import ConnectionClosedError

from functions.seed_data import core, table
from functions.seed_data.core import OWNER, TABLE
from functions.seed_data.handler import handler
from functions.seed_data.table import BLOCK_ROWS, blocks
from tests.functions.fakes.s3 import FakeS3, Version
from tests.functions.fakes.wire import ApiError, Fields
from tests.functions.world import World

BUCKET = "demo-data"
KEY = "raw/data.csv"
URI = f"s3://{BUCKET}/{KEY}"
LARGE = BLOCK_ROWS + 1000
OWN = b"age,label\n1,0\n"
MIB = 1 << 20


def properties(rows: int = 200, seed: int = 1) -> dict[str, str]:
    return {"Bucket": BUCKET, "Key": KEY, "Rows": str(rows), "Seed": str(seed)}


SMALL = properties()


@pytest.fixture
def s3(world: World) -> FakeS3:
    s3 = FakeS3(BUCKET)
    world.backed_by(s3=s3)
    return s3


def current(s3: FakeS3) -> Version:
    found = s3.buckets[BUCKET].current(KEY)
    assert found is not None
    return found


def upload(s3: FakeS3) -> None:
    """Do as the user does."""
    s3.put(BUCKET, KEY, OWN)


def changes(s3: FakeS3) -> int:
    return len(s3.buckets[BUCKET].versions)


# Writing


@pytest.mark.parametrize("rows", [200, LARGE])
def test_the_table_is_written_where_nothing_is(world: World, s3: FakeS3, rows: int) -> None:
    put = world.send(handler, "Create", properties(rows))
    assert put.data == {"Uri": URI}
    assert current(s3).body == b"".join(blocks(rows, 1))
    assert current(s3).content_type == "text/csv"


@pytest.mark.parametrize("rows", [200, LARGE])
def test_the_file_carries_our_mark_and_says_which_table_it_is(
    world: World, s3: FakeS3, rows: int
) -> None:
    world.send(handler, "Create", properties(rows))
    assert len(current(s3).metadata[OWNER]) == 64
    assert current(s3).metadata[TABLE] == f"version=1,rows={rows},seed=1"


@pytest.mark.parametrize("rows", [200, LARGE])
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_users_own_file_is_left_as_it_is(
    world: World, s3: FakeS3, kind: str, rows: int
) -> None:
    upload(s3)
    put = world.send(handler, kind, properties(rows))
    assert put.data == {"Uri": URI}
    assert (current(s3).body, changes(s3)) == (OWN, 1)


@pytest.mark.parametrize(
    ("rows", "last_call"), [(200, "PutObject"), (LARGE, "CompleteMultipartUpload")]
)
def test_a_file_that_arrives_while_the_first_table_is_written_survives(
    world: World, s3: FakeS3, rows: int, last_call: str
) -> None:
    s3.before[last_call] = [lambda: upload(s3)]
    assert world.send(handler, "Create", properties(rows)).succeeded
    assert (current(s3).body, changes(s3)) == (OWN, 1)
    assert s3.buckets[BUCKET].uploads == {}


@pytest.mark.parametrize(
    ("rows", "last_call"), [(300, "PutObject"), (LARGE, "CompleteMultipartUpload")]
)
def test_a_file_that_arrives_while_the_table_is_rewritten_survives(
    world: World, s3: FakeS3, rows: int, last_call: str
) -> None:
    world.send(handler, "Create", SMALL)
    s3.before[last_call] = [lambda: upload(s3)]
    assert world.send(handler, "Update", properties(rows)).succeeded
    assert (current(s3).body, changes(s3)) == (OWN, 2)
    assert s3.buckets[BUCKET].uploads == {}


def test_another_table_is_written_over_our_own(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    assert world.send(handler, "Update", properties(rows=300)).succeeded
    assert current(s3).body == b"".join(blocks(300, 1))
    assert world.send(handler, "Update", properties(rows=300, seed=2)).succeeded
    assert current(s3).body == b"".join(blocks(300, 2))


def test_an_update_keeps_the_users_file_over_ours(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    upload(s3)
    assert world.send(handler, "Update", properties(rows=300)).succeeded
    assert current(s3).body == OWN


@pytest.mark.parametrize("rows", [200, LARGE])
def test_the_same_event_twice_writes_once(world: World, s3: FakeS3, rows: int) -> None:
    first, second = (world.send(handler, "Create", properties(rows)) for _ in range(2))
    assert first.body == second.body
    assert changes(s3) == 1


def test_an_update_without_a_difference_writes_nothing(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    world.send(handler, "Update", SMALL)
    assert changes(s3) == 1


def test_a_table_of_another_version_of_this_code_is_rewritten(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    current(s3).metadata[TABLE] = "version=0,rows=200,seed=1"
    world.send(handler, "Update", SMALL)
    assert changes(s3) == 2


def test_a_table_of_another_resource_is_left_as_it_is(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    world.send(handler, "Create", properties(rows=300), LogicalResourceId="Other")
    assert changes(s3) == 1


@pytest.mark.parametrize(
    "error",
    [
        ApiError("ConditionalRequestConflict", "", 409),
        ApiError("NoSuchKey", "", 404),
    ],
)
def test_a_conflict_asks_to_deploy_again(world: World, s3: FakeS3, error: ApiError) -> None:
    world.send(handler, "Create", SMALL)
    s3.failures["PutObject"] = [error]
    put = world.send(handler, "Update", properties(rows=300))
    assert put.reason == f"{URI} was changed by someone else during the deployment. Deploy again."


@pytest.mark.parametrize("rows", ["99", "10000001", "0", "-5"])
def test_a_number_of_rows_out_of_range_is_refused(world: World, s3: FakeS3, rows: str) -> None:
    wrong = SMALL | {"Rows": rows}
    put = world.send(handler, "Create", wrong)
    assert put.reason == f"Rows must be from 100 to 10000000, but is {rows}."
    assert s3.requests == []
    assert world.send(handler, "Delete", wrong).succeeded


def test_a_malformed_property_is_refused_and_that_can_be_deleted(world: World, s3: FakeS3) -> None:
    wrong = SMALL | {"Rows": "many"}
    put = world.send(handler, "Create", wrong)
    assert put.reason == "property Rows is 'many', but must be a whole number"
    assert world.send(handler, "Delete", wrong).succeeded
    assert s3.requests == []


# Streaming


def test_parts_are_whole_blocks(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", properties(2 * BLOCK_ROWS + 1))
    sizes = [len(request["Body"]) for request in s3.requested("UploadPart")]
    assert len(sizes) == 3
    assert all(size > 5 * MIB for size in sizes[:-1])


def test_memory_does_not_grow_with_the_table(
    world: World, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In smaller parts than S3 takes: tracing makes it slow."""
    for module in (core, table):
        monkeypatch.setattr(module, "BLOCK_ROWS", 1 << 13)
    s3.keeps_bodies = s3.remembers = False
    peaks = []
    for parts in (2, 9):
        changed = properties(parts << 13) | {"Key": f"raw/{parts}.csv"}
        tracemalloc.start()
        assert world.send(handler, "Create", changed).succeeded
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(s3.buckets[BUCKET].versions) == 2
    assert peaks[1] < peaks[0] + s3.largest_part


@pytest.mark.parametrize(
    "error", [ApiError("AccessDenied", "no", 403), ApiError("InternalError", "", 500)]
)
def test_a_failed_upload_leaves_nothing_behind(world: World, s3: FakeS3, error: ApiError) -> None:
    s3.failures["UploadPart"] = [error] * 5
    put = world.send(handler, "Create", properties(LARGE))
    assert "UploadPart" in put.reason
    assert (changes(s3), s3.buckets[BUCKET].uploads) == (0, {})
    assert world.send(handler, "Delete", properties(LARGE)).succeeded


def test_an_abort_that_fails_does_not_hide_the_cause(world: World, s3: FakeS3) -> None:
    s3.failures["UploadPart"] = [ApiError("AccessDenied", "no", 403)]
    s3.failures["AbortMultipartUpload"] = [ApiError("NoSuchUpload", "gone", 404)]
    put = world.send(handler, "Create", properties(LARGE))
    assert put.reason.startswith(f"UploadPart {URI}: AccessDenied: no.")


def test_a_completion_whose_answer_was_lost_is_success(
    world: World, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is repeated; by then S3 knows the upload no more."""
    complete, lost = s3.complete_multipart_upload, [ConnectionClosedError(endpoint_url="https://x")]

    def complete_and_lose(p: Fields) -> Fields:
        if not lost:
            raise ApiError("NoSuchUpload", "gone", 404)
        complete(p)
        raise lost.pop()

    monkeypatch.setattr(s3, "complete_multipart_upload", complete_and_lose)
    assert world.send(handler, "Create", properties(LARGE)).succeeded
    assert changes(s3) == 1 or s3.buckets[BUCKET].readable()


def test_an_upload_that_takes_too_long_says_what_to_do(world: World, s3: FakeS3) -> None:
    s3.before["UploadPart"] = [lambda: world.clock.sleep(900)]
    put = world.send(handler, "Create", properties(LARGE))
    assert f"{URI}: time ran out after part 1. Use fewer Rows" in put.reason
    assert (changes(s3), s3.buckets[BUCKET].uploads) == (0, {})


@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
def test_a_missing_right_is_said(world: World, s3: FakeS3, operation: str) -> None:
    s3.failures[operation] = [ApiError("AccessDenied", "no", 403)]
    put = world.send(handler, "Create", SMALL)
    assert operation in put.reason
    assert changes(s3) == 0


# Deletion


def test_our_file_goes_with_the_stack(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    assert world.send(handler, "Delete", SMALL).succeeded
    assert s3.buckets[BUCKET].current(KEY) is None


def test_the_users_file_survives_the_stack(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    upload(s3)
    assert world.send(handler, "Delete", SMALL).succeeded
    assert current(s3).body == OWN
    assert s3.requested("DeleteObject") == []


def test_a_file_that_replaces_ours_right_before_the_deletion_survives(
    world: World, s3: FakeS3
) -> None:
    world.send(handler, "Create", SMALL)
    s3.before["DeleteObject"] = [lambda: upload(s3)]
    assert world.send(handler, "Delete", SMALL).succeeded
    assert current(s3).body == OWN


def test_a_file_that_goes_right_before_the_deletion_is_no_failure(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    s3.before["DeleteObject"] = [lambda: s3.delete_object({"Bucket": BUCKET, "Key": KEY})]
    assert world.send(handler, "Delete", SMALL).succeeded


def test_a_file_of_a_former_stack_of_that_name_survives(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    second = "arn:aws:cloudformation:eu-west-1:123456789012:stack/demo/second"
    world.cloudformation.stack_id = second
    assert world.send(handler, "Delete", SMALL, StackId=second).succeeded
    assert changes(s3) == 1


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_IN_PROGRESS"])
def test_a_replacement_or_removal_from_the_template_keeps_the_file(
    world: World, s3: FakeS3, status: str
) -> None:
    world.send(handler, "Create", SMALL)
    world.cloudformation.status = status
    assert world.send(handler, "Delete", SMALL).succeeded
    assert changes(s3) == 1


def test_deleting_twice_or_after_a_failed_creation_succeeds(world: World, s3: FakeS3) -> None:
    first, second = (world.send(handler, "Delete", SMALL) for _ in range(2))
    assert first.body == second.body
    assert first.succeeded
    assert s3.requested("DeleteObject") == []


def test_a_bucket_that_is_gone_is_no_failure(world: World, s3: FakeS3) -> None:
    s3.buckets.clear()
    assert world.send(handler, "Delete", SMALL).succeeded


def test_a_deletion_that_is_refused_is_said(world: World, s3: FakeS3) -> None:
    world.send(handler, "Create", SMALL)
    s3.failures["DeleteObject"] = [ApiError("AccessDenied", "no", 403)]
    assert "DeleteObject" in world.send(handler, "Delete", SMALL).reason
