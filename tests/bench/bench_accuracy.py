"""Real tables through the whole pipeline, up to an endpoint that answers; how good it is.

Each goes through preprocess, train, evaluate and the gate as the local run does it, with the
definition's defaults but for the time limit and a stricter gate. Beside it, on the same split:
LightGBM, a logistic regression and AutoGluon, each with its own defaults.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from pipeline.definition import TEST_DATA, TRAIN_DATA
from tests.bench.inside import LABEL
from tests.bench.job_scripts import found, inside
from tests.bench.local_run import finished
from tests.bench.page import circumstances, replace_section, table

SECONDS: Final = 20
THRESHOLD: Final = 0.8
OURS: Final = "ours"
OTHERS: Final = ("LightGBM", "logistic regression", "AutoGluon")

_SCORES: Final = ("accuracy", "roc_auc")

Scores = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One table: what preprocessing said of it, and each model's scores."""

    name: str
    profile: Scores
    baseline: float
    scores: dict[str, Scores]

    def cells(self) -> list[str]:
        """A line of the table: size, and accuracy and ROC AUC of each model."""
        split, label = self.profile["split"], self.profile["label"]
        pairs = [self.scores[model] for model in (OURS, *OTHERS)]
        return [
            self.name,
            f"{self.profile['rows']:,} x {len(self.profile['columns'])}",
            str(len(label["classes"])),
            f"{split['test']:,}",
            f"{self.baseline:.3f}",
            *(f"{pair['accuracy']:.3f} / {pair['roc_auc']:.3f}" for pair in pairs),
        ]


def measure(data: Path, folder: Path) -> Measured:
    """Run the pipeline on the table and ask its endpoint; then train the others."""
    parameters = {
        "LabelColumn": LABEL,
        "TimeLimitSeconds": SECONDS,
        "QualityThreshold": THRESHOLD,
    }
    with finished(data, parameters, folder) as run:
        files = [run.output(TRAIN_DATA, "train.parquet"), run.output(TEST_DATA, "test.parquet")]
        others = found(inside("other_models", *map(str, files), LABEL, str(SECONDS)))
        evaluation = run.evaluation
        return Measured(
            data.stem,
            run.profile,
            evaluation["baseline"]["accuracy"],
            {OURS: evaluation["metrics"], **others},
        )


def section() -> str:
    """Measure each table, and return the section in Markdown."""
    began = circumstances()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = found(inside("real_tables", name))
        measured = [measure(folder / f"{item}.csv", folder / "runs") for item in names]
    headings = ["table", "rows x columns", "classes", "test rows", "most frequent", OURS, *OTHERS]
    return "\n\n".join(
        [
            "## Accuracy on real tables",
            f"{began} Tables that come inside scikit-learn's package (`tests/bench/inside/"
            f"real_tables.py`). Each passed preprocess, train (at most {SECONDS} s), evaluate and "
            f"the gate (ROC AUC of {THRESHOLD} or more), and was served by TorchServe, which "
            "answered. Accuracy / ROC AUC on the test rows, the same for all; the other models "
            f"with their defaults (AutoGluon's: at most {SECONDS} s, and without the neural "
            "networks, which need PyTorch).",
            table(headings, [item.cells() for item in measured]),
            _verdict(measured),
        ]
    )


def _verdict(measured: list[Measured]) -> str:
    """Means, and how far ours is from the best of the others; one row is how much."""
    means = {
        model: [mean(item.scores[model][score] for item in measured) for score in _SCORES]
        for model in (OURS, *OTHERS)
    }
    said = "; ".join(
        f"{model} {accuracy:.3f} / {area:.4f}" for model, (accuracy, area) in means.items()
    )
    ratios = ", ".join(f"{means[OURS][1] / means[model][1]:.3f} of {model}" for model in OTHERS)
    smallest = min(measured, key=lambda item: item.profile["split"]["test"])
    rows = smallest.profile["split"]["test"]
    return (
        f"Means over the tables: {said}. Our ROC AUC is, on average, {ratios}. Where a table is "
        f"small, differences are of single rows: one of {smallest.name}'s is {1 / rows:.3f} of its "
        "accuracy."
    )


if __name__ == "__main__":
    replace_section("accuracy", section())
