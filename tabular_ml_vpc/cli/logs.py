"""``python build.py logs``: the logs of functions, jobs and the endpoint, merged by time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import click
from rich.text import Text

from tabular_ml_vpc.cli.console import console
from tabular_ml_vpc.cli.options import WholeNumber, json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.operations import logs, stacks
from tabular_ml_vpc.operations.function_logs import LogLine
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_DEFAULT: Final = "1h"
_KINDS: Final = ("functions", "jobs", "endpoint")
_COLORS: Final = ("cyan", "magenta", "yellow", "green", "blue", "red")
_FOLLOW_SECONDS: Final = 3.0
_LATENESS_SECONDS: Final = 60
"""A line can appear in CloudWatch this much later: such lines are read again, and shown once."""


@click.command(
    epilog="""\b
python build.py logs                         since the last run started
python build.py logs --tail 20 --follow
python build.py logs --since 15min --source jobs
python build.py logs --containing error --json
"""
)
@click.option(
    "--since",
    "begin",
    metavar="TIME",
    help="How far back to look: 30min, 2h, 1d, or a time such as 2026-11-24T18:00. Default: since "
    "the last run started, or 1h if there was none.",
)
@click.option(
    "--source",
    "kinds",
    type=click.Choice(_KINDS),
    multiple=True,
    help="Only show this source; repeatable.",
)
@click.option("--containing", default="", metavar="TEXT", help="Only show lines with this text.")
@click.option("--tail", type=WholeNumber(0), metavar="N", help="Only show the last N lines.")
@click.option(
    "--all", "everything", is_flag=True, help="Also show the lines of AWS's services and toolkits."
)
@click.option("--follow", is_flag=True, help="Keep showing new lines until Ctrl-C.")
@pipeline_option
@target_options
@json_option
def command(
    begin: str | None,
    kinds: tuple[str, ...],
    containing: str,
    tail: int | None,
    everything: bool,
    follow: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Show the logs of the stack's functions, the pipeline's jobs and the endpoint.

    If the stack has several pipelines, shows those of all, unless --pipeline names one. With
    --json, prints one object per line.
    """
    root = stacks.need(target)
    workloads = Workload.chosen(target, root, pipeline)
    node = stacks.tree(target, root)
    since = _since(workloads, begin)
    wanted = _Wanted(kinds or _KINDS, containing, everything)
    show = _json_line if as_json else _Printer()
    any_line = False
    for line in _lines(target, node, workloads, wanted, since, tail, follow):
        any_line = True
        show(line)
    if not any_line and not as_json:
        more = "" if everything else " --all also shows those of AWS's services and toolkits."
        click.echo(f"No log lines since {since:%Y-%m-%d %H:%M %Z}.{more}", err=True)


@dataclass(frozen=True)
class _Wanted:
    """Which lines to show."""

    kinds: tuple[str, ...]
    containing: str
    everything: bool


def _since(workloads: list[Workload], begin: str | None) -> datetime:
    last = logs.start_of_last_run(workloads) if begin is None else None
    return last or logs.since(begin or _DEFAULT, logs.now())


def _lines(
    target: Target,
    node: StackNode,
    workloads: list[Workload],
    wanted: _Wanted,
    since: datetime,
    tail: int | None,
    follow: bool,
) -> Iterator[LogLine]:
    """Yield each new line once; include sources that appear in the meantime."""
    shown: set[LogLine] = set()
    while True:
        sources = logs.sources(target, node, workloads, wanted.kinds, since)
        lines = logs.read(target, sources, since, wanted.containing, wanted.everything)
        new = [line for line in lines if line not in shown]
        yield from new if tail is None or shown else new[len(new) - min(tail, len(new)) :]
        if not follow:
            return
        shown.update(lines)
        if lines:
            since = max(since, lines[-1].time - timedelta(seconds=_LATENESS_SECONDS))
        time.sleep(min(_FOLLOW_SECONDS, target.poll_seconds * 2))


def _json_line(line: LogLine) -> None:
    row = {"time": line.time.isoformat(), "source": line.source, "text": line.text}
    print(json.dumps(row), flush=True)


class _Printer:
    """Prints lines, each source in its own color."""

    def __init__(self) -> None:
        self._out = console()
        self._colors: dict[str, str] = {}

    def __call__(self, line: LogLine) -> None:
        """Print one line."""
        number = len(self._colors)
        color = self._colors.setdefault(line.source, _COLORS[number % len(_COLORS)])
        text = Text(f"{line.time:%H:%M:%S.%f}"[:-3], style="dim")
        text.append(f"  {line.source}", style=color)
        text.append(f"  {line.text}")
        self._out.print(text, soft_wrap=True)
