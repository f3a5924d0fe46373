"""Jobs as processes: what they see, what they cannot reach, and that they end. Really run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabular_ml_vpc.local.jobs import Job, JobHost, LocalJobError, run_processing
from tabular_ml_vpc.local.sandbox import (
    Abilities,
    Command,
    Process,
    Runtime,
    SandboxError,
    find,
    start,
)
from tabular_ml_vpc.local.store import FolderStore

PATIENCE_SECONDS = 20.0
NOT_ALLOWED = "this user may make no namespaces (sysctl apparmor_restrict_unprivileged_userns?)"
ALL_MODES = [
    pytest.param(Abilities(mounts=True, network=True, user=False), id="as this user"),
    pytest.param(Abilities(mounts=True, network=True, user=True), id="user namespace"),
    pytest.param(Abilities(mounts=False, network=False, user=False), id="no namespaces"),
]

LOOK = """
import json, os, socket, sys
from pathlib import Path

base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).close()
    reached = True
except OSError:
    reached = False
seen = {
    "reached": reached,
    "variables": sorted(os.environ),
    "data": (base / "processing/input/data/data.csv").read_text(),
    "opt": sorted(os.listdir("/opt")),
    "job": json.loads((base / "config/processingjobconfig.json").read_text())["ProcessingJobName"],
}
(base / "processing/output/result/seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine that answers: the network that an isolated job must not reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def place(runtime: Runtime, tmp_path: Path) -> JobHost:
    store = FolderStore(tmp_path / "s3")
    (tmp_path / "data.csv").write_text("a,b\n")
    store.put_file(tmp_path / "data.csv", "s3://bucket/raw/data.csv")
    return JobHost(runtime, store, tmp_path / "jobs")


def with_script(place: JobHost, tmp_path: Path, script: str) -> JobHost:
    (tmp_path / "job.py").write_text(script)
    place.store.put_file(tmp_path / "job.py", "s3://bucket/code/job.py")
    return place


def request(*arguments: str, isolated: bool = True, seconds: int = 60) -> dict[str, Any]:
    """A processing job over `raw/` with the script `job.py` and the output `result`."""
    base = "/opt/ml/processing"
    inputs = [("data", "s3://bucket/raw/"), ("code", "s3://bucket/code/")]
    return {
        "ProcessingJobName": "look-1",
        "AppSpecification": {
            "ContainerEntrypoint": ["python3", f"{base}/input/code/job.py"],
            "ContainerArguments": list(arguments),
        },
        "ProcessingInputs": [
            {"InputName": name, "S3Input": {"S3Uri": uri, "LocalPath": f"{base}/input/{name}"}}
            for name, uri in inputs
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {
                        "S3Uri": "s3://bucket/processed/1/result",
                        "LocalPath": f"{base}/output/result",
                    },
                }
            ]
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        "NetworkConfig": {"EnableNetworkIsolation": isolated},
    }


def look(place: JobHost, port: int, isolated: bool) -> dict[str, Any]:
    run_processing(place.job("look"), request(str(port), isolated=isolated))
    seen: dict[str, Any] = json.loads(place.store.read("s3://bucket/processed/1/result/seen.json"))
    return seen


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether `holds` becomes true; only a failing test waits for long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_an_isolated_job_has_no_network(place: JobHost, tmp_path: Path, listener: int) -> None:
    if not place.runtime.abilities.network:
        pytest.skip(
            "this user may make no network namespace (apparmor_restrict_unprivileged_userns?)"
        )
    assert look(with_script(place, tmp_path, LOOK), listener, isolated=True)["reached"] is False


def test_a_job_that_is_not_isolated_has_network(
    place: JobHost, tmp_path: Path, listener: int
) -> None:
    assert look(with_script(place, tmp_path, LOOK), listener, isolated=False)["reached"] is True


@pytest.mark.parametrize("abilities", ALL_MODES)
def test_a_job_finds_its_folder_whatever_the_user_may_do(
    place: JobHost, tmp_path: Path, listener: int, abilities: Abilities
) -> None:
    if abilities.mounts and not (place.runtime.abilities.mounts and os.getuid() == 0):
        pytest.skip(
            "only root can have each kind of namespace; this user's own is tested elsewhere"
        )
    able = replace(place, runtime=replace(place.runtime, abilities=abilities))
    seen = look(with_script(able, tmp_path, LOOK), listener, isolated=True)
    assert (seen["data"], seen["job"]) == ("a,b\n", "look-1")


def test_a_job_sees_only_the_services_variables(
    place: JobHost, tmp_path: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen = look(with_script(place, tmp_path, LOOK), listener, isolated=True)
    if not place.runtime.abilities.mounts:
        seen["variables"].remove("SAGEMAKER_BASE_DIR")
    image = {"HOME", "LANG", "LC_ALL", "OMP_WAIT_POLICY", "PATH", "TMPDIR"}
    python = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    assert set(seen["variables"]) == image | python | {"AWS_REGION", "PROCESSING_JOB_NAME"}


def test_the_machines_own_folders_stay_as_they_were(
    place: JobHost, tmp_path: Path, listener: int
) -> None:
    if not place.runtime.abilities.mounts:
        pytest.skip(
            "this user may make no mount namespace (apparmor_restrict_unprivileged_userns?)"
        )
    before = sorted(os.listdir("/opt"))  # noqa: PTH208
    seen = look(with_script(place, tmp_path, LOOK), listener, isolated=True)
    assert seen["opt"] == sorted({*before, "ml"})
    assert sorted(os.listdir("/opt")) == before  # noqa: PTH208


def test_a_job_that_fails_gives_its_reason_and_leaves_nothing(
    place: JobHost, tmp_path: Path
) -> None:
    script = """
import os
from pathlib import Path
base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
(base / "processing/output/result/half.csv").write_text("half")
(base / "output/message").write_text("the label has one class")
raise SystemExit(1)
"""
    with_script(place, tmp_path, script)
    with pytest.raises(LocalJobError, match=r"^AlgorithmError: the label has one class$"):
        run_processing(place.job("fails"), request())
    assert not (tmp_path / "s3/bucket/processed").exists()


def test_of_a_job_that_ends_well_its_log_and_outputs_are_left(
    place: JobHost, tmp_path: Path, listener: int
) -> None:
    look(with_script(place, tmp_path, LOOK), listener, isolated=True)
    left = {path.name for path in (tmp_path / "jobs" / "look").iterdir()}
    assert left == {"hosts", "log.txt", "usage.json"}


def test_what_a_job_takes_is_measured(place: JobHost, tmp_path: Path) -> None:
    with_script(place, tmp_path, "kept = b'x' * 200_000_000")
    job = place.job("large")
    run_processing(job, request())
    assert 200e6 < job.usage["peak_bytes"] < 400e6
    assert job.usage["cpu_seconds"] > 0


def test_a_job_that_takes_too_long_is_ended(place: JobHost, tmp_path: Path) -> None:
    with_script(place, tmp_path, "import time; time.sleep(600)")
    with pytest.raises(LocalJobError, match="MaxRuntimeInSeconds, 1 s"):
        run_processing(place.job("slow"), request(seconds=1))


def test_an_input_that_is_not_there_fails_the_job(place: JobHost) -> None:
    with pytest.raises(LocalJobError, match=r"Data download failed.*s3://bucket/code/"):
        run_processing(place.job("empty"), request())


def sleeper(runtime: Runtime, folder: Path) -> tuple[Job, Command]:
    """A command that starts a child, writes both pids, and sleeps."""
    job = JobHost(runtime, FolderStore(folder), folder / "jobs").job("sleep")
    job.ml.mkdir(parents=True)
    code = (
        "import os, pathlib, subprocess, time;"
        "child = subprocess.Popen(['sleep', '600']);"
        "pathlib.Path('pids').write_text(f'{os.getpid()} {child.pid}');"
        "time.sleep(600)"
    )
    environment = {"PATH": runtime.path}
    return job, Command(["python3", "-c", code], environment, job.ml, job.scratch, job.log, False)


def pids(job: Job) -> list[int]:
    file = job.scratch / "pids"
    assert eventually(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(pid) for pid in file.read_text().split()]


def test_ending_a_process_ends_everything_that_it_started(runtime: Runtime, tmp_path: Path) -> None:
    job, command = sleeper(runtime, tmp_path)
    process: Process = start(runtime, command)
    started = pids(job)
    process.end()
    assert not any(map(alive, [process.pid, *started]))


def test_a_job_ends_when_whoever_started_it_is_killed(runtime: Runtime, tmp_path: Path) -> None:
    job, command = sleeper(runtime, tmp_path)
    code = (
        "from tabular_ml_vpc.local.sandbox import *; from pathlib import *; import time;"
        f"start({runtime!r}, {command!r}); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    started = pids(job)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert eventually(lambda: not any(map(alive, started)))


def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"is missing: run `python build.py setup local`"):
        find(tmp_path / ".venv-local")
