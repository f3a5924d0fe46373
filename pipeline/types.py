"""What a JSON document is to the type checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A JSON object that may be changed."""
JsonView: TypeAlias = Mapping[str, Any]
"""A JSON object that is only read."""
