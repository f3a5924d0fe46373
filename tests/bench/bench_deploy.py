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
        return "\n\n".join([*_commands(account), *_functions(account)])


def _trusting(session: Session, environment: dict[str, str]) -> Session:
    import os  # noqa: PLC0415 - boto3 reads the endpoint and certificate from the environment

    os.environ.update(environment)
    return session


def _commands(account: Account) -> list[str]:
    def timed(name: str, act: Any) -> list[str]:
        began = time.perf_counter()
        act()
        return [name, f"{time.perf_counter() - began:.1f} s"]

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
    return [
        "## Deploying into the emulated AWS",
        f"{circumstances()} The real `aws cloudformation` command, its waiting between polls cut "
        f"short; {ROWS:,} rows of synthetic data. Real AWS takes minutes: most of them for "
        "interface endpoints, the domain, and the functions' network interfaces.",
        table(["", "time"], rows),
    ]


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
