"""The controls: each is where the page says, and gone when it is taken out.

What ``tests/templates`` shows already is not repeated here.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from generator.files import REPOSITORY
from generator.resolved import resolve
from generator.settings import Mode, Settings, Storage
from tabular_ml_vpc.reports.audit.checkers import CHECKERS, plain_stacks
from tabular_ml_vpc.reports.audit.confirm import undone
from tabular_ml_vpc.reports.audit.controls import CONTROLS, Control
from tabular_ml_vpc.reports.audit.page import FIGURES, load
from tabular_ml_vpc.reports.audit.whole import CombinedTemplate, whole


@pytest.fixture(scope="module", params=list(Mode))
def deployment(request: pytest.FixtureRequest) -> CombinedTemplate:
    return whole(plain_stacks(Settings(), Mode(request.param)))


def properties(deployment: CombinedTemplate, kind: str) -> dict[str, dict[str, Any]]:
    found = deployment.template["Resources"].items()
    return {title: r.get("Properties", {}) for title, r in found if r["Type"] == kind}


def title_of(control: Control) -> str:
    return control.title


@pytest.mark.parametrize("control", CONTROLS, ids=title_of)
def test_a_control_is_in_the_resources_that_the_page_names(control: Control) -> None:
    intact = whole(plain_stacks(Settings(), Mode.DEV))
    before = deepcopy(intact.template["Resources"])
    after = undone(intact, control).template["Resources"]
    changed = {title for title in before if after.get(title) != before[title]}
    assert changed
    if control.title not in ELSEWHERE:
        assert changed <= set(control.titles(before))
    assert set(control.titles(before)) <= before.keys()
    assert intact.template["Resources"] == before


ELSEWHERE = {"No confused deputy"}
"""Controls in more resources than the page has room for."""


@pytest.mark.parametrize("control", CONTROLS, ids=title_of)
def test_the_proof_of_a_control_exists(control: Control) -> None:
    assert [path for path in control.proof if not (REPOSITORY / path).is_file()] == []


def test_what_confirms_the_controls_was_tried_for_each_of_them() -> None:
    confirmed = load(FIGURES)["confirmed_by"]
    assert set(confirmed) == {control.title for control in CONTROLS}
    rules = {rule for rules in confirmed.values() for rule in rules}
    assert {rule.partition(":")[0] for rule in rules} <= set(CHECKERS)


def test_old_tls_is_refused_by_both_buckets(deployment: CombinedTemplate) -> None:
    policies = properties(deployment, "AWS::S3::BucketPolicy")
    for policy in policies.values():
        (statement,) = [
            s for s in policy["PolicyDocument"]["Statement"] if s.get("Sid") == "DenyOldTls"
        ]
        assert statement["Effect"] == "Deny"
        assert statement["Principal"] == "*"
        assert statement["Action"] == ["s3:*"]
        assert statement["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert len(policies) == len(properties(deployment, "AWS::S3::Bucket"))


def test_old_versions_and_unfinished_uploads_expire_in_both_buckets(
    deployment: CombinedTemplate,
) -> None:
    for bucket in properties(deployment, "AWS::S3::Bucket").values():
        rules = bucket["LifecycleConfiguration"]["Rules"]
        kinds = {key for rule in rules if rule["Status"] == "Enabled" for key in rule}
        assert {"NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"} <= kinds


def test_of_the_data_itself_only_what_runs_prepared_expires(deployment: CombinedTemplate) -> None:
    rules = properties(deployment, "AWS::S3::Bucket")["DataBucket"]["LifecycleConfiguration"]
    expiring = [one for one in rules["Rules"] if {"ExpirationInDays", "ExpirationDate"} & set(one)]
    assert [(one["Prefix"], one["ExpirationInDays"]) for one in expiring] == [("processed/", 365)]


def test_prepared_data_stays_if_the_settings_say_so() -> None:
    settings = Settings(storage=Storage(processed_days=0))
    bucket = resolve(settings).get("storage", "DataBucket").properties
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert not any("ExpirationInDays" in rule for rule in rules)


def test_functions_have_traces_and_no_environment(deployment: CombinedTemplate) -> None:
    """Without environment variables Lambda keeps no key for them: to name one would be drift."""
    for function in properties(deployment, "AWS::Lambda::Function").values():
        assert "KmsKeyArn" not in function
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert "Environment" not in function


def test_nobody_but_the_account_may_invoke_functions(deployment: CombinedTemplate) -> None:
    assert properties(deployment, "AWS::Lambda::Permission") == {}
    assert properties(deployment, "AWS::Lambda::Url") == {}


def test_studio_shares_no_output_and_says_who_calls(deployment: CombinedTemplate) -> None:
    domain = properties(deployment, "AWS::SageMaker::Domain")["Domain"]
    sharing = domain["DefaultUserSettings"]["SharingSettings"]
    assert sharing == {"NotebookOutputOption": "Disabled"}
    assert domain["DomainSettings"]["ExecutionRoleIdentityConfig"] == "USER_PROFILE_NAME"


def test_an_alarm_tells_of_what_waits_in_the_dead_letter_queue(
    deployment: CombinedTemplate,
) -> None:
    alarm = properties(deployment, "AWS::CloudWatch::Alarm")["DeadLetterAlarm"]
    assert alarm["Dimensions"] == [
        {"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}
    ]
    assert alarm["AlarmActions"] == [{"Ref": "AlertTopic"}]


def test_both_buckets_tell_eventbridge_of_changes(deployment: CombinedTemplate) -> None:
    for bucket in properties(deployment, "AWS::S3::Bucket").values():
        enabled = bucket["NotificationConfiguration"]["EventBridgeConfiguration"]
        assert enabled == {"EventBridgeEnabled": True}
