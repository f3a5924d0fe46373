"""A CSV table as requests: cut between rows, each part with the header if there is one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from generator.errors import UsageError

_HEADERS: Final = {True: "; header=present", False: "; header=absent", None: ""}


@dataclass(frozen=True)
class Rows:
    """The lines of a CSV table, each with its line break.

    `header` says whether the first one names the columns; None leaves it to the endpoint, which
    knows them.
    """

    lines: tuple[str, ...]
    header: bool | None

    @classmethod
    def of(cls, text: str, header: bool | None) -> Rows:
        """Read a table; raises `UsageError` for what is no CSV.

        A blank line is a row without its value where the table has one column, as the endpoint
        reads it, and nothing elsewhere.
        """
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise UsageError(f"the rows are not valid CSV: {error}") from error
        one_column = max(map(len, rows), default=0) <= 1
        return cls(tuple(_line(row or [""]) for row in rows if row or one_column), header)

    @property
    def text(self) -> str:
        """The body of a request."""
        return "".join(self.lines)

    @property
    def content_type(self) -> str:
        """CSV, and whether it has a header where that is known."""
        return f"text/csv{_HEADERS[self.header]}"

    def answered_by(self, answers: int) -> bool:
        """Whether so many answers are one for each row."""
        rows = len(self.lines)
        possible = {True: {rows - 1}, False: {rows}, None: {rows - 1, rows}}
        return answers in possible[self.header]

    def first(self) -> Rows:
        """The first two lines: one answer to them says that the first is a header."""
        return replace(self, lines=self.lines[:2])

    def parts(self, most_bytes: int) -> Iterator[Rows]:
        """Yield tables of at most so many bytes, unless a single row is larger.

        A table that must be cut has to know whether it has a header.
        """
        part, size = list(self._top), _bytes(self._top)
        for line in self._body:
            length = len(line.encode("utf-8"))
            if size + length > most_bytes and len(part) > len(self._top):
                yield replace(self, lines=tuple(part))
                part, size = list(self._top), _bytes(self._top)
            part.append(line)
            size += length
        yield replace(self, lines=tuple(part))

    def halves(self) -> tuple[Rows, ...]:
        """The two halves of the rows, or nothing where there is but one."""
        middle = len(self._body) // 2
        if not middle:
            return ()
        cut = self._body[:middle], self._body[middle:]
        return tuple(replace(self, lines=self._top + half) for half in cut)

    @property
    def _top(self) -> tuple[str, ...]:
        return self.lines[:1] if self.header else ()

    @property
    def _body(self) -> tuple[str, ...]:
        return self.lines[1:] if self.header else self.lines


def _bytes(lines: tuple[str, ...]) -> int:
    return sum(len(line.encode("utf-8")) for line in lines)


def _line(row: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()
