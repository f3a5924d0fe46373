"""One emulated AWS for the whole session, the real `aws` command, and clients."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from boto3.session import Session

from generator import package
from tabular_ml_vpc.local.emulator.awscli import AwsCli
from tabular_ml_vpc.local.emulator.inventory import inventory
from tabular_ml_vpc.local.emulator.process import Emulator
from tests.cloud.account import Account, open_account
from tests.emulated import AWSCLI_PYTHON, emulated_aws, pointed_at


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    """Start the emulated AWS for all these tests."""
    with emulated_aws() as running:
        yield running


@pytest.fixture(scope="package")
def aws(emulator: Emulator) -> AwsCli:
    """Give the real `aws` command, pointed at the emulator."""
    if not AWSCLI_PYTHON.exists():
        pytest.fail(
            f"no aws command at {AWSCLI_PYTHON}: run `python build.py setup emulator` first",
            pytrace=False,
        )
    return AwsCli(AWSCLI_PYTHON, emulator.environment())


@pytest.fixture(scope="package")
def session(emulator: Emulator) -> Iterator[Session]:
    """Give a boto3 session that trusts and reaches the emulator."""
    with pointed_at(emulator) as pointed:
        yield pointed


@pytest.fixture(scope="package")
def account(
    aws: AwsCli, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """Give the emulated account, with a bucket for packaged templates and zips."""
    package.build_all()
    bucket = "artifacts-of-the-tests"
    yield open_account(aws, session, bucket, tmp_path_factory.mktemp("templates"))
    aws.run("s3", "rb", "--force", f"s3://{bucket}")


@pytest.fixture
def name() -> str:
    """Give a stack's name that no other test uses."""
    return f"s{uuid.uuid4().hex[:8]}"


@pytest.fixture
def nothing_is_left(account: Account) -> Iterator[None]:
    """Compare what the account holds before and after the test."""
    before = inventory(account.session)
    yield
    assert inventory(account.session) == before
