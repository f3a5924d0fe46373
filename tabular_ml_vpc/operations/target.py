"""The account, region and stack that a command is about, and how errors of AWS are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations import DEFAULT_STACK

_RETRIES: Final = Config(retries={"mode": "standard", "max_attempts": 8})
"""Polling five stacks meets CloudFormation's throttling; standard mode waits and asks again."""
_POLL_SECONDS: Final = 2.0
_LOCAL_POLL_SECONDS: Final = 0.2
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
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

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client that retries; clients are kept."""
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = self.session.client(service, region_name=key[1], config=_RETRIES)
        return self._clients[key]

    @cached_property
    def _clients(self) -> dict[tuple[str, str], Any]:
        return {}

    @property
    def region(self) -> str:
        """Return the region; there is one, ``open_target`` sees to it."""
        return str(self.session.region_name)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Return ``Account`` and ``Arn`` of who asks.

        Raises:
            CommandError: there are no credentials, or AWS does not take them.

        """
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer

    @property
    def account(self) -> str:
        """Return the account's id, 12 digits."""
        return self.identity["Account"]

    @property
    def partition(self) -> str:
        """Return the partition, such as ``aws``."""
        return str(self.session.get_partition_for_region(self.region))

    @property
    def poll_seconds(self) -> float:
        """Return how long to wait between two looks at an operation: shorter where AWS is local."""
        url = str(self.client("cloudformation").meta.endpoint_url)
        return _LOCAL_POLL_SECONDS if urlsplit(url).hostname in _LOCAL else _POLL_SECONDS

    def options(self) -> str:
        """Return the options that make another command mean the same target."""
        profile = f" --profile {self.profile}" if self.profile else ""
        stack = f" --stack-name {self.stack}" if self.stack != DEFAULT_STACK else ""
        return f" --region {self.region}{profile}{stack}"


def open_target(profile: str | None, region: str | None, stack: str) -> Target:
    """Return the target that the options name.

    Raises:
        UsageError: there is no such profile, or no region is known.

    """
    try:
        session = Session(profile_name=profile, region_name=region)
    except ProfileNotFound:
        known = ", ".join(Session().available_profiles) or "none"
        raise UsageError(
            f"--profile: got {profile!r}: no such profile; there are: {known}"
        ) from None
    if not session.region_name:
        raise UsageError(
            "--region: none was given, and neither the profile nor AWS_REGION names one; "
            "give one such as --region eu-west-1"
        )
    if session.region_name not in session.get_available_regions("cloudformation") and not (
        _looks_like_a_region(session)
    ):
        raise UsageError(f"--region: got {session.region_name!r}: no such region")
    return Target(session, stack, profile)


def _looks_like_a_region(session: Session) -> bool:
    """Tell whether botocore finds a partition for a region that is newer than its list."""
    try:
        session.get_partition_for_region(session.region_name)
    except BotoCoreError:
        return False
    return True


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise what AWS or the connection to it refuses as a ``CommandError`` of one line."""
    try:
        yield
    except ClientError as error:
        raise CommandError(in_words(error)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CommandError(
            f"no usable AWS credentials ({_flat(str(error))}): run `aws configure` or "
            "`aws sso login`, or give --profile"
        ) from error
    except NoRegionError as error:
        raise UsageError("--region: none was given and none is configured") from error
    except (ConnectionError, HTTPClientError) as error:
        raise CommandError(f"AWS cannot be reached: {_flat(str(error))}") from error
    except BotoCoreError as error:
        raise CommandError(f"AWS cannot be asked: {_flat(str(error))}") from error
    except ValueError as error:
        if "endpoint" not in str(error):
            raise
        raise UsageError(f"AWS_ENDPOINT_URL: {_flat(str(error))}") from error


def in_words(error: ClientError) -> str:
    """Say in one line what AWS refused, and what helps where that is known."""
    code, operation = code_of(error), error.operation_name
    message = _flat(str(error.response.get("Error", {}).get("Message", "")))
    if code in _EXPIRED:
        return f"the AWS credentials have expired: log in again ({message})"
    if code in _INVALID:
        return f"AWS does not take these credentials: {message}"
    if code in _DENIED:
        return f"{operation} is not allowed: {message}"
    return ": ".join(filter(None, (operation, code, message)))


def code_of(error: ClientError) -> str:
    """Return AWS's code of an error, such as ``ValidationError``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's text of an error."""
    return str(error.response.get("Error", {}).get("Message", ""))


def is_denied(error: ClientError) -> bool:
    """Tell whether rights are missing."""
    return code_of(error) in _DENIED


def _flat(text: str) -> str:
    return " ".join(text.split())
