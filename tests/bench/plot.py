"""Small charts of how something grows, side by side in one SVG file, without a library.

Both axes are logarithmic, so a straight line is a power; every point carries its value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Point = tuple[float, float]

PANEL_WIDTH, PANEL_HEIGHT = 320, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 26, 46, 46
_DECADE: Final = (1, 2, 5)


@dataclass(frozen=True)
class Palette:
    """Colours of a page: the ground, text, minor text, grid, and the line."""

    page: str
    ink: str
    soft: str
    grid: str
    line: str


LIGHT: Final = Palette("#ffffff", "#17202b", "#51606f", "#e0e4ea", "#0b6bcb")
DARK: Final = Palette("#10151c", "#e6ebf2", "#9aa7b8", "#2b3543", "#79b0ff")


@dataclass(frozen=True)
class Panel:
    """One chart: what is shown, its unit, the axis below, and the points, all greater than 0."""

    title: str
    unit: str
    x: str
    points: Sequence[Point]


def drawing(title: str, rows: Sequence[Sequence[Panel]], palette: Palette) -> str:
    """The panels in rows, as one SVG document."""
    width = PANEL_WIDTH * max(len(row) for row in rows)
    height = PANEL_HEIGHT * len(rows)
    panels = [
        f'<g transform="translate({PANEL_WIDTH * at} {PANEL_HEIGHT * line})">{_panel(panel)}</g>'
        for line, row in enumerate(rows)
        for at, panel in enumerate(row)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}" '
        "font-family=\"'Segoe UI', Roboto, Lato, 'Helvetica Neue', Arial, sans-serif\">\n"
        f"<title>{escape(title)}</title>\n<style>{_style(palette)}</style>\n"
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def _style(palette: Palette) -> str:
    return (
        f".page{{fill:{palette.page}}}.ink{{fill:{palette.ink}}}.soft{{fill:{palette.soft}}}"
        f".grid{{stroke:{palette.grid}}}.line{{fill:none;stroke:{palette.line};stroke-width:2}}"
        f".dot{{fill:{palette.line}}}"
        f".value{{fill:{palette.ink};stroke:{palette.page};stroke-width:4;paint-order:stroke}}"
    )


def _panel(panel: Panel) -> str:
    xs, ys = zip(*panel.points, strict=True)
    across = _Scale(min(xs), max(xs), _LEFT, PANEL_WIDTH - _RIGHT)
    low, high = _around(min(ys), max(ys))
    up = _Scale(low, high, PANEL_HEIGHT - _BOTTOM, _TOP)
    places = [(across.at(x), up.at(y)) for x, y in panel.points]
    return "\n".join(
        [
            _text(16, 24, f"{panel.title}, {panel.unit}", "ink", 13, "start", bold=True),
            *(_grid(up.at(value), value) for value in _round_numbers(low, high)),
            f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>',
            *(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places),
            *(
                _text(x, y - 9, _number(value), "value", 11.5)
                for (x, y), (_, value) in zip(places, panel.points, strict=True)
            ),
            *(_text(across.at(x), PANEL_HEIGHT - 28, _number(x), "soft", 11.5) for x in xs),
            _text((_LEFT + PANEL_WIDTH - _RIGHT) / 2, PANEL_HEIGHT - 10, panel.x, "soft", 11.5),
        ]
    )


@dataclass(frozen=True)
class _Scale:
    """From `low` to `high`, logarithmically, onto `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def _around(low: float, high: float) -> Point:
    """Ends of an axis around the values, at least a decade apart: noise is not growth."""
    middle = math.sqrt(low * high)
    return min(low / 1.25, middle / math.sqrt(10)), max(high * 1.25, middle * math.sqrt(10))


def _round_numbers(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [digit * 10.0**decade for decade in decades for digit in _DECADE]
    return [value for value in values if low <= value <= high]


def _grid(y: float, value: float) -> str:
    line = f'<path class="grid" d="M{_LEFT - 16} {y:.1f}H{PANEL_WIDTH - _RIGHT}"/>'
    return line + _text(_LEFT - 20, y + 4, _number(value), "soft", 11.5, "end")


def _text(
    x: float,
    y: float,
    text: str,
    kind: str,
    size: float,
    anchor: str = "middle",
    bold: bool = False,
) -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
        f'text-anchor="{anchor}"{weight}>{escape(text)}</text>'
    )


def _number(value: float) -> str:
    """Three digits, and thousands as `k`."""
    if value >= 1_000:
        return f"{value / 1_000:.3g}k"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"
