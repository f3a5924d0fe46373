"""Start and stop the emulated AWS (standard library only; runs in the main environment)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from generator.files import SOURCES

HOST = "127.0.0.1"
FOLDER_PREFIX = "emulated-aws-"
START_SECONDS = 60.0
STOP_SECONDS = 2.0
REMOVE_SECONDS = 10.0
POLL_SECONDS = 0.1
LOG_TAIL_LINES = 25
TRUST_VARIABLES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class EmulatorError(Exception):
    """The emulator did not start; the message says why and what to do."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator: one process, one port, one temporary directory."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    region: str
    account: str

    @property
    def url(self) -> str:
        """Return the endpoint of all services."""
        return f"https://{HOST}:{self.port}"

    @property
    def certificate(self) -> Path:
        """Return the certificate to trust."""
        return self.directory / "ministack-tls" / "server.crt"

    @property
    def log(self) -> Path:
        """Return the file with the emulator's output."""
        return self.directory / "emulator.log"

    def environment(self) -> dict[str, str]:
        """Return the variables that make the aws command and boto3 use this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        """Stop the process and its workers, wait for them, and delete the directory."""
        _end_group(self.process)
        remove(self.directory)


def start(
    python: Path,
    region: str = "eu-west-1",
    account: str = "123456789012",
    port: int = 0,
    attached: bool = True,
    jobs: Path | None = None,
) -> Emulator:
    """Start an emulator with the Python of its environment and wait until it is healthy.

    Port 0 selects a free port. An attached emulator ends when this process ends, for whatever
    reason. With `jobs`, the folder of the job environment, pipelines really run: their jobs and
    endpoints are processes on this machine. Without it, a run ends at once and executes nothing.

    Raises EmulatorError if an environment is missing or the emulator does not start.
    """
    if not python.exists():
        raise EmulatorError(
            f"the emulator's environment is missing at {python}: run `python build.py setup "
            "emulator`"
        )
    if jobs is not None and not (jobs / "bin" / "python").exists():
        raise EmulatorError(
            f"the job environment {jobs} is missing: run `python build.py setup local`"
        )
    port = port or _free_port()
    directory = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    with (directory / "emulator.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own module, our own interpreter)
            [
                str(python),
                "-m",
                "tabular_ml_vpc.local.emulator.launcher",
                f"--directory={directory}",  # identifies the process of a pid as this emulator
                *(["--attached"] if attached else []),
                *([f"--jobs={jobs}"] if jobs else []),
            ],
            cwd=SOURCES,
            stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
            env=_server_environment(directory, region, account, port),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    emulator = Emulator(process, port, directory, region, account)
    try:
        _wait_until_healthy(emulator)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def remove(directory: Path) -> None:
    """Delete an emulator's directory; its jobs may write to it until they have ended."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(POLL_SECONDS)


@contextmanager
def running(
    python: Path, region: str = "eu-west-1", account: str = "123456789012", port: int = 0
) -> Iterator[Emulator]:
    """Run an emulator during a `with` block."""
    emulator = start(python, region, account, port)
    try:
        yield emulator
    finally:
        emulator.stop()


def _server_environment(directory: Path, region: str, account: str, port: int) -> dict[str, str]:
    """Return the launcher's environment: ours without AWS variables, and its settings."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTHON", "MINISTACK_")) and name not in TRUST_VARIABLES
    }
    return inherited | {
        "TMPDIR": str(directory),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "USE_SSL": "1",
        "AUTH": "true",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": account,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def is_free(port: int) -> bool:
    """Return whether a port of 127.0.0.1 is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(emulator: Emulator) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if emulator.process.poll() is not None:
            status = emulator.process.returncode
            raise EmulatorError(_failure(emulator, f"ended with status {status}"))
        if _healthy(emulator):
            return
        time.sleep(POLL_SECONDS)
    raise EmulatorError(_failure(emulator, f"was not ready after {START_SECONDS:.0f} s"))


def _healthy(emulator: Emulator) -> bool:
    if not emulator.certificate.exists():
        return False
    try:
        context = ssl.create_default_context(cafile=str(emulator.certificate))
        url = f"{emulator.url}/_ministack/health"
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310
            return "services" in json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _failure(emulator: Emulator, what: str) -> str:
    lines = emulator.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([f"the emulator {what}; the end of its log:", *lines])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Stop the process group that we started: the server and the functions' workers."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    process.wait(STOP_SECONDS)
