"""A drawing: boxes, text, arrows and AWS's icons, as one SVG document.

Colors are classes. ``to_svg`` adds the style sheet of a theme; ``inside_a_page`` relies on that of
the surrounding page (``CSS_VARIABLES``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

ICONS: Final = Path(__file__).with_name("icons")
FONTS: Final = "'Segoe UI', Roboto, Lato, 'Helvetica Neue', Arial, sans-serif"
SMALL: Final = 12
NORMAL: Final = 13
LARGE: Final = 15

Theme = Mapping[str, str]
"""Color by role."""

LIGHT: Final[Theme] = {
    "page": "#ffffff",
    "ink": "#17202b",
    "soft": "#51606f",
    "line": "#51606f",
    "card": "#ffffff",
    "edge": "#c3ccd6",
    "tint": "#f4f6f9",
    "vpc": "#7a3ff0",
    "vpc-tint": "#f8f5ff",
    "subnet": "#00808a",
    "subnet-tint": "#e9f6f6",
    "group": "#d13a52",
    "accent": "#0b6bcb",
    "plate": "#ffffff",
}
DARK: Final[Theme] = {
    "page": "#12181f",
    "ink": "#e8edf3",
    "soft": "#a3b1c0",
    "line": "#93a3b4",
    "card": "#1d2630",
    "edge": "#42505f",
    "tint": "#18202a",
    "vpc": "#b08dff",
    "vpc-tint": "#1a1a2e",
    "subnet": "#41c3c9",
    "subnet-tint": "#14282e",
    "group": "#ff7d90",
    "accent": "#6db3ff",
    "plate": "#eef2f6",
}
CSS_VARIABLES: Final[Theme] = {name: f"var(--{name})" for name in LIGHT}
"""For a drawing inside a page, which sets the variables to colors."""


@dataclass(frozen=True)
class Box:
    """A rectangle in the drawing's units (pixels at full size)."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Return the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Return the lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """Return the center."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass
class Drawing:
    """Elements in painting order."""

    title: str
    description: str
    elements: list[str] = field(default_factory=list)
    icons: dict[str, None] = field(default_factory=dict)

    def box(self, box: Box, style: str, radius: float = 6) -> None:
        """Draw a rectangle; ``style`` is one of the classes of ``_style``."""
        self.elements.append(
            f'<rect class="d-{style}" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" '
            f'height="{_n(box.height)}" rx="{_n(radius)}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = NORMAL,
        style: str = "ink",
        bold: bool = False,
        anchor: str = "start",
    ) -> None:
        """Write one line; ``y`` is its baseline."""
        weight = ' font-weight="700"' if bold else ""
        self.elements.append(
            f'<text class="d-{style}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"'
            f' text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def icon(self, name: str, x: float, y: float, size: float, *, plate: bool = False) -> None:
        """Draw an icon; outlines need a plate to be visible on a dark background."""
        if plate:
            self.box(Box(x - 3, y - 3, size + 6, size + 6), "plate", 5)
        self.icons[name] = None
        self.elements.append(
            f'<use href="#icon-{name}" x="{_n(x)}" y="{_n(y)}" width="{_n(size)}" '
            f'height="{_n(size)}"/>'
        )

    def arrow(
        self,
        points: Iterable[tuple[float, float]],
        *,
        style: str = "line",
        dashed: bool = False,
        head: bool = True,
    ) -> None:
        """Draw a line along the points, with rounded corners, and a head at its end."""
        path = list(points)
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.elements.append(f'<path class="d-{style}" d="{_rounded(path, shorten=head)}"{dash}/>')
        if head:
            self.elements.append(f'<path class="d-{style}-head" d="{_head(path[-2], path[-1])}"/>')

    def to_svg(self, width: float, height: float, theme: Theme) -> str:
        """Return a standalone document in a theme."""
        ground = f'<rect class="d-page" width="{_n(width)}" height="{_n(height)}" rx="8"/>'
        head = [f"<style>{style(theme)}</style>", f"<defs>{symbols(self.icons)}</defs>", ground]
        return self._document(width, height, [*head, *self.elements])

    def inside_a_page(self, width: float, height: float) -> str:
        """Return the drawing for a page that has ``style`` and ``symbols`` for all drawings."""
        return self._document(width, height, self.elements)

    def _document(self, width: float, height: float, elements: list[str]) -> str:
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
            f'width="{_n(width)}" height="{_n(height)}" role="img" aria-label='
            f"{quoteattr(self.title)} font-family={quoteattr(FONTS)}>",
            f"<title>{escape(self.title)}</title>",
            f"<desc>{escape(self.description)}</desc>",
            *elements,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def symbols(names: Iterable[str]) -> str:
    """Return the icons that the drawings use."""
    return "".join(_symbol(name) for name in sorted(names))


def width_of(text: str, size: float = NORMAL, *, bold: bool = False) -> float:
    """Return the approximate width of a text, rather too wide than too narrow."""
    units = sum(_WIDTHS.get(letter, _WIDE_LETTER if letter.isupper() else 0.56) for letter in text)
    return units * size * (1.06 if bold else 1.0)


def wrapped(text: str, width: float, size: float = NORMAL, *, bold: bool = False) -> list[str]:
    """Return the text in lines no wider than ``width``; a word that is much wider is broken."""
    lines: list[str] = []
    words = (part for word in text.split() for part in _parts(word, width, size, bold))
    for word in words:
        if lines and width_of(f"{lines[-1]} {word}", size, bold=bold) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _parts(word: str, width: float, size: float, bold: bool) -> Iterator[str]:
    """Yield a word, or parts of it that are no wider than ``width`` if it does not nearly fit."""
    while len(word) > 1 and not _fits(word, _NEARLY * width, size, bold):
        fits = (end for end in range(len(word) - 1, 0, -1) if _fits(word[:end], width, size, bold))
        end = next(fits, 1)
        yield word[:end]
        word = word[end:]
    yield word


def _fits(text: str, width: float, size: float, bold: bool) -> bool:
    return width_of(text, size, bold=bold) <= width


_NEARLY: Final = 1.2
"""Widths are overestimated, and a broken word is harder to read than a narrow margin."""
_WIDE_LETTER: Final = 0.66
_WIDTHS: Final = {
    **dict.fromkeys("ijl.,:;'|!", 0.26),
    **dict.fromkeys("frt()[]/ -I", 0.34),
    **dict.fromkeys("mwMW@", 0.87),
    " ": 0.26,
}


def _n(value: float) -> str:
    """Return a number in its shortest form, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


@cache
def _symbol(name: str) -> str:
    """Return an icon as a symbol, with its drawing unchanged."""
    text = (ICONS / f"{name}.svg").read_text(encoding="utf-8").strip()
    start, _, rest = text.partition(">")
    view = start.partition('viewBox="')[2].partition('"')[0]
    body = rest.removesuffix("</svg>")
    if body.startswith("<title>"):
        body = body.partition("</title>")[2]
    return f'<symbol id="icon-{name}" viewBox="{view}">{body}</symbol>'


def style(theme: Theme) -> str:
    """Return the style sheet of the classes that drawings use."""
    fills = {name: f".d-{name}{{fill:{theme[name]}}}" for name in ("page", "ink", "soft", "plate")}
    fills |= {
        f"{name}-ink": f".d-{name}-ink{{fill:{theme[name]}}}"
        for name in ("vpc", "subnet", "group", "accent")
    }
    outlined = {"card": "edge", "tint": "edge", "vpc-tint": "vpc", "subnet-tint": "subnet"}
    boxes = [
        f".d-{name}{{fill:{theme[name]};stroke:{theme[edge]}}}" for name, edge in outlined.items()
    ]
    lines = [
        f".d-{name}{{fill:none;stroke:{theme[name]};stroke-width:1.6}}"
        f".d-{name}-head{{fill:{theme[name]}}}"
        for name in ("line", "accent", "group")
    ]
    dashed = (
        f".d-security{{fill:none;stroke:{theme['group']};stroke-dasharray:5 3}}"
        f".d-elsewhere{{fill:{theme['tint']};stroke:{theme['edge']};stroke-dasharray:4 3}}"
    )
    return "".join([*fills.values(), *boxes, *lines, dashed])


_CORNER: Final = 7.0
_HEAD: Final = 8.0


def _rounded(points: list[tuple[float, float]], *, shorten: bool) -> str:
    """Return a path along the points, with rounded corners."""
    last = _towards(points[-1], points[-2], _HEAD - 2) if shorten else points[-1]
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, _CORNER), _towards(corner, after, _CORNER)
        parts.append(f"L{_n(start[0])} {_n(start[1])}")
        parts.append(f"Q{_n(corner[0])} {_n(corner[1])} {_n(end[0])} {_n(end[1])}")
    parts.append(f"L{_n(last[0])} {_n(last[1])}")
    return "".join(parts)


def _head(before: tuple[float, float], tip: tuple[float, float]) -> str:
    """Return a triangle that ends at ``tip``."""
    base = _towards(tip, before, _HEAD)
    across = (-(base[1] - tip[1]) * 0.5, (base[0] - tip[0]) * 0.5)
    left = (base[0] + across[0], base[1] + across[1])
    right = (base[0] - across[0], base[1] - across[1])
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in (tip, left, right)) + "Z"


def _towards(
    start: tuple[float, float], end: tuple[float, float], distance: float
) -> tuple[float, float]:
    """Return the point at this distance from ``start`` towards ``end``, at most halfway."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = (across**2 + down**2) ** 0.5
    share = min(distance / length, 0.5) if length else 0
    return start[0] + across * share, start[1] + down * share
