"""How training, the model and its answers grow with a table's rows and columns."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.seed_data.table import LABEL, blocks
from generator.files import REPOSITORY
from tests.bench.in_process import calling
from tests.bench.job_scripts import PREPROCESS_FOLDERS, archive, inside, job
from tests.bench.page import circumstances, replace_section, table
from tests.bench.plot import DARK, LIGHT, Panel, drawing

ROWS: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
COLUMNS: Final = (10, 30, 100, 300)
ROWS_OF_WIDE: Final = 2_000
WARM_UP: Final = 20
CALLS: Final = 200
IMAGES: Final = REPOSITORY / "docs/images"
TITLE: Final = "Training time, model size and latency against rows and columns"


@dataclass(frozen=True)
class Measured:
    """One table, and what its model took. Seconds, bytes, milliseconds of processor."""

    rows: int
    columns: int
    wall: float
    cpu: float
    size: int
    latency: float
    score: float

    def cells(self) -> list[str]:
        """A line of the table."""
        return [
            f"{self.rows:,}",
            str(self.columns),
            f"{self.wall:.0f} s",
            f"{self.cpu:.0f} s",
            f"{self.size / 1e6:.2f} MB",
            f"{self.latency:.1f} ms",
            f"{self.score:.3f}",
        ]


def measure(rows: int, columns: int | None = None) -> Measured:
    """Train on a table, with the defaults, and ask the model for one row at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data/data.csv"
        data.parent.mkdir()
        if columns is None:
            data.write_bytes(b"".join(blocks(rows, seed=0)))
        else:
            inside("wide_table", str(data), str(rows), str(columns))
        job("preprocess", folder, *PREPROCESS_FOLDERS, label=LABEL)
        cost = job("train", folder, "train", "schema", "model")
        model = folder / "model"
        with calling(model, data) as call:
            call("transform", 1, WARM_UP)
            times = call("transform", 1, CALLS)
        return Measured(
            rows,
            columns or len(data.open(encoding="utf-8").readline().split(",")) - 1,
            cost.wall,
            cost.cpu,
            archive(model).stat().st_size,
            min(cpu for _, cpu in times),
            _score(model),
        )


def _score(model: Path) -> float:
    """ROC AUC of the best model on the rows that training set aside."""
    text = (model / "report/leaderboard.json").read_text(encoding="utf-8")
    return next(float(row["score_val"]) for row in json.loads(text) if row["best"])


def section() -> str:
    """Measure, draw, and return the section in Markdown."""
    began = circumstances()
    long = [measure(rows) for rows in ROWS]
    wide = [measure(ROWS_OF_WIDE, columns) for columns in COLUMNS]
    draw(long, wide)
    headings = ["rows", "columns", "training", "CPU", "`model.tar.gz`", "one row", "ROC AUC"]
    return "\n\n".join(
        [
            "## Growth",
            f"{began} `train.py` with its defaults: against rows on the synthetic table, against "
            f"columns on {ROWS_OF_WIDE:,} rows of numbers of which eight columns matter; four "
            "fifths of the rows are trained with. Training "
            "is the whole job, start of Python and feature importance (at most 60 s) included. "
            "One row is the processor time of `inference.py` in process, CSV to JSON, the least of "
            f"{CALLS} calls: the serving stack comes on top, as above. A model is as large as "
            "its trees are many, and boosting stops when more of them do not help. ROC AUC is on "
            "the rows that training sets aside. The axes of the plot are logarithmic.",
            _picture(),
            table(headings, [item.cells() for item in [*long, *wide]]),
            _verdict(long, wide),
        ]
    )


def draw(long: list[Measured], wide: list[Measured]) -> None:
    """Write the plot, for light and for dark pages."""
    panels = [
        _panels("rows", [(item.rows, item) for item in long]),
        _panels("columns", [(item.columns, item) for item in wide]),
    ]
    for name, palette in (("growth.svg", LIGHT), ("growth-dark.svg", DARK)):
        (IMAGES / name).write_text(drawing(TITLE, panels, palette), encoding="utf-8")


def _panels(x: str, found: list[tuple[int, Measured]]) -> list[Panel]:
    return [
        Panel("Training", "s of processor", x, [(at, item.cpu) for at, item in found]),
        Panel("Model", "MB", x, [(at, item.size / 1e6) for at, item in found]),
        Panel(
            "One row in process", "ms of processor", x, [(at, item.latency) for at, item in found]
        ),
    ]


def _picture() -> str:
    return (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" '
        f'srcset="images/growth-dark.svg">\n  <img alt="{TITLE}" src="images/growth.svg">\n'
        "</picture>"
    )


def _verdict(long: list[Measured], wide: list[Measured]) -> str:
    return (
        f"{_growth(long, long[-1].rows / long[0].rows, 'rows')} "
        f"{_growth(wide, wide[-1].columns / wide[0].columns, 'columns')}"
    )


def _growth(found: list[Measured], times: float, what: str) -> str:
    first, last = found[0], found[-1]
    return (
        f"With {times:.0f} times the {what}, training takes {last.cpu / first.cpu:.1f} times the "
        f"processor time, the model is {last.size / first.size:.1f} times as large, and one row "
        f"takes {last.latency / first.latency:.1f} times as long."
    )


if __name__ == "__main__":
    replace_section("growth", section())
