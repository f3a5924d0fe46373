"""AWS::CloudFormation::Stack, with the gateway's own CreateStack, UpdateStack and DeleteStack.

Ministack deploys nested stacks inline: they cannot roll back, orphan what a failed child created,
and ignore Retain. Here, a child is a stack like any other, with a parent.
Source: "AWS::CloudFormation::Stack" and "Nested stacks", CloudFormation User Guide.
"""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, unescape

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers, provisioners

from tabular_ml_vpc.local.emulator import stack_phases
from tabular_ml_vpc.local.emulator.stack_phases import CLEANUP, PartlyCreatedError, stack_named

POLL_SECONDS = 0.02
NO_UPDATES = "No updates are to be performed."
LETTERS = string.ascii_uppercase + string.digits


def _request(stack_name: str, props: dict[str, Any], parent: str) -> dict[str, list[str]]:
    """Return the Query API parameters to create or update a child."""
    request = {"StackName": [stack_name], "TemplateURL": [props.get("TemplateURL", "")]}
    parameters = props.get("Parameters") or {}
    for name, value in parameters.items():
        if not isinstance(value, str | int | float | bool):
            message = "Value of property Parameters must be an object with String properties"
            raise ValueError(f"{message}: {name} is a {type(value).__name__}")
    tags = [tag for tag in props.get("Tags") or [] if not tag["Key"].startswith("aws:")]
    for number, (name, value) in enumerate(parameters.items(), 1):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        request[f"Parameters.member.{number}.ParameterKey"] = [name]
        request[f"Parameters.member.{number}.ParameterValue"] = [text]
    for number, tag in enumerate(tags, 1):
        request[f"Tags.member.{number}.Key"] = [tag["Key"]]
        request[f"Tags.member.{number}.Value"] = [str(tag["Value"])]
    for number, capability in enumerate(stack_named(parent).get("Capabilities", []), 1):
        request[f"Capabilities.member.{number}"] = [capability]
    return request


def _call(action: str, request: dict[str, list[str]], parent: str = "") -> None:
    """Run one CloudFormation action on the gateway's loop; raises ValueError if it fails."""

    async def call() -> tuple[int, str]:
        status, _headers, body = handlers._ACTION_HANDLERS[action](request)
        child = stack_named(request["StackName"][0])
        if status < 400 and parent:  # noqa: PLR2004 (HTTP)
            above = stack_named(parent)
            child["ParentId"] = above["StackId"]
            child["RootId"] = above.get("RootId", above["StackId"])
        return status, body if isinstance(body, str) else body.decode()

    status, body = stack_phases.on_loop(call())
    if status >= 400:  # noqa: PLR2004 (HTTP)
        found = re.search(r"<Message>(.*?)</Message>", body, re.DOTALL)
        raise ValueError(unescape(found.group(1)) if found else body)


def _settled(name: str) -> str:
    """Wait until no operation is in progress on the stack; return its status."""
    while True:
        status = stack_named(name).get("StackStatus", "DELETE_COMPLETE")
        if status == CLEANUP or not status.endswith("_IN_PROGRESS"):
            return str(status)
        time.sleep(POLL_SECONDS)


def _outputs(name: str) -> dict[str, str]:
    outputs = stack_named(name).get("Outputs", [])
    return {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in outputs}


def _failed_resources(name: str, verb: str) -> str:
    """Return CloudFormation's reason: the resources of the child that failed."""
    stack_id = stack_named(name)["StackId"]
    failed = {
        event["LogicalResourceId"]
        for event in cloudformation._stack_events.get(stack_id, [])
        if event["ResourceStatus"] == f"{verb.upper()}_FAILED"
        and event["LogicalResourceId"] != name
    }
    return f"The following resource(s) failed to {verb}: [{', '.join(sorted(failed))}]. "


def create(logical_id: str, props: dict[str, Any], parent: str) -> tuple[str, dict[str, str]]:
    """Create a child stack and wait for it; the parent's rollback handles a failure."""
    suffix = "".join(secrets.choice(LETTERS) for _ in range(13))
    name = f"{parent}-{logical_id}"[:114] + f"-{suffix}"
    request = _request(name, props, parent)
    request["DisableRollback"] = [str(stack_named(parent).get("DisableRollback", False)).lower()]
    _call("CreateStack", request, parent)
    stack_id = stack_named(name)["StackId"]
    resource = (logical_id, stack_phases.STACK_TYPE)
    begun = "Resource creation Initiated"  # CloudFormation's event that names the child
    stack_phases.event(stack_named(parent), resource, "CREATE_IN_PROGRESS", begun, stack_id)
    if _settled(name) != "CREATE_COMPLETE":
        reason = f"Embedded stack {stack_id} was not successfully created: "
        raise PartlyCreatedError(reason + _failed_resources(name, "create"), stack_id)
    return stack_id, _outputs(name)


def update(
    physical_id: str, _old: dict[str, Any], props: dict[str, Any], parent: str
) -> tuple[str, dict[str, str]]:
    """Update a child, or roll it back if its own update has succeeded."""
    child = stack_named(physical_id)
    name = child["StackName"]
    if child["StackStatus"] == CLEANUP:
        undo = stack_phases.roll_back(name, child["StackId"], child, child["_undo"])
        stack_phases.on_loop(undo)
    elif child["StackStatus"] == "UPDATE_ROLLBACK_FAILED" and _rolling_back(parent):
        _call("ContinueUpdateRollback", {"StackName": [name]})  # continues down the tree
        time.sleep(POLL_SECONDS)
    else:
        try:
            _call("UpdateStack", _request(name, props, parent))
        except ValueError as refusal:
            if str(refusal) != NO_UPDATES:
                raise
            return physical_id, _outputs(name)
    if _settled(name) not in (CLEANUP, "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        raise RuntimeError(f"Embedded stack {physical_id} is in {_settled(name)}")
    if stack_named(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE" and not _rolling_back(parent):
        reason = f"Embedded stack {physical_id} was not successfully updated: "
        raise RuntimeError(reason + _failed_resources(name, "update"))
    return physical_id, _outputs(name)


def _rolling_back(parent: str) -> bool:
    return "ROLLBACK" in str(stack_named(parent).get("StackStatus"))


def delete(physical_id: str, _props: dict[str, Any]) -> None:
    """Delete a child and wait until it is deleted."""
    name = stack_named(physical_id).get("StackName")
    if not name:
        return
    _call("DeleteStack", {"StackName": [name]})
    time.sleep(POLL_SECONDS)
    if _settled(name) == "DELETE_FAILED":
        reason = f"Embedded stack {physical_id} was not successfully deleted: "
        raise RuntimeError(reason + _failed_resources(name, "delete"))


def name_parents() -> None:
    """Add a nested stack's parent and root to DescribeStacks and ListStacks.

    ListStacks also gets the template's description, as in "StackSummary", AWS CloudFormation API
    Reference.
    """
    _add_members("DescribeStacks", _above)
    _add_members("ListStacks", lambda stack: _above(stack) + _description(stack))


def _add_members(operation: str, members: Callable[[dict[str, Any]], str]) -> None:
    """Add XML after each stack's id in the answers to an operation."""
    stock = handlers._ACTION_HANDLERS[operation]

    def answer(params: dict[str, list[str]]) -> tuple[int, Any, Any]:
        status, headers, body = stock(params)
        text = body if isinstance(body, str) else body.decode()
        for stack in cloudformation._stacks.values():
            own = f"<StackId>{stack['StackId']}</StackId>"
            text = text.replace(own, own + members(stack))
        return status, headers, text if isinstance(body, str) else text.encode()

    handlers._ACTION_HANDLERS[operation] = answer


def _above(stack: dict[str, Any]) -> str:
    if not stack.get("ParentId"):
        return ""
    return f"<ParentId>{stack['ParentId']}</ParentId><RootId>{stack['RootId']}</RootId>"


def _description(stack: dict[str, Any]) -> str:
    return f"<TemplateDescription>{escape(stack.get('Description', ''))}</TemplateDescription>"


def register() -> None:
    """Replace ministack's handlers with these."""
    name_parents()
    provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }
