"""Endpoints that were left running, and those that do not come up."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tabular_ml_vpc.local.jobs import JobHost, LocalJobError, fetch_model
from tabular_ml_vpc.local.sandbox import Abilities, Runtime
from tabular_ml_vpc.local.serving import RunningEndpoint
from tabular_ml_vpc.local.store import FolderStore


def note(folder: Path, pid: int) -> Path:
    file = folder / "endpoint.json"
    RunningEndpoint("http://127.0.0.1:1/invocations", pid, str(folder)).write(file)
    return file


def test_an_endpoint_that_runs_is_found_and_stopped(tmp_path: Path) -> None:
    code = "import time; time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "spec.json")], start_new_session=True
    )
    left = RunningEndpoint.read(note(tmp_path, process.pid))
    assert left is not None
    left.stop()
    assert process.wait(10) < 0


def test_another_process_of_the_same_id_is_left_alone(tmp_path: Path) -> None:
    assert RunningEndpoint.read(note(tmp_path, os.getpid())) is None


def test_an_endpoint_that_is_gone_is_not_found(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "", str(tmp_path)])
    process.wait()
    assert RunningEndpoint.read(note(tmp_path, process.pid)) is None
    assert RunningEndpoint.read(tmp_path / "nothing.json") is None


@pytest.fixture
def place(tmp_path: Path) -> JobHost:
    runtime = Runtime(Path("python"), Path("java"), Abilities(False, False, False))
    return JobHost(runtime, FolderStore(tmp_path / "s3"), tmp_path / "jobs")


def test_a_broken_model_archive_is_named(place: JobHost, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no archive")
    place.store.put_file(tmp_path / "broken", "s3://bucket/model.tar.gz")
    with pytest.raises(LocalJobError, match=r"s3://bucket/model\.tar\.gz is not a model archive"):
        fetch_model(place.job("serve"), "s3://bucket/model.tar.gz")


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """An entry of an archive: a file, or a link to `target`."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


EVIL = {
    "above": [entry("../../evil.txt")],
    "above, by a detour": [entry("code/../../evil.txt")],
    "a link to the root": [entry("out", tarfile.SYMTYPE, "/"), entry("out/tmp/evil.txt")],
    "a link above": [entry("out", tarfile.SYMTYPE, "../.."), entry("out/evil.txt")],
    "a link to a file above": [entry("evil.txt", tarfile.SYMTYPE, "../../archive/evil")],
    "a hard link above": [entry("evil.txt", tarfile.LNKTYPE, "../../archive/evil")],
    "a device": [entry("evil.txt", tarfile.CHRTYPE)],
}


@pytest.mark.parametrize("name", EVIL)
def test_an_archive_may_not_write_beside_the_models_folder(
    place: JobHost, tmp_path: Path, name: str
) -> None:
    with tarfile.open(tmp_path / "evil", "w:gz") as archive:
        for made in EVIL[name]:
            archive.addfile(made, io.BytesIO())
    place.store.put_file(tmp_path / "evil", "s3://bucket/model.tar.gz")
    with pytest.raises(LocalJobError, match="not a model archive"):
        fetch_model(place.job("serve"), "s3://bucket/model.tar.gz")
    assert not list(tmp_path.rglob("evil.txt"))


def test_an_absolute_path_in_an_archive_is_below_the_models_folder(
    place: JobHost, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    with tarfile.open(tmp_path / "packed", "w:gz") as archive:
        archive.addfile(entry(str(outside)), io.BytesIO())
    place.store.put_file(tmp_path / "packed", "s3://bucket/model.tar.gz")
    job = place.job("serve")
    fetch_model(job, "s3://bucket/model.tar.gz")
    assert not outside.exists()
    assert (job.ml / "model" / str(outside).lstrip("/")).is_file()
