"""One deployment, its required calls and the attacks on it, for all tests here."""

from __future__ import annotations

import pytest

from generator.resolve import resolve
from generator.settings import Security, Settings
from tests.iam.account import Account
from tests.iam.attacks import Attack, attacks
from tests.iam.required import Required, required
from tests.iam.simulator import Json

BOUNDARY = "arn:aws:iam::123456789012:policy/Boundary"
BREAK_GLASS = "arn:aws:iam::123456789012:role/BreakGlass"
READER = "arn:aws:iam::444455556666:role/Audit"


@pytest.fixture(scope="session")
def account() -> Account:
    """Return the deployment with default settings and parameters."""
    return Account.of(resolve())


@pytest.fixture(scope="session")
def calls(account: Account) -> list[Required]:
    """Return every required call; the functions' tests run once for it."""
    return required(account)


@pytest.fixture(scope="session")
def attempts(account: Account, calls: list[Required]) -> list[Attack]:
    """Return every attack."""
    return attacks(account, calls)


@pytest.fixture(scope="session")
def organised() -> Account:
    """Return a deployment of an organisation with rules: boundary, break-glass, log readers.

    The boundary keeps everybody from IAM, whatever policies say.
    """
    security = Security(
        permissions_boundary=BOUNDARY, break_glass=BREAK_GLASS, log_readers=(READER,)
    )
    boundary: Json = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
    }
    return Account.of(resolve(Settings(security=security)), boundary)
