"""AWS clients, made when they are needed and never at import."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def client(service: str) -> Any:
    """Return a client that gives up in time for an answer to CloudFormation.

    With botocore's defaults an endpoint that is missing in the VPC costs five minutes.
    """
    retries = {"mode": "standard", "total_max_attempts": 5}
    config = Config(connect_timeout=5, read_timeout=60, retries=retries)
    return boto3.client(service, config=config)
