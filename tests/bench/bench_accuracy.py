"""Real tables through the whole pipeline, up to an endpoint that answers; how good it is.

Each goes through preprocess, train, evaluate and the gate as the local run does it, with the
definition's defaults but for the time limit and the gate. Beside it, on the same split: LightGBM,
a regression (logistic for classes, ridge for numbers) and AutoGluon, each with its own defaults.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Any, Final

from pipeline.definition import TEST_DATA, TRAIN_DATA
from tests.bench.inside import CLASSES, LABEL, REGRESSION
from tests.bench.job_scripts import found, inside
from tests.bench.local_run import finished
from tests.bench.measure import ROOT
from tests.bench.page import circumstances, replace_section, table

SECONDS: Final = 30
GATES: Final = {CLASSES: 0.6, REGRESSION: 0.0}
"""The least ROC AUC, and the least R2: low, since the gate is not to choose the tables."""
OURS: Final = "ours"
OTHERS: Final = ("LightGBM", "regression", "AutoGluon")
TOLERANCE: Final = 0.01
"""How much worse ours may be than each of the others, of theirs, in the mean over the tables."""
SCORES: Final = {CLASSES: ("accuracy", "roc_auc"), REGRESSION: ("rmse", "r2")}
NAMES: Final = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "rmse": "RMSE", "r2": "R2"}
_LESS_IS_BETTER: Final = "rmse"

Scores = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One table: what preprocessing said of it, and each model's scores."""

    name: str
    problem: str
    profile: Scores
    baseline: Scores
    scores: dict[str, Scores]

    @property
    def rows(self) -> int:
        """How many rows the scores are of."""
        return int(self.profile["split"]["test"])

    def cells(self) -> list[str]:
        """A line of the table: size, and both scores of each model."""
        numbers = self.problem == REGRESSION
        classes = [] if numbers else [str(len(self.profile["label"]["classes"]))]
        base = f"{self.baseline['rmse']:,.4g}" if numbers else f"{self.baseline['accuracy']:.3f}"
        pairs = [self.scores[model] for model in (OURS, *OTHERS)]
        return [
            self.name,
            f"{self.profile['rows']:,} x {len(self.profile['columns'])}",
            *classes,
            f"{self.rows:,}",
            base,
            *(
                f"{pair['rmse']:,.4g} / {pair['r2']:.3f}"
                if numbers
                else f"{pair['accuracy']:.3f} / {pair['roc_auc']:.3f}"
                for pair in pairs
            ),
        ]

    def quotient(self, score: str, other: str) -> float:
        """Ours, of theirs: more than 1 is better, of an error too."""
        ours, theirs = (float(self.scores[model][score]) for model in (OURS, other))
        return theirs / ours if score == _LESS_IS_BETTER else ours / theirs


def measure(data: Path, problem: str, folder: Path) -> Measured:
    """Run the pipeline on the table and ask its endpoint; then train the others."""
    parameters = {
        "LabelColumn": LABEL,
        "TimeLimitSeconds": SECONDS,
        "QualityThreshold": GATES[problem],
    }
    with finished(data, parameters, folder) as run:
        files = [run.output(TRAIN_DATA, "train.parquet"), run.output(TEST_DATA, "test.parquet")]
        evaluation, profile = run.evaluation, run.profile
    others = found(inside("other_models", *map(str, files), LABEL, problem, str(SECONDS)))
    measured = Measured(
        data.stem, problem, profile, evaluation["baseline"], {OURS: evaluation["metrics"], **others}
    )
    print(" | ".join(measured.cells()), file=sys.stderr, flush=True)
    return measured


def packages() -> str:
    """The folder that the packages of `requirements/bench.in` are installed in."""
    return str(next(ROOT.glob(".venv-bench/lib/python3*/site-packages")))


def section() -> str:
    """Measure each table, and return the section in Markdown."""
    began = circumstances()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        problems: dict[str, str] = found(inside("real_tables", name, packages()))
        measured = [
            measure(folder / f"{item}.csv", problem, folder / "runs")
            for item, problem in problems.items()
        ]
    classes, numbers = (
        [item for item in measured if item.problem == problem] for problem in (CLASSES, REGRESSION)
    )
    return "\n\n".join(
        [
            "## Accuracy on real tables",
            f"{began} {len(measured)} tables that come inside packages: scikit-learn's, and those "
            "of `requirements/bench.in` (`tests/bench/inside/real_tables.py`). Each passed "
            f"preprocess, train (at most {SECONDS} s), evaluate and the gate (ROC AUC of "
            f"{GATES[CLASSES]} or more, R2 of {GATES[REGRESSION]} or more), and was served by "
            "TorchServe, which answered. The scores are of the test rows, the same for all; the "
            f"other models with their defaults (AutoGluon's: at most {SECONDS} s, and without the "
            "neural networks, which need PyTorch; LightGBM and the regressions get dates as the "
            "numbers that ours are made of).",
            "Classes: accuracy / ROC AUC.",
            table(
                [
                    "table",
                    "rows x columns",
                    "classes",
                    "test rows",
                    "most frequent",
                    OURS,
                    "LightGBM",
                    "logistic regression",
                    "AutoGluon",
                ],
                [item.cells() for item in classes],
            ),
            "Numbers: RMSE / R2, and the RMSE of always answering the mean.",
            table(
                [
                    "table",
                    "rows x columns",
                    "test rows",
                    "mean",
                    OURS,
                    "LightGBM",
                    "ridge regression",
                    "AutoGluon",
                ],
                [item.cells() for item in numbers],
            ),
            *_verdict(measured),
        ]
    )


def _verdict(measured: Sequence[Measured]) -> list[str]:
    """Means over the tables, whether the goal is reached, and where ours is worse."""
    scores = [score for found in SCORES.values() for score in found]
    missed = [
        f"{NAMES[score]} beside {other} ({_quotient(measured, score, other):.3f})"
        for score in scores
        for other in OTHERS
        if _quotient(measured, score, other) < 1 - TOLERANCE
    ]
    said = f"missed: {', '.join(missed)}" if missed else "reached"
    smallest = min((item for item in measured if item.problem == CLASSES), key=lambda one: one.rows)
    return [
        "Means over the tables, and in parentheses ours of theirs (more than 1 is better). RMSE "
        "has a unit: what is shown is the geometric mean of the tables' quotients.",
        table(["", OURS, *OTHERS], [_means(measured, score) for score in scores]),
        f"Goal: in the mean, nowhere more than {TOLERANCE:.0%} worse than another: **{said}**.",
        f"Tables on which ours is more than {TOLERANCE:.0%} worse: {_worse(measured)}. Where a "
        f"table is small, differences are of single rows: one of {smallest.name}'s is "
        f"{1 / smallest.rows:.3f} of its accuracy.",
    ]


def _means(measured: Sequence[Measured], score: str) -> list[str]:
    """A line of the table of means."""
    plain = {
        model: "" if score == _LESS_IS_BETTER else f"{_mean(measured, score, model):.4f} "
        for model in (OURS, *OTHERS)
    }
    return [
        NAMES[score],
        plain[OURS].strip(),
        *(f"{plain[other]}({_quotient(measured, score, other):.3f})" for other in OTHERS),
    ]


def _mean(measured: Iterable[Measured], score: str, model: str) -> float:
    return mean(
        float(item.scores[model][score]) for item in measured if score in SCORES[item.problem]
    )


def _quotient(measured: Sequence[Measured], score: str, other: str) -> float:
    """Ours, of theirs, in the mean over the tables; more than 1 is better."""
    if score == _LESS_IS_BETTER:
        items = [item for item in measured if item.problem == REGRESSION]
        return geometric_mean(item.quotient(score, other) for item in items)
    return _mean(measured, score, OURS) / _mean(measured, score, other)


def _worse(measured: Iterable[Measured]) -> str:
    """By table: the score, the other model, and how much worse."""
    return "; ".join(
        f"{item.name} ({', '.join(losses)})" for item in measured if (losses := _losses(item))
    )


def _losses(item: Measured) -> list[str]:
    """Not of R2, which may be negative, and says on one table what RMSE does."""
    return [
        f"{NAMES[score]} {1 - quotient:.1%} beside {other}"
        for score in SCORES[item.problem]
        if score != "r2"
        for other in OTHERS
        if (quotient := item.quotient(score, other)) < 1 - TOLERANCE
    ]


if __name__ == "__main__":
    replace_section("accuracy", section())
