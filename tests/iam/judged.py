"""What the simulator says of required calls and of attacks, as lines that name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import OPEN
from tests.iam.required import Required


def refused(account: Account, calls: Sequence[Required]) -> list[str]:
    """Return the calls that are refused, or on which the verdict means nothing."""
    verdicts = account.ask([one.request for one in calls])
    return [
        f"{one}: {verdict}"
        for one, verdict in zip(calls, verdicts, strict=True)
        if not verdict.allowed or verdict.ignored
    ]


def succeeding(account: Account, attempts: Mapping[str, Request]) -> list[str]:
    """Return the attacks that are not refused, or on which the verdict means nothing."""
    verdicts = account.ask([*attempts.values()])
    return [
        f"{wants}: {verdict}"
        for wants, verdict in zip(attempts, verdicts, strict=True)
        if verdict.allowed or verdict.error or verdict.ignored
    ]


def impossible(account: Account, attempts: Mapping[str, Request]) -> list[str]:
    """Return the attacks that fail even without our policies, and so prove nothing."""
    bare = [one.but(bare=True, extra=(ALL,), guard=OPEN) for one in attempts.values()]
    verdicts = zip(attempts, account.ask(bare), strict=True)
    return [wants for wants, verdict in verdicts if not verdict.allowed]
