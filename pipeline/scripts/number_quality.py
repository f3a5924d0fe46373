"""The quality of a regression on the test rows: metrics, charts, and the registry's format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from columns import Json
from jobs import JobError
from sklearn import metrics

MOST_POINTS: Final = 1_000
RESIDUAL_BINS: Final = 40
GROUPS: Final = 10
LEAST_ROWS: Final = 2


@dataclass(frozen=True)
class NumberScores:
    """Test rows as scored, in the label's units; mean and median are of the rows of training."""

    truth: np.ndarray
    predicted: np.ndarray
    mean: float
    median: float


def measure(scores: NumberScores) -> dict[str, float]:
    """All metrics; those named `neg_` are negated, so that higher is better.

    Raises:
        JobError: there are too few test rows.
    """
    truth, predicted = scores.truth, scores.predicted
    if len(truth) < LEAST_ROWS:
        raise JobError(f"the test data has {len(truth)} row: at least {LEAST_ROWS} are needed")
    mse = metrics.mean_squared_error(truth, predicted)
    mae = metrics.mean_absolute_error(truth, predicted)
    found = {
        "rmse": mse**0.5,
        "mse": mse,
        "mae": mae,
        "median_absolute_error": metrics.median_absolute_error(truth, predicted),
        "r2": metrics.r2_score(truth, predicted),
        "neg_root_mean_squared_error": -(mse**0.5),
        "neg_mean_absolute_error": -mae,
    }
    return {name: float(value) for name, value in found.items()}


def baseline(scores: NumberScores) -> dict[str, float]:
    """The metrics of always answering the training label's mean; absolute errors: its median."""
    mean = measure(replace(scores, predicted=np.full(len(scores.truth), scores.mean)))
    median = measure(replace(scores, predicted=np.full(len(scores.truth), scores.median)))
    return {
        name: median[name] if "absolute" in name or name == "mae" else mean[name] for name in mean
    }


def evaluation(scores: NumberScores) -> Json:
    """The content of `evaluation.json`."""
    return {
        "problem": "regression",
        "rows": len(scores.truth),
        "classes": [],
        "positive_class": None,
        "metrics": measure(scores),
        "baseline": baseline(scores),
        "confusion_matrix": [],
    }


def model_quality(scores: NumberScores) -> Json:
    """The registry's format; there is one value of each metric, so no standard deviation."""
    found = measure(scores)
    return {
        "regression_metrics": {
            name: {"value": found[name], "standard_deviation": "NaN"}
            for name in ("mae", "mse", "rmse", "r2")
        }
    }


# --- Drawings ----------------------------------------------------------------------------------


def drawings(scores: NumberScores) -> Json:
    """The data for the report's charts of the test rows.

    `predicted_vs_true`: pairs of true and predicted, at most `MOST_POINTS`, evenly by true value.
    `residuals`: how many rows there are in each range of predicted minus true.
    `error_by_quantile`: tenths of the rows by their true value, with the mean errors of each.
    """
    order = np.argsort(scores.truth, kind="stable")
    truth, predicted = scores.truth[order], scores.predicted[order]
    places = np.unique(np.linspace(0, len(truth) - 1, MOST_POINTS).round().astype(int))
    return {
        "predicted_vs_true": np.stack([truth, predicted], axis=1)[places].tolist(),
        "residuals": _histogram(predicted - truth),
        "error_by_quantile": [
            _group(truth[part], predicted[part])
            for part in np.array_split(np.arange(len(truth)), GROUPS)
            if len(part)
        ],
    }


def _histogram(residuals: np.ndarray) -> list[Json]:
    rows, edges = np.histogram(residuals, RESIDUAL_BINS)
    return [
        {"from": start, "to": end, "rows": count}
        for start, end, count in zip(
            edges[:-1].tolist(), edges[1:].tolist(), rows.tolist(), strict=True
        )
    ]


def _group(truth: np.ndarray, predicted: np.ndarray) -> Json:
    """One tenth of the rows: `bias` is how much too high the predictions are on average."""
    return {
        "from": float(truth.min()),
        "to": float(truth.max()),
        "rows": len(truth),
        "mae": float(np.abs(truth - predicted).mean()),
        "bias": float((predicted - truth).mean()),
    }
