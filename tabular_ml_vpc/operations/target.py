"""The account, region and stack of a command, and how AWS errors are reported."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.session
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoRegionError,
    ProfileNotFound,
)

from generator.cfn.identifiers import StackLocation
from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations import DEFAULT_STACK, advice, names

_RETRIES: Final = Config(retries={"mode": "standard", "max_attempts": 8})
"""CloudFormation throttles polls of five stacks; standard mode waits and retries."""
_POLL_SECONDS: Final = 2.0
_LOCAL_POLL_SECONDS: Final = 0.2
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
)
"""The last one is of HEAD requests, whose answers have no body."""
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_INVALID: Final = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}
)


@dataclass(frozen=True)
class Target:
    """One stack of one account in one region."""

    session: Session
    stack: str
    profile: str | None = None
    config: Config = _RETRIES
    stage: str | None = None
    """The stage of the project file that was chosen, if any."""

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client that retries; clients are reused."""
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = self.session.client(
                service, region_name=key[1], config=self.config
            )
        return self._clients[key]

    @cached_property
    def _clients(self) -> dict[tuple[str, str], Any]:
        return {}

    @property
    def region(self) -> str:
        """Return the region; ``open_target`` makes sure that there is one."""
        return str(self.session.region_name)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Return ``Account`` and ``Arn`` of the caller.

        Raises:
            NoCredentialsError: there are no credentials.
            ClientError: AWS rejected the credentials.

        """
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer

    @property
    def account(self) -> str:
        """Return the account ID, 12 digits."""
        return self.identity["Account"]

    @property
    def partition(self) -> str:
        """Return the partition, such as ``aws``."""
        return str(self.session.get_partition_for_region(self.region))

    @property
    def is_local(self) -> bool:
        """Return whether this AWS is on this machine, as that of ``local up``."""
        url = str(self.client("cloudformation").meta.endpoint_url)
        return urlsplit(url).hostname in advice.LOCAL

    def location(self, stack_name: str) -> StackLocation:
        """Return where a stack of this name is, for the evaluation of its templates."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return StackLocation(self.account, self.region, self.partition, suffix, stack_name)

    @property
    def poll_seconds(self) -> float:
        """Return how long to wait between two polls: less with an AWS on this machine."""
        return _LOCAL_POLL_SECONDS if self.is_local else _POLL_SECONDS

    def options(self) -> str:
        """Return the options that give another command the same target."""
        stack = f" --stack-name {self.stack}" if self.stack != DEFAULT_STACK else ""
        stage = f" --stage {self.stage}" if self.stage else ""
        return f"{self.place_options()}{stack}{stage}"

    def place_options(self) -> str:
        """Return the options that give another command, or the aws command, the same place."""
        profile = f" --profile {shlex.quote(self.profile)}" if self.profile else ""
        return f" --region {self.region}{profile}"


def open_target(profile: str | None, region: str | None, stack: str) -> Target:
    """Return the target that the options name.

    Raises:
        UsageError: the stack's name or the AWS configuration is not valid, the profile does not
            exist, or the region is missing or unknown.
        CommandError: the AWS on this machine that the environment names is not there.

    """
    names.check_stack(stack)
    session = _open_session(profile, region)
    if not session.region_name:
        raise UsageError(
            "--region: no region in the profile or in AWS_REGION; give one, such as --region "
            "eu-west-1"
        )
    if session.region_name not in session.get_available_regions("cloudformation") and not (
        _looks_like_a_region(session)
    ):
        raise UsageError(f"--region: unknown region {session.region_name!r}")
    names.check_stack(stack, session.region_name)
    advice.require_listening()
    return Target(session, stack, profile)


def _open_session(profile: str | None, region: str | None) -> Session:
    """Return a session; unlike boto3 itself, it also reads the region from AWS_REGION."""
    try:
        chosen = region or os.environ.get("AWS_REGION")
        session = Session(profile_name=profile, region_name=chosen)
        _ = session.region_name  # reads the configuration
    except ProfileNotFound:
        known = ", ".join(botocore.session.Session().available_profiles) or "none"
        setting = "AWS_PROFILE" if profile is None else "--profile"
        name = os.environ.get("AWS_PROFILE") if profile is None else profile
        raise UsageError(f"{setting}: unknown profile {name!r}; known profiles: {known}") from None
    except BotoCoreError as error:
        raise UsageError(f"cannot read the AWS configuration: {advice.flat(str(error))}") from error
    return session


def _looks_like_a_region(session: Session) -> bool:
    """Return whether botocore knows a partition for a region that is newer than its list."""
    try:
        session.get_partition_for_region(session.region_name)
    except BotoCoreError:
        return False
    return True


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise errors of AWS, and of the connection to it, as a ``CommandError`` of one line."""
    try:
        yield
    except ClientError as error:
        raise CommandError(in_words(error)) from error
    except NoRegionError as error:
        raise UsageError("--region: no region was given, and none is configured") from error
    except BotoCoreError as error:
        raise CommandError(advice.about(error)) from error
    except ValueError as error:
        if "endpoint" not in str(error):
            raise
        raise UsageError(f"AWS_ENDPOINT_URL: {advice.flat(str(error))}") from error


def in_words(error: ClientError) -> str:
    """Describe on one line what AWS rejected, with a remedy if one is known."""
    code, operation = code_of(error), error.operation_name
    message = advice.flat(str(error.response.get("Error", {}).get("Message", "")))
    if code in _EXPIRED:
        return f"the AWS credentials have expired: run `aws sso login`, or get new ones ({message})"
    if code in _INVALID:
        return f"AWS rejected the credentials: check them, or give --profile ({message})"
    if code in _DENIED:
        return f"no permission for {operation}: {message}"
    return ": ".join(filter(None, (operation, code, message)))


def code_of(error: ClientError) -> str:
    """Return the AWS error code, such as ``ValidationError``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return the AWS error message."""
    return str(error.response.get("Error", {}).get("Message", ""))


def is_denied(error: ClientError) -> bool:
    """Return whether a permission is missing."""
    return code_of(error) in _DENIED
