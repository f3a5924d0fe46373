"""The gate itself: the real checkers over what is emitted, and over what is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from generator.audit import checkers, exemptions, gate
from generator.audit.whole import Whole, whole
from generator.files import REPOSITORY
from generator.settings import Mode, Settings

Breaking = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def audit() -> gate.Audit:
    return gate.audit(checkers.run(Settings()), exemptions.read())


def test_nothing_is_found_that_is_not_exempt(audit: gate.Audit) -> None:
    assert [str(finding) for finding in audit.judgement.open] == []


def test_no_exemption_is_stale(audit: gate.Audit) -> None:
    assert audit.judgement.stale == ()


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


def broken(*breakings: Breaking) -> Whole:
    """Return the whole deployment with faults of these kinds in it."""
    intact = whole(checkers.plain_stacks(Settings(), Mode.DEV))
    template: dict[str, Any] = deepcopy(dict(intact.template))
    for breaking in breakings:
        breaking(template["Resources"])
    return Whole(template, intact.stack_of)


@pytest.fixture(scope="module")
def found_in_broken() -> set[tuple[str, str]]:
    everything = (open_the_bucket, stop_rotation, allow_everything, misspell_a_property)
    results = checkers.over([broken(*everything)])
    accepted = {key for exemption in exemptions.read() for key in exemption.accepts}
    return {
        (finding.checker, finding.resource)
        for result in results
        for finding in result.findings
        if finding.key not in accepted
    }


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


def test_a_missing_checker_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = REPOSITORY / ".venv-absent/bin/python"
    monkeypatch.setattr(checkers, "_PYTHON", missing)
    with pytest.raises(
        checkers.CheckerError, match=r"^\.venv-absent is missing .* `make checkers`$"
    ):
        checkers.over([broken()])
