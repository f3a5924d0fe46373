"""EventBridge rules whose target is a SageMaker pipeline: they start it with the target's role.

The role's trust must let EventBridge assume it on behalf of the rule, and its policies must let it
start the pipeline. Source: "Schedule Pipeline Runs", SageMaker developer guide; "Cross-service
confused deputy prevention in Amazon EventBridge", EventBridge user guide.
"""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, iam

from tabular_ml_vpc.local.emulator import sagemaker_access
from tabular_ml_vpc.local.emulator.messaging import SERVICE
from tabular_ml_vpc.local.emulator.sagemaker_api import STORE, operate
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError
from tabular_ml_vpc.local.emulator.types import Fields

START = "StartPipelineExecution"

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


def register() -> None:
    """Let rules start pipelines."""
    stock = eventbridge._invoke_target

    def invoke(target: Fields, event: Fields, rule: Fields, view: Any = None) -> None:
        if ":sagemaker:" in target.get("Arn", "") and ":pipeline/" in target["Arn"]:
            _start(target, rule)
        else:
            stock(target, event, rule, view)

    eventbridge._invoke_target = invoke
