"""Every check of the two assessments has an answer, and every answer rests on something."""

from __future__ import annotations

from collections import Counter

from pipeline.run_parameters import APPROVALS
from tabular_ml_vpc.reports.audit.assessments import AssessmentAnswer, read
from tabular_ml_vpc.reports.audit.controls import CONTROLS
from tabular_ml_vpc.reports.audit.page import PAGE

_, CHECKS = read()
AIML = [f"SM-{number:02}" for number in range(1, 26)]
PROWLER = 26
"""Checks in the folder of prowler's SageMaker service, old names included."""


def test_every_check_of_both_lists_is_answered_once() -> None:
    ids = [check.id for check in CHECKS]
    assert Counter(ids).most_common(1)[0][1] == 1
    assert [one for one in ids if one.startswith("SM-")] == AIML
    assert len([one for one in ids if one.startswith("sagemaker_")]) == PROWLER
    assert len(ids) == len(AIML) + PROWLER


def test_every_answer_rests_on_a_control_or_says_why() -> None:
    titles = {control.title for control in CONTROLS}
    for check in CHECKS:
        assert set(check.controls) <= titles, check.id
        assert check.controls or check.why, check.id
        assert check.why or check.answer is not AssessmentAnswer.EXEMPT, check.id


def test_what_these_templates_cannot_pass_is_not_said_to_pass() -> None:
    """The checks look at what `DescribeModel` and `ListExperiments` answer, not at our intentions.

    Source: `sagemaker_assessments/app.py` of the assessment: a model without
    `RepositoryAccessMode=Vpc` fails SM-14, an account without experiments is N/A in SM-25.
    """
    answers = {check.id: check.answer for check in CHECKS}
    assert answers["SM-14"] is AssessmentAnswer.EXEMPT
    assert answers["SM-25"] is AssessmentAnswer.UNUSED


def test_a_setting_says_what_to_ask_for() -> None:
    (check,) = [check for check in CHECKS if check.answer is AssessmentAnswer.SETTING]
    assert check.setting == "ApprovalStatus"
    assert any(f"{check.setting}={value}" in check.why for value in APPROVALS)


def test_every_check_and_both_sources_are_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assessments, checks = read()
    assert [one.source for one in assessments if one.source not in text] == []
    assert [check.id for check in checks if f"`{check.id}`" not in text] == []
