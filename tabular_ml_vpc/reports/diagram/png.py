"""PNG from SVG, with the letters of one font that a package brings, so that all machines agree."""

from __future__ import annotations

from importlib import resources
from typing import Final

from generator.errors import CommandError

ZOOM: Final = 2.0
"""Pixels for each unit of the drawing: sharp on dense screens."""
_FONTS: Final = ("Lato-Regular.ttf", "Lato-Bold.ttf")


class PngError(CommandError):
    """What draws PNGs is not installed."""


def to_png(svg: str) -> bytes:
    """Return the drawing as PNG.

    Raises:
        PngError: the renderer or the font is not installed.

    """
    try:
        import resvg_py  # noqa: PLC0415 - slow to import

        folder = resources.files("font_lato") / "files"
    except ModuleNotFoundError as error:
        raise PngError(f"{error.name} is not installed: run `make`") from error
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=ZOOM,
            skip_system_fonts=True,
            font_files=[str(folder / name) for name in _FONTS],
            sans_serif_family="Lato",
        )
    )
