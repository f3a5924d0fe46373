"""The test data through a model's serving code, and the metrics of the answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import class_quality
import number_quality
import numpy as np
import pyarrow as pa
from class_quality import ClassScores
from columns import Json
from jobs import JobError, listing
from number_quality import NumberScores
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from columns import Schema
    from served import ServedModel

Scored = tuple[np.ndarray, ...]
"""The arrays of one request's rows: truth, prediction and, for classes, probabilities."""


def score(loaded: ServedModel, schema: Schema, test: Path) -> Scored:
    """Send the test data, whose schema is `schema`, through the serving code, some rows a request.

    Raises:
        JobError: the test data is missing or does not fit the model.
    """
    parts = []
    for rows in requests(test, schema.label, loaded.request_rows):
        truth = _truth(rows.column(schema.label), schema.classes)
        for answer in loaded.answers(rows.drop_columns([schema.label]), "application/json"):
            answered = numbers(schema.classes, json.loads(answer)["predictions"])
            parts.append((truth[: len(answered[0])], *answered))
            truth = truth[len(answered[0]) :]
    if not parts:
        raise JobError("the test data has no rows: nothing to evaluate with")
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def requests(test: Path, label: str, most: int) -> Iterator[pa.Table]:
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


def numbers(classes: Sequence[str], rows: Sequence[Json]) -> Scored:
    """The arrays of one answer: at the end, numbers take a tenth of the JSON's memory."""
    if not classes:
        return (np.array([row["prediction"] for row in rows], "float64"),)
    places = {name: place for place, name in enumerate(classes)}
    return (
        np.array([places[row["label"]] for row in rows]),
        np.array([[row["probabilities"][name] for name in classes] for row in rows]),
    )


def of_classes(schema: Schema, found: Scored) -> ClassScores:
    """What a classifier's metrics are computed from."""
    positive = schema.positive_class
    place = None if positive is None else schema.classes.index(positive)
    return ClassScores(tuple(schema.classes), place, *found)


def measure(schema: Schema, found: Scored) -> dict[str, float]:
    """All metrics.

    Raises:
        JobError: there are too few test rows, or all are of one class.
    """
    if schema.classes:
        return class_quality.measure(of_classes(schema, found))
    return number_quality.measure(NumberScores(found[0], found[1], 0.0, 0.0))
