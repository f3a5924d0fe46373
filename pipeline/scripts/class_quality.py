"""The quality of a classifier on the test rows: metrics, curves, and the registry's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from columns import Json
from jobs import JobError
from sklearn import metrics

CURVE_POINTS: Final = 200
CALIBRATION_BINS: Final = 10
MOST_CURVES: Final = 20
"""Classes with curves of their own: the most frequent ones."""


@dataclass(frozen=True)
class ClassScores:
    """Test rows as scored: class numbers (places in `classes`), and a probability for each."""

    classes: tuple[str, ...]
    positive: int | None
    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def measure(scores: ClassScores) -> dict[str, float]:
    """All metrics. With three classes or more, F1 and ROC AUC are means over the classes.

    Then F1 is that of each class alone (macro), and ROC AUC that of each class against all others
    (one-vs-rest, macro), over the classes that occur in the test data.
    """
    loss = _log_loss(scores)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        scores.truth, scores.predicted, zero_division=0, **_averaging(scores)
    )
    found = {
        "accuracy": metrics.accuracy_score(scores.truth, scores.predicted),
        "balanced_accuracy": _balanced_accuracy(scores),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": _roc_auc(scores),
        "log_loss": loss,
        "neg_log_loss": -loss,
    }
    return {name: float(value) for name, value in found.items()}


def _averaging(scores: ClassScores) -> Json:
    if scores.positive is None:
        return {"average": "macro", "labels": np.unique(scores.truth)}
    return {"average": "binary", "pos_label": scores.positive}


def _balanced_accuracy(scores: ClassScores) -> float:
    """The mean recall of the classes that occur."""
    present = np.unique(scores.truth)
    return float(
        metrics.recall_score(
            scores.truth, scores.predicted, labels=present, average="macro", zero_division=0
        )
    )


def _log_loss(scores: ClassScores) -> float:
    places = list(range(len(scores.classes)))
    total = scores.probabilities.sum(axis=1, keepdims=True)
    return float(metrics.log_loss(scores.truth, scores.probabilities / total, labels=places))


def _roc_auc(scores: ClassScores) -> float:
    present = np.unique(scores.truth)
    if len(present) == 1:
        raise JobError(
            f"the test data has only rows of class {scores.classes[present[0]]!r}, so no "
            "metric can distinguish classes"
        )
    asked = present if scores.positive is None else [scores.positive]
    areas = [
        metrics.roc_auc_score(scores.truth == place, scores.probabilities[:, place])
        for place in asked
    ]
    return float(np.mean(areas))


def baseline(scores: ClassScores) -> ClassScores:
    """The scores of always predicting the most frequent class, with its frequency."""
    counts = np.bincount(scores.truth, minlength=len(scores.classes))
    rows = len(scores.truth)
    return ClassScores(
        scores.classes,
        scores.positive,
        scores.truth,
        np.full(rows, counts.argmax()),
        np.tile(counts / rows, (rows, 1)),
    )


def confusion(scores: ClassScores) -> list[list[int]]:
    """The number of rows of each true class (row) by predicted class (column)."""
    places = list(range(len(scores.classes)))
    matrix = metrics.confusion_matrix(scores.truth, scores.predicted, labels=places)
    return [[int(count) for count in line] for line in matrix]


# --- Curves ------------------------------------------------------------------------------------


def curves(scores: ClassScores) -> list[Json]:
    """The curves of the positive class, or of each of the most frequent ones."""
    counts = np.bincount(scores.truth, minlength=len(scores.classes))
    places = [place for place in np.argsort(-counts, kind="stable") if counts[place]]
    asked = places[:MOST_CURVES] if scores.positive is None else [scores.positive]
    return [_curves_of(scores, int(place)) for place in asked]


def _curves_of(scores: ClassScores, place: int) -> Json:
    truth, chance = scores.truth == place, scores.probabilities[:, place]
    false_rate, true_rate, _ = metrics.roc_curve(truth, chance)
    precision, recall, _ = metrics.precision_recall_curve(truth, chance)
    return {
        "class": scores.classes[place],
        "roc_auc": float(metrics.roc_auc_score(truth, chance)),
        "average_precision": float(metrics.average_precision_score(truth, chance)),
        "roc": _points("false_positive_rate", false_rate, "true_positive_rate", true_rate),
        "precision_recall": _points("recall", recall, "precision", precision),
        "calibration": _calibration(truth, chance),
    }


def _points(name_x: str, x: np.ndarray, name_y: str, y: np.ndarray) -> Json:
    """At most `CURVE_POINTS` points of a curve, the first and the last among them."""
    places = np.unique(np.linspace(0, len(x) - 1, CURVE_POINTS).round().astype(int))
    return {name_x: x[places].tolist(), name_y: y[places].tolist()}


def _calibration(truth: np.ndarray, chance: np.ndarray) -> list[Json]:
    """For ten ranges of the probability: the mean prediction and the observed frequency."""
    bins = np.minimum((chance * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "predicted": float(chance[bins == number].mean()),
            "observed": float(truth[bins == number].mean()),
            "rows": int((bins == number).sum()),
        }
        for number in np.unique(bins)
    ]


# --- Reports -----------------------------------------------------------------------------------


def evaluation(scores: ClassScores) -> Json:
    """The content of `evaluation.json`."""
    return {
        "problem": "multiclass" if scores.positive is None else "binary",
        "rows": len(scores.truth),
        "classes": list(scores.classes),
        "positive_class": None if scores.positive is None else scores.classes[scores.positive],
        "metrics": measure(scores),
        "baseline": measure(baseline(scores)),
        "confusion_matrix": confusion(scores),
    }


def model_quality(scores: ClassScores) -> Json:
    """The registry's format; there is one value of each metric, so no standard deviation."""
    matrix = {
        name: dict(zip(scores.classes, line, strict=True))
        for name, line in zip(scores.classes, confusion(scores), strict=True)
    }
    if scores.positive is None:
        return {
            "multiclass_classification_metrics": {"confusion_matrix": matrix, **_weighted(scores)}
        }
    found = measure(scores)
    curve = _curves_of(scores, scores.positive)
    names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1"}
    values = {key: _value(found[name]) for key, name in (names | {"auc": "roc_auc"}).items()}
    return {
        "binary_classification_metrics": {
            "confusion_matrix": matrix,
            **values,
            "receiver_operating_characteristic_curve": {
                "false_positive_rates": curve["roc"]["false_positive_rate"],
                "true_positive_rates": curve["roc"]["true_positive_rate"],
            },
            "precision_recall_curve": {
                "precisions": curve["precision_recall"]["precision"],
                "recalls": curve["precision_recall"]["recall"],
            },
        }
    }


def _weighted(scores: ClassScores) -> Json:
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        scores.truth, scores.predicted, average="weighted", zero_division=0
    )
    return {
        "accuracy": _value(metrics.accuracy_score(scores.truth, scores.predicted)),
        "weighted_precision": _value(precision),
        "weighted_recall": _value(recall),
        "weighted_f1": _value(f1),
    }


def _value(value: float) -> Json:
    return {"value": float(value), "standard_deviation": "NaN"}
