"""AWS clients, created when they are needed and never at import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from functions.shared.errors import is_not_found


def client(service: str, *, read_timeout: int = 20, attempts: int = 5) -> Any:
    """Return a client that times out early enough for a response to CloudFormation.

    With botocore's defaults, an endpoint that is missing in the VPC costs five minutes. Functions
    use ``Request.client``, which also watches the calls. ``read_timeout`` is in seconds.
    """
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=5, read_timeout=read_timeout, retries=retries)
    return boto3.client(service, config=config)


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Return what an S3 URI names: of ``s3://bucket/a/key``, ``bucket`` and ``a/key``."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


_PAGE = 100
"""Maximum page size of SageMaker's listings."""


def listed(client: Any, operation: str, key: str, **filters: str) -> list[dict[str, Any]]:
    """Return the items under ``key`` on all pages of a listing; none if its subject is gone."""
    return [*pages(client, operation, key, **filters)]


def pages(client: Any, operation: str, key: str, **filters: str) -> Iterator[dict[str, Any]]:
    """Yield the items under ``key`` of each page of a listing, and request pages as needed."""
    try:
        for page in client.get_paginator(operation).paginate(MaxResults=_PAGE, **filters):
            yield from page[key]
    except ClientError as error:
        if not is_not_found(error):
            raise
