"""Scores a trained model on the test data, with the code that will serve it.

The job unpacks the model archive, loads its own `code/inference.py`, and passes the test data
through `transform_fn` as requests in Parquet, so that the quality gate tests what will be deployed.
It writes five files:

- `gate.json`: the gate's metric and value; the pipeline reads `value` from it. It is small, because
  the service limits the size of property files.
- `evaluation.json`: the same, all metrics beside those of a baseline, and the confusion matrix.
- `model_quality.json`: the metrics in the registry's format ("Model quality metrics and Amazon
  CloudWatch monitoring", in the SageMaker guide).
- `curves.json`: for the report: `curves` of classes (ROC, precision-recall, calibration), or of a
  regression what `number_quality.drawings` gives.
- `training.json`: leaderboard and feature importance, as training left them in the model.

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import class_quality
import jobs
import number_quality
import numpy as np
import pyarrow as pa
from columns import Json
from jobs import JobError, listing
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType
REQUEST_ROWS: Final = 1_000
NEIGHBORS: Final = ("inference", "cells", "columns")
"""The modules in a model archive, which take precedence over others of the same name."""

_BYTES_OF_A_REQUEST: Final = 4_000_000
_BYTES_OF_AN_ANSWER: Final = 4_000_000
_BYTES_OF_A_NUMBER: Final = 26
_TOO_LARGE: Final = 413


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


# --- The model ---------------------------------------------------------------------------------


@contextmanager
def unpacked(folder: Path) -> Iterator[Path]:
    """The contents of `model.tar.gz` in `folder`, temporarily unpacked.

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


def serving_code(folder: Path) -> ModuleType:
    """The module `inference` that is in `folder`, with the neighbors that it imports from there.

    The endpoint finds them in the same way: the toolkit puts the model's `code` folder onto the
    module search path.

    Raises:
        JobError: there is none.
    """
    if not (folder / "inference.py").is_file():
        raise JobError("model.tar.gz is broken: it contains no code/inference.py")
    ours: dict[str, ModuleType] = {
        name: sys.modules.pop(name) for name in NEIGHBORS if name in sys.modules
    }
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module("inference")
    finally:
        sys.path.remove(str(folder))
        for name in NEIGHBORS:
            sys.modules.pop(name, None)
        sys.modules.update(ours)


def load(model: Path) -> tuple[ModuleType, Any]:
    """The serving code, and what its `model_fn` loads.

    Raises:
        JobError: the model does not load, so it could not be deployed either.
    """
    try:
        code = serving_code(model / "code")
        return code, code.model_fn(str(model))
    except JobError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise JobError(f"model.tar.gz is broken: its model does not load: {reason}") from error


# --- Scoring -----------------------------------------------------------------------------------


Scored = tuple[np.ndarray, ...]
"""The arrays of one request's rows: truth, prediction and, for classes, probabilities."""


def score(code: ModuleType, model: Any, test: Path) -> Scored:
    """Send the test data through the serving code, some rows a request.

    Raises:
        JobError: the test data is missing or does not fit the model.
    """
    parts = []
    for rows in _requests(test, model):
        truth = _truth(rows.column(model.schema.label), model)
        for answered in _answered(code, model, rows.drop_columns([model.schema.label])):
            parts.append((truth[: len(answered[0])], *answered))
            truth = truth[len(answered[0]) :]
    if not parts:
        raise JobError("the test data has no rows: nothing to evaluate with")
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _requests(test: Path, model: Any) -> Iterator[pa.Table]:
    """The rows of all Parquet files in the folder, as many at a time as fit in one response."""
    label = model.schema.label
    files = sorted(test.rglob("*.parquet"))
    if not files:
        raise JobError(f"there is no Parquet file in {test}")
    for path in files:
        try:
            file = parquet.ParquetFile(path)
            if label not in file.schema_arrow.names:
                columns = listing(file.schema_arrow.names)
                raise JobError(f"label column {label!r} is not in {path.name}: {columns}")
            for batch in file.iter_batches(_rows_of_an_answer(model)):
                yield pa.Table.from_batches([batch])
        except pa.ArrowException as error:
            raise JobError(f"{path.name} is not a Parquet file: {error}") from error


def _rows_of_an_answer(model: Any) -> int:
    """The number of rows whose response is most probably small enough for the endpoint."""
    names = sum(len(json.dumps(name)) for name in model.schema.classes)
    row = names + _BYTES_OF_A_NUMBER * (len(model.schema.classes) + 2)
    return max(1, min(REQUEST_ROWS, _BYTES_OF_AN_ANSWER // row))


def _truth(values: pa.ChunkedArray, model: Any) -> np.ndarray:
    classes = model.schema.classes
    if not classes:
        return np.asarray(values.to_numpy(), "float64")
    places = {name: place for place, name in enumerate(classes)}
    labels = values.to_pylist()
    unknown = sorted({str(label) for label in labels} - set(places))
    if unknown:
        raise JobError(f"the test data: the model does not know the class {listing(unknown)}")
    return np.array([places[label] for label in labels])


def _answered(code: ModuleType, model: Any, rows: pa.Table) -> Iterator[Scored]:
    """The answers to all rows, or to one half after the other while they are too large."""
    body = _body(rows)
    if len(body) > _BYTES_OF_A_REQUEST and rows.num_rows > 1:
        yield from _halves(code, model, rows)
        return
    try:
        answer, _ = code.transform_fn(model, body, "application/x-parquet", "application/json")
    except code.BaseInferenceToolkitError as error:
        if error.status_code == _TOO_LARGE and rows.num_rows > 1:
            yield from _halves(code, model, rows)
            return
        raise JobError(f"the test data does not fit the model: {error.message}") from error
    yield _numbers(model.schema.classes, json.loads(answer)["predictions"])


def _halves(code: ModuleType, model: Any, rows: pa.Table) -> Iterator[Scored]:
    middle = rows.num_rows // 2
    yield from _answered(code, model, rows.slice(0, middle))
    yield from _answered(code, model, rows.slice(middle))


def _body(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(rows, sink)
    return sink.getvalue()


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


def reports(model: Any, found: Scored, metric: str, manifest: Json) -> dict[str, Json]:
    """The contents of the files, by name."""
    schema = model.schema
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
    with unpacked(wanted.model) as folder:
        code, model = load(folder)
        metric = jobs.metric(model.schema.problem, wanted.metric)
        found = score(code, model, wanted.test)
        files = reports(model, found, metric, _read_json(folder / "manifest.json"))
        files["training.json"] = {
            path.stem: _read_json(path) for path in sorted((folder / "report").glob("*"))
        }
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
