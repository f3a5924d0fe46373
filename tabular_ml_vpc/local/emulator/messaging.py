"""Events, topics and keys: the permissions for deliveries.

EventBridge delivers to a topic only if the topic's policy lets `events.amazonaws.com` publish and,
if the topic is encrypted with a customer managed key, the key's policy lets it use the key. These
requests have no aws:SourceAccount and aws:SourceArn, so a statement that requires them denies them.
Source: "Using resource-based policies for Amazon EventBridge"; "Key management", SNS Developer
Guide.
"""

from __future__ import annotations

import logging
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, kms, sns
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.handlers import keep_after
from tabular_ml_vpc.local.emulator.types import Fields

SERVICE = "events.amazonaws.com"
TOPIC = "AWS::SNS::Topic"
KEPT_OF_A_TOPIC = ("KmsMasterKeyId", "SignatureVersion", "TracingConfig")
KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")

logger = logging.getLogger("eventbridge")


def allows(policy: str | Fields, action: str, resource: str, **keys: str) -> bool:
    """Whether a resource policy allows an action for EventBridge itself.

    `keys` are condition keys of the service `aws`, such as `SourceArn`.
    """
    context = EvalContext(
        principal_arn="service",
        principal_type="Service",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        secure_transport=True,
        service_context={f"aws:{key.lower()}": value for key, value in keys.items()},
    )
    decision: str = evaluate_resource_policy(policy, context, service=SERVICE).decision
    return decision == "Allow"


def refusal(topic_arn: str) -> str:
    """Return why EventBridge cannot deliver to a topic; empty if it can."""
    found = sns.topic_policy_for_arn(topic_arn)
    if found is None:
        return f"the topic {topic_arn} does not exist"
    if not allows(found[0], "sns:Publish", topic_arn):
        return f"the policy of {topic_arn} does not let {SERVICE} publish"
    key = sns._topics[topic_arn]["attributes"].get("KmsMasterKeyId", "")
    if not key or key == "alias/aws/sns":
        return f"{topic_arn} uses the AWS managed key, which {SERVICE} cannot use" if key else ""
    record = kms._resolve_key(key)
    if not record:
        return f"the key {key} does not exist"
    for action in KEY_ACTIONS:
        if not allows(record.get("Policy") or "", action, record["Arn"]):
            return f"the policy of {key} does not allow {action} for {SERVICE}"
    return ""


def check_deliveries() -> None:
    """Check the policies before each delivery from EventBridge to a topic."""
    stock = eventbridge._dispatch_to_sns

    def deliver(arn: str, payload: str) -> None:
        reason = refusal(arn)
        if reason:
            logger.warning("EventBridge cannot deliver: %s", reason)
            return
        stock(arn, payload)

    eventbridge._dispatch_to_sns = deliver


def accept_events_of_aws() -> None:
    """Let tests send the events that SageMaker would send."""
    stock = eventbridge._put_events

    def put_events(data: Fields, allow_aws_source: bool = True) -> Any:
        return stock(data, allow_aws_source=allow_aws_source)

    eventbridge._put_events = put_events


def keep_topic_properties() -> None:
    """Keep a topic's key."""

    def keep(arn: str, props: Fields) -> None:
        attributes = sns._topics[arn]["attributes"]
        for key in KEPT_OF_A_TOPIC:
            attributes.pop(key, None)
            if props.get(key):
                attributes[key] = props[key]

    keep_after(TOPIC, keep)


def register() -> None:
    """Add the checks, and complete the topic type."""
    check_deliveries()
    accept_events_of_aws()
    keep_topic_properties()
    provisioners._STACK_TAG_PROPERTY["AWS::Events::Rule"] = ("Tags", "list")
