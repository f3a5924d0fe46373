"""The parts of the page: cards, each with the template macro that writes its body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_LARGE, _HUGE = 1e4, 1e15
NOTHING: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class CardTable:
    """A table of strings; a heading with a star marks a column of numbers."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = False


@dataclass(frozen=True)
class Card:
    """A framed picture or table under a title and a note; a wide one takes the page's width."""

    title: str
    note: str
    body: str
    """The macro in page.html.j2 that writes ``data``: ``chart`` takes markup, ``table`` a
    CardTable."""
    data: Any
    wide: bool = False


def number(value: Any, places: int = 4) -> str:
    """A number, or a dash for None; other values unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else str(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{places}f}"


def short(value: Any) -> str:
    """A number without insignificant digits, with commas from 10,000 on: 2024 may be a year."""
    if not isinstance(value, int | float) or _LARGE <= abs(value) < _HUGE:
        return number(value, 0)
    return f"{value:.5g}"


def time(seconds: float | None) -> str:
    """A duration."""
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
