"""A CSV table as requests: split between rows, each part with the header if there is one."""

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

    `header` says whether the first one is a header; None lets the endpoint decide, which knows the
    columns.
    """

    lines: tuple[str, ...]
    header: bool | None

    @classmethod
    def of(cls, text: str, header: bool | None) -> Rows:
        """Read a table; raises `UsageError` if it is not valid CSV.

        As for the endpoint, a blank line is a row with a missing value if the table has only one
        column; otherwise it is ignored.
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
        """CSV, and whether it has a header, if that is known."""
        return f"text/csv{_HEADERS[self.header]}"

    def answered_by(self, answers: int) -> bool:
        """Whether this number of answers is one for each row."""
        rows = len(self.lines)
        possible = {True: {rows - 1}, False: {rows}, None: {rows - 1, rows}}
        return answers in possible[self.header]

    def first(self) -> Rows:
        """The first two lines: if they get only one answer, the first is a header."""
        return replace(self, lines=self.lines[:2])

    def parts(self, most_bytes: int) -> Iterator[Rows]:
        """Yield tables of at most this many bytes, unless a single row is larger.

        To split a table, `header` must not be None.
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
        """The two halves of the rows, or nothing if there is only one row."""
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
