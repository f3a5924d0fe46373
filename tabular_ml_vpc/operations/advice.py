"""What to do about a connection to AWS that does not work, on one line."""

from __future__ import annotations

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from generator.errors import CommandError

LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
ENDPOINT: Final = "AWS_ENDPOINT_URL"
_SECONDS: Final = 2.0


_ADVICE: Final = (
    (
        (NoCredentialsError, PartialCredentialsError),
        "no usable AWS credentials ({said}): run `aws configure` or `aws sso login`, or give "
        "--profile",
    ),
    (
        (SSOError, TokenRetrievalError, NoAuthTokenError),
        "the login to AWS has expired: run `aws sso login` ({said})",
    ),
    (
        CredentialRetrievalError,
        "the profile gives no credentials: log in again, or give --profile ({said})",
    ),
    (ProxyConnectionError, "cannot connect to the proxy: check HTTPS_PROXY ({said})"),
    (SSLError, "AWS's certificate was not accepted: check the proxy and AWS_CA_BUNDLE ({said})"),
    ((ReadTimeoutError, HTTPClientError), "AWS did not answer: try again ({said})"),
    (BotoCoreError, "the request to AWS failed: {said}"),
)
"""What to say of an error, the first that fits."""
_UNREACHABLE: Final = (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError)


def about(error: BotoCoreError) -> str:
    """Describe on one line why no answer came from AWS, and what to do."""
    if isinstance(error, _UNREACHABLE):
        return _unreachable(str(error.kwargs.get("endpoint_url", "")))
    text = next(text for kind, text in _ADVICE if isinstance(error, kind))
    return text.format(said=flat(str(error)))


def _unreachable(url: str) -> str:
    if urlsplit(url).hostname in LOCAL:
        return _ended(url)
    return f"cannot connect to AWS ({url}): check the network, a proxy (HTTPS_PROXY) and the region"


def require_listening() -> None:
    """Check that an AWS on this machine, if that is the chosen one, is there.

    botocore would repeat the request for half a minute.

    Raises:
        CommandError: nothing listens on its port.

    """
    url = os.environ.get(ENDPOINT, "")
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:  # botocore explains it
        return
    if host not in LOCAL or port is None:
        return
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError:
        raise CommandError(_ended(url)) from None


def _ended(url: str) -> str:
    return (
        f"nothing answers at {url} ({ENDPOINT}): `python build.py local up` has ended; start it "
        f"again, or return to your own account with `unset {ENDPOINT} AWS_ACCESS_KEY_ID "
        "AWS_SECRET_ACCESS_KEY`"
    )


def flat(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
