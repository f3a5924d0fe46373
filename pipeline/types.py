"""Types of JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A mutable JSON object."""
JsonView: TypeAlias = Mapping[str, Any]
"""A read-only JSON object."""
