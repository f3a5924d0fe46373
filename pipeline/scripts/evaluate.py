"""Scores a trained model on the test data, with the code that will serve it.

The job unpacks the model archive, loads its own `code/inference.py`, and passes the test data
through `transform_fn` as requests in Parquet, so that the quality gate tests what will be deployed.
It writes six files:

- `gate.json`: the gate's metric and value; the pipeline reads `value` from it. It is small, because
  the service limits the size of property files.
- `evaluation.json`: the same, all metrics beside those of a baseline, and the confusion matrix.
- `model_quality.json`: the metrics in the registry's format ("Model quality metrics and Amazon
  CloudWatch monitoring", in the SageMaker guide).
- `curves.json`: for the report: `curves` of classes (ROC, precision-recall, calibration), or of a
  regression what `number_quality.drawings` gives.
- `training.json`: leaderboard and feature importance, as training left them in the model.
- `smoke.json`: a request with a few of the rows and its answer, which the deployment compares with
  its endpoint's (`smoke.py`).

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import class_quality
import jobs
import number_quality
import numpy as np
import pyarrow as pa
import served
import smoke
from columns import Json
from jobs import JobError, listing
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from columns import Schema
    from served import ServedModel


@dataclass(frozen=True)
class EvaluationOptions:
    """The job's settings; `metric` is the one for the quality gate."""

    model: Path
    test: Path
    evaluation: Path
    metric: str


def settings(argv: Sequence[str]) -> EvaluationOptions:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=processing / "input/model")
    parser.add_argument("--test", type=Path, default=processing / "input/test")
    parser.add_argument("--evaluation", type=Path, default=processing / "output/evaluation")
    parser.add_argument("--metric", choices=jobs.METRICS, default=jobs.AUTO)
    return EvaluationOptions(**vars(parser.parse_pairs(argv)))


# --- Scoring -----------------------------------------------------------------------------------


Scored = tuple[np.ndarray, ...]
"""The arrays of one request's rows: truth, prediction and, for classes, probabilities."""


def score(loaded: ServedModel, test: Path) -> Scored:
    """Send the test data through the serving code, some rows a request.

    Raises:
        JobError: the test data is missing or does not fit the model.
    """
    schema = loaded.model.schema
    parts = []
    for rows in _requests(test, schema.label, loaded.request_rows):
        truth = _truth(rows.column(schema.label), schema.classes)
        for answer in loaded.answers(rows.drop_columns([schema.label]), "application/json"):
            answered = _numbers(schema.classes, json.loads(answer)["predictions"])
            parts.append((truth[: len(answered[0])], *answered))
            truth = truth[len(answered[0]) :]
    if not parts:
        raise JobError("the test data has no rows: nothing to evaluate with")
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _requests(test: Path, label: str, most: int) -> Iterator[pa.Table]:
    """The rows of all Parquet files in the folder, as many at a time as fit in one response."""
    files = sorted(test.rglob("*.parquet"))
    if not files:
        raise JobError(f"there is no Parquet file in {test}")
    for path in files:
        try:
            file = parquet.ParquetFile(path)
            if label not in file.schema_arrow.names:
                columns = listing(file.schema_arrow.names)
                raise JobError(f"label column {label!r} is not in {path.name}: {columns}")
            for batch in file.iter_batches(most):
                yield pa.Table.from_batches([batch])
        except pa.ArrowException as error:
            raise JobError(f"{path.name} is not a Parquet file: {error}") from error


def _truth(values: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    if not classes:
        return np.asarray(values.to_numpy(), "float64")
    places = {name: place for place, name in enumerate(classes)}
    labels = values.to_pylist()
    unknown = sorted({str(label) for label in labels} - set(places))
    if unknown:
        raise JobError(f"the test data: the model does not know the class {listing(unknown)}")
    return np.array([places[label] for label in labels])


def _numbers(classes: Sequence[str], rows: Sequence[Json]) -> Scored:
    """The arrays of one answer: at the end, numbers take a tenth of the JSON's memory."""
    if not classes:
        return (np.array([row["prediction"] for row in rows], "float64"),)
    places = {name: place for place, name in enumerate(classes)}
    return (
        np.array([places[row["label"]] for row in rows]),
        np.array([[row["probabilities"][name] for name in classes] for row in rows]),
    )


# --- Reports -----------------------------------------------------------------------------------


def reports(schema: Schema, found: Scored, metric: str, manifest: Json) -> dict[str, Json]:
    """The contents of the files, by name."""
    if schema.classes:
        positive = schema.positive_class
        place = None if positive is None else schema.classes.index(positive)
        classes = class_quality.ClassScores(tuple(schema.classes), place, *found)
        evaluation = class_quality.evaluation(classes)
        quality = class_quality.model_quality(classes)
        curves: Json = {"curves": class_quality.curves(classes)}
    else:
        label = manifest["training_label"]
        numbers = number_quality.NumberScores(found[0], found[1], label["mean"], label["median"])
        evaluation = number_quality.evaluation(numbers)
        quality = number_quality.model_quality(numbers)
        curves = number_quality.drawings(numbers)
    gate = {"metric": metric, "value": evaluation["metrics"][metric]}
    return {
        "gate.json": gate,
        "evaluation.json": {"gate": gate, **evaluation},
        "model_quality.json": quality,
        "curves.json": curves,
    }


def evaluate(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument, the model or the test data is not usable.
    """
    wanted = settings(argv)
    with served.unpacked(wanted.model) as folder:
        loaded = served.load(folder)
        schema = loaded.model.schema
        metric = jobs.metric(schema.problem, wanted.metric)
        found = score(loaded, wanted.test)
        rows = _requests(wanted.test, schema.label, loaded.request_rows)
        places = smoke.places(found[1], schema.classes)
        files = reports(schema, found, metric, _read_json(folder / "manifest.json"))
        files["training.json"] = {
            path.stem: _read_json(path) for path in sorted((folder / "report").glob("*"))
        }
        files["smoke.json"] = smoke.request(loaded, smoke.chosen(rows, places))
    with jobs.whole(*(wanted.evaluation / name for name in files)) as drafts:
        for draft, report in zip(drafts, files.values(), strict=True):
            draft.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps(files["evaluation.json"]["metrics"]))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(evaluate, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
