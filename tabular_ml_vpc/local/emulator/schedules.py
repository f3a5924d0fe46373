"""EventBridge rules whose target is a SageMaker pipeline or a function, and rules with a schedule.

A rule starts a pipeline with the target's role: the role's trust must let EventBridge assume it on
behalf of the rule, and its policies must let it start the pipeline. Source: "Schedule Pipeline
Runs", SageMaker developer guide; "Cross-service confused deputy prevention in Amazon EventBridge",
EventBridge user guide.

A rule invokes a function asynchronously if the function's policy lets EventBridge invoke it on
behalf of the rule. Source: "Using resource-based policies for Amazon EventBridge". A role of the
target instead of that policy is not emulated.

Schedules follow the real clock. For tests, an event with the source `aws.events` and the detail
type `Scheduled Event` makes the rules in its resources fire at once.
"""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, iam, lambda_svc

from tabular_ml_vpc.local.emulator import sagemaker_access
from tabular_ml_vpc.local.emulator.messaging import SERVICE, allows
from tabular_ml_vpc.local.emulator.sagemaker_api import operate
from tabular_ml_vpc.local.emulator.sagemaker_store import STORE, ApiError
from tabular_ml_vpc.local.emulator.types import Fields

START = "StartPipelineExecution"
INVOKE = "lambda:InvokeFunction"
TICK = ("aws.events", "Scheduled Event")

logger = logging.getLogger("eventbridge")


def refusal(target: Fields, rule: Fields) -> str:
    """Return why a rule cannot start its pipeline; empty if it can."""
    role = target.get("RoleArn", "")
    record = iam._roles.get(role.rpartition("/")[2])
    if record is None:
        return f"the role {role!r} does not exist"
    if not _trusts(record["AssumeRolePolicyDocument"], role, rule["Arn"]):
        return f"{role} does not trust {SERVICE} for {rule['Arn']}"
    return sagemaker_access.denial_of_role(STORE, role, START, _request(target))


def _trusts(trust: str | Fields, role: str, rule_arn: str) -> bool:
    document = json.loads(trust) if isinstance(trust, str) else trust
    named = [{**one, "Resource": role} for one in document["Statement"]]
    context = EvalContext(
        principal_arn="service",
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role,
        region=get_region(),
        secure_transport=True,
        service_context={"aws:sourcearn": rule_arn, "aws:sourceaccount": get_account_id()},
    )
    policy = {"Version": "2012-10-17", "Statement": named}
    decision: str = evaluate_resource_policy(policy, context, service=SERVICE).decision
    return decision == "Allow"


def _request(target: Fields) -> Fields:
    given = target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", [])
    name = target["Arn"].rpartition("/")[2]
    return {"PipelineName": name, **({"PipelineParameters": given} if given else {})}


def _start(target: Fields, rule: Fields) -> None:
    """Start the pipeline; what EventBridge cannot deliver is logged, as for its other targets."""
    reason = refusal(target, rule)
    if reason:
        logger.warning("EventBridge cannot start a run: %s", reason)
        return
    try:
        operate(START, {**_request(target), "ClientRequestToken": f"events-{uuid.uuid4()}"})
    except ApiError as error:
        logger.warning("EventBridge cannot start a run: %s", error)


def refusal_of_function(target: Fields, rule: Fields) -> str:
    """Return why a rule cannot invoke its function; empty if it can."""
    if "RoleArn" in target:
        return "the target has a role, which is not emulated for functions"
    found = lambda_svc.function_policy_for_arn(target["Arn"])
    if found is None:
        return f"the function {target['Arn']} does not exist"
    whose = {"SourceArn": rule["Arn"], "SourceAccount": get_account_id()}
    if allows(found[0], INVOKE, target["Arn"], **whose):
        return ""
    return f"the policy of {target['Arn']} does not let {SERVICE} invoke it for {rule['Arn']}"


def _invoke_function(arn: str, payload: str) -> None:
    """Invoke a function asynchronously: Lambda delivers the event again after a failure."""
    record, config, _name = lambda_svc._get_func_record_for_ref(arn)
    execution = lambda_svc._execution_record_for_config(record, config)
    lambda_svc.invoke_async_with_retry(execution, json.loads(payload))


def _fire(rule_arn: str, event: Fields) -> None:
    """Invoke the targets of an enabled rule with a schedule."""
    for key, rule in list(eventbridge._rules.items()):
        if rule["Arn"] == rule_arn and rule.get("ScheduleExpression"):
            for target in eventbridge._targets.get(key, []) if rule["State"] == "ENABLED" else []:
                eventbridge._invoke_target(target, event, rule)


def fire_on_request() -> None:
    """Let tests make rules with a schedule fire."""
    stock = eventbridge._dispatch_event

    def dispatch(event: Fields, view: Any = None) -> None:
        if (event["Source"], event["DetailType"]) == TICK:
            for arn in event["Resources"]:
                _fire(arn, event)
        stock(event, view)

    eventbridge._dispatch_event = dispatch


def register() -> None:
    """Let rules start pipelines, and invoke functions."""
    stock = eventbridge._invoke_target

    def invoke(target: Fields, event: Fields, rule: Fields, view: Any = None) -> None:
        arn = target.get("Arn", "")
        reason = refusal_of_function(target, rule) if ":function:" in arn else ""
        if reason:
            logger.warning("EventBridge cannot invoke a function: %s", reason)
        elif ":sagemaker:" in arn and ":pipeline/" in arn:
            _start(target, rule)
        else:
            stock(target, event, rule, view)

    eventbridge._invoke_target = invoke
    eventbridge._dispatch_to_lambda = _invoke_function
    fire_on_request()
