"""How measured numbers are written for people, on terminals."""

from __future__ import annotations

from typing import Final

_LARGE: Final = 10_000
_SMALL: Final = 0.001


def counted(number: int, noun: str) -> str:
    """A number of things, such as ``1 row`` and ``2,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def figure(value: float) -> str:
    """A number with at most four decimals; a tiny one has three significant digits.

    Errors of a regression are in the units of its label: both 0.00002 and 52,341.2 must be legible.
    """
    if isinstance(value, int):
        return str(value)
    if value and abs(value) < _SMALL:
        return f"{value:.3g}"
    if abs(value) >= _LARGE:
        return f"{value:,.1f}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def usd(amount: float) -> str:
    """Return an amount with cents; a smaller one must not look like zero."""
    if 0 < amount < 0.01:  # noqa: PLR2004 - a cent
        return "<0.01"
    return f"{amount:,.2f}"
