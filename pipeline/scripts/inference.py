"""Serves the model: called by SageMaker's PyTorch serving toolkit and by the evaluation.

A request is a table without its label: `text/csv` with or without a header, `application/json`
(a list of records or of arrays, or one of them, or either as `{"instances": ...}`) or
`application/x-parquet`. Named columns may come in any order, and among others, which are ignored;
unnamed ones are the columns that the model was trained on, or all of the table's but the label, in
the table's order. `cells.read` gives every cell the meaning that it had in training, by
`schema.json`. The answer is, for each row, the predicted label and each class's probability, or
the predicted number, as `application/json` or `text/csv` as the client accepts; CSV has a header
unless the request was CSV without one.

An invalid request gets the status 400, 406, 413 or 415 and one sentence: the toolkit turns any
other exception into 500.

This file is part of the model archive, with `cells.py` and `columns.py`, and imports no other
script.
"""

from __future__ import annotations

import csv
import gc
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import cells
import columns
import numpy as np
import pyarrow as pa
from columns import Json, match_names
from pyarrow import compute, parquet
from pyarrow import csv as arrow_csv

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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from columns import Column, Schema

    Cells: TypeAlias = pa.Array | pa.ChunkedArray
PREDICTOR: Final = "predictor"

CSV: Final = "text/csv"
JSON: Final = "application/json"
PARQUET: Final = "application/x-parquet"
ANSWERS: Final = (JSON, CSV)

LARGEST_BODY: Final = 6 * 1024 * 1024
"""Bytes of a request or an answer ("API_runtime_InvokeEndpoint"); the service cuts off the rest."""

_NUMBERS: Final = frozenset({"number", "integer"})

_BLOCK: Final = LARGEST_BODY + 1
"""Bytes that Arrow reads at once: all."""

_LARGEST_TABLE: Final = 16 * LARGEST_BODY
"""Bytes of a Parquet request once decompressed: few bytes can stand for more than memory holds."""

_LONG: Final = 4_096
"""Characters of CSV above which Arrow reads it sooner than Python does."""

_USUAL_NUMBER: Final = 30
"""Bytes that a number usually takes in an answer, with what stands around it."""

_SHORT: Final = 100
"""Numbers of an answer up to which Python writes it sooner than Arrow does."""

_PLAIN_FROM: Final = 1e-4
_PLAIN_TO: Final = 1e9
"""Arrow writes fractions between them as Python does, without an exponent."""


@dataclass(frozen=True)
class Model:
    """A loaded predictor, and the schema of the table that it was trained on.

    The predictor knows classes by their places in `schema.classes` and columns by their places in
    `frame`, so no name can hurt it. `generated` is what saves its feature generator's work.
    """

    predictor: Any
    schema: Schema
    generated: Generated | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the answers; none for a regression."""
        return self.schema.classes


@dataclass(frozen=True)
class InferenceRequest:
    """The typed values of a request by column, how many rows there are, and whether named."""

    values: Mapping[str, pa.Array]
    rows: int
    named: bool


@dataclass(frozen=True)
class Answers:
    """For each row the place of the predicted class and all probabilities, or the number."""

    predicted: np.ndarray
    probabilities: np.ndarray | None


def model_fn(model_dir: str) -> Model:
    """Load the model from an unpacked `model.tar.gz`, ready to answer at once."""
    model = load(Path(model_dir))
    names = [column.name for column in model.schema.features]
    predict(
        model, frame(model.schema.features, _from_texts(model.schema, names, [[""]] * len(names)))
    )
    _adapt_toolkit()
    gc.freeze()  # the collector looks at requests alone, and never again at the model
    return model


def load(folder: Path) -> Model:
    """The model in `folder`, held in memory."""
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415 - slow, and not for frame()

    schema = columns.Schema.load(folder / columns.FILE)
    predictor = TabularPredictor.load(str(folder / PREDICTOR), verbosity=0)
    predictor.persist()
    return Model(predictor, schema, generated(predictor, schema))


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
    kind = _answer_type(accept)
    request = read(model.schema, body, content_type)
    _check_rows_fit(model.classes, request.rows)
    answers = predict(model, frame(model.schema.features, request.values))
    if kind == CSV:
        answer = _csv_answer(model.classes, answers, header=request.named)
    else:
        answer = _json_answer(model.classes, answers)
    _check_size(answer, request.rows)
    return answer, kind


def _check_rows_fit(classes: Sequence[str], rows: int) -> None:
    """Refuse, before anything is predicted, so many rows that no answer to them can be sent."""
    least = 3 * len(classes) + 3  # a digit or more, and a comma, for each number
    if rows * least > LARGEST_BODY:
        names = sum(map(len, classes))
        _refuse_rows(rows, LARGEST_BODY // (names + _USUAL_NUMBER * (len(classes) + 1)))


def _check_size(answer: str, rows: int) -> None:
    size = len(answer) if answer.isascii() else len(answer.encode())
    if size > LARGEST_BODY:
        _refuse_rows(rows, rows * LARGEST_BODY * 9 // (size * 10))


def _refuse_rows(rows: int, most: int) -> NoReturn:
    refuse(
        413,
        f"the response to {rows} rows is larger than 6 MB: send at most {max(1, most)} at a time",
    )


def refuse(status: int, message: str) -> NoReturn:
    """Answer the client with a status of 4xx and one sentence."""
    raise BaseInferenceToolkitError(status, message, message) from None


# --- Media types -------------------------------------------------------------------------------


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters: `text/csv; header=absent`."""
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    pairs = (part.partition("=")[::2] for part in parameters if "=" in part)
    return kind, {name.strip(): value.strip(' "') for name, value in pairs}


def _answer_type(accept: str | None) -> str:
    """What the client likes best of what there is; JSON where it does not mind.

    The most specific of the client's ranges says how good a type is; `q=0` excludes it ("HTTP
    Semantics", RFC 9110, 12.5.1). Of equally good ones, the one that it names first.
    """
    ranges = [_media_type(part) for part in (accept or "*/*").split(",") if part.strip()]
    qualities: dict[str, tuple[float, int]] = {}
    for kind in ANSWERS:
        for wanted in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
            found = [
                (at, _quality(item)) for at, (name, item) in enumerate(ranges) if name == wanted
            ]
            if found:
                at, quality = found[0]
                qualities[kind] = quality, -at
                break
    best = max(qualities, key=lambda kind: qualities[kind], default="")
    if not best or not qualities[best][0]:
        refuse(406, f"accept {accept!r}: the response can be {JSON} or {CSV}")
    return best


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return min(max(float(parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        return 1.0


# --- Requests ----------------------------------------------------------------------------------


def read(
    schema: Schema, body: bytes | bytearray | str | None, content_type: str | None
) -> InferenceRequest:
    """The typed values of a request, of which the model is not asked.

    Raises:
        BaseInferenceToolkitError: with a status of 4xx, it is not a request for this model.
    """
    kind, parameters = _media_type(content_type or "")
    readers: dict[str, Callable[[bytes], InferenceRequest]] = {
        CSV: lambda data: _read_csv(schema, _decoded(data), parameters.get("header")),
        JSON: lambda data: _read_json(schema, _decoded(data)),
        PARQUET: lambda data: _read_parquet(schema, data),
    }
    if kind not in readers:
        refuse(415, f"content type {content_type!r} is not one of {', '.join(readers)}")
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    if len(data) > LARGEST_BODY:
        refuse(413, f"the request has {len(data)} bytes: at most {LARGEST_BODY} are allowed")
    one = kind == CSV and len(schema.features) == 1  # a blank line is a missing value then
    if not data or (not one and not data.strip()):
        refuse(400, "the request's body is empty")
    try:
        return readers[kind](data)
    except cells.CellError as error:
        refuse(400, str(error))
    except UnicodeEncodeError:  # JSON can express what no text can hold: "\\ud800"
        refuse(400, "the body is not valid JSON: a text contains half of a surrogate pair")


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(400, f"the body is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}")


def _read_csv(schema: Schema, text: str, header: str | None) -> InferenceRequest:
    rows = _long_csv(schema, text, header) if len(text) > _LONG else None
    if rows is not None:
        return rows
    try:
        found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        refuse(400, f"the body is not valid CSV: {error}")
    found = _without_blank_lines(found, alone=len(schema.features) == 1)
    if _has_header(schema, found[0] if found else [], header):
        return _named_rows(schema, found[0] if found else [], found[1:])
    names = _unnamed_columns(schema, found)
    cells_by_name = list(zip(*found, strict=True))
    return InferenceRequest(_from_texts(schema, names, cells_by_name), len(found), named=False)


def _has_header(schema: Schema, first: Sequence[str], header: str | None) -> bool:
    return header == "present" or (header != "absent" and columns.looks_like_header(first, schema))


def _long_csv(schema: Schema, text: str, header: str | None) -> InferenceRequest | None:
    """What `_read_csv` finds in a text without quotes and blank lines, in a third of the time.

    None if the text is not so simple or not right; then `_read_csv` says what is wrong.
    """
    text = text.replace("\r\n", "\n")
    if '"' in text or "\r" in text or "\n\n" in text or text[0] == "\n":
        return None
    first, _, rest = text.partition("\n")
    top = first.split(",")
    named = _has_header(schema, top, header)
    if named:
        places = _places(schema, top)
    else:
        places = {name: at for at, name in enumerate(_unnamed_columns(schema, [top]))}
    values = _arrow_cells(schema, (rest if named else text).encode(), places, len(top))
    if values is None:
        return None
    return InferenceRequest(values, len(next(iter(values.values()))), named)


def _arrow_cells(
    schema: Schema, body: bytes, places: Mapping[str, int], width: int
) -> dict[str, pa.Array] | None:
    """The values of the model's columns in CSV without quotes; None if something is wrong."""
    plain = {item.name for item in schema.features if _is_plain(item)}
    texts = {str(places[item.name]): pa.string() for item in schema.features}
    numbers = {str(places[name]): pa.float64() for name in plain}
    for types in (texts | numbers, texts):
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(body),
                arrow_csv.ReadOptions(
                    use_threads=False, column_names=list(map(str, range(width))), block_size=_BLOCK
                ),
                arrow_csv.ParseOptions(quote_char=False),
                arrow_csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[""]
                ),
            )
        except pa.ArrowInvalid:
            continue
        found = {item.name: table.column(str(places[item.name])) for item in schema.features}
        values = _values(schema.features, found)
        # A number such as "nan" or 1e300 is what the column's marks say of its text.
        if types is texts or not any(values[n].null_count > found[n].null_count for n in plain):
            return values
    return None


def _without_blank_lines(rows: list[list[str]], *, alone: bool) -> list[list[str]]:
    """The rows; of a table of one column (`alone`), a blank line is a row without its value."""
    if [] not in rows:
        return rows
    if alone and max(map(len, rows)) <= 1:
        return [row or [""] for row in rows]
    return [row for row in rows if row]


def _named_rows(schema: Schema, header: Sequence[str], rows: list[list[str]]) -> InferenceRequest:
    places = _places(schema, header)
    _check_rows(rows, len(header), "the header's")
    found = list(zip(*rows, strict=True))
    values = _from_texts(schema, list(places), [found[at] for at in places.values()])
    return InferenceRequest(values, len(rows), named=True)


def _places(schema: Schema, header: Sequence[str]) -> dict[str, int]:
    """Where in `header` each of the model's columns is."""
    names = [column.name for column in schema.features]
    stripped = [name.strip() for name in header]
    if len(set(stripped)) < len(stripped):
        twice = [name for name in names if stripped.count(name) > 1]
        if twice:
            refuse(400, f"more than one column is named {twice[0]!r}")
    places = match_names(header, names)
    _check_names(places, names)
    return places


def _unnamed_columns(schema: Schema, rows: Sequence[Sequence[Any]]) -> list[str]:
    """The names of a request's unnamed columns: those of the model, or all of the table."""
    trained = [column.name for column in schema.features]
    every = [column.name for column in schema.columns]
    if rows and len(rows[0]) == len(every):
        _check_rows(rows, len(every), "the table's without its label")
        return every
    whose = f"the model's, which are {', '.join(trained)[:500]}"
    _check_rows(rows, len(trained), whose)
    return trained


def _check_rows(rows: Sequence[Sequence[Any]], width: int, whose: str) -> None:
    if not rows:
        refuse(400, "the request has no rows")
    if set(map(len, rows)) == {width}:
        return
    at, row = next((at, row) for at, row in enumerate(rows, start=1) if len(row) != width)
    refuse(400, f"row {at} has {len(row)} values, but there are {width} columns: {whose}")


def _check_names(found: Iterable[str], wanted: Sequence[str], where: str = "") -> None:
    absent = sorted(set(wanted).difference(found))
    if absent:
        refuse(400, f"{where}these columns are missing: {', '.join(absent)[:500]}")


def _from_texts(
    schema: Schema, names: Sequence[str], texts: Sequence[Sequence[str]]
) -> dict[str, pa.Array]:
    """The values of the model's columns among `names`, whose cells are `texts`."""
    found = dict(zip(names, texts, strict=True))
    arrays = {item.name: pa.array(found[item.name], pa.string()) for item in schema.features}
    return _values(schema.features, arrays)


def _values(features: Sequence[Column], found: Mapping[str, Cells]) -> dict[str, pa.Array]:
    """The values of the model's columns.

    Plain number columns are read as one, if they can be: for a single row, each call counts.
    """
    plain = [item for item in features if _is_plain(item)]
    alike = {(item.marks, found[item.name].type) for item in plain}
    values: dict[str, pa.Array] = {}
    if len(plain) > 1 and len(alike) == 1:
        with suppress(cells.CellError):  # raised again below, by the right column's name
            values = _read_as_one(plain, [found[item.name] for item in plain])
    return {
        item.name: values[item.name] if item.name in values else cells.read(item, found[item.name])
        for item in features
    }


def _is_plain(column: Column) -> bool:
    return column.kind in _NUMBERS and not column.written and not column.odd


def _read_as_one(plain: Sequence[Column], found: Sequence[Cells]) -> dict[str, pa.Array]:
    """The values of columns that are read alike."""
    chunks = [
        chunk
        for item in found
        for chunk in (item.chunks if isinstance(item, pa.ChunkedArray) else [item])
    ]
    joined = cells.read(plain[0], pa.concat_arrays(chunks))
    rows = len(found[0])
    return {item.name: joined.slice(at * rows, rows) for at, item in enumerate(plain)}


# --- Requests in JSON and Parquet --------------------------------------------------------------


def _read_json(schema: Schema, text: str) -> InferenceRequest:
    try:
        found = json.loads(
            text, parse_int=cells.Literal, parse_float=cells.Literal, parse_constant=_nothing
        )
    except (ValueError, RecursionError) as error:
        refuse(400, f"the body is not valid JSON: {error}")
    rows = _json_rows(schema, found)
    if not rows:
        refuse(400, "the request has no rows")
    if set(map(type, rows)) == {dict}:
        return InferenceRequest(_json_values(schema, _records(schema, rows)), len(rows), named=True)
    if set(map(type, rows)) == {list}:
        names = _unnamed_columns(schema, rows)
        found = dict(zip(names, zip(*rows, strict=True), strict=True))
        return InferenceRequest(_json_values(schema, found), len(rows), named=False)
    refuse(400, "the rows must be all records (objects) or all arrays")


def _nothing(_: str) -> None:
    """NaN and the infinities, which JSON does not have, are missing values."""


def _json_rows(schema: Schema, found: Any) -> list[Any]:
    """The rows of a document: a list, one row alone, or either under the key `instances`."""
    if isinstance(found, dict) and "instances" in found:
        inner = found["instances"]
        # A table may have a column of that name: its cell is neither a list nor an object.
        wrapped = isinstance(inner, list | dict)
        if wrapped or "instances" not in {column.name for column in schema.columns}:
            found = inner
    if isinstance(found, dict) or (isinstance(found, list) and found and _is_flat(found)):
        return [found]
    if not isinstance(found, list):
        refuse(400, "the body must be a list of records (objects) or of arrays")
    return found


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _records(schema: Schema, records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The cells by column; as a rule, all records have the keys of the first."""
    names = [column.name for column in schema.features]
    try:
        return {name: [record[name] for record in records] for name in names}
    except KeyError:
        rows = [_record(names, at, record) for at, record in enumerate(records, start=1)]
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _record(names: Sequence[str], at: int, record: Mapping[str, Any]) -> list[Any]:
    keys = list(record)
    places = match_names(keys, names)
    _check_names(places, names, f"row {at}: ")
    return [record[keys[places[name]]] for name in names]


def _json_values(schema: Schema, found: Mapping[str, Sequence[Any]]) -> dict[str, pa.Array]:
    """What `cells.from_json` gives, sooner where all cells are of the kinds that are expected."""
    values: dict[str, pa.Array] = {}
    texts: dict[str, pa.Array] = {}
    readable = []
    for column in schema.features:
        cells_of_it = found[column.name]
        kinds = set(map(type, cells_of_it)) - {type(None)}
        plain = column.kind in _NUMBERS and kinds <= {cells.Literal}
        if not plain and (column.kind in _NUMBERS or not kinds <= {str, cells.Literal}):
            values[column.name] = cells.from_json(column, cells_of_it)
            continue
        # A number is written as JSON writes it, however the table does.
        readable.append(columns.Column(column.name, column.kind) if plain else column)
        texts[column.name] = pa.array(cells_of_it, pa.string())
    return values | _values(readable, texts)


def _read_parquet(schema: Schema, data: bytes) -> InferenceRequest:
    try:
        table = _parquet_table(schema, data)
        table.validate(full=True)  # Parquet's texts need not be UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = "".join(char if char.isprintable() else " " for char in str(error))
        refuse(400, f"the body is not a Parquet file: {' '.join(reason.split())[:200]}")
    places = _places(schema, table.column_names)
    if not table.num_rows:
        refuse(400, "the request has no rows")
    found = {name: table.column(at) for name, at in places.items()}
    _check_expands(table.num_rows, found.values())
    return InferenceRequest(_values(schema.features, found), table.num_rows, named=True)


def _parquet_table(schema: Schema, data: bytes) -> pa.Table:
    """The table, with texts as a dictionary where the file has them so; refuses too large ones."""
    file = parquet.ParquetFile(io.BytesIO(data))
    found = file.metadata
    _check_rows_fit(schema.classes, found.num_rows)
    groups = range(found.num_row_groups)
    _check_memory(sum(found.row_group(at).total_byte_size for at in groups))
    texts = [item.name for item in file.schema_arrow if _is_text(item.type)]
    if not texts or found.num_rows == 1:
        return file.read()
    return parquet.ParquetFile(io.BytesIO(data), metadata=found, read_dictionary=texts).read()


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_binary))


def _check_expands(rows: int, found: Iterable[pa.ChunkedArray]) -> None:
    """Refuse texts that are short in their dictionary and too long in their cells."""
    chunks = [chunk for column in found for chunk in column.chunks]
    coded = [chunk for chunk in chunks if pa.types.is_dictionary(chunk.type)]
    longest = [compute.max(compute.binary_length(chunk.dictionary)).as_py() for chunk in coded]
    if rows * sum(length or 0 for length in longest) <= _LARGEST_TABLE:
        return
    lengths = [compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in coded]
    _check_memory(sum(compute.sum(each).as_py() or 0 for each in lengths))


def _check_memory(size: int) -> None:
    if size > _LARGEST_TABLE:
        most = _LARGEST_TABLE // 2**20
        refuse(
            413, f"the request has {size} bytes when decompressed: at most {most} MB are allowed"
        )


# --- Predictions -------------------------------------------------------------------------------


def frame(features: Sequence[Column], values: Mapping[str, pa.Array]) -> pd.DataFrame:
    """The table that AutoGluon trains on and predicts from, with columns `f0`, `f1`, and so on.

    LightGBM refuses names with newlines, quotes or brackets, which tables have.
    """
    found = cells.frame(features, values)
    found.columns = [f"f{at}" for at in range(found.shape[1])]
    return found


@dataclass(frozen=True)
class Generated:
    """What AutoGluon's feature generator makes of each cell, so that it need not be asked again.

    Attributes:
        columns: those of `frame` that it keeps, in its order.
        categories: for each categorical one, its type, and the code there of each category of
            `frame`, followed by that of a missing value.
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[pd.CategoricalDtype, np.ndarray]]

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What the generator makes of `rows`, which `frame` made, in a tenth of its time."""
        import pandas as pd  # noqa: PLC0415 - see `cells.frame`

        found: dict[str, Any] = {name: rows[name].array for name in self.columns}
        for name, (kind, codes) in self.categories.items():
            # A missing value has the code -1: the last place.
            found[name] = pd.Categorical.from_codes(codes[found[name].codes], dtype=kind)
        return pd.DataFrame(found, index=rows.index, copy=False)


def generated(predictor: Any, schema: Schema) -> Generated | None:
    """Ask the predictor's feature generator once what it makes of every category.

    None if it does more than to pass numbers on and to give categories other codes, as with texts.
    """
    features = schema.features
    if any(item.kind in columns.TEXTS and item.categories is None for item in features):
        return None
    rows = _every_category(features)
    made = predictor.transform_features(rows)
    if not set(made.columns) <= set(rows.columns):
        return None
    categories = {}
    for name, found in made.items():
        if found.dtype.name == rows[name].dtype.name == "category":
            codes = found.cat.codes.to_numpy()
            known = len(rows[name].cat.categories)
            categories[str(name)] = found.dtype, np.append(codes[:known], codes[-1])
        elif not found.equals(rows[name]):
            return None
    return Generated(tuple(made.columns), categories)


def _every_category(features: Sequence[Column]) -> pd.DataFrame:
    """A table as `frame` makes it: every category, numbers, and nothing in the last row."""
    import pandas as pd  # noqa: PLC0415 - see `cells.frame`

    empty = frame(features, {item.name: pa.array([], cells.storage(item)) for item in features})
    rows = 3 + max(len(item.categories or ()) for item in features)
    found: dict[str, Any] = {}
    for name, kind in empty.dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            codes = np.arange(rows)
            codes[len(kind.categories) :] = -1
            found[str(name)] = pd.Categorical.from_codes(codes, dtype=kind)
        else:
            found[str(name)] = np.append(np.arange(rows - 1) - 0.5, np.nan)
    return pd.DataFrame(found)


def predict(model: Model, rows: pd.DataFrame) -> Answers:
    """For each row its predicted class and all probabilities, or its predicted number."""
    predictor, classes = model.predictor, model.classes
    how: Json = {"as_pandas": False}
    if model.generated is not None:
        rows, how = model.generated.of(rows), how | {"transform_features": False}
    if not classes:
        return Answers(np.asarray(predictor.predict(rows, **how), "float64"), None)
    found = np.asarray(predictor.predict_proba(rows, as_multiclass=True, **how), "float64")
    known = list(predictor.class_labels)
    if known == list(range(len(classes))):
        probabilities = found
    else:  # the other way around, or without classes that were too rare to be trained on
        probabilities = np.zeros((len(rows), len(classes)))
        probabilities[:, known] = found
    if predictor.problem_type == "binary":
        # As AutoGluon decides; its threshold is not one half if that suits the metric better.
        likely = found[:, 1] > predictor.decision_threshold
        return Answers(np.where(likely, known[1], known[0]), probabilities)
    return Answers(probabilities.argmax(axis=1), probabilities)


# --- Answers -----------------------------------------------------------------------------------


def _json_answer(classes: Sequence[str], answers: Answers) -> str:
    """The answer in JSON; a long one as `json.dumps` would write it, in a sixth of its time."""
    if _is_short(answers):
        rows = [_json_row(classes, *row) for row in _plain_rows(answers)]
        return json.dumps({"predictions": rows})
    if answers.probabilities is None:
        parts = ['{"prediction": ', *_numbers(answers.predicted)]
    else:
        labels = [f'{{"label": {json.dumps(name)}, "probabilities": {{' for name in classes]
        parts = [_picked(labels, answers)]
        for name, chances in zip(classes, _numbers(*answers.probabilities.T), strict=True):
            parts += [f"{json.dumps(name)}: ", chances, ", "]
        parts[-1] = "}"
    return f'{{"predictions": [{_joined([*parts, "}, "])[:-2]}]}}'


def _json_row(classes: Sequence[str], predicted: float, probabilities: list[float] | None) -> Json:
    if probabilities is None:
        return {"prediction": predicted}
    chances = dict(zip(classes, probabilities, strict=True))
    return {"label": classes[int(predicted)], "probabilities": chances}


def _csv_answer(classes: Sequence[str], answers: Answers, *, header: bool) -> str:
    """The answer in CSV; a long one as `csv.writer` would write it, in a sixth of its time."""
    names = ["label", *(f"probability_{name}" for name in classes)] if classes else ["prediction"]
    top = [names] if header else []
    if _is_short(answers):
        rows = [
            [predicted] if chances is None else [classes[int(predicted)], *chances]
            for predicted, chances in _plain_rows(answers)
        ]
        return _csv_lines([*top, *rows])
    if answers.probabilities is None:
        parts = _numbers(answers.predicted)
    else:
        parts = [_picked([_csv_lines([[name]])[:-1] for name in classes], answers)]
        for chances in _numbers(*answers.probabilities.T):
            parts += [",", chances]
    return _csv_lines(top) + _joined([*parts, "\n"])


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _is_short(answers: Answers) -> bool:
    """Whether the standard library writes it sooner than Arrow does."""
    found = answers.predicted if answers.probabilities is None else answers.probabilities
    return int(found.size) <= _SHORT


def _plain_rows(answers: Answers) -> Iterable[tuple[float, list[float] | None]]:
    """The rows as Python's numbers."""
    found = answers.probabilities
    chances = [None] * len(answers.predicted) if found is None else found.tolist()
    return zip(answers.predicted.tolist(), chances, strict=True)


def _joined(parts: Sequence[str | pa.Array]) -> str:
    """The parts of each row, which are columns or the same text for all, and row after row."""
    rows = compute.binary_join_element_wise(*parts, "")
    offsets = np.frombuffer(rows.buffers()[1], "int32")
    return bytes(rows.buffers()[2])[offsets[0] : offsets[len(rows)]].decode()


def _picked(labels: Sequence[str], answers: Answers) -> pa.Array:
    return pa.array(labels, pa.string()).take(pa.array(answers.predicted))


def _numbers(*columns_of: np.ndarray) -> list[Any]:
    """Columns of numbers as Python writes them: the shortest texts that are exactly they."""
    values = np.concatenate(columns_of)
    text = compute.cast(pa.array(values), pa.string())
    size = np.abs(values)
    odd = ~((size >= _PLAIN_FROM) & (size < _PLAIN_TO)) | (values == np.trunc(values))
    if odd.any():
        written = pa.array([repr(value) for value in values[odd].tolist()], pa.string())
        text = compute.replace_with_mask(text, pa.array(odd), written)
    rows = len(columns_of[0])
    return [text.slice(at * rows, rows) for at in range(len(columns_of))]
