"""Failures that a user can understand, and the classification of AWS's errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_NOT_FOUND_CODES = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
_NOT_FOUND_MESSAGE = re.compile(r"could not find|not found|does not exist", re.IGNORECASE)


class ResourceError(Exception):
    """An expected failure; its message says what happened, to what, and what to do.

    Keep it under 256 characters: the stack's events show no more.
    """


class PropertyError(ResourceError, ValueError):
    """A property that is missing, unknown or malformed."""


def error_code(error: ClientError) -> str:
    """Return AWS's error code, such as ``NoSuchBucket``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_not_found(error: ClientError) -> bool:
    """Tell whether SageMaker reported that a resource does not exist.

    Only its newer APIs have an error for that ("ResourceNotFound"); older ones return
    ``ValidationException``, as for a malformed request, and only the message differs ("Could not
    find endpoint ...").
    """
    if error_code(error) in _NOT_FOUND_CODES:
        return True
    message = str(error.response.get("Error", {}).get("Message", ""))
    return error_code(error) == "ValidationException" and bool(_NOT_FOUND_MESSAGE.search(message))
