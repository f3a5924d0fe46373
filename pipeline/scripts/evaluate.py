"""Scores a trained model on the test data, through the very code that will serve it.

The model archive is unpacked, its own `code/inference.py` is loaded, and the test data goes
through `transform_fn` as requests in CSV: what is gated is what will serve. Four files result:

- `evaluation.json`: the gate's metric and value, all metrics beside those of always answering the
  most frequent class, and the confusion matrix. The pipeline reads `gate.value` from it.
- `model_quality.json`: the same in the registry's format ("Model quality metrics and Amazon
  CloudWatch monitoring", in the SageMaker guide).
- `curves.json`: ROC, precision-recall and calibration curves, for the report.
- `training.json`: leaderboard and feature importance, as training left them in the model.

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jobs
import numpy as np
from jobs import JobError, listing
from sklearn import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

Json = dict[str, Any]

METRICS: Final = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "neg_log_loss")
"""What the gate can ask for: the definition's names. More is better for each."""

REQUEST_ROWS: Final = 1_000
CURVE_POINTS: Final = 200
CALIBRATION_BINS: Final = 10
MOST_CURVES: Final = 20
"""Classes with curves of their own: the most frequent ones."""

_BYTES_OF_A_REQUEST: Final = 4_000_000


@dataclass(frozen=True)
class Settings:
    """What the job is asked to do: `metric` is the one that the gate reads."""

    model: Path
    test: Path
    evaluation: Path
    metric: str


def settings(argv: Sequence[str]) -> Settings:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=processing / "input/model")
    parser.add_argument("--test", type=Path, default=processing / "input/test")
    parser.add_argument("--evaluation", type=Path, default=processing / "output/evaluation")
    parser.add_argument("--metric", choices=METRICS, required=True)
    return Settings(**vars(parser.parse_pairs(argv)))


# --- The model -------------------------------------------------------------------------------


@contextmanager
def unpacked(folder: Path) -> Iterator[Path]:
    """The contents of `model.tar.gz` in `folder`, unpacked for the while.

    Raises:
        JobError: it is not there, or cannot be unpacked.
    """
    archive = folder / "model.tar.gz"
    if not archive.is_file():
        raise JobError(f"there is no model.tar.gz in {folder}")
    with tempfile.TemporaryDirectory() as target:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise JobError(f"model.tar.gz is broken: {error}") from error
        yield Path(target)


def serving_code(model: Path, script: str = "code/inference.py") -> ModuleType:
    """The module `inference` that the model brings along, at `script`.

    Raises:
        JobError: it brings none that can be loaded.
    """
    path = model / script
    spec = importlib.util.spec_from_file_location("inference", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise JobError(f"model.tar.gz is broken: it holds no {script}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    return module


def load(model: Path) -> tuple[ModuleType, Any]:
    """The serving code, and what its `model_fn` loads.

    Raises:
        JobError: the model does not load; then it would not serve either.
    """
    try:
        code = serving_code(model)
        return code, code.model_fn(str(model))
    except JobError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise JobError(f"model.tar.gz is broken: its model does not load: {reason}") from error


# --- Scoring ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Test rows as scored: class numbers (places in `classes`), and a probability for each."""

    classes: tuple[str, ...]
    positive: int | None
    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def score(code: ModuleType, model: Any, test: Path) -> Scores:
    """Send the test data through the serving code, some rows a request.

    Raises:
        JobError: the test data is missing or does not fit the model.
    """
    places = {name: place for place, name in enumerate(model.classes)}
    parts = [
        _part(model.classes, places, labels, _answered(code, model, body))
        for labels, body in _requests(test, model)
    ]
    truth, predicted, probabilities = (np.concatenate(part) for part in zip(*parts, strict=True))
    positive = None if model.positive_class is None else places[model.positive_class]
    return Scores(tuple(model.classes), positive, truth, predicted, probabilities)


def _part(
    classes: Sequence[str], places: Mapping[str, int], labels: Sequence[str], rows: Sequence[Json]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of one request's rows: at the end, numbers take a tenth of the JSON's memory."""
    return (
        np.array([places[label] for label in labels]),
        np.array([places[row["label"]] for row in rows]),
        np.array([[row["probabilities"][name] for name in classes] for row in rows]),
    )


def _answered(code: ModuleType, model: Any, body: bytes) -> list[Json]:
    try:
        answer, _ = code.transform_fn(model, body, "text/csv; header=present", "application/json")
    except code.BaseInferenceToolkitError as error:
        raise JobError(f"the test data does not fit the model: {error.message}") from error
    found: list[Json] = json.loads(answer)["predictions"]
    return found


def _requests(test: Path, model: Any) -> Iterator[tuple[list[str], bytes]]:
    """The labels and the body, without them, of one request after another."""
    path = test / "test.csv"
    if not path.is_file():
        raise JobError(f"there is no test.csv in {test}")
    with path.open(encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        header = next(reader, [])
        if model.label not in header:
            raise JobError(f"label column {model.label!r} is not in test.csv: {listing(header)}")
        at = header.index(model.label)
        rows = list(islice(reader, REQUEST_ROWS))
        if not rows:
            raise JobError("test.csv has no rows: nothing to evaluate with")
        while rows:
            labels = [row.pop(at) for row in rows]
            unknown = sorted(set(labels).difference(model.classes))
            if unknown:
                raise JobError(f"test.csv: the model does not know the class {listing(unknown)}")
            yield from bodies(header[:at] + header[at + 1 :], labels, rows)
            rows = list(islice(reader, REQUEST_ROWS))


def bodies(
    header: list[str], labels: list[str], rows: list[list[str]]
) -> Iterator[tuple[list[str], bytes]]:
    """One request with all rows, or halves of them while that is too large for the endpoint."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    body = text.getvalue().encode()
    if len(body) <= _BYTES_OF_A_REQUEST or len(rows) == 1:
        yield labels, body
        return
    middle = len(rows) // 2
    yield from bodies(header, labels[:middle], rows[:middle])
    yield from bodies(header, labels[middle:], rows[middle:])


# --- Metrics ---------------------------------------------------------------------------------


def measure(scores: Scores) -> dict[str, float]:
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


def _averaging(scores: Scores) -> Json:
    if scores.positive is None:
        return {"average": "macro", "labels": np.unique(scores.truth)}
    return {"average": "binary", "pos_label": scores.positive}


def _balanced_accuracy(scores: Scores) -> float:
    """The mean, over the classes that occur, of the share that was found."""
    present = np.unique(scores.truth)
    return float(
        metrics.recall_score(
            scores.truth, scores.predicted, labels=present, average="macro", zero_division=0
        )
    )


def _log_loss(scores: Scores) -> float:
    places = list(range(len(scores.classes)))
    total = scores.probabilities.sum(axis=1, keepdims=True)
    return float(metrics.log_loss(scores.truth, scores.probabilities / total, labels=places))


def _roc_auc(scores: Scores) -> float:
    present = np.unique(scores.truth)
    if len(present) == 1:
        raise JobError(
            f"the test data holds only rows of class {scores.classes[present[0]]!r}: no metric "
            "can tell classes apart with them"
        )
    asked = present if scores.positive is None else [scores.positive]
    areas = [
        metrics.roc_auc_score(scores.truth == place, scores.probabilities[:, place])
        for place in asked
    ]
    return float(np.mean(areas))


def baseline(scores: Scores) -> Scores:
    """The scores of answering the most frequent class for each row, as likely as it is."""
    counts = np.bincount(scores.truth, minlength=len(scores.classes))
    rows = len(scores.truth)
    return Scores(
        scores.classes,
        scores.positive,
        scores.truth,
        np.full(rows, counts.argmax()),
        np.tile(counts / rows, (rows, 1)),
    )


def confusion(scores: Scores) -> list[list[int]]:
    """How many rows of each class (line) were taken for each class (column)."""
    places = list(range(len(scores.classes)))
    matrix = metrics.confusion_matrix(scores.truth, scores.predicted, labels=places)
    return [[int(count) for count in line] for line in matrix]


# --- Curves ----------------------------------------------------------------------------------


def curves(scores: Scores) -> list[Json]:
    """The curves of the positive class, or of each of the most frequent ones."""
    counts = np.bincount(scores.truth, minlength=len(scores.classes))
    places = [place for place in np.argsort(-counts, kind="stable") if counts[place]]
    asked = places[:MOST_CURVES] if scores.positive is None else [scores.positive]
    return [_curves_of(scores, int(place)) for place in asked]


def _curves_of(scores: Scores, place: int) -> Json:
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
    """For ten ranges of the probability: what was predicted on average, and what was so."""
    bins = np.minimum((chance * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "predicted": float(chance[bins == number].mean()),
            "observed": float(truth[bins == number].mean()),
            "rows": int((bins == number).sum()),
        }
        for number in np.unique(bins)
    ]


# --- Reports ---------------------------------------------------------------------------------


def evaluation(scores: Scores, metric: str) -> Json:
    """What the gate, the report and people read."""
    found = measure(scores)
    return {
        "gate": {"metric": metric, "value": found[metric]},
        "rows": len(scores.truth),
        "classes": list(scores.classes),
        "positive_class": None if scores.positive is None else scores.classes[scores.positive],
        "metrics": found,
        "baseline": measure(baseline(scores)),
        "confusion_matrix": confusion(scores),
    }


def model_quality(scores: Scores) -> Json:
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


def _weighted(scores: Scores) -> Json:
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


def evaluate(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument, the model or the test data is not usable.
    """
    wanted = settings(argv)
    with unpacked(wanted.model) as folder:
        code, model = load(folder)
        scores = score(code, model, wanted.test)
        training = {path.stem: _read_json(path) for path in sorted((folder / "report").glob("*"))}
    reports = {
        "evaluation.json": evaluation(scores, wanted.metric),
        "model_quality.json": model_quality(scores),
        "curves.json": {"curves": curves(scores)},
        "training.json": training,
    }
    with jobs.whole(*(wanted.evaluation / name for name in reports)) as drafts:
        for draft, report in zip(drafts, reports.values(), strict=True):
            draft.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps(reports["evaluation.json"]["metrics"]))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(evaluate, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
