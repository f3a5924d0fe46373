"""Policies for people, as JSON documents beside the templates: they belong to no stack.

Their ARNs leave partition, region and account open (IAM user guide, "IAM JSON policy elements:
Resource"), so that one file serves every account; names begin with the project's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.types import Json

FOLDER: Final = "templates"
MANAGED_POLICY_CHARACTERS: Final = 6144
"""Characters without white space (IAM user guide, "IAM and AWS STS quotas")."""


def statement(
    sid: str, actions: Iterable[str], resources: Sequence[str], condition: Json | None = None
) -> Json:
    """Return a statement that allows the actions."""
    found = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources) if len(resources) > 1 else resources[0],
    }
    return {**found, **({"Condition": condition} if condition else {})}


def document(statements: Sequence[Json]) -> Json:
    """Return a policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def text(policy: Json) -> str:
    """Return a file's text."""
    return json.dumps(policy, indent=2) + "\n"


def size(policy: Json) -> int:
    """Return a document's size in characters, as IAM counts it."""
    return len(json.dumps(policy, separators=(",", ":")))


def sagemaker(*resources: str) -> tuple[str, ...]:
    """Return ARN patterns of SageMaker resources."""
    return tuple(f"arn:*:sagemaker:*:*:{resource}" for resource in resources)
