"""The page with the figures: one section for each program, replaced as a whole."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from generator.files import REPOSITORY

PAGE: Final = REPOSITORY / "docs/benchmarks.md"
_INTRODUCTION: Final = """\
# Benchmarks

Measured by `make bench`. Every section says when and on what; the figures of the CDK example that
this project replaces were taken on a machine of the same kind (2 cores).
"""


def replace_section(name: str, body: str, page: Path = PAGE) -> None:
    """Put the section ``name`` into the page, in place of the one of that name or at the end."""
    text = page.read_text(encoding="utf-8") if page.is_file() else _INTRODUCTION
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{body.strip()}\n{end}\n"
    found = re.compile(f"{re.escape(begin)}.*{re.escape(end)}\n", re.DOTALL)
    text = found.sub(lambda _: section, text) if found.search(text) else f"{text}\n{section}"
    page.parent.mkdir(exist_ok=True)
    page.write_text(text, encoding="utf-8")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, rule, *rows])


def circumstances() -> str:
    """Return when and on what a measurement runs, in one sentence."""
    load = f"{os.getloadavg()[0]:.1f}"
    python = platform.python_version()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {python}, load average {load}."
    )
