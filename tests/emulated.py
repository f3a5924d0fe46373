"""One emulated AWS for the tests that share a fixture, and the command line run against it."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from boto3.session import Session
from botocore.loaders import create_loader

from generator.files import REPOSITORY
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator import process
from tabular_ml_vpc.local.emulator.process import Emulator

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
AWSCLI_PYTHON: Final = REPOSITORY / ".venv-awscli/bin/python"
EMULATOR_PYTHON: Final = REPOSITORY / ".venv-emulator/bin/python"
TEMPLATES: Final = REPOSITORY / "templates"
JOBS: Final = REPOSITORY / ".venv-local"
LOADER: Final = create_loader()
"""Reads the services' models once: the clients of one command otherwise take 0.3 s each time."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


Run = Callable[..., Done]


@contextmanager
def emulated_aws(jobs: Path | None = None) -> Iterator[Emulator]:
    """Start the emulated AWS, with an environment for jobs if they are to run for real.

    A missing environment fails the test in one line.
    """
    try:
        emulator = process.start(EMULATOR_PYTHON, REGION, ACCOUNT, jobs=jobs)
    except process.EmulatorError as error:
        pytest.fail(str(error), pytrace=False)
    yield emulator
    emulator.stop()


class OneClientEach(Session):
    """A session that makes each client once: making one takes longer than a request."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made = dict[str, Any]()

    def client(self, service_name: str, *more: Any, **options: Any) -> Any:
        """Return the client of a service, or a new one with options."""
        if more or options:
            return super().client(service_name, *more, **options)  # type: ignore[no-untyped-call]
        if service_name not in self._made:
            made = super().client(service_name)  # type: ignore[no-untyped-call]
            self._made[service_name] = made
        return self._made[service_name]


@contextmanager
def pointed_at(emulator: Emulator) -> Iterator[Session]:
    """Point everything in this process at the emulator, and nothing at a user's profiles."""

    def one_loader(*_: Any) -> Any:
        return LOADER

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as empty:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(Path(empty) / "nothing"))
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setattr("botocore.session.create_loader", one_loader)
        yield OneClientEach()


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `build.py` with arguments in this process."""

    def command(*arguments: str) -> Done:
        capsys.readouterr()
        status = main(arguments)
        printed = capsys.readouterr()
        return Done(status, printed.out, printed.err)

    return command


@contextmanager
def as_user(aws: Session, name: str, files: Iterable[Path]) -> Iterator[None]:
    """Be a user who holds the policies in these files, and nothing else."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    policies = []
    for file in files:
        made = iam.create_policy(PolicyName=file.stem, PolicyDocument=file.read_text())
        policies.append(made["Policy"]["Arn"])
        iam.attach_user_policy(UserName=name, PolicyArn=policies[-1])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        yield
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in policies:
        iam.detach_user_policy(UserName=name, PolicyArn=policy)
        iam.delete_policy(PolicyArn=policy)
    iam.delete_user(UserName=name)


@contextmanager
def hearing(aws: Session, topic: str) -> Iterator[str]:
    """Let a queue hear what a topic tells; give its URL."""
    sqs = aws.client("sqs")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    name = f"alerts-{uuid.uuid4().hex[:8]}"
    url = str(sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"])
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=found["QueueArn"])
    yield url
    sqs.delete_queue(QueueUrl=url)
