"""The phases of a stack operation, as in CloudFormation.

Ministack deletes replaced and removed resources before the update has ended, and those of a nested
stack before its siblings have succeeded. Here, as in "Update stack events" and "Nested stacks" of
the CloudFormation User Guide:

- leftovers are deleted only after the whole update has succeeded, while the status is
  UPDATE_COMPLETE_CLEANUP_IN_PROGRESS; those of a nested stack when its root reaches that status;
- if the root fails, such a nested stack is rolled back, and nothing is lost;
- the rollback deletes what a failed Create may have left behind;
- a resource is not deleted while another one depends on it;
- DeleteStack during a creation cancels it: nothing more is created, and what exists is deleted.
  During an update it is rejected ("Delete a stack", "DeleteStack").
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core.concurrency import run_reentrant
from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, handlers, provisioners, stacks

StackRecord = dict[str, Any]

POLL_SECONDS = 0.02

CLEANUP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
STACK_TYPE = "AWS::CloudFormation::Stack"

_running: ContextVar[str] = ContextVar("stack whose operation runs")
_loop: ContextVar[asyncio.AbstractEventLoop] = ContextVar("event loop of the gateway")

_stock_deploy = stacks._deploy_stack_async
_stock_roll_back = stacks._roll_back_operation
_stock_continue = stacks._continue_update_rollback_async
_stock_delete_stack = stacks._delete_stack_async
_stock_delete_resource = stacks._delete_resource
_stock_provision = stacks._provision_resource


class PartlyCreatedError(Exception):
    """A Create failed but may have created something with this physical id."""

    def __init__(self, reason: str, physical_id: str) -> None:
        """Store the reason for the event, and the id for the Delete in the rollback."""
        super().__init__(reason)
        self.physical_id = physical_id


@dataclass(frozen=True)
class PendingDeletion:
    """A resource that a successful update still has to delete."""

    logical_id: str
    resource_type: str
    physical_id: str
    delete: Callable[[], None]
    record: dict[str, Any] | None


def stack_named(name_or_arn: str) -> StackRecord:
    """Return the record of a stack; in an ARN, the name follows the first slash."""
    name = name_or_arn.split("/")[1] if name_or_arn.startswith("arn:") else name_or_arn
    found: StackRecord = cloudformation._stacks.get(name) or {}
    return found


def on_loop(coroutine: Awaitable[Any]) -> Any:
    """Run a coroutine on the gateway's loop from a worker thread; return its result."""

    async def wait() -> Any:
        return await coroutine

    return asyncio.run_coroutine_threadsafe(wait(), _loop.get()).result()


def event(
    stack: StackRecord, resource: tuple[str, str], status: str, reason: str, pid: str
) -> None:
    """Record one stack event; `resource` is logical id and type."""
    stacks._add_event(stack["StackId"], stack["StackName"], *resource, status, reason, pid)


def _stack_event(stack: StackRecord, status: str) -> None:
    stack["StackStatus"] = status
    event(stack, (stack["StackName"], STACK_TYPE), status, "", stack["StackId"])


async def deploy(
    stack_name: str,
    stack_id: str,
    template: dict[str, Any],
    param_values: dict[str, Any],
    disable_rollback: bool,
    tags: list[dict[str, str]],
    is_update: bool = False,
    previous_stack: StackRecord | None = None,
    retain_except_on_create: bool = False,
    imports: dict[str, Any] | None = None,
) -> None:
    """Create or update a stack; ministack calls this, with its signature."""
    stack = cloudformation._stacks[stack_name]
    stack["_leftovers"] = []
    stack["_attempted"] = template  # ministack stores the template only after success
    with _operating(stack):
        await _stock_deploy(
            stack_name,
            stack_id,
            template,
            param_values,
            disable_rollback,
            tags,
            is_update=is_update,
            previous_stack=previous_stack,
            retain_except_on_create=retain_except_on_create,
            imports=imports,
        )
        if stack["StackStatus"] != "UPDATE_COMPLETE" or previous_stack is None:
            return
        cloudformation._stack_events[stack_id].pop()
        stack["_undo"] = _undo_operation(stack, previous_stack, template, param_values)
        _stack_event(stack, CLEANUP)
        if not stack.get("ParentId"):
            await run_reentrant(finish_update, stack)


@contextmanager
def _operating(stack: StackRecord) -> Iterator[None]:
    """Note that an operation works on a stack, in this task; at its end, mind a cancellation."""
    _running.set(stack["StackName"])
    _loop.set(asyncio.get_running_loop())
    stack["_operations"] = stack.get("_operations", 0) + 1
    try:
        yield
        if stack.get("_cancelled"):  # its last resource was complete before the cancellation
            stack["StackStatus"] = "DELETE_IN_PROGRESS"
    finally:
        stack["_operations"] -= 1


def _undo_operation(
    stack: StackRecord,
    previous: StackRecord,
    template: dict[str, Any],
    param_values: dict[str, Any],
) -> dict[str, Any]:
    """Return what ministack's rollback needs to undo a successful update."""
    resources = template.get("Resources", {})
    ordered = stacks._topological_sort(resources, stack["_conditions"])
    operation: dict[str, Any] = stacks._failed_operation(
        True,
        previous,
        [name for name in ordered if name in stack["_resources"]],
        None,
        None,
        [leftover.logical_id for leftover in stack["_leftovers"]],
        False,
        template,
        param_values,
        False,
        stack.get("Tags"),
        previous.get("Tags"),
    )
    return operation


def finish_update(stack: StackRecord) -> None:
    """Delete the update's leftovers, here and in the nested stacks, and complete the update."""
    for leftover in stack.pop("_leftovers", []):
        _delete_leftover(stack, leftover)
    stack.pop("_undo", None)
    ordered = stacks._topological_sort(
        stack["_template"].get("Resources", {}), stack["_conditions"]
    )
    for logical_id in reversed(ordered):
        record = stack["_resources"].get(logical_id, {})
        if record.get("ResourceType") == STACK_TYPE:
            child = stack_named(record["PhysicalResourceId"])
            if child.get("StackStatus") == CLEANUP:
                finish_update(child)
    _stack_event(stack, "UPDATE_COMPLETE")


def _delete_leftover(stack: StackRecord, leftover: PendingDeletion) -> None:
    """Delete one leftover; a failure is recorded as an event, but does not fail the update."""
    resource = (leftover.logical_id, leftover.resource_type)
    event(stack, resource, "DELETE_IN_PROGRESS", "", leftover.physical_id)
    try:
        leftover.delete()
    except Exception as failure:  # noqa: BLE001 (CloudFormation continues after any failure)
        event(stack, resource, "DELETE_FAILED", str(failure), leftover.physical_id)
        if leftover.record is not None:
            kept = {**leftover.record, "ResourceStatus": "DELETE_FAILED"}
            stack["_resources"].setdefault(leftover.logical_id, kept)
    else:
        event(stack, resource, "DELETE_COMPLETE", "", leftover.physical_id)


async def roll_back(
    stack_name: str,
    stack_id: str,
    stack: StackRecord,
    operation: dict[str, Any],
    reason_override: str = "",
) -> None:
    """Roll back an operation; keep what could not be deleted for the next deletion."""
    stack["_undeleted"] = set()
    stack.pop("_leftovers", None)
    if is_cancelled(stack):  # the deletion takes what exists
        stack["StackStatus"] = "DELETE_IN_PROGRESS" if stack.get("_cancelled") else "CREATE_FAILED"
        return
    _running.set(stack_name)
    _loop.set(asyncio.get_running_loop())
    stack.pop("_undo", None)
    operation["created"] += stack.pop("_failed_creates", [])
    before = dict(stack["_resources"])
    await _stock_roll_back(stack_name, stack_id, stack, operation, reason_override)
    if stack["StackStatus"] == "ROLLBACK_FAILED":
        for logical_id in stack.get("_rollback_failed", {}):
            stack["_resources"][logical_id] = before[logical_id]


async def continue_rollback(stack_name: str, stack_id: str, resources_to_skip: Any) -> None:
    """Continue a rollback; the nested stacks among its resources need the event loop."""
    _running.set(stack_name)
    _loop.set(asyncio.get_running_loop())
    await _stock_continue(stack_name, stack_id, resources_to_skip)


async def delete_stack(
    stack_name: str, stack_id: str, retain_resources: tuple[str, ...] = (), force: bool = False
) -> None:
    """Delete a stack; ministack calls this, with its signature."""
    stack = stack_named(stack_name)
    if stack["StackStatus"] == "CREATE_IN_PROGRESS":
        stack["_cancelled"] = True
        _stack_event(stack, "DELETE_IN_PROGRESS")
    while stack.get("_operations"):
        await asyncio.sleep(POLL_SECONDS)
    _running.set(stack_name)
    _loop.set(asyncio.get_running_loop())
    stack["_undeleted"] = set()
    stack.pop("_failed_creates", None)
    await _stock_delete_stack(stack_name, stack_id, retain_resources, force)


def provision(
    resource_type: str, logical_id: str, props: dict[str, Any], stack_name: str
) -> tuple[str, dict[str, Any]]:
    """Create a resource; record a failed one that may have left something behind."""
    if is_cancelled(stack_named(stack_name)):
        raise RuntimeError("Resource creation cancelled")
    try:
        created: tuple[str, dict[str, Any]] = _stock_provision(
            resource_type, logical_id, props, stack_name
        )
    except PartlyCreatedError as failure:
        stack = stack_named(stack_name)
        stack["_resources"][logical_id] = {
            "PhysicalResourceId": failure.physical_id,
            "ResourceType": resource_type,
            "ResourceStatus": "CREATE_FAILED",
            "LogicalResourceId": logical_id,
            "Properties": props,
            "Attributes": {},
            "Timestamp": stacks.now_iso(),
        }
        stack.setdefault("_failed_creates", []).append(logical_id)
        raise
    return created


def is_cancelled(stack: StackRecord) -> bool:
    """Return whether the creation of a stack, or of the one that it is nested in, was cancelled."""
    above = stack.get("ParentId")
    return bool(stack.get("_cancelled")) or bool(above and is_cancelled(stack_named(above)))


def delete_resource(
    resource_type: str,
    physical_id: str,
    props: dict[str, Any],
    stack_name: str = "",
    logical_id: str = "",
) -> None:
    """Delete a resource now, or after the update if ministack would do it too early."""
    stack = stack_named(stack_name)

    def delete() -> None:
        _stock_delete_resource(resource_type, physical_id, props, stack_name, logical_id)

    if stack.get("StackStatus") == "UPDATE_IN_PROGRESS":
        record = stack["_resources"].get(logical_id)
        stack["_leftovers"].append(
            PendingDeletion(logical_id, resource_type, physical_id, delete, record)
        )
        return
    try:
        _reject_if_needed(stack, logical_id)
        delete()
    except Exception:
        stack.setdefault("_undeleted", set()).add(logical_id)
        raise


def _reject_if_needed(stack: StackRecord, logical_id: str) -> None:
    """Raise if an undeleted resource still depends on this one."""
    undeleted = stack.get("_undeleted", set())
    template = stack.get("_template") or stack.get("_attempted") or {}
    resources = template.get("Resources", {})
    needed = stacks._with_dependencies(undeleted, resources, set(resources)) - undeleted
    if logical_id in needed:
        message = f"not deleted: needed by {', '.join(sorted(undeleted))}, which still exists"
        raise RuntimeError(message)


def delete_predecessor(delete: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Queue the deletion of a resource that a resource handler has replaced."""
    if provisioners._RETAIN_REPLACED.get():
        return
    queue = provisioners._DEFERRED_PREDECESSOR_DELETES.get()
    if queue is None:
        delete(*args, **kwargs)
        return
    stack = stack_named(_running.get())

    def later() -> None:
        def run() -> None:
            delete(*args, **kwargs)

        physical_id = str(args[0]) if args else ""
        stack["_leftovers"].append(PendingDeletion("", "replaced resource", physical_id, run, None))

    queue.append((later, (), {}))


def _forget_spent_change_sets(name: str) -> None:
    """Delete change sets with this name that can no longer be executed.

    The aws command includes the second in the name, and two deployments here can end within one.
    """
    for arn, change_set in list(cloudformation._change_sets.items()):
        spent = change_set["ExecutionStatus"] != "AVAILABLE"
        if change_set["ChangeSetName"] == name and spent:
            cloudformation._change_sets.pop(arn, None)


def reject_update_of_failed_creation() -> None:
    """Reject updates and creations over a failed creation, and deletions during an update."""
    stock_create_change_set = handlers._ACTION_HANDLERS["CreateChangeSet"]
    stock_delete_stack = handlers._ACTION_HANDLERS["DeleteStack"]
    stock_create_stack = handlers._ACTION_HANDLERS["CreateStack"]

    def status_of(params: dict[str, list[str]]) -> tuple[str, str]:
        name = (params.get("StackName") or [""])[0]
        stack = stack_named(name)
        return stack.get("StackStatus", ""), stack.get("StackId", name)

    def create_change_set(params: dict[str, list[str]]) -> Any:
        status, stack_id = status_of(params)
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            text = f"Stack:{stack_id} is in {status} state and can not be updated."
            return changesets._error("ValidationError", text)
        _forget_spent_change_sets(params["ChangeSetName"][0])
        return stock_create_change_set(params)

    def create_stack(params: dict[str, list[str]]) -> Any:
        status, stack_id = status_of(params)
        if status == "ROLLBACK_COMPLETE":
            return handlers._error("AlreadyExistsException", f"Stack [{stack_id}] already exists")
        return stock_create_stack(params)

    def delete_stack(params: dict[str, list[str]]) -> Any:
        status, stack_id = status_of(params)
        if status.startswith("UPDATE_") and status.endswith("_IN_PROGRESS"):
            text = f"Stack [{stack_id}] cannot be deleted while in status {status}"
            return handlers._error("ValidationError", text)
        return stock_delete_stack(params)

    handlers._ACTION_HANDLERS["DeleteStack"] = delete_stack
    handlers._ACTION_HANDLERS["CreateChangeSet"] = create_change_set
    handlers._ACTION_HANDLERS["CreateStack"] = create_stack


def register() -> None:
    """Replace ministack's phases with these."""
    for module in (stacks, handlers, changesets):
        module._deploy_stack_async = deploy
    for module in (stacks, handlers):
        module._roll_back_operation = roll_back
        module._delete_stack_async = delete_stack
        module._continue_update_rollback_async = continue_rollback
    stacks._provision_resource = provision
    stacks._delete_resource = delete_resource
    provisioners._delete_predecessor = delete_predecessor
    reject_update_of_failed_creation()
