"""`python build.py local up` and `down`: all of it, for who has no account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from generator.files import REPOSITORY
from tests.sockets import listening

ENDED_SECONDS = 60


def local(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "build.py", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )


def test_up_deploys_all_of_it_and_down_leaves_nothing(tmp_path: Path) -> None:
    work = ("--work", str(tmp_path))
    up = local(
        *("local", "up", "--detach", "--port", "0", *work, "--json"),
        *("--set", "Rows=200", "--stack-name", "tabular-whole"),
        TMPDIR=str(tmp_path),
    )
    try:
        assert up.returncode == 0, up.stderr
        found = json.loads(up.stdout)
        status = local("status", "--stack-name", "tabular-whole", "--json", **found["environment"])
        second = local("local", "up", *work)
        addresses = {address for address, _ in listening(found["pid"])}
    finally:
        down = local("local", "down", *work)

    assert json.loads(status.stdout)["stack"]["status"] == "CREATE_COMPLETE"
    assert json.loads(status.stdout)["pipeline"] == found["outputs"]["PipelineName"]
    assert addresses == {IPv4Address("127.0.0.1")}
    assert second.returncode == 1
    assert second.stderr.startswith(
        f"build.py: an emulated AWS is already running at {found['url']}"
    )
    assert down.stdout == f"stopped the emulated AWS at {found['url']}\n"
    assert [*tmp_path.iterdir()] == []
    assert local("local", "down", *work).stdout == "no emulated AWS was running\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_up_that_is_ended_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    command = [sys.executable, "build.py", "local", "up", "--port", "0", "--work", str(tmp_path)]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("To stop it"):
                break
        assert any(path.name == "aws.env" for path in tmp_path.iterdir())
        running.send_signal(sent)
        rest = running.stdout.read()
        status = running.wait(ENDED_SECONDS)

    assert status == 0
    assert "nothing of it is left" in rest
    assert [*tmp_path.iterdir()] == []


def test_options_of_the_run_before_up_are_wrong_use() -> None:
    done = local("local", "--keep", "up")

    assert done.returncode == 2
    assert done.stderr == (
        "build.py: --keep is before the command 'up': options of a command come after its name\n"
    )


def test_a_port_that_is_taken_is_wrong_use(tmp_path: Path) -> None:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = local("local", "up", "--port", str(port), "--work", str(tmp_path))

    assert done.returncode == 2
    assert done.stderr.startswith(f"build.py: --port: got {port}: the port is in use")
