"""What the commands that decide about versions have in common: options, words, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console

from tabular_ml_vpc.cli import completers
from tabular_ml_vpc.cli.console import inert
from tabular_ml_vpc.cli.options import WholeNumber
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import figure
from tabular_ml_vpc.operations.runs.approval import Consequence, Progress
from tabular_ml_vpc.operations.runs.registry import PENDING, Gated, Registry, Version
from tabular_ml_vpc.operations.runs.serving import Serving

STYLES: Final = {"Approved": "green", "Rejected": "red", PENDING: "yellow"}
_COLUMNS: Final = (
    Column(""),
    Column("version", justify="right"),
    Column("registered", importance=2),
    Column("run", importance=1),
    Column("metric", importance=4),
    Column("value", importance=4, justify="right"),
)
version_argument = click.argument(
    "version",
    required=False,
    type=WholeNumber(1),
    metavar="[VERSION]",
    shell_complete=completers.version_numbers,
)
comment_option = click.option(
    "--comment", metavar="TEXT", help="Why: kept with the version, at most 1,024 characters."
)


def word(status: str) -> str:
    """Return an approval status in one word."""
    return "Pending" if status == PENDING else status


def metric_of(gated: Gated | None) -> tuple[str, str]:
    """Return the gate's metric and its value, as text; empty if they are not known."""
    return (inert(gated.metric), figure(gated.value)) if gated else ("", "")


def show_beside(out: Console, registry: Registry, version: Version, now: Serving) -> None:
    """Show a version beside the one that serves."""
    served = registry.served(now)
    shown = [("to approve", version)]
    if served is not None and served.number != version.number:
        shown.append(("serves", served))
    show_table(out, _COLUMNS, [_cells(registry, label, one) for label, one in shown])
    if served is None:
        out.print(_what_serves(now), markup=False, soft_wrap=True)


def _cells(registry: Registry, label: str, version: Version) -> tuple[str, ...]:
    when = f"{version.registered:%Y-%m-%d %H:%M}"
    run, measured = registry.run_of(version), metric_of(registry.gated(version))
    return (label, str(version.number), when, run, *measured)


def _what_serves(now: Serving) -> str:
    if now.arriving:
        return f"The endpoint {now.name} is changing to version {now.arriving}."
    if now.configuration:
        return f"The endpoint {now.name} serves {now.configuration}, which a run created."
    if now.status:
        return f"The endpoint {now.name} is {now.status}."
    return f"The endpoint {now.name} does not exist yet."


def decided(
    registry: Registry, version: Version, status: str, comment: str | None
) -> dict[str, Any]:
    """Return a decision for programs."""
    workload = registry.workload
    return {
        "pipeline": workload.name,
        "group": workload.pipeline,
        "version": version.number,
        "arn": version.arn,
        "status": status,
        "comment": comment,
        "endpoint": workload.endpoint,
    }


def rejected(
    registry: Registry, version: Version, comment: str | None, change: Consequence
) -> dict[str, Any]:
    """Return a rejection for programs, with the version that the endpoint changes to."""
    about = decided(registry, version, "Rejected", comment)
    return about | {"serves_next": change.successor}


@contextmanager
def following(out: Console) -> Iterator[Callable[[Progress], None]]:
    """Give an observer that prints each step of a deployment with the seconds since the start."""
    began = time.monotonic()

    def observe(progress: Progress) -> None:
        if progress.problem:
            return  # it is the command's error
        clock = f"{time.monotonic() - began:7.1f} s"
        style = "green" if progress.serves else ""
        out.print(f"{clock}  {inert(progress.text)}", style=style, markup=False, soft_wrap=True)

    if not out.is_terminal:
        yield observe
        return
    with out.status("waiting for the next step"):
        yield observe
