"""What every test may rely on, however the tests were started."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

TOGETHER = ("cloud", "functions", "operations")
"""Folders whose tests share what is expensive or counted: an emulated AWS, the calls recorded."""
APART = ("operations", "runs")
"""A folder in one of them whose files have each an emulated AWS of their own."""

# `nohup` and shells' background jobs ignore SIGINT, and processes inherit that: a test could not
# interrupt what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep in one process (`pytest -n`) what belongs together: a folder, or else a file."""
    if item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


def _group(path: Path) -> str:
    parts = path.relative_to(Path(__file__).parent).parts
    together = parts[0] in TOGETHER and parts[: len(APART)] != APART
    return parts[0] if together else "/".join(parts)
