"""No role holds a right that it does not need, and no limit is there for show."""

from __future__ import annotations

import json

from generator.cfn.identifiers import StackLocation
from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import Account
from tests.iam.attacks import Attack, attacks
from tests.iam.figures import FIGURES, NOT_TESTABLE, Findings, figures, render
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.required import Required, implicit_calls

INLINE, MANAGED = 10240, 6144


def test_every_allowance_is_needed_by_a_required_call(findings: Findings) -> None:
    unneeded = {str(part) for part, refused in findings.needs.items() if not refused}
    assert unneeded - NOT_TESTABLE.keys() == set(), "no required call needs them"
    assert NOT_TESTABLE.keys() - unneeded == set(), "these can be tested by now"


def test_every_limit_stops_an_attack(findings: Findings) -> None:
    idle = [part for part, successes in findings.stopped.items() if not successes]
    show = [str(part) for part in idle if not findings.behind.get(part)]
    assert show == [], "no attack needs them"


def test_what_settings_add_is_needed_and_limited(with_all_options: Account) -> None:
    account = with_all_options
    added = "identity/ReplicationPolicy"
    parts = [part for part in allowances(account) if part.document == added]
    needs = needed_by(account, parts, [*implicit_calls(account)])
    assert [str(part) for part, refused in needs.items() if not refused] == []
    requests = [attack.request for attack in attacks(account, [])]
    bounds = [part for part in limits(account) if part.document == added]
    stopped = let_through(account, bounds, requests)
    assert [str(part) for part, successes in stopped.items() if not successes] == []


def test_the_figures_in_the_documents_are_these(
    account: Account, calls: list[Required], attempts: list[Attack], findings: Findings
) -> None:
    found = render(figures(account, calls, attempts, findings))
    assert FIGURES.read_bytes() == found, "`python -m tests.iam.figures` writes them"


def test_a_right_too_many_is_found(account: Account, calls: list[Required]) -> None:
    """The check itself can fail."""
    name = "identity/ModelPolicy"
    statement = account.documents[name].policy["Statement"][0]
    wider = account.without(name, 0, Action=[*statement["Action"], "s3:DeleteObject"])
    parts = [part for part in allowances(wider) if part.document == name]
    needs = needed_by(wider, parts, calls)
    unneeded = [part.value for part, refused in needs.items() if not refused]
    assert unneeded == ["s3:DeleteObject"]


def test_a_right_too_few_is_found(account: Account, calls: list[Required]) -> None:
    poorer = account.without("identity/TrainingPolicy", 0, Action=[])
    refused = [
        verdict for verdict in poorer.ask([one.request for one in calls]) if not verdict.allowed
    ]
    assert refused


def test_policies_fit(account: Account) -> None:
    """IAM's quotas count what a role's inline policies have in all, and a managed policy alone.

    Source: IAM user guide, "IAM and AWS STS quotas".
    """
    settings = Settings.model_validate({"project": "a" * 30, "network": {"zones": 3}})
    place = StackLocation(region="ap-southeast-1", partition="aws-us-gov", stack_name="s" * 60)
    longest = Account.of(resolve(settings, place=place, parameters={}))
    for name, document in [*account.documents.items(), *longest.documents.items()]:
        size = len(json.dumps(document.policy, separators=(",", ":")))
        managed = name in ("identity/JobsStayInsidePolicy", "identity/SpendingLimitsPolicy")
        assert size < (MANAGED if managed else INLINE), name
