"""Whether an existing log bucket and an existing topic take what the stack sends them.

S3 and CloudWatch drop what a policy refuses without telling anybody, so that only a look at the
policies shows it beforehand. A condition that is not understood here counts as not met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import alternatives
from generator.policies.existing import LOG_BUCKET, TOPIC, TOPIC_KEY
from generator.record import recorded
from pipeline.types import JsonView
from tabular_ml_vpc.operations.findings import (
    CheckContext,
    CheckFinding,
    Verdict,
    not_permitted,
)
from tabular_ml_vpc.operations.loosening.patterns import matches
from tabular_ml_vpc.operations.target import code_of

LOGS: Final = "existing log bucket"
ALERTS: Final = "existing topic"
_LOGGING: Final = "logging.s3.amazonaws.com"
_PUBLISHERS: Final = ("events.amazonaws.com", "cloudwatch.amazonaws.com")
_AWS_KEY: Final = "alias/aws/sns"
_EXACT: Final = frozenset({"StringEquals", "ArnEquals", "StringLike", "ArnLike"})


@dataclass(frozen=True)
class _Call:
    """A call of an AWS service, and the condition keys that the service sends."""

    service: str
    action: str
    resource: str
    keys: Mapping[str, str]


def log_bucket(context: CheckContext) -> Iterator[CheckFinding]:
    """Check the bucket in ``storage.log_bucket``; nothing if the stack creates one."""
    arn = recorded(context.templates["root"]).get("storage.log_bucket", "")
    if arn:
        yield from _checked(LOGS, _problems_of_bucket(context, arn), f"{arn} takes access logs")


def alert_topic(context: CheckContext) -> Iterator[CheckFinding]:
    """Check the topic in ``security.alert_topic``; nothing if the stack creates its own."""
    arn = recorded(context.templates["root"]).get("security.alert_topic", "")
    if arn:
        yield from _checked(ALERTS, _problems_of_topic(context, arn), f"{arn} takes alerts")


def _checked(name: str, problems: Iterator[CheckFinding], what: str) -> Iterator[CheckFinding]:
    """Yield the problems, or that there are none, or that a permission is missing."""
    try:
        found = list(problems)
    except ClientError as error:
        found = [not_permitted(name, error)]
    yield from found or [CheckFinding(name, Verdict.OK, what)]


def _problems_of_bucket(context: CheckContext, arn: str) -> Iterator[CheckFinding]:
    target, bucket = context.target, arn.rpartition(":")[2]
    client, owner = target.client("s3"), {"ExpectedBucketOwner": target.account}
    try:
        region = client.get_bucket_location(Bucket=bucket, **owner)["LocationConstraint"]
        encryption = client.get_bucket_encryption(Bucket=bucket, **owner)
    except ClientError as error:
        if code_of(error) not in {"NoSuchBucket", "404"}:
            raise
        yield _problem(LOGS, f"{arn} does not exist", "the data bucket cannot be created", "")
        return
    if (region or "us-east-1") != target.region:
        why = "access logs stay in their region"
        yield _problem(LOGS, f"{arn} is in {region}, not in {target.region}", why, "")
    rules = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    used = {rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules}
    if used != {"AES256"}:
        yield _problem(
            LOGS,
            f"{arn} is encrypted with {', '.join(sorted(used))}",
            "S3 delivers access logs only to buckets with SSE-S3",
            f"aws s3api put-bucket-encryption --bucket {bucket} --server-side-encryption-"
            'configuration \'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":'
            '"AES256"}}]}\'',
        )
    source = f"arn:{target.partition}:s3:::{target.stack.lower()}-data"
    keys = {"aws:SourceAccount": target.account, "aws:SourceArn": source}
    call = _Call(_LOGGING, "s3:PutObject", f"{arn}/{target.stack}-StorageStack/log", keys)
    if not _allows(_policy_of_bucket(client, bucket, owner), call):
        yield _problem(
            LOGS,
            f"the policy of {arn} does not let {_LOGGING} write below {target.stack}",
            "S3 drops the access logs and tells nobody",
            f"aws s3api put-bucket-policy --bucket {bucket} --policy file://POLICY.json  # with "
            f"the statement in {LOG_BUCKET}",
        )


def _policy_of_bucket(client: Any, bucket: str, owner: Mapping[str, str]) -> JsonView:
    try:
        found: JsonView = json.loads(client.get_bucket_policy(Bucket=bucket, **owner)["Policy"])
    except ClientError as error:
        if code_of(error) == "NoSuchBucketPolicy":
            return {"Statement": []}
        raise
    return found


def _problems_of_topic(context: CheckContext, arn: str) -> Iterator[CheckFinding]:
    target = context.target
    region, account = arn.split(":")[3:5]
    if (region, account) != (target.region, target.account):
        where = f"{account} in {region}, not {target.account} in {target.region}"
        yield _problem(ALERTS, f"{arn} is in {where}", "alarms cannot publish to it", "")
        return
    try:
        topic = target.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    except ClientError as error:
        if code_of(error) not in {"NotFound", "NotFoundException"}:
            raise
        yield _problem(ALERTS, f"{arn} does not exist", "alerts reach nobody", "")
        return
    calls = [_published(context, service, "sns:Publish", arn) for service in _PUBLISHERS]
    policy = json.loads(topic["Policy"])
    if refused := [call.service for call in calls if not _allows(policy, call)]:
        yield _problem(
            ALERTS,
            f"the policy of {arn} does not let {' and '.join(refused)} publish",
            "alerts are dropped",
            f"aws sns set-topic-attributes --topic-arn {arn} --attribute-name Policy "
            f"--attribute-value file://POLICY.json  # with the statements in {TOPIC}",
        )
    yield from _key_of_topic(context, arn, topic.get("KmsMasterKeyId", ""))


def _key_of_topic(context: CheckContext, arn: str, key: str) -> Iterator[CheckFinding]:
    """Check that services can publish to a topic with this key, an id, an ARN or an alias."""
    if not key:
        what = f"{arn} is not encrypted"
        yield CheckFinding(ALERTS, Verdict.WARNING, what, "alerts name runs and endpoints")
        return
    if key.endswith(_AWS_KEY):
        why = "neither EventBridge nor alarms can use it, and its policy cannot be changed"
        yield _problem(ALERTS, f"{arn} is encrypted with {_AWS_KEY}", why, "")
        return
    client = context.target.client("kms")
    key_arn = client.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    policy = json.loads(client.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"])
    calls = [
        _published(context, service, action, key_arn)
        for service in _PUBLISHERS
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    ]
    if refused := list(dict.fromkeys(call.service for call in calls if not _allows(policy, call))):
        yield _problem(
            ALERTS,
            f"the policy of {key_arn} does not let {' and '.join(refused)} use the topic's key",
            "alerts are dropped",
            f"aws kms put-key-policy --key-id {key_arn} --policy-name default --policy "
            f"file://POLICY.json  # with the statements in {TOPIC_KEY}",
        )


def _published(context: CheckContext, service: str, action: str, resource: str) -> _Call:
    """Return a publisher's call; EventBridge sends no condition key ("Amazon SNS permissions")."""
    target = context.target
    place = f"arn:{target.partition}:cloudwatch:{target.region}:{target.account}"
    alarm = {
        "aws:SourceAccount": target.account,
        "aws:SourceArn": f"{place}:alarm:{target.stack}-alarm",
    }
    return _Call(service, action, resource, alarm if service == _PUBLISHERS[1] else {})


def _problem(name: str, what: str, why: str, command: str) -> CheckFinding:
    remedy = "python build.py --config FILE.toml  # name another one, or leave the setting out"
    return CheckFinding(name, Verdict.PROBLEM, what, why, command or remedy)


def _allows(policy: JsonView, call: _Call) -> bool:
    """Return whether a resource policy certainly lets a service make a call."""
    applying = [one for one in alternatives(policy["Statement"]) if _applies(one, call)]
    return any(one["Effect"] == "Allow" for one in applying) and not any(
        one["Effect"] == "Deny" for one in applying
    )


def _applies(statement: JsonView, call: _Call) -> bool:
    principal = statement.get("Principal", {})
    services = ["*"] if principal == "*" else alternatives(principal.get("Service", []))
    anybody = principal != "*" and "*" in alternatives(principal.get("AWS", []))
    resources = alternatives(statement.get("Resource", []))
    return (
        (anybody or call.service in services or services == ["*"])
        and _any(alternatives(statement.get("Action", [])), call.action, str.lower)
        and _any(resources, call.resource)
        and all(
            _is_met(operator, keys, call)
            for operator, keys in statement.get("Condition", {}).items()
        )
    )


def _any(patterns: list[Any], value: str, form: Any = str) -> bool:
    return any(matches(form(str(pattern)), form(value)) for pattern in patterns)


def _is_met(operator: str, keys: Mapping[str, Any], call: _Call) -> bool:
    """Return whether the condition keys of a call certainly meet a condition."""
    sent = {name.lower(): value for name, value in call.keys.items()}
    return operator in _EXACT and all(
        name.lower() in sent and _any(alternatives(values), sent[name.lower()])
        for name, values in keys.items()
    )
