"""The endpoint: the image's serving stack with one model, on a free port of 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tabular_ml_vpc.local.jobs import Job, LocalJobError, fetch_model
from tabular_ml_vpc.local.sandbox import (
    SERVE,
    Command,
    Mount,
    Process,
    end_group,
    image_environment,
    start,
    tail,
)

HOST: Final = "127.0.0.1"
_CONTAINER_PORT: Final = 8080
_START_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1
_REQUEST_SECONDS: Final = 60.0
_OK: Final = 200
_LOG_LINES: Final = 5
_ROOTS: Final = 2
"""Parts of a path that many programs are in, such as `/usr`."""
_COMMAND_LINE_POLLS: Final = 10
_COMMAND_LINE_SECONDS: Final = 0.02


@dataclass(frozen=True)
class EndpointResponse:
    """The response to an invocation; `seconds` is the time from sending to the last byte."""

    status: int
    content_type: str
    body: bytes
    seconds: float


class Endpoint:
    """A running endpoint."""

    def __init__(self, port: int, process: Process) -> None:
        """The endpoint must be ready to answer."""
        self.port = port
        self.process = process
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_REQUEST_SECONDS)

    @property
    def url(self) -> str:
        """The URL for prediction requests (POST)."""
        return f"http://{HOST}:{self.port}/invocations"

    def invoke(self, body: bytes, content_type: str, accept: str) -> EndpointResponse:
        """Request a prediction, over a persistent connection."""
        began = time.perf_counter()
        headers = {"Content-Type": content_type, "Accept": accept}
        try:
            self._connection.request("POST", "/invocations", body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise LocalJobError(f"the endpoint does not answer: {error}") from error
        seconds = time.perf_counter() - began
        return EndpointResponse(
            response.status, response.headers.get_content_type(), answer, seconds
        )

    def stop(self) -> None:
        """Stop it, with all its processes."""
        self._connection.close()
        self.process.end()


@dataclass(frozen=True)
class RunningEndpoint:
    """An endpoint that was left running, as recorded in a file."""

    url: str
    pid: int
    folder: str

    def write(self, file: Path) -> None:
        """Record it in `file`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.__dict__), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> RunningEndpoint | None:
        """The endpoint recorded in `file`, if its process is still running."""
        if not file.exists():
            return None
        try:
            left = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError):  # not a file of ours, or a damaged one
            return None
        return left if left.runs() else None

    def runs(self) -> bool:
        """Whether the process is still running, and is the recorded one.

        A damaged record is of no process: "" and "/" are in every command line.
        """
        kinds = [type(value) for value in (self.url, self.pid, self.folder)]
        if kinds != [str, int, str] or self.pid <= 1:
            return False
        folder = Path(self.folder)
        named = folder.is_absolute() and len(folder.parts) > _ROOTS
        return named and self.folder in _command_line(self.pid)

    def stop(self) -> None:
        """Stop it, with all its processes."""
        end_group(self.pid)


def deploy(job: Job, container: Mapping[str, Any], isolated: bool, attached: bool) -> Endpoint:
    """Serve the model of `container` (from a CreateModel request), and wait until it is ready.

    An attached endpoint ends when this process ends. Raises `LocalJobError` if the model is not an
    archive or the server is not ready within two minutes.
    """
    fetch_model(job, container["ModelDataUrl"])
    listener = socket.create_server((HOST, 0))
    port = int(listener.getsockname()[1])
    inner = _CONTAINER_PORT if isolated and job.place.runtime.abilities.network else free_port()
    command = _command(job, container.get("Environment", {}), isolated, inner)
    try:
        process = start(job.place.runtime, command, listener, inner, attached)
    finally:
        listener.close()
    try:
        _wait_until_ready(port, process)
    except BaseException:
        process.end()
        raise
    return Endpoint(port, process)


def _command_line(pid: int) -> str:
    """The command line of a process; empty if there is no process with this id."""
    file = Path(f"/proc/{pid}/cmdline")
    for _ in range(_COMMAND_LINE_POLLS):
        if not file.exists():
            break
        found = file.read_bytes()
        if found:  # empty for some milliseconds after the start, and always after the end
            return found.replace(b"\0", b" ").decode(errors="replace")
        time.sleep(_COMMAND_LINE_SECONDS)
    ps = shutil.which("ps")
    if ps is None or Path("/proc/self").exists():
        return ""
    shown = subprocess.run(  # noqa: S603 - where there is no /proc, as on macOS
        [ps, "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _command(job: Job, environment: Mapping[str, str], isolated: bool, port: int) -> Command:
    runtime = job.place.runtime
    variables = {
        **image_environment(runtime, job.scratch, with_torch=True),
        # The user's code starts in `model_fn`; the server's own ports are local to this machine.
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "TS_INFERENCE_ADDRESS": f"http://{HOST}:{port}",
        "TS_MANAGEMENT_ADDRESS": f"http://{HOST}:{port}",
        **{name: runtime.translate(value, job.ml) for name, value in environment.items()},
    }
    if not (isolated and runtime.abilities.network):
        variables["TS_METRICS_ADDRESS"] = f"http://{HOST}:{free_port()}"
        variables["TS_GRPC_INFERENCE_PORT"] = str(free_port())
        variables["TS_GRPC_MANAGEMENT_PORT"] = str(free_port())
    if not runtime.abilities.mounts:
        variables["SAGEMAKER_BASE_DIR"] = str(job.ml)
    return Command(
        arguments=["python3", str(SERVE)],
        environment=variables,
        folder=job.ml,
        scratch=job.scratch,
        log=job.log,
        offline=isolated,
        mounts=[Mount(job.ml / "model", "/opt/ml/model", read_only=True)],
    )


def _wait_until_ready(port: int, process: Process) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not process.running():
            end = " / ".join(tail(process.log, _LOG_LINES))
            raise LocalJobError(f"the model server ended before it was ready: {end}")
        if _ping(port):
            return
        time.sleep(_POLL_SECONDS)
    raise LocalJobError(f"the model server did not answer /ping within {_START_SECONDS:.0f} s")


def _ping(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
