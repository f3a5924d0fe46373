"""``python build.py models``: the registered versions, and which one the endpoint serves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from tabular_ml_vpc.cli.approval_view import STYLES, metric_of, word
from tabular_ml_vpc.cli.console import console, inert, print_json
from tabular_ml_vpc.cli.options import WholeNumber, json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.operations.runs.registry import APPROVED, Gated, Registry, Version
from tabular_ml_vpc.operations.runs.serving import Serving, archive_of, problem_of
from tabular_ml_vpc.operations.target import Target

_AT_ONCE: Final = 8
"""How many versions are read at the same time."""
SERVES: Final = "serves"
_DEPLOYING: Final = "being deployed"
_TRIED: Final = "on trial"


@click.command(
    epilog="""\b
python build.py models
python build.py models --limit 50 --json
"""
)
@click.option(
    "--limit",
    type=WholeNumber(1, 200),
    default=10,
    show_default=True,
    help="Number of versions of each pipeline, newest first.",
)
@pipeline_option
@target_options
@json_option
def command(limit: int, pipeline: str | None, target: Target, as_json: bool) -> None:
    """List the registered versions of the model, newest first.

    Shows the approval status of each, the quality gate's metric, which one the endpoint serves, and
    what keeps the newest approved one from serving.
    """
    registries = Registry.each(target, pipeline)
    for service in ("sagemaker", "s3"):
        target.client(service)  # made once: its making is not thread-safe
    tables = [_read(registry, limit) for registry in registries]
    if as_json:
        print_json([_json(table, row) for table in tables for row in table.rows])
        return
    _show(console(), tables)


@dataclass(frozen=True)
class _Row:
    """A version, what the gate measured, and what the endpoint does with it."""

    version: Version
    gated: Gated | None
    place: str
    problem: str = ""
    """What keeps it from serving."""


@dataclass(frozen=True)
class _Table:
    """The newest versions of one pipeline."""

    registry: Registry
    rows: list[_Row]
    now: Serving

    @property
    def serves(self) -> bool:
        """Whether the version that serves is among the rows."""
        return any(row.place == SERVES for row in self.rows)


def _read(registry: Registry, limit: int) -> _Table:
    now = Serving.read(registry.workload)
    listed = registry.listed()[:limit]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        versions = [one for one in pool.map(registry.read, listed) if one is not None]
        measured = list(pool.map(registry.gated, versions))
    archive = ""
    if now.version is None and now.configuration:
        archive = archive_of(registry.workload, now.configuration)
    problems = _problems(registry, versions)
    return _Table(
        registry,
        [
            _Row(version, gated, _place(version, now, archive), problems.get(version.number, ""))
            for version, gated in zip(versions, measured, strict=True)
        ],
        now,
    )


def _problems(registry: Registry, versions: list[Version]) -> dict[int, str]:
    """Return what keeps the newest approved version from serving, by its number."""
    approved = [one for one in versions if one.status == APPROVED and registry.owns(one)]
    if not approved or not registry.workload.on_approval:
        return {}
    newest = max(one.number for one in approved)
    return {newest: problem_of(registry.workload, newest)}


def _place(version: Version, now: Serving, archive: str) -> str:
    """Say what the endpoint does with a version; a run's configuration has only its archive."""
    if version.number == now.version or archive == version.archive != "":
        return SERVES
    if version.number == now.arriving:
        return _DEPLOYING
    return _TRIED if version.number == now.tried else ""


def _json(table: _Table, row: _Row) -> dict[str, Any]:
    version, gated, registry = row.version, row.gated, table.registry
    return {
        "pipeline": registry.workload.name,
        "version": version.number,
        "arn": version.arn,
        "registered": version.registered.isoformat(),
        "status": version.status,
        "metric": gated.metric if gated else None,
        "value": gated.value if gated else None,
        "run": registry.run_of(version) or None,
        "endpoint": row.place or None,
        "problem": row.problem or None,
        "comment": version.comment or None,
    }


def _show(out: Console, tables: list[_Table]) -> None:
    several = len(tables) > 1
    found = [table for table in tables if table.rows]
    if found:
        columns = (
            *((Column("pipeline"),) if several else ()),
            Column("version", justify="right"),
            Column("registered", importance=3),
            Column("status"),
            Column("metric", importance=4),
            Column("value", importance=4, justify="right"),
            Column("run", importance=2),
            Column("endpoint", importance=5),
            Column("comment", importance=1, wraps=True),
        )
        rows = [_cells(table, row, several) for table in found for row in table.rows]
        show_table(out, columns, rows)
    for table in tables:
        _show_note(out, table)


def _cells(table: _Table, row: _Row, several: bool) -> tuple[str | Text, ...]:
    version = row.version
    return (
        *((table.registry.workload.name,) if several else ()),
        str(version.number),
        f"{version.registered:%Y-%m-%d %H:%M}",
        Text(word(version.status), style=STYLES.get(version.status, "")),
        *metric_of(row.gated),
        table.registry.run_of(version),
        row.place,
        inert(version.comment),
    )


def _show_note(out: Console, table: _Table) -> None:
    """Say what the table does not: that there are no versions, or what serves instead."""
    workload, now = table.registry.workload, table.now
    if not table.rows:
        name = workload.pipeline or workload.name
        out.print(
            f"{name} has no registered versions yet: a run that passes the gate registers one "
            f"(`python build.py run{workload.options()}`)",
            soft_wrap=True,
        )
    elif now.configuration and not table.serves:
        which = f"version {now.version}, which is older" if now.version else now.configuration
        out.print(f"The endpoint {now.name} serves {which}.", soft_wrap=True)
    for row in table.rows:
        if row.problem:
            waits = f"Version {row.version.number} waits: {row.problem}"
            out.print(inert(waits), soft_wrap=True)
