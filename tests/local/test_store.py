"""Folders in the place of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabular_ml_vpc.local.store import FolderStore, StoreError


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    found = FolderStore(tmp_path / "s3")
    source = tmp_path / "source"
    source.write_text("rows")
    for key in ("raw/data.csv", "raw/data.csv.bak", "raw/more/part.csv", "raw2/data.csv"):
        found.put_file(source, f"s3://bucket/{key}")
    return found


def fetched(store: FolderStore, uri: str, folder: Path) -> set[str]:
    store.fetch(uri, folder)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("s3://bucket/raw/data.csv", {"data.csv", "data.csv.bak"}),
        ("s3://bucket/raw/data.csv.bak", {"data.csv.bak"}),
        ("s3://bucket/raw/", {"data.csv", "data.csv.bak", "more/part.csv"}),
        ("s3://bucket/raw/more", {"part.csv"}),
        ("s3://bucket/raw/da", {"data.csv", "data.csv.bak"}),
        ("s3://bucket/raw", {"data.csv", "data.csv.bak", "more/part.csv", "raw2/data.csv"}),
    ],
)
def test_a_prefix_gives_every_object_whose_key_begins_with_it(
    store: FolderStore, tmp_path: Path, uri: str, files: set[str]
) -> None:
    assert fetched(store, uri, tmp_path / "job") == files


def test_nothing_under_a_prefix_is_an_error_that_names_it(
    store: FolderStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="s3://bucket/processed/x"):
        store.fetch("s3://bucket/processed/x", tmp_path / "job")


def test_a_folder_is_stored_at_any_depth(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "model.json").write_text("{}")
    store.put_folder(tmp_path / "out", "s3://bucket/models/1/")
    assert store.read("s3://bucket/models/1/deep/model.json") == b"{}"


def test_a_job_gets_a_copy_of_the_users_file(store: FolderStore, tmp_path: Path) -> None:
    mine = tmp_path / "mine #1?.csv"
    mine.write_text("a")
    store.link(mine, "s3://bucket/mine/mine #1?.csv")
    store.fetch("s3://bucket/mine/mine #1?.csv", tmp_path / "job")
    (tmp_path / "job" / mine.name).write_text("spoilt")
    assert mine.read_text() == "a"


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3:///key", "bucket/key"])
def test_what_is_no_uri_of_s3_is_refused(store: FolderStore, uri: str) -> None:
    with pytest.raises(StoreError, match="is not an S3 URI"):
        store.read(uri)


def test_a_key_may_not_leave_the_store(store: FolderStore) -> None:
    with pytest.raises(StoreError, match="points outside its bucket"):
        store.read("s3://bucket/../../secret")
