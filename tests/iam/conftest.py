"""One deployment, its required calls and the attacks on it, for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.cfn.identifiers import StackLocation
from generator.policies import own_key
from generator.resolved import resolve
from generator.settings import Mode, Security, Settings
from pipeline.types import Json
from tests.functions.recorder import SESSION
from tests.iam.account import Account
from tests.iam.attacks import Attack, attacks
from tests.iam.figures import Findings, find
from tests.iam.required import Required, record, required

FUNCTIONS = 5
OWN_KEY = "11111111-2222-3333-4444-555555555555"
BOUNDARY = "arn:aws:iam::123456789012:policy/Boundary"
BREAK_GLASS = "arn:aws:iam::123456789012:role/BreakGlass"
READER = "arn:aws:iam::444455556666:role/Audit"


@pytest.fixture(scope="session")
def account() -> Account:
    """Return the deployment with default settings and parameters."""
    return Account.of(resolve())


@pytest.fixture(scope="session")
def recorded_calls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the functions' calls; their tests run for it, unless they just did."""
    folder = tmp_path_factory.mktemp("recorded")
    return _recorded_before(request, folder) or record(folder)


@pytest.fixture(scope="session")
def calls(account: Account, recorded_calls: Path) -> list[Required]:
    """Return every required call."""
    return required(account, recorded_calls)


def _recorded_before(request: pytest.FixtureRequest, folder: Path) -> Path | None:
    """Return the functions' calls, if all their tests ran earlier in this session."""
    recorder, config = request.config.stash.get(SESSION, None), request.config
    tests = (config.rootpath / "tests/functions").glob("test_*.py")
    wanted = {path for path in tests if path.name != "test_rights.py"}
    collected = {item.path for item in request.session.items}
    whole = not config.option.keyword and not any("::" in one for one in config.args)
    if recorder is None or not whole or not wanted <= collected or len(recorder.calls) < FUNCTIONS:
        return None
    path = folder / "calls.json"
    recorder.save(path)
    return path


@pytest.fixture(scope="session")
def attempts(account: Account, calls: list[Required]) -> list[Attack]:
    """Return every attack."""
    return attacks(account, calls)


@pytest.fixture(scope="session")
def findings(account: Account, calls: list[Required], attempts: list[Attack]) -> Findings:
    """Return what removing each part of each policy shows."""
    return find(account, calls, attempts)


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


@pytest.fixture(scope="session")
def with_all_options() -> Account:
    """Return a deployment with every role that settings can add."""
    settings = Settings.model_validate(
        {
            "storage": {
                "object_lock_days": 30,
                "replica_bucket": "arn:aws:s3:::replica",
                "replica_key": "arn:aws:kms:eu-central-1:123456789012:key/"
                "11111111-2222-3333-4444-555555555555",
            }
        }
    )
    return Account.of(resolve(settings, mode=Mode.PROD))


@pytest.fixture(scope="session")
def with_own_key() -> Account:
    """Return a deployment with a key of the organisation's and the policy that we give for it."""
    place = StackLocation(stack_name="tabular")
    settings = Settings(security=Security(key=place.arn("kms", f"key/{OWN_KEY}")))
    return Account.of(resolve(settings, place=place), own_key=own_key.policy(settings, place))
