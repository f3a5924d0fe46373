"""One emulated AWS for all these tests, and the command line run inside this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from generator.settings import Mode
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator import process
from tabular_ml_vpc.local.emulator.inventory import inventory
from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.operations import source
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.target import Target

ROOT = Path(__file__).resolve().parents[2]
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
AWSCLI_PYTHON = ROOT / ".venv-awscli" / "bin" / "python"
ACCOUNT = "123456789012"
REGION = "eu-west-1"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]
Account = Callable[[], dict[str, list[str]]]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Start the emulated AWS; a missing environment fails in one line."""
    try:
        running = process.start(EMULATOR_PYTHON, REGION, ACCOUNT)
    except process.EmulatorError as error:
        pytest.fail(str(error), pytrace=False)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def aws(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Point everything in this process at the emulated AWS, and nothing at a user's profiles."""
    nowhere = tmp_path_factory.mktemp("aws") / "nothing"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(nowhere))
        patch.delenv("AWS_PROFILE", raising=False)
        yield Session()


class _Clients:
    """A session that makes each client once."""

    def __init__(self, session: Session) -> None:
        self._session, self._made = session, dict[str, Any]()

    def client(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._session.client(service)
        return self._made[service]


@pytest.fixture(scope="session")
def account(aws: Session) -> Account:
    """Give a function that says what exists in the account."""
    clients: Any = _Clients(aws)
    return lambda: inventory(clients)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs `build.py` with arguments."""

    def command(*arguments: str) -> Done:
        capsys.readouterr()
        status = main(arguments)
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return command


@pytest.fixture(scope="session")
def built() -> Source:
    """Give the templates and zips as they were built in mode dev."""
    return source.load(None, Mode.DEV)


def changed(built: Source, old: str, new: str) -> Source:
    """Return a source in whose templates a text is replaced; it must be there."""
    texts = {name: text.replace(old, new) for name, text in built.texts.items()}
    assert texts != dict(built.texts)
    return replace(built, texts=texts)


@pytest.fixture(scope="session")
def deployed(aws: Session) -> Target:
    """Deploy the stack ``life`` by the command line; what a test changes, it takes back."""
    assert main(["deploy", "--stack-name", "life", "--yes", "--json"]) == 0
    return Target(aws, "life")
