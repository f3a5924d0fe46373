"""Serves the model: what SageMaker's PyTorch serving toolkit calls, and what evaluation calls.

A request is a table without its label: `text/csv` with or without a header, `application/json`
(a list of records or of arrays, or one of them, or either as `{"instances": ...}`) or
`application/x-parquet`. Named columns may come in any order, and among others, which are ignored;
unnamed ones in the order of training. An empty cell, a null and what pandas reads as missing are
missing values. The answer is, for each row, the predicted label and each class's probability, as
`application/json` or `text/csv` as the client accepts; CSV has a header unless the request was CSV
without one.

What is wrong with a request is answered as 400, 406, 413 or 415, with one sentence: the toolkit
makes 500 of any other exception.

This file goes into the model archive, so it stands alone: it imports none of the other scripts.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
import pandas as pd

try:
    from sagemaker_inference import content_types
    from sagemaker_inference.errors import BaseInferenceToolkitError
    from sagemaker_inference.transformer import Transformer
except ImportError:  # the training image, where evaluate.py calls this file, has no such package
    content_types = None

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """The toolkit's exception for an answer with a status of our choice."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            super().__init__(status_code, message, phrase)
            self.status_code, self.message, self.phrase = status_code, message, phrase


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MANIFEST: Final = "manifest.json"
PREDICTOR: Final = "predictor"

CSV: Final = "text/csv"
JSON: Final = "application/json"
PARQUET: Final = "application/x-parquet"

LARGEST_BODY: Final = 6 * 1024 * 1024
"""Bytes of a request or an answer ("API_runtime_InvokeEndpoint"); the service cuts off the rest."""

MISSING: Final = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What means "no value" in a cell: the list of `pandas.read_csv`, which training reads with."""

_BOOLEANS: Final = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
_SHOWN: Final = 40


@dataclass(frozen=True)
class Feature:
    """A column that the model reads; `kind` is `number`, `boolean`, `text` or `empty`."""

    name: str
    kind: str


@dataclass(frozen=True)
class Model:
    """A loaded predictor and what its training found out about the table."""

    predictor: Any
    label: str
    classes: tuple[str, ...]
    positive_class: str | None
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class Columns:
    """A request's cells by column, all of one length, and whether the request named them."""

    cells: Mapping[str, Sequence[Any] | pd.Series]
    named: bool


class CellError(ValueError):
    """A cell that is not of its column's kind; the text names column, row and value."""

    def __init__(self, feature: Feature, row: int, value: object) -> None:
        shown = repr(value)[:_SHOWN]
        super().__init__(f"column {feature.name!r}, row {row + 1}: {shown} is no {feature.kind}")


def model_fn(model_dir: str) -> Model:
    """Load the model from an unpacked `model.tar.gz`, ready to answer at once."""
    model = load(Path(model_dir))
    predict(model, typed({feature.name: [None] for feature in model.features}, model.features))
    _adapt_toolkit()
    return model


def load(folder: Path) -> Model:
    """The model in `folder`, held in memory."""
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415 - slow, and not for typed()

    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    predictor = TabularPredictor.load(str(folder / PREDICTOR), verbosity=0)
    predictor.persist()
    return Model(
        predictor,
        manifest["label"],
        tuple(manifest["classes"]),
        manifest["positive_class"],
        tuple(Feature(**feature) for feature in manifest["features"]),
    )


def _adapt_toolkit() -> None:
    """Two changes to the toolkit, which has no settings for them.

    It decodes bodies before it asks us, and answers 500 to one that is not UTF-8; and it appends
    a traceback to the sentence that tells clients of their mistake.
    """
    if content_types and content_types.UTF8_TYPES:
        content_types.UTF8_TYPES = []
        Transformer.handle_error = staticmethod(_told(Transformer.handle_error))


def _told(handle_error: Callable[[Any, Any, str], list[str]]) -> Callable[..., list[str]]:
    def handle(context: Any, error: Any, trace: str) -> list[str]:
        answer = handle_error(context, error, trace)
        if error.status_code >= 500:  # noqa: PLR2004
            return answer
        context.set_response_content_type(0, "text/plain")
        return [f"{error.message}\n"]

    return handle


def transform_fn(
    model: Model, body: bytes | bytearray | str | None, content_type: str | None, accept: str | None
) -> tuple[str, str]:
    """Answer one request: the answer and its content type.

    Raises:
        BaseInferenceToolkitError: with a status of 4xx, the client asked for what cannot be.
    """
    answer_type = _answer_type(accept)
    columns = _read(model.features, body, content_type)
    try:
        frame = typed(columns.cells, model.features)
    except CellError as error:
        refuse(400, str(error))
    predictions = predict(model, frame)
    if answer_type == CSV:
        answer = _csv_answer(model, predictions, header=columns.named)
    else:
        answer = _json_answer(model, predictions)
    if len(answer) > LARGEST_BODY:
        refuse(413, f"the answer to {len(frame)} rows is larger than 6 MB: send fewer rows")
    return answer, answer_type


def refuse(status: int, message: str) -> NoReturn:
    """Answer the client with a status of 4xx and one sentence."""
    raise BaseInferenceToolkitError(status, message, message) from None


# --- Requests --------------------------------------------------------------------------------


def _read(
    features: Sequence[Feature], body: bytes | bytearray | str | None, content_type: str | None
) -> Columns:
    kind, parameters = _media_type(content_type or "")
    readers: dict[str, Callable[[bytes], Columns]] = {
        CSV: lambda data: _read_csv(features, _decoded(data), parameters.get("header")),
        JSON: lambda data: _read_json(features, _decoded(data)),
        PARQUET: lambda data: _read_parquet(features, data),
    }
    if kind not in readers:
        refuse(415, f"content type {content_type!r} is none of {', '.join(readers)}")
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    if len(data) > LARGEST_BODY:
        refuse(413, f"the request has {len(data)} bytes: at most {LARGEST_BODY} are allowed")
    if not data.strip():
        refuse(400, "the request's body is empty")
    return readers[kind](data)


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters: `text/csv; header=absent`."""
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    return kind, dict(part.partition("=")[::2] for part in parameters if "=" in part)


def _answer_type(accept: str | None) -> str:
    """The first of the client's types that there is; JSON where it does not mind."""
    wanted = [_media_type(part)[0] for part in (accept or "*/*").split(",")]
    for kind in wanted:
        if kind in {"", "*/*", "application/*", JSON}:
            return JSON
        if kind in {"text/*", CSV}:
            return CSV
    refuse(406, f"accept {accept!r}: the answer can be {JSON} or {CSV}")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(400, f"the body is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}")


def _read_csv(features: Sequence[Feature], text: str, header: str | None) -> Columns:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        refuse(400, f"the body is no CSV: {error}")
    names = [feature.name for feature in features]
    if header == "present" or (header != "absent" and _is_header(rows[0], names)):
        return _named_arrays([cell.strip() for cell in rows[0]], rows[1:], names)
    return _arrays(rows, names)


def _is_header(row: Sequence[str], names: Sequence[str]) -> bool:
    """Whether most of what a header needs is there: data hardly ever consists of columns' names."""
    found = {cell.strip() for cell in row}
    return 2 * len(found.intersection(names)) > len(names)


def _named_arrays(header: list[str], rows: list[Any], names: Sequence[str]) -> Columns:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        refuse(400, f"more than one column is named {twice[0]!r}")
    _check_names(header, names)
    _check_rows(rows, len(header), "the header's")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    return Columns({name: cells[name] for name in names}, named=True)


def _arrays(rows: list[Any], names: Sequence[str]) -> Columns:
    _check_rows(rows, len(names), f"the model's, which are {', '.join(names)[:500]}")
    return Columns(dict(zip(names, zip(*rows, strict=True), strict=True)), named=False)


def _check_rows(rows: Sequence[Any], width: int, whose: str) -> None:
    if not rows:
        refuse(400, "the request has no rows")
    for at, row in enumerate(rows, start=1):
        if len(row) != width:
            refuse(400, f"row {at} has {len(row)} values, and there are {width} columns: {whose}")


def _check_names(found: Sequence[str], wanted: Sequence[str], where: str = "") -> None:
    absent = sorted(set(wanted).difference(found))
    if absent:
        refuse(400, f"{where}these columns are missing: {', '.join(absent)[:500]}")


def _read_json(features: Sequence[Feature], text: str) -> Columns:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(400, f"the body is no JSON: {error}")
    if isinstance(found, dict) and "instances" in found:
        found = found["instances"]
    names = [feature.name for feature in features]
    if isinstance(found, dict) or (isinstance(found, list) and found and _is_flat(found)):
        found = [found]
    if not isinstance(found, list):
        refuse(400, "the body must be a list of records (objects) or of arrays")
    if not found:
        refuse(400, "the request has no rows")
    if all(isinstance(row, dict) for row in found):
        return _records(found, names)
    if all(isinstance(row, list) for row in found):
        return _arrays(found, names)
    refuse(400, "the rows must be all records (objects) or all arrays")


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _records(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    for at, record in enumerate(records, start=1):
        _check_names(list(record), names, f"row {at}: ")
    return Columns({name: [record[name] for record in records] for name in names}, named=True)


def _read_parquet(features: Sequence[Feature], data: bytes) -> Columns:
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it
    from pyarrow import parquet  # noqa: PLC0415

    names = [feature.name for feature in features]
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        _check_names(file.schema_arrow.names, names)
        frame = file.read(columns=names).to_pandas()
    except (pa.ArrowException, OSError) as error:
        refuse(400, f"the body is no Parquet file: {' '.join(str(error).split())[:200]}")
    if frame.empty:
        refuse(400, "the request has no rows")
    return Columns({name: frame[name] for name in names}, named=True)


# --- Cells -----------------------------------------------------------------------------------


def typed(
    cells: Mapping[str, Sequence[Any] | pd.Series], features: Sequence[Feature]
) -> pd.DataFrame:
    """The table that the model reads: floats, and text; a missing value is NaN in both.

    Training, evaluation and serving all take this way, so a value means the same to each.

    Raises:
        CellError: a value is not of its column's kind.
    """
    return pd.DataFrame({item.name: _KINDS[item.kind](item, cells[item.name]) for item in features})


def _numbers(feature: Feature, cells: Sequence[Any] | pd.Series) -> np.ndarray:
    if isinstance(cells, pd.Series) and cells.dtype.kind in "iuf":
        values = cells.to_numpy("float64", na_value=math.nan)
    else:
        values = _converted(feature, cells, _number, "float64")
    return np.where(np.isfinite(values), values, math.nan)


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_) or (isinstance(value, str) and "_" in value):
        raise ValueError(value)  # Python would read True and 1_000, pandas does not
    return float(value)


def _booleans(feature: Feature, cells: Sequence[Any] | pd.Series) -> np.ndarray:
    return _converted(
        feature, cells, lambda value: _BOOLEANS[str(value).strip().lower()], "float64"
    )


def _texts(feature: Feature, cells: Sequence[Any] | pd.Series) -> np.ndarray:
    return _converted(feature, cells, _text, "object")


def _text(value: Any) -> str:
    if isinstance(value, dict | list | np.ndarray):
        raise TypeError(value)
    return str(value)


def _nothing(feature: Feature, cells: Sequence[Any] | pd.Series) -> np.ndarray:  # noqa: ARG001
    return np.full(len(cells), math.nan)


_KINDS: Final = {"number": _numbers, "boolean": _booleans, "text": _texts, "empty": _nothing}


def _converted(
    feature: Feature,
    cells: Sequence[Any] | pd.Series,
    convert: Callable[[Any], float | str],
    kind: str,
) -> np.ndarray:
    """Each cell converted, or NaN: for one row or a thousand, quicker than pandas is."""
    found = []
    for row, cell in enumerate(cells):
        try:
            found.append(math.nan if _is_missing(cell) else convert(cell))
        except (KeyError, OverflowError, TypeError, ValueError):
            raise CellError(feature, row, cell) from None
    return np.array(found, dtype=kind)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() in MISSING
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or value is pd.NA or value is pd.NaT


# --- Answers ---------------------------------------------------------------------------------


def predict(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """For each row its predicted class, in the column `label`, and a column for each class."""
    probabilities = model.predictor.predict_proba(frame, as_multiclass=True)
    labels = model.predictor.predict_from_proba(probabilities)
    found = probabilities[list(model.classes)].astype("float64")
    found.columns = pd.RangeIndex(len(model.classes))
    found.insert(0, "label", labels)
    return found


def _json_answer(model: Model, predictions: pd.DataFrame) -> str:
    rows = [
        {"label": label, "probabilities": dict(zip(model.classes, probabilities, strict=True))}
        for label, *probabilities in predictions.itertuples(index=False)
    ]
    return json.dumps({"predictions": rows})


def _csv_answer(model: Model, predictions: pd.DataFrame, *, header: bool) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(["label", *(f"probability_{name}" for name in model.classes)])
    writer.writerows(predictions.itertuples(index=False))
    return text.getvalue()
