"""Schemas of resource types, as cfn-lint ships them: their properties, and what handlers call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.types import JsonView

_REGION: Final = "us-east-1"
"""The region whose schemas are read: every type exists there."""


@cache
def schema(kind: str) -> JsonView:
    """Return the schema of a resource type, such as ``AWS::S3::Bucket``; empty if it has none.

    The files are read without cfn-lint itself, whose import takes a second.

    Raises:
        ValueError: cfn-lint is not installed.

    """
    file = _files().get(kind)
    return {} if file is None else _read(f"resources/{file}")


@cache
def create_only(kind: str) -> frozenset[str]:
    """Return the properties of a type whose change replaces the resource."""
    found = schema(kind)
    names = ("createOnlyProperties", "conditionalCreateOnlyProperties")
    return frozenset(path.split("/")[2] for name in names for path in found.get(name, ()))


@cache
def create_only_paths(kind: str, conditional: bool = False) -> frozenset[tuple[str, ...]]:
    """Return the paths of values whose change replaces a resource of a type.

    With ``conditional``, returns those whose change does so only with some values. In a path, ``*``
    stands for each item of a list.
    """
    name = "conditionalCreateOnlyProperties" if conditional else "createOnlyProperties"
    return frozenset(tuple(path.split("/")[2:]) for path in schema(kind).get(name, ()))


@cache
def handlers(kind: str) -> Mapping[str, tuple[str, ...]]:
    """Return the IAM actions that each of a type's handlers (create, read, ...) calls.

    Raises:
        ValueError: the type has no schema, or cfn-lint is not installed.

    """
    found = schema(kind)
    if not found:
        raise ValueError(f"cfn-lint has no schema of {kind}")
    return {
        operation: tuple(one.get("permissions", ()))
        for operation, one in found.get("handlers", {}).items()
    }


@cache
def _files() -> JsonView:
    return _read(f"providers/{_REGION}")


def _read(name: str) -> JsonView:
    package = find_spec("cfnlint")
    if package is None or package.origin is None:
        raise ValueError("cfn-lint is not installed; its schemas describe the resource types")
    file = Path(package.origin).parent / f"data/schemas/{name}.json"
    found: JsonView = json.loads(file.read_text(encoding="utf-8"))
    return found
