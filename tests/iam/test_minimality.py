"""No role holds a right that it does not need, and no limit is there for show."""

from __future__ import annotations

import json

from tests.iam.account import Account
from tests.iam.attacks import Attack
from tests.iam.figures import FIGURES, NOT_TESTABLE, figures, render
from tests.iam.minimality import (
    allowances,
    last_layer,
    layers,
    let_through,
    limits,
    needed_by,
)
from tests.iam.required import Required

INLINE, MANAGED = 10240, 6144


def test_every_allowance_is_needed_by_a_required_call(
    account: Account, calls: list[Required]
) -> None:
    needs = needed_by(account, allowances(account), calls)
    unneeded = {str(part) for part, refused in needs.items() if not refused}
    assert unneeded - NOT_TESTABLE.keys() == set(), "no required call needs them"
    assert NOT_TESTABLE.keys() - unneeded == set(), "these can be tested by now"


def test_every_limit_stops_an_attack(account: Account, attempts: list[Attack]) -> None:
    parts = limits(account)
    requests = [attack.request for attack in attempts]
    stopped = let_through(account, parts, requests)
    idle = [part for part, successes in stopped.items() if not successes]
    behind = layers(parts)
    assert [str(part) for part in idle if part not in behind] == [], "no attack needs them"
    for part in idle:
        assert last_layer(account, part, behind[part], requests), f"{part} is there for show"


def test_the_figures_in_the_documents_are_these(
    account: Account, calls: list[Required], attempts: list[Attack]
) -> None:
    found = render(figures(account, calls, attempts))
    assert FIGURES.read_bytes() == found, "`python -m tests.iam.figures` writes them"


def test_a_right_too_many_is_found(account: Account, calls: list[Required]) -> None:
    """The check itself can fail."""
    name = "identity/ModelPolicy"
    statement = account.documents[name].policy["Statement"][0]
    wider = account.without(name, 0, Action=[*statement["Action"], "s3:DeleteObject"])
    needs = needed_by(wider, allowances(wider), calls)
    unneeded = [part.value for part, refused in needs.items() if not refused]
    assert "s3:DeleteObject" in unneeded


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
    for name, document in account.documents.items():
        size = len(json.dumps(document.policy, separators=(",", ":")))
        assert size < (MANAGED if name == "identity/JobsStayInsidePolicy" else INLINE), name
