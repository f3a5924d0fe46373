"""Charts as SVG and HTML text: no script, no library; colors come from the page's style.

Every function returns markup whose texts are escaped. Lengths are in the units of the view box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Point = tuple[float, float]

SERIES_COLOURS: Final = 8
"""Number of series with colors in the page's style; further ones reuse them."""

NAME_CHARACTERS: Final = 13
"""Characters of a class's name beside a confusion matrix; style.css wraps longer ones."""

_WIDTH: Final = 440.0
_HEIGHT: Final = 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 16.0, 14.0, 46.0
_TICKS: Final = 5
_BINS: Final = 24
_SMALLEST_DOT: Final = 2.0
_LARGEST_DOT: Final = 8.0
_ROOMY_CLASSES: Final = 4
_HALF: Final = 0.5
_GAP: Final = 0.14
_NOISE: Final = 1e-9
_UNITS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_LEAST_IN_SHORT: Final = 1e4
_MOST_IN_SHORT: Final = 1e13


@dataclass(frozen=True)
class Series:
    """A line: its points in data units, in order; with `weights`, each is a dot of that area."""

    name: str
    points: Sequence[Point]
    weights: Sequence[int] = ()


@dataclass(frozen=True)
class TableColumn:
    """A bin of a histogram, in data units, and how many rows are in it."""

    start: float
    end: float
    count: int


@dataclass(frozen=True)
class BarGroup:
    """A part of the rows, from `start` to `end` on an axis, with its error and its bias."""

    start: float
    end: float
    error: float
    bias: float
    rows: int


@dataclass(frozen=True)
class Axes:
    """A chart's axes: titles and ranges."""

    x: str
    y: str
    x_range: Point = (0.0, 1.0)
    y_range: Point = (0.0, 1.0)

    def at(self, point: Point) -> Point:
        """The position of a data point in the view box."""
        x = (point[0] - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        y = (point[1] - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + x * width, _TOP + (1 - y) * height


def lines(title: str, axes: Axes, series: Sequence[Series], reference: Sequence[Point] = ()) -> str:
    """A line chart, with a dashed reference line, and a legend if there are several lines."""
    parts = [_frame(axes)]
    if reference:
        parts.append(f'<path class="reference" d="{_path(axes, reference)}"/>')
    if len(series) == 1 and not series[0].weights:
        parts.append(_area(axes, series[0].points))
    for number, item in enumerate(series):
        parts.append(_line(axes, item, number))
    legend = _legend([item.name for item in series]) if len(series) > 1 else ""
    return _svg(title, "".join(parts)) + legend


def histogram(
    title: str, axis: str, values: Sequence[float], marks: Sequence[tuple[str, float]]
) -> str:
    """The frequency of values; `marks` are named vertical lines."""
    most = _round_up(max(*values, *(value for _, value in marks)))
    width = most / _BINS
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value / width), _BINS - 1)] += 1
    axes = Axes(axis, "Requests", (0.0, most), (0.0, _round_up(max(counts), whole=True)))
    bars = [_bar(axes, at * width, width, count) for at, count in enumerate(counts) if count]
    marked = [_mark(axes, name, value, level) for level, (name, value) in enumerate(marks)]
    return _svg(title, _frame(axes) + "".join(bars + marked))


def scatter(
    title: str, axes: Axes, points: Sequence[Point], reference: Sequence[Point] = ()
) -> str:
    """Points without a line, pale, so that overlapping ones are darker; a dashed reference line."""
    parts = [_frame(axes)]
    for point in points:
        x, y = axes.at(point)
        parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    if reference:
        parts.append(f'<path class="reference" d="{_path(axes, reference)}"/>')
    return _svg(title, "".join(parts))


def columns(
    title: str,
    names: tuple[str, str],
    bins: Sequence[TableColumn],
    marks: Sequence[tuple[str, float]] = (),
) -> str:
    """A histogram of bins that were counted elsewhere; `names` are the axes', `marks` as above."""
    most = _round_up(max((item.count for item in bins), default=1) or 1, whole=True)
    ends = spread([item.start for item in bins] + [item.end for item in bins])
    axes = Axes(*names, ends, (0.0, most))
    drawn = [_bar(axes, item.start, item.end - item.start, item.count) for item in bins]
    marked = [_mark(axes, name, value, level) for level, (name, value) in enumerate(marks)]
    return _svg(title, _frame(axes) + "".join(drawn + marked))


def groups(title: str, names: tuple[str, str], parts: Sequence[BarGroup]) -> str:
    """For each group of rows, equally wide: a column for the error, a dot for the bias."""
    heights = [0.0, *(item.error for item in parts), *(item.bias for item in parts)]
    axes = Axes(*names, (0.0, float(len(parts))), spread(heights))
    ends = [parts[0].start, *(item.end for item in parts)]
    drawn = [_group(axes, at, item) for at, item in enumerate(parts)]
    zero = _path(axes, [(0.0, 0.0), (float(len(parts)), 0.0)])
    content = f'{_frame(axes, ends)}{"".join(drawn)}<path class="zero" d="{zero}"/>'
    return _svg(title, content) + _legend(["mean absolute error", "bias (predicted minus true)"])


def spread(values: Sequence[float]) -> Point:
    """The ends of an axis with round ticks that contains all `values`."""
    least, most = min(values, default=0.0), max(values, default=1.0)
    if most <= least:
        least, most = least - (abs(least) or 1.0) / 2, most + (abs(most) or 1.0) / 2
    size = 10.0 ** math.floor(math.log10((most - least) / _TICKS))
    for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20):
        step = factor * size
        start = math.floor(least / step) * step
        if start + _TICKS * step >= most:
            return start, start + _TICKS * step
    return least, most


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
    """Steps on a common time axis: name, start and length in seconds, text, and class."""
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
    kind = "confusion" if len(classes) <= _ROOMY_CLASSES else "confusion compact"
    head = "".join(f"<th scope='col'><span>{escape(name)}</span></th>" for name in classes)
    body = []
    for name, row in zip(classes, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(_cell(count, count / total) for count in row)
        body.append(f"<tr><th scope='row'><span>{escape(name)}</span></th>{cells}</tr>")
    return (
        f'<div class="scroll"><table class="{kind}"><thead>'
        f"<tr><td></td><th class='axis' colspan='{len(classes)}'>predicted</th></tr>"
        f"<tr><th class='axis'>actual</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(count: int, share: float) -> str:
    """A cell with more than half of its row is dark, others are pale: so text is readable."""
    strong = share > _HALF
    kind = " strong" if strong else " none" if count == 0 else ""
    shade = 86 + 28 * (share - _HALF) if strong else 70 * share
    return (
        f'<td class="cell{kind}" style="--share:{shade:.0f}%" title="{share:.1%}">'
        f"<b>{count:,}</b><small>{share:.1%}</small></td>"
    )


def _svg(title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def _frame(axes: Axes, x_ticks: Sequence[float] = ()) -> str:
    """Grid, ticks and titles; `x_ticks` are labels for equally wide groups, in place of values."""
    parts = [_y_tick(axes, step) for step in range(_TICKS + 1)]
    if x_ticks:
        every = -(-(len(x_ticks) - 1) // _TICKS)
        shown = range(0, len(x_ticks), every)
        parts += [_x_tick(axes, at / (len(x_ticks) - 1), x_ticks[at], digits=3) for at in shown]
    else:
        steps = range(_TICKS + 1)
        parts += [_x_tick(axes, step / _TICKS, _tick(axes.x_range, step)) for step in steps]
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="{middle_x:.1f}" y="{_HEIGHT - 8:.1f}" text-anchor="middle">'
        f"{escape(axes.x)}</text>"
        f'<text class="axis" transform="translate(17 {middle_y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(axes.y)}</text>'
    )
    return "".join(parts)


def _y_tick(axes: Axes, step: int) -> str:
    value = _tick(axes.y_range, step)
    left, y = axes.at((axes.x_range[0], value))
    return (
        f'<path class="grid" d="M{left:.1f} {y:.1f}H{_WIDTH - _RIGHT:.1f}"/>'
        f'<text class="tick" x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">'
        f"{_number(value)}</text>"
    )


def _tick(ends: Point, step: int) -> float:
    """The value at a tick, without floating-point noise."""
    value = ends[0] + (ends[1] - ends[0]) * step / _TICKS
    return 0.0 if abs(value) < (ends[1] - ends[0]) * _NOISE else value


def _x_tick(axes: Axes, share: float, value: float, digits: int = 4) -> str:
    x = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
    _, bottom = axes.at((axes.x_range[0], axes.y_range[0]))
    return (
        f'<text class="tick" x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">'
        f"{_number(value, digits)}</text>"
    )


def _group(axes: Axes, at: int, item: BarGroup) -> str:
    left, top = axes.at((at + _GAP, item.error))
    right, bottom = axes.at((at + 1 - _GAP, 0.0))
    x, y = axes.at((at + _HALF, item.bias))
    said = (
        f"{_number(item.start)} to {_number(item.end)}, {item.rows:,} rows: "
        f"error {_number(item.error)}, bias {_number(item.bias)}"
    )
    return (
        f'<rect class="column" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{max(bottom - top, 0.0):.1f}"><title>{said}</title></rect>'
        f'<circle class="dot s2" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{said}</title></circle>'
    )


def _line(axes: Axes, series: Series, number: int) -> str:
    colour = f"s{number % SERIES_COLOURS + 1}"
    kind = "line faint" if series.weights else "line"
    line = f'<path class="{kind} {colour}" d="{_path(axes, series.points)}"/>'
    most = max(series.weights, default=1)
    dots = []
    for point, weight in zip(series.points, series.weights, strict=bool(series.weights)):
        x, y = axes.at(point)
        said = f"{axes.x} {_number(point[0])}, {axes.y} {_number(point[1])}: {weight:,} rows"
        radius = _SMALLEST_DOT + (_LARGEST_DOT - _SMALLEST_DOT) * math.sqrt(weight / most)
        dots.append(
            f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
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
        f"<title>{_number(start)} to {_number(start + width)}: {count}</title></rect>"
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


def _round_up(value: float, whole: bool = False) -> float:
    """The smallest round end of an axis above `value` whose ticks are also round."""
    step = 10.0 ** math.floor(math.log10(value)) / 10 if value > 0 else 1.0
    step = max(step, 1.0) if whole else step
    wanted = value * 1.02 / _TICKS
    steps = (factor * step for factor in (1, 2, 4, 5, 6, 8, 10, 12, 15, 20, 40))
    return _TICKS * next(step for step in steps if step >= wanted)


def _number(value: float, digits: int = 4) -> str:
    """Few digits; thousands and millions abbreviated, so that ticks do not overlap."""
    if _LEAST_IN_SHORT <= abs(value) < _MOST_IN_SHORT:
        size, unit = next(pair for pair in _UNITS if pair[0] <= abs(value))
        return f"{value / size:.{digits}g}{unit}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{digits}g}"
