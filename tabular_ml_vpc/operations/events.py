"""Events that operations yield: a caller shows them, and answers those that are questions."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from generator.errors import CommandError


class Event:
    """Something that has happened during an operation."""


Events = Generator[Event, None, None]


class Question(Event):
    """An event that needs approval: the operation continues only if it was given."""

    approved: bool = False

    def approve(self) -> None:
        """Let the operation continue."""
        self.approved = True


def ask(question: Question) -> Iterator[Question]:
    """Yield a question.

    Raises:
        CommandError: it was not approved.

    """
    yield question
    if not question.approved:
        raise CommandError("not confirmed: nothing was changed")
