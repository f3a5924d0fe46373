"""AWS clients, made when they are needed and never at import."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from functions.shared.errors import is_not_found


def client(service: str) -> Any:
    """Return a client that gives up in time for an answer to CloudFormation.

    With botocore's defaults an endpoint that is missing in the VPC costs five minutes.
    """
    retries = {"mode": "standard", "total_max_attempts": 5}
    config = Config(connect_timeout=5, read_timeout=60, retries=retries)
    return boto3.client(service, config=config)


def listed(client: Any, operation: str, key: str, **filters: str) -> list[dict[str, Any]]:
    """Return what is under ``key`` on all pages of a listing; nothing if its subject is gone."""
    pages = client.get_paginator(operation).paginate(**filters)
    try:
        return [one for page in pages for one in page[key]]
    except ClientError as error:
        if is_not_found(error):
            return []
        raise
