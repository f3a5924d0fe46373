"""Reads of SageMaker about one resource, which may be gone."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from functions.shared.errors import is_not_found


def described(client: Any, kind: str, **names: str) -> dict[str, Any] | None:
    """Return SageMaker's description of a resource, such as an ``endpoint``, if it exists."""
    try:
        found: dict[str, Any] = getattr(client, f"describe_{kind}")(**names)
    except ClientError as error:
        if is_not_found(error):
            return None
        raise
    return found


def tags_of(client: Any, arn: str) -> dict[str, str]:
    """Return a resource's tags; none if it is gone."""
    tags: dict[str, str] = {}
    try:
        for page in client.get_paginator("list_tags").paginate(ResourceArn=arn):
            tags |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
    except ClientError as error:
        if not is_not_found(error):
            raise
    return tags
