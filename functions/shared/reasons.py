"""Why a call to AWS failed, for readers of the stack's events."""

from __future__ import annotations

import re
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from functions.shared.calls import THROTTLED, Calls
from functions.shared.errors import error_code

_ENCODED: Final = re.compile(r"\s*Encoded authorization failure message: \S+")
_RIGHT: Final = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
"""The missing permission; the rest of the message names role, resource and kind of policy."""

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
)
_LONGEST_MESSAGE: Final = 120


def reason(calls: Calls, error: Exception) -> str:
    """Return which call failed, why, and what to do, in one or two sentences."""
    if isinstance(error, BotoCoreError | ClientError):
        return f"{cause(calls, error)}. {_advice(error)}"
    call = calls.without_reply(error)
    during = f" (during {call})" if call else ""
    return f"{type(error).__name__}: {error}{during}. See the function's log."


def cause(calls: Calls, error: BotoCoreError | ClientError) -> str:
    """Return which call failed and why, without a period at the end."""
    if isinstance(error, ClientError):
        call = calls.named(error.operation_name) or error.operation_name
        return f"{call}: {_told(error)}"
    call = calls.without_reply(error)
    if isinstance(error, ParamValidationError):
        problem = " ".join(str(error).split()).removeprefix("Parameter validation failed: ")
        return f"{call}: invalid request: {problem[:_LONGEST_MESSAGE]}"
    return f"{call or 'A call to AWS'}: no response ({type(error).__name__})"


def _told(error: ClientError) -> str:
    """Return AWS's code and message, without the encoded part."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    message = " ".join(_ENCODED.sub("", message).split()).rstrip(".")
    if match := _RIGHT.search(message):
        message = f"not authorized to perform {match[1]}"
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    code = error_code(error) or f"HTTP status {_status(error)}"
    return f"{code}: {message}" if message and message != code else code


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _advice(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ParamValidationError):
        return "Correct the property."
    if isinstance(error, BotoCoreError):
        return (
            "Check the network path (VPC endpoint, its policy, security groups), then repeat the "
            "operation."
        )
    code = error_code(error)
    if code in _DENIED:
        return "Grant the function's role this permission, then repeat the operation."
    if code in THROTTLED:
        return "AWS put the call off until time ran out; repeat the operation."
    return "Repeat the operation once you have fixed the cause."
