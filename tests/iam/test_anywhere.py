"""`*` stands for a resource only where AWS leaves no other way, and each time with a reason."""

from __future__ import annotations

from generator.policies.statements import ANYWHERE_REASONS
from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import Account
from tests.iam.simulator import data

KIND = "takes no resource"


def anywhere(account: Account) -> set[str]:
    """Return the actions that a role may call on `*`."""
    return {
        action
        for document in account.documents.values()
        if document.kind == "identity"
        for statement in document.policy["Statement"]
        if statement["Effect"] == "Allow" and "*" in statement["Resource"]
        for action in statement["Action"]
    }


def test_every_action_on_everything_has_a_reason(account: Account) -> None:
    assert anywhere(account) - ANYWHERE_REASONS.keys() == set()


def test_every_reason_is_of_use(account: Account) -> None:
    installing = Settings.model_validate({"packages": {"source": "pypi"}})
    scaling = Settings.model_validate(
        {
            "pipeline": {"deploy": "on-approval"},
            "serving": {"maximum_instances": 2, "target_invocations": 60},
        }
    )
    chosen = (Account.of(resolve(one)) for one in (installing, scaling))
    used = anywhere(account).union(*map(anywhere, chosen))
    assert ANYWHERE_REASONS.keys() - used == set()


def test_what_is_said_to_take_no_resource_takes_none() -> None:
    for action, reason in ANYWHERE_REASONS.items():
        service, _, name = action.partition(":")
        takes = data(f"actions/{service}")[name.lower()]["resourceTypes"]
        assert (KIND not in reason) or not takes, action


def test_no_policy_of_a_role_allows_all_of_a_service(account: Account) -> None:
    for document in account.documents.values():
        if document.kind == "identity":
            for statement in document.policy["Statement"]:
                if statement["Effect"] == "Allow":
                    assert not any("*" in action for action in statement["Action"]), document.name
                    assert "NotAction" not in statement
                    assert "NotResource" not in statement


def test_a_role_is_handed_only_by_name_and_to_one_service(account: Account) -> None:
    for document in account.documents.values():
        for statement in document.policy["Statement"]:
            if document.kind == "identity" and "iam:PassRole" in statement["Action"]:
                assert len(statement["Resource"]) == 1
                assert "*" not in statement["Resource"][0]
                service = statement["Condition"]["StringEquals"]["iam:PassedToService"]
                assert service == "sagemaker.amazonaws.com"
