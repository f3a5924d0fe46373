"""``python build.py status``: the stacks, the pipeline, the endpoint and Studio at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from generator.errors import CommandError
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
from tabular_ml_vpc.operations.runs.registry import APPROVED, PENDING, Listed, Registry
from tabular_ml_vpc.operations.runs.serving import Serving
from tabular_ml_vpc.operations.spaces import StudioSpaces
from tabular_ml_vpc.operations.stack_requests import blocked
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_NO_ENDPOINT: Final = "not created yet; a run that passes the gate creates it"
_NONE_APPROVED: Final = "not created yet; approving a version creates it"
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
    serving = Serving.read(workload)
    endpoint = serving.endpoint
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
        "approval": _approval(workload, serving) if workload.on_approval else None,
    }


def _approval(workload: Workload, serving: Serving) -> dict[str, Any]:
    """Return which versions wait, are approved, on trial and served, as plain values."""
    workload.unseen.update(serving.unseen)
    listed = _versions(workload)
    # An older version than the newest approved one cannot be approved.
    since = takewhile(lambda one: one.status != APPROVED, listed)
    waiting = [one.number for one in since if one.status == PENDING]
    command = f"python build.py approve {waiting[0]}{workload.options()}" if waiting else ""
    return {
        "waiting": waiting,
        "command": command,
        "approved": next((one.number for one in listed if one.status == APPROVED), None),
        "serves": serving.version,
        "deploying": serving.arriving,
        "trial": serving.trial
        and {
            "name": serving.trial["EndpointName"],
            "status": serving.trial_status,
            "version": serving.tried,
        },
    }


def _versions(workload: Workload) -> list[Listed]:
    """Return the registered versions; none if they may not be listed, which is in `unseen`."""
    with suppress(CommandError):
        return Registry(workload, "").listed()
    return []


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
    absent = _NONE_APPROVED if found["approval"] else _NO_ENDPOINT
    name, state = endpoint["name"] or "none", _state(found) or absent
    out.print(Text.assemble("endpoint  ", _endpoint(target, endpoint, name), f": {state}"))
    if approval := found["approval"]:
        _show_approval(out, approval, "approval")


def _show_approval(out: Console, found: Mapping[str, Any], label: str) -> None:
    """Show what is on its way to the endpoint, and what waits, with the command that approves."""
    trial, approved, lines = found["trial"], found["approved"], []
    if trial:
        version = f"version {trial['version']}" if trial["version"] else "a version"
        lines.append(f"{version} is on trial: {trial['name']} is {trial['status']}")
    on_its_way = (found["serves"], found["deploying"], trial and trial["version"])
    if approved and approved not in on_its_way:
        lines.append(f"version {approved} is approved, and does not serve")
    if waiting := found["waiting"]:
        others = len(waiting) - 1
        more = f" (and {counted(others, 'older one')})" if others else ""
        lines.append(f"version {waiting[0]}{more} waits for approval: `{found['command']}`")
    for line in lines:
        out.print(f"{label}  {line}", markup=False, soft_wrap=True)


def _show_pipelines(out: Console, target: Target, found: list[Mapping[str, Any]]) -> None:

    rows = [
        (
            pipeline["name"],
            _last(pipeline["last_execution"]) if pipeline["last_execution"] else "none yet",
            _endpoint(target, endpoint, _state(pipeline) or "not created yet"),
            pipeline["pipeline"] or "none",
        )
        for pipeline in found
        for endpoint in (pipeline["endpoint"],)
    ]
    show_table(out, _COLUMNS, rows)
    for pipeline in found:
        if approval := pipeline["approval"]:
            _show_approval(out, approval, pipeline["name"])


def _state(found: Mapping[str, Any]) -> str:
    """Return the endpoint's status with the versions that it serves and gets, if known."""
    approval = found["approval"] or {}
    serves, deploying = approval.get("serves"), approval.get("deploying")
    words = (
        found["endpoint"]["status"] or "",
        f"serves version {serves}" if serves else "",
        f"changes to version {deploying}" if deploying else "",
    )
    return ", ".join(filter(None, words))


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
