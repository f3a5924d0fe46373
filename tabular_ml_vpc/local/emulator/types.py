"""Types of ministack's handlers and answers, which has no types of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
"""A resource's properties, or the fields of a request or an answer."""

Made = tuple[str, Fields]
"""What a creation or an update gives: the physical id and the attributes."""

Operate = Callable[[str, Fields], Fields]
"""Calls an operation of SageMaker with a request, and returns its answer."""

ApiResponse = tuple[int, dict[str, str], bytes]
"""An HTTP answer: status, headers, body."""
