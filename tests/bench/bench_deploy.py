"""Deploying into the emulated AWS with the real command: how long each function took."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boto3.session import Session

from generator import package
from tabular_ml_vpc.local.emulator import process
from tabular_ml_vpc.local.emulator.awscli import AwsCli
from tests.bench.measure import ROOT
from tests.bench.page import circumstances, replace_section, table
from tests.cloud.account import Account, open_account

STACK = "bench"
ROWS = 100_000
REPORT = re.compile(r"Duration: (\d+) ms")


def section() -> str:
    """Deploy, and return the time of each command and function in Markdown."""
    package.build_all()
    with (
        process.running(ROOT / ".venv-emulator/bin/python") as emulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = emulator.environment()
        session = Session(region_name=emulator.region)
        session = _trusting(session, environment)
        aws = AwsCli(ROOT / ".venv-awscli/bin/python", environment)
        account = open_account(aws, session, "bench-artifacts", Path(folder))
        return "\n\n".join([*_commands(account), *_functions(account), *_ours(environment)])


def _trusting(session: Session, environment: dict[str, str]) -> Session:
    os.environ.update(environment)  # boto3 reads the endpoint and the certificate from there
    return session


def _commands(account: Account) -> list[str]:
    def timed(name: str, act: Any) -> list[str]:
        began = time.perf_counter()
        act()
        return [name, f"{time.perf_counter() - began:.1f} s"]

    packaged = account.package()
    rows = (
        timed(
            "`package`, everything uploaded already",
            lambda: account.package_of(account.as_emitted),
        ),
        timed("`deploy`, new", lambda: account.deploy(packaged, STACK, Rows=str(ROWS))),
        timed("`deploy`, nothing changed", lambda: account.deploy(packaged, STACK, Rows=str(ROWS))),
        timed(
            "`deploy`, one parameter changed",
            lambda: account.deploy(
                packaged, STACK, Rows=str(ROWS), EndpointInstanceType="ml.m5.xlarge"
            ),
        ),
    )
    return [
        "## Deploying into the emulated AWS",
        f"{circumstances()} The real `aws cloudformation` command, its waiting between polls cut "
        f"short; {ROWS:,} rows of synthetic data. Real AWS takes minutes: most of them for "
        "interface endpoints, the domain, and the functions' network interfaces.",
        table(["", "time"], rows),
    ]


def _ours(environment: Mapping[str, str]) -> list[str]:
    """Deploy another stack with our own command, which packages too: new, and again."""
    rows = []
    for name in ("new", "nothing changed"):
        first, whole = _first_and_whole(environment)
        rows.append([f"`build.py deploy`, {name}", f"{first:.2f} s", f"{whole:.1f} s"])
    return [
        "Our own command beside it: it also packages and uploads, shows the nested stacks, and "
        "asks before rights are widened (here: `--yes`). Compare it with `package` and `deploy` "
        "together.",
        table(["", "first line shown after", "time"], rows),
    ]


def _first_and_whole(environment: Mapping[str, str]) -> tuple[float, float]:
    command = [sys.executable, "-u", "build.py", "deploy", "--yes", "--stack-name", "tabular-ours"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--set", f"Rows={ROWS}"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        lines = run.stdout or ()
        next(iter(lines))
        first = time.perf_counter() - began
        rest = list(lines)
    if run.returncode:
        raise RuntimeError(f"build.py deploy: exit {run.returncode}\n{''.join(rest[-20:])}")
    return first, time.perf_counter() - began


def _functions(account: Account) -> list[str]:
    logs = account.client("logs")
    rows = []
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        if STACK not in name or "FlowLogs" in name:
            continue
        events = [e["message"] for e in logs.filter_log_events(logGroupName=name)["events"]]
        durations = [int(found[1]) for e in events if (found := REPORT.search(e))]
        if durations:
            function = name.rsplit("/", 1)[-1].removesuffix("LogGroup")
            rows.append([function, str(len(durations)), f"{max(durations)} ms"])
    account.delete(STACK)
    return [
        "The functions in that deployment; the start of Python is part of the first request.",
        table(["function", "requests", "longest"], sorted(rows)),
    ]


if __name__ == "__main__":
    replace_section("deployment", section())
