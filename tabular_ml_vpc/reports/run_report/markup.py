"""Pieces of the page's markup; every function escapes the texts that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

_LARGE, _HUGE = 1e4, 1e15
NOTHING: Final = "\N{EN DASH}"


def section(title: str, cards: Iterator[str]) -> str:
    """A part of the page with its title; nothing if it has no cards."""
    content = "".join(cards)
    return (
        f'<section><h2>{title}</h2><div class="grid">{content}</div></section>' if content else ""
    )


def card(title: str, note: str, content: str, wide: bool = False) -> str:
    """A framed picture or table under a title and a note; a wide one takes the page's width."""
    kind = "card wide" if wide else "card"
    return (
        f'<figure class="{kind}"><h3>{escape(title)}</h3>'
        f"<figcaption>{escape(note)}</figcaption>{content}</figure>"
    )


def table(heads: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    """A table; a head with a star stands over numbers."""
    cells = "".join(
        f'<th scope="col"{" class=number" if head[0] == "*" else ""}>{head.lstrip("*")}</th>'
        for head in heads
    )
    head, body = f"<thead><tr>{cells}</tr></thead>", f"<tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="{kind}">{head}{body}</table></div>'


def row(cells: Sequence[str], numbers: bool = True) -> str:
    """A row of a table; `cells` are text."""
    kind = ' class="number"' if numbers else ""
    return "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell in cells) + "</tr>"


def number(value: Any, places: int = 4) -> str:
    """A number, or what stands for none; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else str(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{places}f}"


def short(value: Any) -> str:
    """A number without digits that say nothing."""
    if isinstance(value, float) and not _LARGE <= abs(value) < _HUGE:
        return f"{value:,.5g}"
    return number(value, 0)


def time(seconds: float | None) -> str:
    """A length of time."""
    if seconds is None:
        return NOTHING
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
