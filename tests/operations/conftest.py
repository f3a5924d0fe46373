"""One emulated AWS for all these tests, and the command line run inside this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from boto3.session import Session

from generator.settings import Mode
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator.inventory import inventory
from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.operations import source
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run, emulated_aws, pointed_at, runner

Account = Callable[[], dict[str, list[str]]]


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    """Start the emulated AWS for all these tests."""
    with emulated_aws() as running:
        yield running


@pytest.fixture(scope="package")
def aws(emulator: Emulator) -> Iterator[Session]:
    """Point everything in this process at the emulated AWS."""
    with pointed_at(emulator) as session:
        yield session


@pytest.fixture(scope="package")
def account(aws: Session) -> Account:
    """Give a function that says what exists in the account."""
    return lambda: inventory(aws)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs `build.py` with arguments."""
    return runner(capsys)


@pytest.fixture(scope="package")
def built() -> Source:
    """Give the templates and zips as they were built in mode dev."""
    return source.load(None, Mode.DEV)


def changed(built: Source, old: str, new: str) -> Source:
    """Return a source in whose templates a text is replaced; it must be there."""
    texts = {name: text.replace(old, new) for name, text in built.texts.items()}
    assert texts != dict(built.texts)
    return replace(built, texts=texts)


@pytest.fixture(scope="package")
def deployed(aws: Session) -> Target:
    """Deploy the stack ``tabular-life`` by the command line; what a test changes, it takes back."""
    assert main(["deploy", "--stack-name", "tabular-life", "--yes", "--json"]) == 0
    return Target(aws, "tabular-life")
