"""What every table of settings is; each group of settings has a module of its own."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from generator.errors import UsageError


class SettingsError(UsageError, ValueError):
    """The settings are invalid; the message is one line for their author."""


class Section(BaseModel):
    """A table of a file that people write: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


AnySection = TypeVar("AnySection", bound=Section)


def over(usual: AnySection, own: AnySection | None) -> AnySection:
    """Return a table with the values that ``own`` states, and the usual ones for all others."""
    if own is None:
        return usual
    return usual.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
