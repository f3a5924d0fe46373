"""The column and the values that are sought, and where a JSON document quotes one of them.

Tables are searched by ``tabular_ml_vpc/local/inside/search.py``; both compare cells in one way: as
text without the blanks around it or, where both are plain numbers, as numbers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

EXACT: Final = "exact"
NUMBER: Final = "number"
ROW: Final = "row"
QUOTED: Final = "quoted"
UNNAMED: Final = "unnamed"

Found = Counter[tuple[int, str]]
"""How often each value was found, by its index and the kind of match."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_NAMES: Final = ("name", "column")
_CELLS: Final = frozenset({"min", "max", "least", "most", "value"})
"""Keys under which a description has a cell; its other numbers count or measure."""
_DEEPEST: Final = 50


@dataclass(frozen=True)
class Sought:
    """A column's name, and values without blanks around them, all different."""

    column: str
    values: tuple[str, ...]

    @cached_property
    def _texts(self) -> Mapping[str, int]:
        return {text: at for at, text in enumerate(self.values)}

    @cached_property
    def _numbers(self) -> Mapping[Decimal, int]:
        found = [(number(text), at) for at, text in enumerate(self.values)]
        return {value: at for value, at in reversed(found) if value is not None}

    def match(self, cell: object) -> tuple[int, str] | None:
        """Return the index of the value that a cell equals, and whether as text or as a number."""
        text = _cell_text(cell)
        if (at := self._texts.get(text)) is not None:
            return at, EXACT
        value = number(text) if self._numbers else None
        at = None if value is None else self._numbers.get(value)
        return None if at is None else (at, NUMBER)

    def place(self, header: Sequence[str]) -> int | None:
        """Return where the column is in a header, as jobs and the endpoint find columns.

        The exact name counts first; else one that differs in case or blanks, if just one does.
        """
        if exact := [at for at, name in enumerate(header) if name.strip() == self.column]:
            return exact[0]
        wanted = _folded(self.column)
        alike = [at for at, name in enumerate(header) if _folded(name) == wanted]
        return alike[0] if len(alike) == 1 else None

    def is_column(self, name: object) -> bool:
        """Return whether a name is the column's."""
        return isinstance(name, str) and self.place([name]) is not None

    def quoted(self, document: Any) -> Found:
        """Return where a document that describes tables quotes a value of the column.

        These are schema, profile, reference, drift and reports: what an object says that is about
        the column (``name`` or ``column``), what a record has under the column's name, and
        sentences that name the column and quote the value.
        """
        return Counter(self._quoted(document, about=False, depth=0))

    def _quoted(self, part: Any, *, about: bool, depth: int) -> Iterator[tuple[int, str]]:
        if depth > _DEEPEST:
            return
        if isinstance(part, Mapping):
            yield from self._in_object(part, about=about, depth=depth)
        elif isinstance(part, list):
            for inner in part:
                yield from self._quoted(inner, about=about, depth=depth + 1)
        elif isinstance(part, str):
            yield from self._in_text(part, about=about, depth=depth)

    def _in_object(
        self, part: Mapping[str, Any], *, about: bool, depth: int
    ) -> Iterator[tuple[int, str]]:
        about = about or any(self.is_column(part.get(name)) for name in _NAMES)
        for name, inner in part.items():
            if about and (found := self.match(name)):
                yield found[0], QUOTED
            own = self.is_column(name)
            if isinstance(inner, int | float) and (own or (about and name in _CELLS)):
                if found := self.match(inner):
                    yield found[0], QUOTED
            else:
                yield from self._quoted(inner, about=about or own, depth=depth + 1)

    def _in_text(self, text: str, *, about: bool, depth: int) -> Iterator[tuple[int, str]]:
        if about and (found := self.match(text)):
            yield found[0], QUOTED
        elif text.startswith(("{", "[")):  # a document in a document, such as a request's body
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                return
            yield from self._quoted(inner, about=about, depth=depth + 1)
        elif repr(self.column) in text:
            yield from ((at, QUOTED) for one, at in self._texts.items() if repr(one) in text)


def number(text: str) -> Decimal | None:
    """Return a plainly written number; None if a text is not one."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _cell_text(cell: object) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell).strip()


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
