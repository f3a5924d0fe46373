"""How measured numbers are written for people, on terminals."""

from __future__ import annotations

from typing import Final

_LARGE: Final = 10_000
_SMALL: Final = 0.001


def figure(value: float) -> str:
    """A number with at most four digits after the point; tiny ones with three significant digits.

    Errors of a regression are in the units of its label: 0.00002 or 52,341.2 must both be read.
    """
    if isinstance(value, int):
        return str(value)
    if value and abs(value) < _SMALL:
        return f"{value:.3g}"
    if abs(value) >= _LARGE:
        return f"{value:,.1f}"
    return f"{value:.4f}".rstrip("0").rstrip(".")
