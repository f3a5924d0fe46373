"""The protocol between CloudFormation and the function behind a custom resource.

Source: "Custom resource request and response objects", CloudFormation User Guide: the response
has at most 4,096 bytes, repeats the ids of the request, and contains a physical id.
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import custom_resource as stock

from tabular_ml_vpc.local.emulator.stack_phases import PartlyCreatedError

LARGEST_ANSWER = 4096
LONGEST_PHYSICAL_ID = 1024
REPEATED = ("StackId", "RequestId", "LogicalResourceId")

FunctionResponse = dict[str, Any]


class FunctionResponseError(Exception):
    """A response that makes the resource fail; the message is the reason."""


def invoke(
    request_type: str,
    logical_id: str,
    props: dict[str, Any],
    stack_name: str,
    stack_id: str,
    resource_type: str,
    physical_id: str | None = None,
    old_props: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Send one request and wait for the response; ministack calls this, with its signature."""
    request = {
        "RequestType": request_type,
        "RequestId": secrets.token_hex(16),
        "StackId": stack_id,
        "ResourceType": resource_type,
        "LogicalResourceId": logical_id,
        "ResourceProperties": stock._normalise_resource_properties(props),
    }
    if physical_id is not None:
        request["PhysicalResourceId"] = physical_id
    if old_props is not None:
        request["OldResourceProperties"] = stock._normalise_resource_properties(old_props)
    timeout = int(props.get("ServiceTimeout", 3600))
    answer: FunctionResponse = {}
    try:
        answer = _exchange(props["ServiceToken"], request, timeout)
        _check(request, answer)
    except FunctionResponseError as failure:
        if request_type != "Create":
            raise RuntimeError(str(failure)) from None
        made = answer.get("PhysicalResourceId") or f"{stack_name}-{logical_id}-{_suffix()}"
        raise PartlyCreatedError(str(failure), str(made)) from None
    return answer["PhysicalResourceId"], answer.get("Data") or {}


def _suffix() -> str:
    return secrets.token_hex(4).upper()


def _exchange(service_token: str, request: dict[str, Any], timeout: int) -> FunctionResponse:
    """Invoke the function with an event, and wait for its request to the response URL.

    As Lambda does, ministack delivers the event again after a failure, as often and as long as the
    function's ``EventInvokeConfig`` allows, but after 1 and 2 seconds instead of minutes.
    """
    record, config, _name = lambda_svc._get_func_record_for_ref(service_token)
    if record is None or config is None:
        raise ValueError(f"Function not found: {service_token}")
    token = secrets.token_hex(16)
    answered: threading.Event = stock.register_token(token)
    execution = lambda_svc._execution_record_for_config(record, config)
    event = {**request, "ResponseURL": stock._response_url(token)}
    lambda_svc.invoke_async_with_retry(execution, event)
    answered.wait(timeout)
    with stock._lock:
        entry = stock._pending.pop(token, None)
    if not entry or entry["result"] is None:
        raise FunctionResponseError(
            "CloudFormation did not receive a response from your Custom Resource. "
            f"Please check your logs for requestId [{request['RequestId']}]. "
            f"(waited {timeout} s)"
        )
    answer: FunctionResponse = entry["result"]
    return answer


def _check(request: dict[str, Any], answer: FunctionResponse) -> None:
    """Raise FunctionResponseError for a response that is FAILED or not valid."""
    if len(json.dumps(answer)) > LARGEST_ANSWER:
        raise FunctionResponseError("Response object is too long.")
    wrong = [name for name in REPEATED if answer.get(name) != request[name]]
    if wrong:
        raise FunctionResponseError(
            f"Invalid response object: {', '.join(wrong)} not as requested."
        )
    if answer.get("Status") != "SUCCESS":
        reason = answer.get("Reason") or "Invalid response object: no Status and Reason."
        raise FunctionResponseError(
            f"Received response status [FAILED] from custom resource. Message: {reason}"
        )
    physical_id = answer.get("PhysicalResourceId")
    if not physical_id or len(str(physical_id)) > LONGEST_PHYSICAL_ID:
        raise FunctionResponseError("Invalid PhysicalResourceId")


def register() -> None:
    """Replace ministack's protocol with this one."""
    stock.invoke_custom_resource = invoke
