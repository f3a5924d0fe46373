"""``python build.py status``: the stacks, the pipeline, the endpoint and Studio at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from generator.record import MODE_OUTPUT
from pipeline.layout import MAIN
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.links import domain_url, endpoint_url, linked, stack_url
from tabular_ml_vpc.cli.options import json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.stack_view import OperationView, style_of
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import pipelines, stacks
from tabular_ml_vpc.operations.operation import StackOperation, first_cause, past_events
from tabular_ml_vpc.operations.runs import deployed
from tabular_ml_vpc.operations.spaces import StudioSpaces
from tabular_ml_vpc.operations.stack_requests import blocked
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_NO_ENDPOINT: Final = "not created yet; a run that passes the gate creates it"
_AT_ONCE: Final = 8
"""How many pipelines are read at the same time."""
_COLUMNS: Final = (
    Column("pipeline"),
    Column("last run", wraps=True),
    Column("endpoint"),
    Column("name in SageMaker", importance=1),
)


@click.command(
    epilog="""\b
python build.py status
python build.py status --watch               follow the operation in progress
python build.py status --pipeline churn     only this one of several pipelines
python build.py status --json
"""
)
@click.option("--watch", is_flag=True, help="Follow the operation in progress until it ends.")
@pipeline_option
@target_options
@json_option
def command(watch: bool, pipeline: str | None, target: Target, as_json: bool) -> int:
    """Show the stack, its nested stacks, the last run, the endpoint and Studio.

    Exits with status 1 if the stack is stuck: it must be repaired before it can be updated.
    """
    root = stacks.need(target)
    chosen = pipelines.choose(root, pipeline) if pipeline else None
    node = stacks.tree(target, root)
    if watch and node.stack.busy:
        node = _watch(target, node, as_json)
    summary = _read(target, node, chosen)
    if as_json:
        print_json(summary)
    else:
        _show(target, node, summary)
    return 1 if (summary["problem"] or {}).get("command") else 0


def _watch(target: Target, node: StackNode, as_json: bool) -> StackNode:

    totals = {child.title: len(child.resources) for child in node.children}
    with OperationView(console(to_stderr=as_json)) as view:
        for event in StackOperation(target).follow(node.stack.id, totals):
            view.show(event)
    return stacks.tree(target, stacks.find(target, node.stack.id) or node.stack)


def _read(target: Target, node: StackNode, chosen: str | None) -> dict[str, Any]:
    """Return everything to show, as plain values; the first pipeline is at the top, too.

    Only the chosen pipeline is shown if one is.
    """
    studio = StudioSpaces.of(target, node)
    every = Workload.each(target, node) or [Workload(target, MAIN, None, None, None)]
    workloads = [one for one in every if chosen in (None, one.name)]
    target.client("sagemaker")  # made once: its making is not thread-safe
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(_pipeline, workloads))
    apps, spaces = len(studio.apps()), len(studio.spaces())
    return {
        "stack": _stack(node),
        "mode": stacks.mode_of(target, node),
        "problem": _problem(target, node),
        **{name: value for name, value in found[0].items() if name != "name"},
        "pipelines": found,
        "studio": {
            "domain": studio.domain,
            "apps": apps,
            "spaces": spaces,
        },
        "unseen": sorted(studio.unseen.union(*(workload.unseen for workload in workloads))),
    }


def _pipeline(workload: Workload) -> dict[str, Any]:

    execution = next(iter(workload.executions(1)), None)
    endpoint = workload.endpoint_status()
    return {
        "name": workload.name,
        "pipeline": workload.pipeline,
        "last_execution": execution
        and {
            "name": execution["PipelineExecutionArn"].rpartition("/")[2],
            "status": execution["PipelineExecutionStatus"],
            "started": execution["StartTime"].isoformat(),
        },
        "endpoint": {
            "name": workload.endpoint,
            "status": endpoint["EndpointStatus"] if endpoint else None,
            "problem": _endpoint_problem(workload, endpoint),
        },
    }


def _endpoint_problem(workload: Workload, endpoint: Mapping[str, Any] | None) -> str | None:

    if endpoint is None or endpoint["EndpointStatus"] != deployed.FAILED:
        return None
    return deployed.failed(workload, endpoint)


def _stack(node: StackNode) -> dict[str, Any]:
    changed = node.stack.updated or node.stack.created
    return {
        "title": node.title,
        "status": node.stack.status,
        "changed": changed.isoformat(),
        "resources": dict(Counter(resource.status for resource in node.resources)),
        "nested": [_stack(child) for child in node.children],
    }


def _problem(target: Target, node: StackNode) -> dict[str, str] | None:
    """Return why a stack is stuck, and how to repair it."""
    problem = blocked(node.stack)
    rolled_back = node.stack.status == "UPDATE_ROLLBACK_COMPLETE"
    if not rolled_back and (problem is None or not problem.repair):
        return None
    cause = first_cause(past_events(target, node.stack.id))
    return {
        "reason": problem.reason if problem else "its last update failed and was rolled back",
        "cause": f"{cause.place}: {cause.reason}" if cause else "",
        "command": f"python build.py deploy --repair{target.options()}" if problem else "",
    }


def _show(target: Target, node: StackNode, summary: dict[str, Any]) -> None:

    out = console()
    out.print(_tree(target, node))
    _show_problem(out, summary["problem"])
    if mode := node.stack.descriptions.get(MODE_OUTPUT) or summary["mode"]:
        out.print(f"mode      {mode}", markup=False, soft_wrap=True)
    if len(summary["pipelines"]) > 1:
        _show_pipelines(out, target, summary["pipelines"])
    else:
        _show_pipeline(out, target, summary)
    for pipeline in summary["pipelines"]:
        if problem := pipeline["endpoint"]["problem"]:
            out.print(f"Note: {problem}.", style="red", markup=False, soft_wrap=True)
    studio = summary["studio"]
    domain = studio["domain"] or "none"
    running = f": {counted(studio['apps'], 'app')} running, {counted(studio['spaces'], 'space')}"
    url = domain_url(target, domain) if studio["domain"] else ""
    out.print(Text.assemble("Studio    ", linked(domain, url), running))
    if summary["unseen"]:
        unseen = ", ".join(summary["unseen"])
        out.print(f"Unknown, because permissions are missing: {unseen}", markup=False)
    if node.stack.busy:
        command = f"python build.py status --watch{target.options()}"
        out.print(f"An operation is in progress; follow it with `{command}`", markup=False)


def _show_pipeline(out: Console, target: Target, found: Mapping[str, Any]) -> None:

    execution, endpoint = found["last_execution"], found["endpoint"]
    last = _last(execution) if execution else "none yet"
    out.print(f"pipeline  {found['pipeline'] or 'none'}; last run: {last}", markup=False)
    name, state = endpoint["name"] or "none", endpoint["status"] or _NO_ENDPOINT
    out.print(Text.assemble("endpoint  ", _endpoint(target, endpoint, name), f": {state}"))


def _show_pipelines(out: Console, target: Target, found: list[Mapping[str, Any]]) -> None:

    rows = [
        (
            pipeline["name"],
            _last(pipeline["last_execution"]) if pipeline["last_execution"] else "none yet",
            _endpoint(target, endpoint, endpoint["status"] or "not created yet"),
            pipeline["pipeline"] or "none",
        )
        for pipeline in found
        for endpoint in (pipeline["endpoint"],)
    ]
    show_table(out, _COLUMNS, rows)


def _endpoint(target: Target, endpoint: Mapping[str, Any], text: str) -> Text:
    return linked(text, endpoint_url(target, endpoint["name"]) if endpoint["status"] else "")


def _last(execution: Mapping[str, str]) -> str:
    started = datetime.fromisoformat(execution["started"])
    return f"{execution['status']} (started {started:%Y-%m-%d %H:%M %Z})"


def _tree(target: Target, node: StackNode) -> Tree:

    branch = Tree(_line(target, node), guide_style="dim")
    for child in node.children:
        branch.children.append(_tree(target, child))
    return branch


def _line(target: Target, node: StackNode) -> Text:

    text = Text.assemble(linked(node.title, stack_url(target, node.stack.id), "bold"))
    text.append(f"  {node.stack.status}", style=style_of(node.stack.status))
    changed = node.stack.updated or node.stack.created
    resources = counted(len(node.resources), "resource")
    text.append(f"  {resources}, {changed:%Y-%m-%d %H:%M %Z}", style="dim")
    for resource in node.resources:
        if resource.status.endswith("_FAILED"):
            reason = " ".join(resource.reason.split())
            text.append(f"\n  {resource.logical_id} {resource.status}: {reason}", style="red")
    return text


def _show_problem(out: Console, problem: dict[str, str] | None) -> None:
    if problem is None:
        return
    heading = "The stack is stuck" if problem["command"] else "Note"
    out.print(f"{heading}: {problem['reason']}.", style="red", markup=False)
    if problem["cause"]:
        out.print(f"First cause: {problem['cause']}", style="red", markup=False, soft_wrap=True)
    if problem["command"]:
        out.print(f"Once you have fixed the cause: {problem['command']}", markup=False)
