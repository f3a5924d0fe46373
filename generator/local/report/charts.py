"""Charts as SVG and HTML text: no script, no library; colours come from the page's style.

Every function returns markup whose texts are escaped. Lengths are in the units of the view box.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[float, float]

SERIES_COLOURS: Final = 8
"""How many series the page's style has colours for; more begin again."""

_WIDTH: Final = 440.0
_HEIGHT: Final = 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 14.0, 46.0
_TICKS: Final = 5
_BINS: Final = 24
_DOT: Final = 3.5


@dataclass(frozen=True)
class Series:
    """A line: its points in data units, in order; `dots` marks each point."""

    name: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """A chart's axes: titles and ranges."""

    x: str
    y: str
    x_range: Point = (0.0, 1.0)
    y_range: Point = (0.0, 1.0)

    def at(self, point: Point) -> Point:
        """Where a point of data lies in the view box."""
        x = (point[0] - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        y = (point[1] - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + x * width, _TOP + (1 - y) * height


def lines(title: str, axes: Axes, series: Sequence[Series], reference: Sequence[Point] = ()) -> str:
    """A chart of lines, with a dashed line of reference, and a legend where there are several."""
    parts = [_frame(axes)]
    if reference:
        parts.append(f'<path class="reference" d="{_path(axes, reference)}"/>')
    if len(series) == 1:
        parts.append(_area(axes, series[0].points))
    for number, item in enumerate(series):
        parts.append(_line(axes, item, number))
    legend = _legend([item.name for item in series]) if len(series) > 1 else ""
    return _svg(title, "".join(parts)) + legend


def histogram(
    title: str, axis: str, values: Sequence[float], marks: Sequence[tuple[str, float]]
) -> str:
    """How often values occur; `marks` are vertical lines with a name."""
    least, most = 0.0, max(*values, *(value for _, value in marks)) * 1.05 or 1.0
    counts = [0] * _BINS
    for value in values:
        counts[min(int((value - least) / (most - least) * _BINS), _BINS - 1)] += 1
    axes = Axes(axis, "requests", (least, most), (0.0, max(counts) * 1.1))
    width = (most - least) / _BINS
    bars = [
        _bar(axes, least + at * width, width, count) for at, count in enumerate(counts) if count
    ]
    marked = [_mark(axes, name, value, level) for level, (name, value) in enumerate(marks)]
    return _svg(title, _frame(axes) + "".join(bars + marked))


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: name, value, and the value as text. Negative values go to the left."""
    scale = max((abs(value) for _, value, _ in rows), default=0.0) or 1.0
    items = []
    for name, value, text in rows:
        share = abs(value) / scale * 100
        sign = " negative" if value < 0 else ""
        items.append(
            f'<div class="bar"><span class="name">{escape(name)}</span>'
            f'<span class="track"><span class="fill{sign}" style="width:{share:.1f}%"></span>'
            "</span>"
            f'<span class="value">{escape(text)}</span></div>'
        )
    return f'<div class="bars">{"".join(items)}</div>'


def timeline(rows: Sequence[tuple[str, float, float, str, str]], total: float) -> str:
    """Steps on a common axis of time: name, start and length in seconds, text, and class."""
    items = []
    for name, start, length, text, kind in rows:
        left, width = start / total * 100, max(length / total * 100, 0.4)
        items.append(
            f'<div class="bar"><span class="name">{escape(name)}</span><span class="track">'
            f'<span class="fill {escape(kind)}" style="margin-left:{left:.2f}%;width:{width:.2f}%">'
            f'</span></span><span class="value">{escape(text)}</span></div>'
        )
    return f'<div class="bars timeline">{"".join(items)}</div>'


def confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix, rows the true class; the shade is the share of the row."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in classes)
    body = []
    for name, row in zip(classes, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(_cell(count, count / total) for count in row)
        body.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    return (
        '<div class="scroll"><table class="confusion"><thead>'
        f"<tr><td></td><th class='axis' colspan='{len(classes)}'>predicted</th></tr>"
        f"<tr><th class='axis'>actual</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(count: int, share: float) -> str:
    strong = " strong" if share > 0.55 else ""  # noqa: PLR2004 - where dark text stops being legible
    return (
        f'<td class="cell{strong}" style="--share:{share * 100:.0f}%">'
        f"<b>{count:,}</b><small>{share:.1%}</small></td>"
    )


def _svg(title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def _frame(axes: Axes) -> str:
    """Grid, ticks and titles."""
    parts = []
    for step in range(_TICKS + 1):
        x_value = axes.x_range[0] + (axes.x_range[1] - axes.x_range[0]) * step / _TICKS
        y_value = axes.y_range[0] + (axes.y_range[1] - axes.y_range[0]) * step / _TICKS
        x, bottom = axes.at((x_value, axes.y_range[0]))
        left, y = axes.at((axes.x_range[0], y_value))
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{_WIDTH - _RIGHT:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">')
        parts.append(f"{_number(y_value)}</text>")
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">')
        parts.append(f"{_number(x_value)}</text>")
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="{middle_x:.1f}" y="{_HEIGHT - 8:.1f}" text-anchor="middle">'
        f"{escape(axes.x)}</text>"
        f'<text class="axis" transform="translate(13 {middle_y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(axes.y)}</text>'
    )
    return "".join(parts)


def _line(axes: Axes, series: Series, number: int) -> str:
    colour = f"s{number % SERIES_COLOURS + 1}"
    line = f'<path class="line {colour}" d="{_path(axes, series.points)}"/>'
    if not series.dots:
        return line
    dots = []
    for point in series.points:
        x, y = axes.at(point)
        said = f"{axes.x} {_number(point[0])}, {axes.y} {_number(point[1])}"
        dots.append(
            f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}">'
            f"<title>{escape(said)}</title></circle>"
        )
    return line + "".join(dots)


def _area(axes: Axes, points: Sequence[Point]) -> str:
    if not points:
        return ""
    floor = axes.y_range[0]
    closed = [(points[0][0], floor), *points, (points[-1][0], floor)]
    return f'<path class="area" d="{_path(axes, closed)}Z"/>'


def _bar(axes: Axes, start: float, width: float, count: int) -> str:
    left, top = axes.at((start, count))
    right, bottom = axes.at((start + width, 0.0))
    return (
        f'<rect class="column" x="{left + 0.5:.1f}" y="{top:.1f}" '
        f'width="{max(right - left - 1, 1):.1f}" height="{bottom - top:.1f}">'
        f"<title>{start:.1f} to {start + width:.1f}: {count}</title></rect>"
    )


def _mark(axes: Axes, name: str, value: float, level: int) -> str:
    x, top = axes.at((value, axes.y_range[1]))
    _, bottom = axes.at((value, axes.y_range[0]))
    end = x > _WIDTH - 90  # too near to the edge for its text
    anchor, shift = ("end", -5) if end else ("start", 5)
    return (
        f'<path class="mark" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/><text class="label" '
        f'x="{x + shift:.1f}" y="{top + 12 + 16 * level:.1f}" text-anchor="{anchor}">'
        f"{escape(name)}</text>"
    )


def _path(axes: Axes, points: Sequence[Point]) -> str:
    places = [axes.at(point) for point in points]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _legend(names: Sequence[str]) -> str:
    items = (
        f'<li><i class="s{number % SERIES_COLOURS + 1}"></i>{escape(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _number(value: float) -> str:
    return f"{value:.3g}"
