"""What `doctor` says of an existing log bucket and topic, by their policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.policies import existing
from generator.settings import Mode, Settings
from generator.stacks import root
from pipeline.types import Json
from tabular_ml_vpc.operations import checks_given
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::org-logs"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:org-alerts"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
CHOSEN = Settings.model_validate(
    {"storage": {"log_bucket": BUCKET}, "security": {"alert_topic": TOPIC}}
)
PRINTED = existing.policies(CHOSEN, StackLocation(account=ACCOUNT))
NOBODY: Json = {"Version": "2012-10-17", "Statement": []}


def encrypted(algorithm: str) -> Json:
    default = {"SSEAlgorithm": algorithm}
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def context(**changed: canned.Answer) -> CheckContext:
    """Return templates to be deployed where AWS answers like that, by operation."""
    answers: dict[str, Any] = {
        "GetBucketLocation": {"LocationConstraint": "eu-west-1"},
        "GetBucketEncryption": encrypted("AES256"),
        "GetBucketPolicy": {"Policy": json.dumps(PRINTED[existing.LOG_BUCKET])},
        "GetTopicAttributes": topic(PRINTED[existing.TOPIC]),
        "DescribeKey": {"KeyMetadata": {"KeyId": "1", "Arn": KEY}},
        "GetKeyPolicy": {"Policy": json.dumps(PRINTED[existing.TOPIC_KEY])},
        "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"},
        **changed,
    }
    services = {"Bucket": "s3", "Topic": "sns", "Key": "kms", "Identity": "sts"}
    named = {
        f"{next(one for part, one in services.items() if part in name)}.{name}": answer
        for name, answer in answers.items()
    }
    templates = {name: as_dict(one) for name, one in root.build(CHOSEN, Mode.DEV).items()}
    return CheckContext(Target(canned.session(named), "tabular-new"), templates, {})


def topic(policy: Json, key: str = KEY) -> Json:
    return {"Attributes": {"Policy": json.dumps(policy), "KmsMasterKeyId": key}}


def test_the_statements_that_we_print_are_enough() -> None:
    place = context()
    found = [*checks_given.log_bucket(place), *checks_given.alert_topic(place)]
    assert [one.verdict for one in found] == [Verdict.OK] * 2, found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"GetBucketLocation": canned.refusal("NoSuchBucket", "no")}, "does not exist"),
        ({"GetBucketLocation": {"LocationConstraint": "eu-north-1"}}, "is in eu-north-1, not in"),
        ({"GetBucketEncryption": encrypted("aws:kms")}, "encrypted with aws:kms"),
        ({"GetBucketPolicy": canned.refusal("NoSuchBucketPolicy", "no")}, "does not let logging"),
        ({"GetBucketPolicy": {"Policy": json.dumps(NOBODY)}}, "does not let logging.s3"),
    ],
)
def test_a_bucket_that_gets_no_logs_is_a_problem(changed: dict[str, Json], said: str) -> None:
    (one,) = checks_given.log_bucket(context(**changed))
    assert (one.verdict, said in one.what) == (Verdict.PROBLEM, True), one
    assert one.why
    assert one.command


def without(path: str, sid: str) -> Json:
    statements = [one for one in PRINTED[path]["Statement"] if one["Sid"] != sid]
    return {"Version": "2012-10-17", "Statement": statements}


def bounded(policy: Json) -> Json:
    """Add a condition to EventBridge's statement, which sends no keys."""
    first, *others = policy["Statement"]
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    return {**policy, "Statement": [{**first, "Condition": condition}, *others]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"GetTopicAttributes": canned.refusal("NotFound", "no")}, "does not exist"),
        (
            {"GetTopicAttributes": topic(without(existing.TOPIC, "AlarmsPublish"))},
            "does not let cloudwatch.amazonaws.com publish",
        ),
        (
            {"GetTopicAttributes": topic(bounded(PRINTED[existing.TOPIC]))},
            "does not let events.amazonaws.com publish",
        ),
        (
            {"GetTopicAttributes": topic(PRINTED[existing.TOPIC], "alias/aws/sns")},
            "encrypted with alias/aws/sns",
        ),
        (
            {"GetKeyPolicy": {"Policy": json.dumps(NOBODY)}},
            "does not let events.amazonaws.com and cloudwatch.amazonaws.com use",
        ),
    ],
)
def test_a_topic_that_gets_no_alerts_is_a_problem(changed: dict[str, Json], said: str) -> None:
    (one,) = checks_given.alert_topic(context(**changed))
    assert (one.verdict, said in one.what) == (Verdict.PROBLEM, True), one
    assert one.why
    assert one.command


def test_a_topic_without_encryption_is_a_warning() -> None:
    plain = {"Attributes": {"Policy": json.dumps(PRINTED[existing.TOPIC])}}
    (one,) = checks_given.alert_topic(context(GetTopicAttributes=plain))
    assert one.verdict is Verdict.WARNING


def test_what_may_not_be_read_is_unknown() -> None:
    denied = canned.refusal("AccessDenied", "not authorized")
    found: list[CheckFinding] = list(checks_given.log_bucket(context(GetBucketPolicy=denied)))
    assert [one.verdict for one in found] == [Verdict.UNKNOWN]
