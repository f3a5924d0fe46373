"""The gate itself: the real checkers over what is emitted, and over what is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from generator.files import REPOSITORY
from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.audit import checkers, exemptions, gate, page
from tabular_ml_vpc.reports.audit.whole import CombinedTemplate, whole
from tests.reports.audit.test_choices import EVERYTHING

Breaking = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def audit() -> gate.Audit:
    return gate.audit(checkers.run(Settings()), exemptions.read())


def test_nothing_is_found_that_is_not_exempt(audit: gate.Audit) -> None:
    assert [str(finding) for finding in audit.judgement.open] == []


def test_no_exemption_is_stale(audit: gate.Audit) -> None:
    assert audit.judgement.stale == ()


def test_the_committed_figures_are_those_of_this_audit(audit: gate.Audit) -> None:
    committed = page.load(page.FIGURES)
    expected = page.figures(audit, committed["confirmed_by"])
    assert committed == expected, "run `python build.py audit --write`"


def test_every_checker_ran_with_its_rules(audit: gate.Audit) -> None:
    rules = {line.checker: line.rules for line in audit.lines}
    assert list(rules) == list(checkers.CHECKERS)
    assert all(number > 50 for number in rules.values()), rules


def open_the_bucket(resources: dict[str, Any]) -> None:
    del resources["DataBucket"]["Properties"]["PublicAccessBlockConfiguration"]
    del resources["DataBucket"]["Properties"]["BucketEncryption"]
    del resources["DataBucket"]["Properties"]["LoggingConfiguration"]


def stop_rotation(resources: dict[str, Any]) -> None:
    resources["Key"]["Properties"]["EnableKeyRotation"] = False


def allow_everything(resources: dict[str, Any]) -> None:
    statement = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    resources["SeedDataPolicy"]["Properties"]["PolicyDocument"] = document


def misspell_a_property(resources: dict[str, Any]) -> None:
    resources["AlertTopic"]["Properties"]["KmsMasterKey"] = "x"


def broken(*breakings: Breaking) -> CombinedTemplate:
    """Return the whole deployment with faults of these kinds in it."""
    intact = whole(checkers.plain_stacks(Settings(), Mode.DEV))
    template: dict[str, Any] = deepcopy(dict(intact.template))
    for breaking in breakings:
        breaking(template["Resources"])
    return replace(intact, template=template)


@pytest.fixture(scope="module")
def apart() -> tuple[list[checkers.Result], list[checkers.Result]]:
    """What is said of the broken deployment, and of one with every choice made."""
    everything = (open_the_bucket, stop_rotation, allow_everything, misspell_a_property)
    chosen = whole(checkers.plain_stacks(Settings.model_validate(EVERYTHING), Mode.PROD))
    in_broken, in_chosen = checkers.each_over([broken(*everything), chosen])
    return in_broken, in_chosen


def keys(results: list[checkers.Result]) -> set[tuple[str, str]]:
    return {finding.key for result in results for finding in result.findings}


def accepted() -> set[tuple[str, str]]:
    return {key for exemption in exemptions.read() for key in exemption.accepts}


@pytest.fixture
def found_in_broken(
    apart: tuple[list[checkers.Result], list[checkers.Result]],
) -> set[tuple[str, str]]:
    found = keys(apart[0]) - accepted()
    return {(rule.partition(":")[0], resource) for rule, resource in found}


@pytest.mark.parametrize(
    ("checker", "resource"),
    [
        ("checkov", "storage.DataBucket"),
        ("checkov", "security.Key"),
        ("checkov", "pipeline.SeedDataPolicy"),
        ("validate", "pipeline.AlertTopic"),
        ("control-tower", "storage.DataBucket"),
        ("control-tower", "security.Key"),
        ("foundational-security", "storage.DataBucket"),
        ("nag-solutions", "storage.DataBucket"),
        ("nag-nist", "storage.DataBucket"),
        ("nag-nist", "security.Key"),
        ("nag-nist", "pipeline.SeedDataPolicy"),
        ("nag-pci", "storage.DataBucket"),
        ("nag-hipaa", "storage.DataBucket"),
        ("nag-hipaa", "pipeline.SeedDataPolicy"),
    ],
)
def test_each_checker_objects_to_what_is_broken(
    found_in_broken: set[tuple[str, str]], checker: str, resource: str
) -> None:
    assert (checker, resource) in found_in_broken


def test_the_choices_answer_the_findings_that_they_are_for(
    apart: tuple[list[checkers.Result], list[checkers.Result]],
) -> None:
    answered = accepted() - keys(apart[1])
    assert {
        ("control-tower:CT.S3.PR.9", "storage.DataBucket"),
        ("foundational-security:S3_BUCKET_DEFAULT_LOCK_ENABLED", "storage.DataBucket"),
        ("foundational-security:S3_BUCKET_REPLICATION_ENABLED", "storage.DataBucket"),
        ("nag-nist:S3BucketReplicationEnabled", "storage.DataBucket"),
        ("checkov:CKV_AWS_115", "pipeline.SeedDataFunction"),
        ("nag-hipaa:LambdaConcurrency", "pipeline.SeedDataFunction"),
    } <= answered


WITH_PREFIXES = {"IAM5", "IAMNoInlinePolicy", "IAM_POLICYDOCUMENT_NO_WILDCARD_RESOURCE"}
BROUGHT = {
    "storage.ReplicationPolicy": WITH_PREFIXES,
    "pipeline.SparkProcessingPolicy": WITH_PREFIXES,
    "studio.MlEngineerPolicy": {*WITH_PREFIXES, "CKV_AWS_111"},
    "studio.OperatingPolicy": WITH_PREFIXES,
    "studio.PersonalFilesPolicy": WITH_PREFIXES,
    "studio.ReviewerPolicy": WITH_PREFIXES,
    "network.SparkToSpark": {"SECURITY_GROUP_EGRESS_ALL_PROTOCOLS_RULE"},
    "network.SparkFromSpark": {
        "SECURITY_GROUP_INGRESS_ALL_PROTOCOLS_RULE",
        "EC2RestrictedCommonPorts",
    },
}
"""What checkers say of the roles that choices add, as of the others, and of a cluster's group.

An ML engineer's policy contains a data scientist's, of which they say the same.
"""


def test_the_choices_bring_no_findings_but_of_their_roles_and_of_a_cluster_s_group(
    apart: tuple[list[checkers.Result], list[checkers.Result]],
) -> None:
    literal = {"validate:W9002", "validate:W9013"}  # ARNs of what exists already are no references
    brought = {key for key in keys(apart[1]) - accepted() if key[0] not in literal}
    unexpected = [
        (rule, resource)
        for rule, resource in brought
        if rule.partition(":")[2] not in BROUGHT.get(resource, set())
    ]
    assert unexpected == []


def test_a_missing_checker_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = REPOSITORY / ".venv-absent/bin/python"
    monkeypatch.setattr(checkers, "_PYTHON", missing)
    with pytest.raises(
        checkers.CheckerError,
        match=r"^\.venv-absent is missing .* `python build.py setup checkers`$",
    ):
        checkers.over([broken()])
