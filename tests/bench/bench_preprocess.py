"""Splitting and describing a table with `preprocess.py`, beside pandas, at three sizes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.seed_data.table import blocks
from tests.bench.job_scripts import PREPROCESS_FOLDERS, inside, job
from tests.bench.measure import Cost, best
from tests.bench.page import circumstances, replace_section, table

SIZES: Final = {10_000: 3, 1_000_000: 2, 10_000_000: 1}
"""Rows, and how many times each is measured; the cheapest counts."""
OURS, SAMPLED, WRITTEN = "`preprocess.py`", "pandas, nothing written", "pandas, both files written"
_MEMORY_GOAL: Final = 2.0


@dataclass(frozen=True)
class Measured:
    """What one way took for a table of `rows` rows."""

    name: str
    rows: int
    cost: Cost

    def cells(self) -> list[str]:
        """A line of the table."""
        cost = self.cost
        return [
            self.name,
            f"{self.rows:,}",
            f"{cost.wall:.1f} s",
            f"{cost.cpu:.1f} s",
            f"{self.rows / cost.cpu:,.0f}",
            f"{cost.peak_mib:,.0f} MiB",
        ]


def measure(rows: int, times: int) -> list[Measured]:
    """Write a table of `rows` rows, and split it in each way; nothing of it is left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        source = folder / "data/data.csv"
        with source.open("wb") as file:
            file.writelines(blocks(rows, seed=0))
        ways = {
            OURS: lambda: job("preprocess", folder, *PREPROCESS_FOLDERS, label="label"),
            SAMPLED: lambda: inside("pandas_split", str(source)),
            WRITTEN: lambda: inside("pandas_split", str(source), name),
        }
        return [Measured(way, rows, best(times, take)) for way, take in ways.items()]


def section() -> str:
    """Measure each size, and return the section in Markdown."""
    measured = [item for rows, times in SIZES.items() for item in measure(rows, times)]
    headings = ["", "rows", "wall", "CPU", "rows a second of CPU", "peak memory"]
    return "\n\n".join(
        [
            "## Preprocessing",
            f"{circumstances()} The synthetic table (11 columns), each measurement in a process of "
            "its own, start of Python and imports included. pandas reads, samples 80 % and drops "
            "them from the rest; ours reads twice, keeps equal rows on one side, stratifies, "
            "describes every column, and writes both files.",
            table(headings, [item.cells() for item in measured]),
            _ratios(measured),
        ]
    )


def _ratios(measured: list[Measured]) -> str:
    cost = {(item.name, item.rows): item.cost for item in measured}
    _, middle, large = SIZES
    growth = cost[OURS, large].peak_mib / cost[OURS, middle].peak_mib
    other = cost[WRITTEN, large].peak_mib / cost[WRITTEN, middle].peak_mib
    reached = "reached" if growth <= _MEMORY_GOAL else "missed"
    return (
        f"From a million to 10 million rows our memory grows **{growth:.2f} times** (goal: at "
        f"most {_MEMORY_GOAL:.0f}, {reached}), that of pandas {other:.1f} times. At 10 million "
        f"rows pandas takes {cost[WRITTEN, large].peak_mib / cost[OURS, large].peak_mib:.0f} times "
        f"our memory; we take {cost[OURS, large].cpu / cost[WRITTEN, large].cpu:.1f} times its "
        f"processor time when it writes both files, and "
        f"{cost[OURS, large].cpu / cost[SAMPLED, large].cpu:.1f} times when it writes nothing."
    )


if __name__ == "__main__":
    replace_section("preprocess", section())
