"""Deploying into the emulated AWS with the real command: how long each function took."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any

from boto3.session import Session

from generator import package
from generator.emulator import process
from generator.emulator.awscli import AwsCli
from tests.bench.measure import ROOT, Section
from tests.cloud.account import Account, open_account

STACK = "bench"
ROWS = 100_000
REPORT = re.compile(r"Duration: (\d+) ms")


def sections() -> list[Section]:
    """Return the time of each command, and time and memory of each function."""
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
        return [_commands(account), _functions(account)]


def _trusting(session: Session, environment: dict[str, str]) -> Session:
    import os  # noqa: PLC0415 - boto3 reads the endpoint and certificate from the environment

    os.environ.update(environment)
    return session


def _commands(account: Account) -> Section:
    def timed(name: str, act: Any) -> tuple[str, str]:
        began = time.perf_counter()
        act()
        return name, f"{time.perf_counter() - began:.1f} s"

    packaged = account.package()
    rows = (
        timed("`package`, everything uploaded already", account.package),
        timed("`deploy`, new", lambda: account.deploy(packaged, STACK, Rows=str(ROWS))),
        timed("`deploy`, nothing changed", lambda: account.deploy(packaged, STACK, Rows=str(ROWS))),
        timed(
            "`deploy`, one parameter changed",
            lambda: account.deploy(
                packaged, STACK, Rows=str(ROWS), EndpointInstanceType="ml.m5.xlarge"
            ),
        ),
    )
    return Section(
        "Deploying into the emulated AWS",
        "The real `aws cloudformation` command, its waiting between polls cut short; "
        f"{ROWS:,} rows of synthetic data. Real AWS takes minutes: most of them for interface "
        "endpoints, the domain, and the functions' network interfaces.",
        ("", "time"),
        rows,
    )


def _functions(account: Account) -> Section:
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
            rows.append((function, str(len(durations)), f"{max(durations)} ms"))
    account.delete(STACK)
    return Section(
        "The functions",
        "In that deployment, on this machine's processor; the start of Python is part of the first "
        "request.",
        ("", "requests", "longest"),
        tuple(sorted(rows)),
    )
