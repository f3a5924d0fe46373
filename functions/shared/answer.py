"""Deliver the response to CloudFormation, without logging its URL."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit, urlunsplit

LOG = logging.getLogger(__name__)

Connect = Callable[[str], HTTPConnection]

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 5
_SERVER_ERROR = 500
_REDIRECT = 300


class AnswerError(Exception):
    """The response could not be delivered; Lambda should retry the event."""


def connect(host: str) -> HTTPConnection:
    """Open a verified TLS connection to the bucket for CloudFormation's responses."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    return HTTPSConnection(host, timeout=_TIMEOUT_SECONDS, context=context)


def deliver(
    url: str,
    body: Mapping[str, object],
    connection: Connect = connect,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Put ``body`` to the presigned ``url``; raise ``AnswerError`` after a few attempts.

    crhelper's own sender logs the URL and retries forever. The URL is a credential: neither the URL
    nor an error that may quote it (such as ``http.client.InvalidURL``) is logged or chained.
    """
    content = json.dumps(body).encode()
    for attempt in range(_ATTEMPTS):
        status = _put(url, content, connection)
        if status and status < _REDIRECT:
            return
        if status and status < _SERVER_ERROR:
            raise AnswerError(f"CloudFormation rejected the response with HTTP status {status}")
        LOG.warning("attempt %d to respond to CloudFormation failed (%s)", attempt + 1, status)
        sleep(2**attempt / 2)
    raise AnswerError(f"CloudFormation could not be reached after {_ATTEMPTS} attempts")


def _put(url: str, content: bytes, connection: Connect) -> int:
    """Return the HTTP status, or 0 if there was none.

    The content type is empty because the URL was signed that way ("Custom resource response
    objects").
    """
    headers = {"content-type": "", "content-length": str(len(content))}
    try:
        parts = urlsplit(url)
        target = urlunsplit(("", "", parts.path, parts.query, ""))
        link = connection(parts.netloc)
        try:
            link.request("PUT", target, body=content, headers=headers)
            return link.getresponse().status
        finally:
            link.close()
    except (OSError, HTTPException, ValueError) as error:
        LOG.warning("no connection for the response: %s", type(error).__name__)
        return 0
