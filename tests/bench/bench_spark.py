"""How both engines of preprocessing grow with the rows, side by side on the same processors."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.seed_data.table import blocks
from generator.files import REPOSITORY
from tests.bench.job_scripts import ENVIRONMENT, PREPROCESS_FOLDERS, found, job
from tests.bench.measure import ROOT, run
from tests.bench.page import circumstances, replace_section, table
from tests.bench.plot import DARK, LIGHT, Panel, drawing

ROWS: Final = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)
FILES: Final = 8
PYTHON: Final = ROOT / ".venv-spark/bin/python"
IMAGES: Final = REPOSITORY / "docs/images"
TITLE: Final = "Preprocessing on one machine and with Spark, against rows"
RESULTS: Final = PREPROCESS_FOLDERS[1:]


@dataclass(frozen=True)
class Measured:
    """What both engines took for one table, in seconds; Spark's start is apart from its job."""

    rows: int
    one: float
    one_cpu: float
    start: float
    spark: float
    spark_cpu: float

    def cells(self) -> list[str]:
        """A line of the table."""
        seconds = (self.one, self.one_cpu, self.start, self.spark, self.spark_cpu)
        return [
            f"{self.rows:,}",
            *(f"{value:.1f} s" for value in seconds),
            f"{self.spark_cpu / self.one_cpu:.1f}",
        ]


def measure(rows: int) -> Measured:
    """Write a table of `rows` rows in `FILES` files, and split it with both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "data", rows)
        one = job("preprocess", folder, *PREPROCESS_FOLDERS, label="label")
        for results in RESULTS:
            shutil.rmtree(folder / results)
        command = [str(PYTHON), "-m", "tests.bench.inside.spark_preprocess", name]
        spark = found(run(command, ENVIRONMENT))
        return Measured(rows, one.wall, one.cpu, spark["start"], spark["job"], spark["cpu"])


def write(folder: Path, rows: int) -> None:
    """The synthetic table, in files of the same size."""
    folder.mkdir()
    for at in range(FILES):
        with (folder / f"{at}.csv").open("wb") as file:
            file.writelines(blocks(rows // FILES, seed=at))


def section() -> str:
    """Measure, draw, and return the section in Markdown."""
    began = circumstances()
    measured = [measure(rows) for rows in ROWS]
    draw(measured)
    headings = ["rows", "one machine", "CPU", "Spark's start", "Spark's job", "CPU", "ratio"]
    return "\n\n".join(
        [
            "## Preprocessing on Spark",
            f"{began} The synthetic table (11 columns) in {FILES} files, on the same processors: "
            "`preprocess.py` in a process of its own, start of Python included, and "
            "`preprocess_spark.py` in a Spark of its own (`local[*]`, Java's start apart; its CPU "
            "includes it). The ratio is of processor time, and so is the "
            "plot: a busy machine's clock measures waiting. Its axes are logarithmic.",
            _picture(),
            table(headings, [item.cells() for item in measured]),
            _verdict(measured),
        ]
    )


def draw(measured: list[Measured]) -> None:
    """Write the plot, for light and for dark pages."""
    panels = [
        Panel("One machine", "s of processor", "rows", [(m.rows, m.one_cpu) for m in measured]),
        Panel("Spark", "s of processor", "rows", [(m.rows, m.spark_cpu) for m in measured]),
        Panel(
            "Spark to one machine",
            "times",
            "rows",
            [(m.rows, m.spark_cpu / m.one_cpu) for m in measured],
        ),
    ]
    for name, palette in (("growth-spark.svg", LIGHT), ("growth-spark-dark.svg", DARK)):
        (IMAGES / name).write_text(drawing(TITLE, [panels], palette), encoding="utf-8")


def _picture() -> str:
    return (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" '
        f'srcset="images/growth-spark-dark.svg">\n  <img alt="{TITLE}" '
        'src="images/growth-spark.svg">\n</picture>'
    )


def _verdict(measured: list[Measured]) -> str:
    first, last = measured[0], measured[-1]
    added = last.rows - first.rows
    spark, one = (last.spark_cpu - first.spark_cpu) / added, (last.one_cpu - first.one_cpu) / added
    return (
        f"Spark takes {first.spark_cpu:.0f} s of processor for {first.rows:,} rows: that is what "
        f"it costs to start. From there to {last.rows:,} rows, each further million takes Spark "
        f"{spark * 1e6:.1f} s of processor and the one machine {one * 1e6:.1f} s. What more "
        "instances bring is not measured: one machine was at hand."
    )


if __name__ == "__main__":
    replace_section("spark", section())
