"""Questions among the events that operations yield: a caller asks them and approves, or stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from generator.errors import CommandError


class Question:
    """An event that needs approval: the operation continues only if it was given."""

    approved: bool = False

    def approve(self) -> None:
        """Let the operation continue."""
        self.approved = True


_Question = TypeVar("_Question", bound=Question)


def ask(question: _Question) -> Iterator[_Question]:
    """Yield a question.

    Raises:
        CommandError: it was not approved.

    """
    yield question
    if not question.approved:
        raise CommandError("not confirmed: nothing was changed")
