"""Exemptions: one decision each, with reason and source, and none for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.settings import Mode
from tabular_ml_vpc.reports.audit.checkers import CheckerFinding, Result, plain_stacks
from tabular_ml_vpc.reports.audit.exemptions import Exemption, ExemptionError, judge, read
from tabular_ml_vpc.reports.audit.gate import audit
from tabular_ml_vpc.reports.audit.whole import whole
from tests.existing_vpc import EXISTING_WITH_OURS, settings

FOUND = CheckerFinding("checkov", "CKV_1", "storage.LogBucket", "has no log")
ACCEPTED = Exemption("The log bucket", "why", "who", (FOUND.key,))

ENTRY = """
[[exemption]]
title = "The log bucket"
reason = "It would log itself."
source = "S3 user guide"
accepts = [{ rules = ["checkov:CKV_1", "checkov:CKV_2"], resources = ["storage.LogBucket"] }]
"""


def read_text(tmp_path: Path, text: str) -> list[Exemption]:
    path = tmp_path / "exemptions.toml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_a_finding_that_nobody_accepted_stays_open() -> None:
    assert judge([FOUND], []).open == (FOUND,)


def test_an_accepted_finding_is_not_open() -> None:
    judgement = judge([FOUND], [ACCEPTED])
    assert (judgement.open, judgement.accepted, judgement.stale) == ((), (FOUND,), ())


@pytest.mark.parametrize(
    "other",
    [
        CheckerFinding("checkov", "CKV_1", "storage.DataBucket", ""),
        CheckerFinding("checkov", "CKV_2", "storage.LogBucket", ""),
        CheckerFinding("validate", "CKV_1", "storage.LogBucket", ""),
    ],
    ids=["resource", "rule", "checker"],
)
def test_an_exemption_holds_for_its_own_rule_and_resource_only(other: CheckerFinding) -> None:
    assert other in judge([FOUND, other], [ACCEPTED]).open


def test_an_exemption_that_nothing_asks_for_is_stale() -> None:
    assert judge([], [ACCEPTED]).stale == (("checkov:CKV_1", "storage.LogBucket"),)


def test_an_exemption_for_a_setting_takes_patterns_and_is_never_stale() -> None:
    key = ("checkov:CKV_1", "storage.Log*")
    of_setting = Exemption("x", "why", "who", (key,), "storage.access_log_days")
    judgement = judge([FOUND], [of_setting])
    assert (judgement.open, judgement.stale) == ((), ())
    assert judge([], [of_setting]).stale == ()


def test_each_exemption_for_a_setting_names_resources_that_exist_with_it() -> None:
    with_endpoints = whole(plain_stacks(settings(EXISTING_WITH_OURS), Mode.DEV)).stack_of
    names = {f"{stack}.{title}" for title, stack in with_endpoints.items()}
    (found,) = [one for one in read() if one.setting == "network.created_endpoint_clients"]
    for rule, place in found.accepts:
        assert any(found.covers((rule, name)) for name in names), place


def test_an_exemption_that_is_half_needed_is_stale_in_the_other_half() -> None:
    wider = Exemption("x", "why", "who", (FOUND.key, ("checkov:CKV_1", "storage.Old")))
    assert judge([FOUND], [wider]).stale == (("checkov:CKV_1", "storage.Old"),)


@pytest.mark.parametrize(
    ("found", "accepted", "passed"),
    [((FOUND,), [ACCEPTED], True), ((FOUND,), [], False), ((), [ACCEPTED], False)],
    ids=["accepted", "open", "stale"],
)
def test_the_gate_passes_only_without_open_findings_and_stale_exemptions(
    found: tuple[CheckerFinding, ...], accepted: list[Exemption], passed: bool
) -> None:
    assert audit([Result("checkov", 1, found)], accepted).passed is passed


def test_the_gate_counts_by_checker() -> None:
    other = CheckerFinding("validate", "W1", "storage.LogBucket", "")
    results = [Result("checkov", 9, (FOUND,)), Result("validate", 7, (other,))]
    lines = audit(results, [ACCEPTED]).lines
    assert [(line.rules, line.findings, line.exempted, line.open) for line in lines] == [
        (9, 1, 1, 0),
        (7, 1, 0, 1),
    ]


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    (exemption,) = read_text(tmp_path, ENTRY)
    assert exemption.accepts == (FOUND.key, ("checkov:CKV_2", "storage.LogBucket"))
    assert (exemption.reason, exemption.source) == ("It would log itself.", "S3 user guide")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "cannot be read"),
        ("[[exemption", "cannot be read"),
        (ENTRY.replace('source = "S3 user guide"\n', ""), "source missing"),
        (ENTRY.replace("S3 user guide", ""), "source empty"),
        (ENTRY.replace('["storage.LogBucket"]', "[]"), "resources empty"),
        (ENTRY.replace("rules =", "rule ="), "rule, rules missing or unknown"),
        (ENTRY + 'until = "2027"', "until missing or unknown"),
        (ENTRY.replace("checkov:", "chekov:"), "'chekov:CKV_1' must begin with one of"),
        (ENTRY + ENTRY, "is already in 'The log bucket"),
    ],
)
def test_a_faulty_entry_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ExemptionError, match=fault):
        read_text(tmp_path, text)
