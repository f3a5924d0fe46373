"""Splitting and describing a table with `preprocess.py`, beside pandas: long and wide."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.seed_data.table import LABEL, blocks, header
from tests.bench.job_scripts import PREPROCESS_FOLDERS, inside, job
from tests.bench.measure import Cost, best
from tests.bench.page import circumstances, replace_section, table

SIZES: Final = {10_000: 3, 1_000_000: 2, 10_000_000: 1}
"""Rows, and how many times each is measured; the cheapest counts."""
SOURCE: Final = "data/data.csv"
WIDE: Final = (10_000, 3_000)
"""Rows and columns of the table whose memory is measured for its columns."""
OURS, SAMPLED, WRITTEN = "`preprocess.py`", "pandas, nothing written", "pandas, both files written"
_GROWTH_GOAL: Final = 2.0
_SPEED_GOAL: Final = 3.0
"""Times pandas' rows a second of processor, when it writes both files."""
_MEMORY_GOAL: Final = 700
"""MB, whatever the rows and the columns."""
_MB_OF_MIB: Final = 1.048576


@dataclass(frozen=True)
class Measured:
    """What one way took for a table of `rows` rows."""

    name: str
    rows: int
    columns: int
    cost: Cost

    @property
    def speed(self) -> float:
        """Rows a second of processor."""
        return self.rows / self.cost.cpu

    @property
    def peak_mb(self) -> float:
        """Megabytes (not mebibytes) at most."""
        return self.cost.peak_mib * _MB_OF_MIB

    def cells(self) -> list[str]:
        """A line of the table."""
        cost = self.cost
        return [
            self.name,
            f"{self.rows:,} x {self.columns:,}",
            f"{cost.wall:.1f} s",
            f"{cost.cpu:.1f} s",
            f"{self.speed:,.0f}",
            f"{cost.peak_mib:,.0f} MiB",
        ]


def measure(rows: int, times: int) -> list[Measured]:
    """Write the synthetic table with `rows` rows, and split it in each way; nothing is left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _new_source(folder).open("wb") as file:
            file.writelines(blocks(rows, seed=0))
        return _split(folder, rows, len(header()), times)


def measure_wide() -> list[Measured]:
    """The same for a table of numbers with thousands of columns."""
    rows, columns = WIDE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inside("wide_table", str(_new_source(folder)), str(rows), str(columns - 1))
        return _split(folder, rows, columns, 1)


def _new_source(folder: Path) -> Path:
    """The path of the table, whose folder is made."""
    source = folder / SOURCE
    source.parent.mkdir()
    return source


def _split(folder: Path, rows: int, columns: int, times: int) -> list[Measured]:
    source = str(folder / SOURCE)
    ways = {
        OURS: lambda: job("preprocess", folder, *PREPROCESS_FOLDERS, label=LABEL),
        SAMPLED: lambda: inside("pandas_split", source),
        WRITTEN: lambda: inside("pandas_split", source, str(folder)),
    }
    return [Measured(way, rows, columns, best(times, take)) for way, take in ways.items()]


def section() -> str:
    """Measure each size, and return the section in Markdown."""
    began = circumstances()
    measured = [item for rows, times in SIZES.items() for item in measure(rows, times)]
    wide = measure_wide()
    headings = ["", "rows x columns", "wall", "CPU", "rows a second of CPU", "peak memory"]
    return "\n\n".join(
        [
            "## Preprocessing",
            f"{began} The synthetic table (11 columns), and one of {WIDE[1]:,} columns of numbers; "
            "each measurement in a process of its own, start of Python and imports included. "
            "pandas reads, samples 80 % and drops them from the rest, and writes CSV; ours decides "
            "what each column is, keeps rows with equal features on one side, stratifies, "
            "describes every column, and writes both files as Parquet.",
            table(headings, [item.cells() for item in [*measured, *wide]]),
            _speed(measured),
            _memory(measured, wide),
        ]
    )


def _speed(measured: list[Measured]) -> str:
    found = {(item.name, item.rows): item for item in measured}
    _, *sizes = SIZES
    ratios = {rows: found[OURS, rows].speed / found[WRITTEN, rows].speed for rows in sizes}
    said = " and ".join(f"**{ratio:.2f} times** at {rows:,} rows" for rows, ratio in ratios.items())
    least = min(ratios.values())
    unwritten = found[OURS, sizes[-1]].speed / found[SAMPLED, sizes[-1]].speed
    return (
        f"Of pandas' rows a second of CPU, when it writes both files, ours is {said} (goal: at "
        f"least {_SPEED_GOAL:.0f}, {_reached(least >= _SPEED_GOAL)}); when pandas writes nothing, "
        f"{unwritten:.2f} times at {sizes[-1]:,} rows."
    )


def _memory(measured: list[Measured], wide: list[Measured]) -> str:
    found = {(item.name, item.rows): item for item in measured}
    _, middle, large = SIZES
    ours, widest = found[OURS, large].peak_mb, wide[0].peak_mb
    growth, other = (
        found[way, large].peak_mb / found[way, middle].peak_mb for way in (OURS, WRITTEN)
    )
    return (
        f"Our memory is at most **{ours:,.0f} MB** at {large:,} rows (goal: under {_MEMORY_GOAL} "
        f"MB, {_reached(ours < _MEMORY_GOAL)}) and **{widest:,.0f} MB** at {WIDE[1]:,} columns "
        f"(goal: the same, {_reached(widest < _MEMORY_GOAL)}). From {middle:,} rows to {large:,} "
        f"it grows {growth:.2f} times (goal: at most {_GROWTH_GOAL:.0f}, "
        f"{_reached(growth <= _GROWTH_GOAL)}), that of pandas {other:.1f} times."
    )


def _reached(goal: bool) -> str:
    return "reached" if goal else "missed"


if __name__ == "__main__":
    replace_section("preprocess", section())
