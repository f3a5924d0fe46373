"""Functions and roles: properties that ministack silently drops, and types that it lacks.

Source: "AWS::Lambda::Function", "AWS::IAM::OIDCProvider", "AWS::IAM::Role" and
"AWS::IAM::RolePolicy", CloudFormation Template Reference.
"""

from __future__ import annotations

import contextvars
import json
import time
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id
from ministack.services import cloudwatch_logs, iam, lambda_svc
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.handlers import keep_after
from tabular_ml_vpc.local.emulator.types import Fields, Made

FUNCTION = "AWS::Lambda::Function"
ROLE = "AWS::IAM::Role"
THROTTLED_SECONDS = 0.2
QUEUED = contextvars.ContextVar("queued", default=False)
"""Whether the invocation is asynchronous."""
# Property of the template: member of the API.
KEPT_OF_A_FUNCTION = {
    "VpcConfig": "VpcConfig",
    "KmsKeyArn": "KMSKeyArn",
    "DeadLetterConfig": "DeadLetterConfig",
}


def _role_policy_create(_logical_id: str, props: Fields, _stack: str) -> Made:
    role = iam._roles.get(props["RoleName"])
    if role is None:
        raise ValueError(f"The role with name {props['RoleName']} cannot be found.")
    role["InlinePolicies"][props["PolicyName"]] = json.dumps(props["PolicyDocument"])
    return f"{props['PolicyName']}|{props['RoleName']}", {}


def _role_policy_update(_pid: str, old: Fields, new: Fields, stack: str) -> Made:
    named = ("RoleName", "PolicyName")
    made = _role_policy_create("", new, stack)
    if any(old[name] != new[name] for name in named):
        provisioners._delete_predecessor(_role_policy_delete, "", old)
    return made


def _role_policy_delete(_pid: str, props: Fields) -> None:
    role = iam._roles.get(props["RoleName"])
    if role is not None:
        role["InlinePolicies"].pop(props["PolicyName"], None)


def _provider_create(_logical_id: str, props: Fields, _stack: str) -> Made:
    arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/{props['Url'].removeprefix('https://')}"
    if arn in iam._oidc_providers:
        raise ValueError(f"EntityAlreadyExists: Provider with url {props['Url']} already exists.")
    return _provider_keep(arn, props)


def _provider_keep(arn: str, props: Fields) -> Made:
    iam._oidc_providers[arn] = {
        "Url": props["Url"],
        "ClientIDList": list(props.get("ClientIdList", [])),
        "ThumbprintList": list(props.get("ThumbprintList", [])),
        "Arn": arn,
        "CreateDate": iam._now(),
        "Tags": props.get("Tags", []),
    }
    return arn, {"Arn": arn}


def _provider_delete(arn: str, _props: Fields) -> None:
    iam._oidc_providers.pop(arn, None)


def _keep_function(name: str, props: Fields) -> None:
    record = lambda_svc._functions[name]
    for prop, member in KEPT_OF_A_FUNCTION.items():
        record["config"].pop(member, None)
        if props.get(prop):
            record["config"][member] = props[prop]
    concurrency = props.get("ReservedConcurrentExecutions")
    record["concurrency"] = None if concurrency is None else int(concurrency)


def _check_function(props: Fields) -> None:
    """Reject what Lambda rejects: a role that does not exist, an incomplete VpcConfig."""
    role = props.get("Role", "").rsplit("/", 1)[-1]
    if role not in iam._roles:
        raise ValueError(f"The role defined for the function cannot be assumed: {role}")
    network = props.get("VpcConfig") or {}
    if bool(network.get("SubnetIds")) != bool(network.get("SecurityGroupIds")):
        raise ValueError("VpcConfig needs SubnetIds and SecurityGroupIds together")


def _check_code(name: str, props: Fields) -> None:
    """Reject code that is not in the bucket; ministack would create an empty function."""
    code = props.get("Code", {})
    if code.get("S3Key") and not lambda_svc._functions[name].get("code_zip"):
        del lambda_svc._functions[name]
        raise ValueError(f"NoSuchKey: {code.get('S3Bucket')}/{code['S3Key']}")


def keep_function_properties() -> None:
    """Keep the network, key, dead-letter queue and concurrency of a function."""
    stock = dict(provisioners._RESOURCE_HANDLERS[FUNCTION])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        _check_function(props)
        made: Made = stock["create"](logical_id, props, stack)
        _check_code(made[0], props)
        _keep_function(made[0], props)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str, logical_id: str = "") -> Made:
        _check_function(new)
        made: Made = stock["update"](pid, old, new, stack, logical_id)
        _keep_function(made[0], new)
        lambda_svc.invalidate_worker(made[0])
        return made

    changed = {"create": create, "update": update, "update_with_logical_id": True}
    provisioners._RESOURCE_HANDLERS[FUNCTION] = stock | changed


def keep_permissions_boundaries() -> None:
    """Keep a role's permissions boundary, so that ministack enforces it."""

    def keep(name: str, props: Fields) -> None:
        iam._roles[name]["PermissionsBoundary"] = props.get("PermissionsBoundary") or ""

    keep_after(ROLE, keep)
    stock = dict(provisioners._RESOURCE_HANDLERS[ROLE])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        boundary = props.get("PermissionsBoundary")
        if boundary and boundary not in iam._policies:
            raise ValueError(f"NoSuchEntity: Scope ARN: {boundary} does not exist")
        made: Made = stock["create"](logical_id, props, stack)
        return made

    provisioners._RESOURCE_HANDLERS[ROLE] = stock | {"create": create}


def drop_output_without_log_group() -> None:
    """Drop the output of a function without a log group; its role cannot create one.

    Otherwise the last output of a deleted function would recreate its log group.
    """
    stock = lambda_svc._emit_lambda_logs

    def emit(func: Fields, *args: Any, **options: Any) -> None:
        config = func.get("config") or func
        group = (config.get("LoggingConfig") or {}).get("LogGroup")
        if config["FunctionName"] in lambda_svc._functions and group in cloudwatch_logs._log_groups:
            stock(func, *args, **options)

    lambda_svc._emit_lambda_logs = emit


def log_as_lambda_does() -> None:
    """Give the functions a root logger with a handler, as the Lambda runtime does.

    Source: Lambda developer guide, "Log and monitor Python Lambda functions".
    """
    begin = "    sys.stdout = sys.stderr\n"
    handler = (
        "    import logging\n"
        "    logging.root.addHandler(logging.StreamHandler(sys.stderr))\n"
        "    logging.root.handlers[0].setFormatter(\n"
        "        logging.Formatter('[%(levelname)s]\\t%(name)s\\t%(message)s'))\n"
    )
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if begin not in script:
        raise RuntimeError("ministack's worker has changed: cannot add a root logger")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(begin, begin + handler)


def queue_what_is_throttled() -> None:
    """Keep an asynchronous event until the function's reserved concurrency lets it run.

    Source: "How Lambda handles errors and retries with asynchronous invocation", Lambda developer
    guide: a throttled event returns to the queue, for up to six hours. Here, there is no limit.
    """
    execute, invoke = lambda_svc._execute_function, lambda_svc.invoke_async_with_retry

    def execute_in_turn(function: Fields, event: Fields) -> Fields:
        result: Fields = execute(function, event)
        while QUEUED.get() and result.get("throttle"):
            time.sleep(THROTTLED_SECONDS)
            result = execute(function, event)
        return result

    def invoke_later(function: Fields, event: Fields) -> None:
        token = QUEUED.set(True)
        invoke(function, event)
        QUEUED.reset(token)

    lambda_svc._execute_function = execute_in_turn
    lambda_svc.invoke_async_with_retry = invoke_later


def register() -> None:
    """Register the types that are missing and complete the others."""
    drop_output_without_log_group()
    log_as_lambda_does()
    queue_what_is_throttled()
    provisioners._RESOURCE_HANDLERS["AWS::IAM::RolePolicy"] = {
        "create": _role_policy_create,
        "update": _role_policy_update,
        "delete": _role_policy_delete,
    }
    provisioners._RESOURCE_HANDLERS["AWS::IAM::OIDCProvider"] = {
        "create": _provider_create,
        "update": lambda arn, _old, new, _stack: _provider_keep(arn, new),
        "delete": _provider_delete,
    }
    keep_function_properties()
    keep_permissions_boundaries()
