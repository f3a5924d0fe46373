"""Reads SageMaker's resources: what does not exist is nothing, what may not be read is noted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError
from pipeline.types import JsonView
from tabular_ml_vpc.operations.target import Target, code_of, is_denied

ABSENT: Final = frozenset({"ResourceNotFound", "ValidationException", "ResourceNotFoundException"})
"""Codes with which SageMaker's operations say that a resource does not exist."""


@dataclass(frozen=True)
class SageMakerReader:
    """Reads SageMaker in one account and region."""

    target: Target
    unseen: set[str] = field(default_factory=set, kw_only=True)
    """Operations without permission: their results are unknown."""

    @property
    def sagemaker(self) -> Any:
        """Return the SageMaker client."""
        return self.target.client("sagemaker")

    def listed(self, operation: str, key: str, **filters: Any) -> Iterator[JsonView]:
        """Yield the items of all pages of a list operation."""
        try:
            for page in self.sagemaker.get_paginator(operation).paginate(**filters):
                yield from page[key]
        except ClientError as error:
            self._ignore(operation, error)

    def described(self, operation: str, **names: str | None) -> JsonView | None:
        """Return a description; None if the resource does not exist or has no name yet."""
        if None in names.values():
            return None
        try:
            found: JsonView = getattr(self.sagemaker, operation)(**names)
        except ClientError as error:
            self._ignore(operation, error)
            return None
        return found

    def check_seen(self) -> None:
        """Refuse to conclude that something does not exist, if it may only be invisible.

        Raises:
            CommandError: names the actions without permission.

        """
        if self.unseen:
            words = (operation.split("_") for operation in sorted(self.unseen))
            actions = ", ".join(f"sagemaker:{''.join(map(str.title, one))}" for one in words)
            raise CommandError(f"no permission for {actions}, so that it is not known what exists")

    def _ignore(self, operation: str, error: ClientError) -> None:
        """Ignore a missing resource; note a missing permission."""
        if is_denied(error):
            self.unseen.add(operation)
        elif code_of(error) not in ABSENT:
            raise error
