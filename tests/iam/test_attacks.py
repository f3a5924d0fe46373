"""Everything that an attacker would try is refused, and each attack is one that could succeed."""

from __future__ import annotations

from collections import Counter

from generator.resolved import resolve
from generator.settings import Mode, Settings
from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import OPEN, THIEF, Attack, attacks, everything_of
from tests.iam.conftest import BREAK_GLASS, READER
from tests.iam.names import placeholders


def succeeding(account: Account, attempts: list[Attack]) -> list[str]:
    """Return the attacks that are not refused, or on which the verdict means nothing."""
    verdicts = account.ask([attack.request for attack in attempts])
    return [
        f"{attack}: {attack.request}: {verdict}"
        for attack, verdict in zip(attempts, verdicts, strict=True)
        if verdict.allowed or verdict.error or verdict.ignored
    ]


def test_every_attack_is_refused(account: Account, attempts: list[Attack]) -> None:
    assert succeeding(account, attempts) == []


def test_every_attack_would_succeed_without_policies(
    account: Account, attempts: list[Attack]
) -> None:
    """An attack that nobody could carry out would prove nothing by its refusal."""
    bare = [one.request.but(bare=True, extra=(ALL,), guard=OPEN) for one in attempts]
    failing = [
        f"{attack}: {verdict}"
        for attack, verdict in zip(attempts, account.ask(bare), strict=True)
        if not verdict.allowed
    ]
    assert failing == []


def test_attacks_are_many_and_of_every_kind(attempts: list[Attack]) -> None:
    assert Counter(str(attack) for attack in attempts).most_common(1)[0][1] == 1
    kinds = Counter(attack.kind for attack in attempts)
    assert kinds.total() >= 300
    assert min(kinds.values()) >= 5


def test_attacks_fail_where_data_survives_the_stack(attempts: list[Attack]) -> None:
    assert succeeding(Account.of(resolve(mode=Mode.PROD)), attempts) == []


def test_attacks_on_what_settings_add_fail(with_all_options: Account) -> None:
    attempts = attacks(with_all_options, [])
    assert succeeding(with_all_options, attempts) == []


def test_attacks_on_an_own_key_with_our_policy_fail(with_own_key: Account) -> None:
    attempts = attacks(with_own_key, [])
    assert succeeding(with_own_key, attempts) == []


def test_the_removal_of_logs_is_left_to_who_breaks_the_glass(organised: Account) -> None:
    log = placeholders(organised)["log_bucket"] + "/data/x"
    ask = [Request(who, "s3:DeleteObject", log, extra=(ALL,)) for who in _admins()]
    assert [verdict.allowed for verdict in organised.ask(ask)] == [False, True]


def test_the_key_stays_open_to_who_breaks_the_glass(organised: Account) -> None:
    key = placeholders(organised)["key"]
    ask = [Request(who, "kms:Decrypt", key, extra=(ALL,)) for who in _admins()]
    assert [verdict.allowed for verdict in organised.ask(ask)] == [False, True]
    alone = Request(BREAK_GLASS, "kms:PutKeyPolicy", key)
    assert organised.ask([alone])[0].allowed


def _admins() -> tuple[str, str]:
    return "arn:aws:iam::123456789012:role/administrator", BREAK_GLASS


def test_logs_are_read_by_whom_the_settings_name(organised: Account, account: Account) -> None:
    for where, allowed in ((organised, [True, True, False]), (account, [False, False, False])):
        bucket = placeholders(where)["log_bucket"]
        requests = [
            Request(READER, "s3:GetObject", f"{bucket}/data/x", extra=(ALL,)),
            Request(READER, "s3:ListBucket", bucket, extra=(ALL,)),
            Request(THIEF, "s3:GetObject", f"{bucket}/data/x", extra=(ALL,)),
        ]
        assert [verdict.allowed for verdict in where.ask(requests)] == allowed


def test_a_boundary_bounds_every_role(organised: Account, account: Account) -> None:
    roles = organised.deployment.of_type("AWS::IAM::Role")
    wanted = everything_of("iam")
    requests = [
        Request(
            role.logical_id, "iam:PassRole", placeholders(organised)["StudioRole"], extra=wanted
        )
        for role in roles
    ]
    assert not any(verdict.allowed for verdict in organised.ask(requests))
    assert all(verdict.allowed for verdict in account.ask(requests))


def test_an_endpoint_without_policy_lets_through_what_is_shared(account: Account) -> None:
    settings = Settings.model_validate({"network": {"endpoints_without_policy": ["s3"]}})
    shared = Account.of(resolve(settings))
    theirs = Request(
        "StudioRole",
        "s3:GetObject",
        "arn:aws:s3:::central/x",
        {"aws:ResourceAccount": "444455556666"},
        "S3Endpoint",
        everything_of("s3"),
        guard=OPEN,
    )
    assert shared.ask([theirs])[0].allowed
    assert not account.ask([theirs])[0].allowed
    assert "endpoint/S3Endpoint" not in shared.documents
    assert "endpoint/LogsEndpoint" in shared.documents
