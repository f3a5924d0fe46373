"""Comparing captured requests with training data with `drift.py`, beside pandas."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.seed_data.table import LABEL, blocks
from tests.bench.job_scripts import PREPROCESS_FOLDERS, inside, job
from tests.bench.measure import Cost
from tests.bench.page import circumstances, replace_section, table

SIZES: Final = {100: (1_000_000, 10_000_000), 1: (100_000, 1_000_000)}
"""Rows of a request, and in all, each measured once; memory is compared between the two."""
TRAINING_ROWS: Final = 100_000
OURS, OTHER = "`drift.py`", "pandas"
_GROWTH_GOAL: Final = 1.1
"""Times the memory at most, for ten times the rows."""


@dataclass(frozen=True)
class Measured:
    """What one way took for `rows` rows in requests of `each`."""

    name: str
    rows: int
    each: int
    cost: Cost

    @property
    def speed(self) -> float:
        """Rows a second of processor."""
        return self.rows / self.cost.cpu

    def cells(self) -> list[str]:
        """A line of the table."""
        cost = self.cost
        return [
            self.name,
            f"{self.rows:,}",
            f"{self.each:,}",
            f"{cost.wall:.1f} s",
            f"{cost.cpu:.1f} s",
            f"{self.speed:,.0f}",
            f"{cost.peak_mib:,.0f} MiB",
        ]


def prepared(folder: Path) -> None:
    """Write a model's archive without the model, and the training data beside it."""
    for name in ("data", "archive"):
        (folder / name).mkdir()
    with (folder / "data/data.csv").open("wb") as file:
        file.writelines(blocks(TRAINING_ROWS, seed=0))
    job("preprocess", folder, *PREPROCESS_FOLDERS, label=LABEL)
    archive = folder / "archive/model.tar.gz"
    inside("drift_model", *(str(folder / name) for name in ("schema", "train")), str(archive))


def measure(folder: Path, rows: int, each: int) -> list[Measured]:
    """Write requests and compare them in both ways; the requests are not kept."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        inside("captured_requests", name, str(rows), str(each))
        arguments = {"model": str(folder / "archive"), "table": name}
        ours = job("drift", folder, report=str(folder / "report"), **arguments)
        other = inside("pandas_drift", str(folder / "train/train.parquet"), name, LABEL)
    _check(folder, ours, other, rows)
    return [Measured(OURS, rows, each, ours), Measured(OTHER, rows, each, other)]


def _check(folder: Path, ours: Cost, other: Cost, rows: int) -> None:
    """Make sure that both computed the same.

    Raises:
        RuntimeError: they did not.
    """
    report = json.loads((folder / "report/drift.json").read_text(encoding="utf-8"))
    said = json.loads(other.output.splitlines()[-1])
    found = {column["name"]: column["psi"] for column in report["columns"]}
    apart = max(abs(found[name] - index) for name, index in said["psi"].items())
    if (report["rows"], report["refused"], said["rows"]) != (rows, 0, rows) or apart > 1e-3:
        raise RuntimeError(f"{ours.output}\n{other.output}\nindices differ by {apart}")


def section() -> str:
    """Measure each size, and return the section in Markdown."""
    began = circumstances()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder)
        measured = [
            item
            for each, sizes in SIZES.items()
            for rows in sizes
            for item in measure(folder, rows, each)
        ]
    headings = ["", "rows", "rows a request", "wall", "CPU", "rows a second of CPU", "peak memory"]
    return "\n\n".join(
        [
            "## Drift of captured requests",
            f"{began} The machine was shared with other work, so that the ratios count and the "
            "times on the clock do not. The synthetic table (10 columns) as data capture stores "
            "requests in CSV; each measurement is one run in a process of its own, start of Python "
            "and imports included. pandas joins all requests, taking them for CSV without a "
            "header, and computes the same population stability indices (checked in the same run); "
            "ours reads each request as the endpoint does, counts those that it would refuse, and "
            "also looks for missing, unseen and outlying values.",
            table(headings, [item.cells() for item in measured]),
            _comparison(measured),
        ]
    )


def _comparison(measured: list[Measured]) -> str:
    found = {(one.name, one.rows, one.each): one for one in measured}
    return " ".join(_of_requests(found, each) for each in SIZES)


def _of_requests(found: dict[tuple[str, int, int], Measured], each: int) -> str:
    small, large = SIZES[each]
    ours, other = (found[name, large, each] for name in (OURS, OTHER))
    growth, others = (
        found[name, large, each].cost.peak_mib / found[name, small, each].cost.peak_mib
        for name in (OURS, OTHER)
    )
    reached = "reached" if growth <= _GROWTH_GOAL else "missed"
    cpu, memory = ours.cost.cpu / other.cost.cpu, ours.cost.peak_mib / other.cost.peak_mib
    return (
        f"At {large:,} rows in requests of {each:,}, ours takes **{cpu:.2f} times** pandas' CPU "
        f"and **{memory:.3f} times** its memory; from {small:,} rows, its memory grows "
        f"{growth:.2f} times (goal: at most {_GROWTH_GOAL}, {reached}), that of pandas "
        f"{others:.1f} times."
    )


if __name__ == "__main__":
    replace_section("drift", section())
