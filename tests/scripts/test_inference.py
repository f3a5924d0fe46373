"""Requests and answers, through the toolkit that serves them, with a model of a few lines."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import inference
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from columns import MARKS, Column, Schema
from inference import Model, transform_fn
from pyarrow import parquet
from sagemaker_inference import content_types, transformer
from sagemaker_inference.errors import BaseInferenceToolkitError
from served import serving_code

COLUMNS = (
    Column("age", "number", marks=tuple(sorted(MARKS))),
    Column("plan", "category", categories=("12", "True", "basic", "gold")),
    Column("active", "boolean", marks=tuple(sorted(MARKS))),
    Column("note", "empty"),
)
NAMES = ["age", "plan", "active", "note"]
ROW = ["30", "gold", "true", ""]
RECORD = {"age": 30, "plan": "gold", "active": True, "note": None}

CSV, JSON, PARQUET = "text/csv", "application/json", "application/x-parquet"


def schema(*columns: Column, classes: tuple[str, ...] = ("no", "yes")) -> Schema:
    """A table with a label of two classes, or of numbers."""
    return Schema(
        label="label",
        problem="binary" if classes else "regression",
        classes=classes,
        positive_class="yes" if classes else None,
        label_column=Column("label", "category" if classes else "number"),
        columns=columns,
        rows=100,
    )


class Predictor:
    """Says `yes` with a chance of a hundredth of the age, and keeps what it was asked."""

    asked: pd.DataFrame
    class_labels = (0, 1)
    problem_type = "binary"
    decision_threshold = 0.5

    def predict(self, frame: pd.DataFrame, *, as_pandas: bool) -> Any:
        assert not as_pandas
        self.asked = frame
        return (frame["f0"] / 100).fillna(0.5).to_numpy()

    def predict_proba(self, frame: pd.DataFrame, *, as_multiclass: bool, as_pandas: bool) -> Any:
        assert as_multiclass
        chance = self.predict(frame, as_pandas=as_pandas)
        return np.stack([1 - chance, chance], axis=1)


@pytest.fixture
def model() -> Model:
    """A model of two classes."""
    return Model(Predictor(), schema(*COLUMNS))


@pytest.fixture
def regression() -> Model:
    """A model that predicts a hundredth of the age."""
    return Model(Predictor(), schema(*COLUMNS, classes=()))


def asked(model: Model) -> list[list[Any]]:
    """The cells that the predictor was given last, None for a missing one."""
    frame = model.predictor.asked
    return [[None if cell != cell else cell for cell in row] for row in frame.values.tolist()]  # noqa: PLR0124


def as_csv(*rows: list[str]) -> bytes:
    """A body in CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    """A body in Parquet."""
    found = frame.to_parquet(index=False)
    assert isinstance(found, bytes)
    return found


FRAME = pd.DataFrame({"age": [30], "plan": ["gold"], "active": [True], "note": ["x"]})

SAME: dict[str, tuple[bytes, str]] = {
    "csv": (as_csv(ROW), CSV),
    "csv without a last newline": (as_csv(ROW).strip(), CSV),
    "csv with a charset": (as_csv(ROW), "text/csv; charset=utf-8"),
    "csv in capitals": (as_csv(ROW), "Text/CSV"),
    "csv with a header": (as_csv(NAMES, ROW), CSV),
    "csv with a header, in another order": (as_csv(NAMES[::-1], ROW[::-1]), CSV),
    "csv with a header and other columns": (as_csv(["id", *NAMES], ["7", *ROW]), CSV),
    "csv with spaces in the header": (as_csv([f" {name}" for name in NAMES], ROW), CSV),
    "csv with a byte order mark": (b"\xef\xbb\xbf" + as_csv(NAMES, ROW), CSV),
    "csv, said to have a header": (as_csv(NAMES, ROW), "text/csv; header=present"),
    "csv without what is ignored": (as_csv(ROW[:3]), CSV),
    "csv with a header in another case": (as_csv([" Age", "PLAN", "Active"], ROW[:3]), CSV),
    "csv with a blank line": (as_csv(NAMES, ROW) + b"\n", CSV),
    "a record": (json.dumps(RECORD).encode(), JSON),
    "records": (json.dumps([RECORD]).encode(), JSON),
    "records in another order": (json.dumps([dict(reversed(RECORD.items()))]).encode(), JSON),
    "records with other keys": (json.dumps([RECORD | {"id": [7]}]).encode(), JSON),
    "a record without what is ignored": (b'{"age": 3e1, "plan": "gold", "active": "True"}', JSON),
    "records in another case": (b'[{"AGE": "30", "Plan ": "gold", "active": 1}]', JSON),
    "an array": (json.dumps(list(RECORD.values())).encode(), JSON),
    "arrays": (json.dumps([list(RECORD.values())]).encode(), JSON),
    "arrays of texts": (json.dumps([ROW]).encode(), JSON),
    "instances": (json.dumps({"instances": [RECORD]}).encode(), JSON),
    "parquet": (as_parquet(FRAME), PARQUET),
    "parquet without what is ignored": (as_parquet(FRAME[NAMES[:3]]), PARQUET),
    "parquet in another case": (as_parquet(FRAME.rename(columns=str.title)), PARQUET),
    "parquet of texts": (as_parquet(FRAME.astype(str)), PARQUET),
    "parquet of bytes": (
        as_parquet(pd.DataFrame({name: [str(FRAME[name][0]).encode()] for name in NAMES})),
        PARQUET,
    ),
    "parquet in another order": (as_parquet(FRAME[["note", "active", "plan", "age"]]), PARQUET),
    "parquet with other columns": (as_parquet(FRAME.assign(id=7)), PARQUET),
    "parquet with categories": (as_parquet(FRAME.astype({"plan": "category"})), PARQUET),
}


@pytest.mark.parametrize("name", SAME)
def test_a_row_means_the_same_in_every_form(model: Model, name: str) -> None:
    body, content_type = SAME[name]
    answer, kind = transform_fn(model, body, content_type, JSON)
    assert kind == JSON
    assert json.loads(answer) == {
        "predictions": [{"label": "no", "probabilities": {"no": 0.7, "yes": 0.3}}]
    }
    assert asked(model) == [[30.0, "gold", 1.0]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (as_csv(["", "", "", "null"]), CSV),
        (as_csv(["NaN", " ", "None", "x"]), CSV),
        (as_csv(["?", " ", "N/A", "x"]), CSV),
        (b"[[null, null, null, null]]", JSON),
        (b'[[NaN, "", "", 5]]', JSON),
        (b"[[Infinity, null, null, null]]", JSON),
        (as_parquet(FRAME.assign(age=pd.NA, plan=None, active=None, note=math.nan)), PARQUET),
    ],
)
def test_missing_values_are_missing_in_every_form(
    model: Model, body: bytes, content_type: str
) -> None:
    transform_fn(model, body, content_type, JSON)
    assert asked(model) == [[None, None, None]]


def test_numbers_in_a_column_of_categories_are_its_texts(model: Model) -> None:
    transform_fn(model, b'[[1, 12, true], [1, 12.0, "FALSE"], [1, true, 0]]', JSON, JSON)
    assert [row[1:] for row in asked(model)] == [["12", 1.0], ["12", 0.0], ["True", 0.0]]


def test_a_row_of_data_is_not_taken_for_a_header(model: Model) -> None:
    answer, _ = transform_fn(model, as_csv(["30", "plan", "", ""]), CSV, JSON)
    assert len(json.loads(answer)["predictions"]) == 1


def test_a_label_that_spreadsheets_take_for_a_formula_is_answered_as_it_is() -> None:
    names = ("=1+1", "@SUM(A1)")
    model = Model(Predictor(), schema(*COLUMNS, classes=names))
    answer, _ = transform_fn(model, as_csv(NAMES, ROW), CSV, CSV)
    [row] = csv.DictReader(io.StringIO(answer))
    assert row == {
        "label": names[0],
        **{f"probability_{n}": row[f"probability_{n}"] for n in names},
    }


def test_a_row_that_can_be_data_is_data() -> None:
    columns = [Column(name, "integer") for name in "012"]
    model = Model(Predictor(), schema(*columns))
    transform_fn(model, b"2,0,1\n7,0,1\n7,3,3\n", CSV, CSV)
    assert asked(model) == [[2, 0, 1], [7, 0, 1], [7, 3, 3]]
    transform_fn(model, b"2,0,1\n7,0,1\n7,3,3\n", "text/csv; header=present", CSV)
    assert asked(model) == [[0, 1, 7], [3, 3, 7]]


def test_a_header_in_another_case_is_forgiven_only_where_it_is_clear(model: Model) -> None:
    twins = Model(Predictor(), schema(Column("a", "number"), Column("A", "number")))
    transform_fn(twins, b"A,a\n1,2\n", CSV, CSV)
    assert asked(twins) == [[2, 1]]
    with pytest.raises(BaseInferenceToolkitError, match="these columns are missing: age"):
        transform_fn(model, as_csv(["AGE", "Age", *NAMES[1:]], ["1", *ROW]), CSV, CSV)


def test_a_blank_line_is_a_missing_value_where_there_is_one_column() -> None:
    model = Model(Predictor(), schema(Column("age", "number")))
    for body in (b"10\n\n30\n", b"age\n10\n\n30\n", b'10\n""\n30'):
        transform_fn(model, body, CSV, CSV)
        assert asked(model) == [[10], [None], [30]]
    transform_fn(model, b"\n", CSV, CSV)
    assert asked(model) == [[None]]


@pytest.mark.parametrize(
    ("body", "cell"),
    [
        (b'{"instances": 5}', 5),
        (b'[{"instances": 5}]', 5),
        (b'{"instances": [{"instances": 5}]}', 5),
        (b'{"instances": null}', None),
        (b'{"instances": [[5]]}', 5),
    ],
)
def test_a_column_may_be_called_instances(body: bytes, cell: float | None) -> None:
    model = Model(Predictor(), schema(Column("instances", "number")))
    transform_fn(model, body, JSON, JSON)
    assert asked(model) == [[cell]]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["true", "no"]).dictionary_encode(),
        pa.array([b"true", b"no"]),
        pa.array(["true", "no"], pa.large_string()),
        pa.array([True, False]),
        pa.array([1, 0], pa.int8()),
        pa.array([1.0, 0.0]),
    ],
    ids=lambda cells: str(cells.type),
)
def test_a_truth_value_is_read_from_any_type_of_parquet(cells: pa.Array) -> None:
    model = Model(Predictor(), schema(Column("age", "boolean")))
    sink = io.BytesIO()
    parquet.write_table(pa.table({"age": cells}), sink)
    transform_fn(model, sink.getvalue(), PARQUET, JSON)
    assert asked(model) == [[1], [0]]


# --- Answers ---------------------------------------------------------------------------------

ROWS = as_csv(["30", "gold", "", ""], ["90", "gold", "", ""])


def test_csv_is_answered_without_a_header_if_asked_without(model: Model) -> None:
    answer, kind = transform_fn(model, ROWS, CSV, CSV)
    assert (answer, kind) == ("no,0.7,0.3\nyes,0.09999999999999998,0.9\n", CSV)


def test_csv_is_answered_with_a_header_if_asked_with_one(model: Model) -> None:
    answer, _ = transform_fn(model, as_csv(NAMES) + ROWS, CSV, CSV)
    assert answer.splitlines()[0] == "label,probability_no,probability_yes"
    assert len(answer.splitlines()) == 3


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json;verbose=true", JSON),
        ("text/csv", CSV),
        ("text/csv; charset=utf-8", CSV),
        ("text/html, text/csv;q=0.9, */*;q=0.1", CSV),
        ("text/*", CSV),
        ("application/json;q=0, text/csv", CSV),
        ("application/json;q=0, */*", CSV),
        ("application/json;q=0.5, text/csv;q=0.8", CSV),
        ("text/csv, application/json", CSV),
        ("application/json, text/csv", JSON),
        ("text/csv;q=0, text/*, */*;q=0.1", JSON),
    ],
)
def test_the_answer_has_the_type_that_the_client_accepts(
    model: Model, accept: str | None, kind: str
) -> None:
    assert transform_fn(model, ROWS, CSV, accept)[1] == kind


def test_a_regression_answers_with_numbers(regression: Model) -> None:
    answer, _ = transform_fn(regression, ROWS, CSV, JSON)
    assert json.loads(answer) == {"predictions": [{"prediction": 0.3}, {"prediction": 0.9}]}
    answer, _ = transform_fn(regression, ROWS, CSV, CSV)
    assert answer == "0.3\n0.9\n"
    answer, _ = transform_fn(regression, as_csv(NAMES) + ROWS, CSV, CSV)
    assert answer == "prediction\n0.3\n0.9\n"


def test_answers_are_what_the_standard_library_would_write() -> None:
    classes = ('a "b", %s', "new\nline")
    model = Model(Predictor(), schema(*COLUMNS, classes=classes))
    answer, _ = transform_fn(model, ROWS, CSV, JSON)
    assert answer == json.dumps(json.loads(answer))
    assert list(json.loads(answer)["predictions"][1]["probabilities"]) == list(classes)
    answer, _ = transform_fn(model, as_csv(NAMES) + ROWS, CSV, CSV)
    rows = list(csv.reader(io.StringIO(answer, newline="")))
    assert rows[0] == ["label", f"probability_{classes[0]}", f"probability_{classes[1]}"]
    assert [row[0] for row in rows[1:]] == list(classes)


def test_a_class_that_training_did_not_have_has_no_chance() -> None:
    model = Model(Predictor(), schema(*COLUMNS, classes=("maybe", "no", "yes")))
    model.predictor.class_labels = [1, 2]
    [first, second] = json.loads(transform_fn(model, ROWS, CSV, JSON)[0])["predictions"]
    assert first == {"label": "no", "probabilities": {"maybe": 0.0, "no": 0.7, "yes": 0.3}}
    assert second["label"] == "yes"


def test_an_answer_that_is_too_large_says_how_many_rows_to_send(model: Model) -> None:
    with pytest.raises(BaseInferenceToolkitError) as caught:
        transform_fn(model, as_csv(ROW) * 110_000, CSV, JSON)
    most = int(caught.value.message.split("send at most ")[1].split()[0])
    answer, _ = transform_fn(model, as_csv(ROW) * most, CSV, JSON)
    assert 0.8 < len(answer) / inference.LARGEST_BODY < 1


# --- What is refused -------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes | None, str | None, str | None, int, str]] = {
    "an unknown content type": (ROWS, "text/html", JSON, 415, "content type 'text/html' is not"),
    "no content type": (ROWS, None, JSON, 415, "content type None is not one of text/csv"),
    "an unknown accept": (ROWS, CSV, "text/html", 406, "accept 'text/html': the response can be"),
    "no accept": (ROWS, CSV, "*/*;q=0", 406, "accept '*/*;q=0': the response can be"),
    "no body": (None, CSV, JSON, 400, "the request's body is empty"),
    "an empty body": (b"", CSV, JSON, 400, "the request's body is empty"),
    "a blank body": (b"\n \n", JSON, JSON, 400, "the request's body is empty"),
    "csv: blank lines": (b'\n""\n', CSV, JSON, 400, "row 1 has 1 values"),
    "csv: a header only": (as_csv(NAMES), CSV, JSON, 400, "the request has no rows"),
    "csv: a column too few": (
        as_csv(ROW[2:]),
        CSV,
        JSON,
        400,
        "row 1 has 2 values, but there are 3 columns: the model's, which are age, plan, active",
    ),
    "csv: a column too many": (as_csv([*ROW, "no"]), CSV, JSON, 400, "row 1 has 5 values"),
    "csv: a ragged row": (as_csv(NAMES, ROW, ROW[1:]), CSV, JSON, 400, "row 2 has 3 values, but"),
    "csv: a column missing": (
        as_csv(NAMES[1:], ROW[1:]),
        CSV,
        JSON,
        400,
        "these columns are missing: age",
    ),
    "csv: a name twice": (
        as_csv([*NAMES, "age"], [*ROW, "1"]),
        CSV,
        JSON,
        400,
        "more than one column is named 'age'",
    ),
    "csv: no number": (
        as_csv(ROW, ["old", *ROW[1:]]),
        CSV,
        JSON,
        400,
        "column 'age', row 2: 'old' is not a number",
    ),
    "csv: a number with underscores": (
        as_csv(["1_0", *ROW[1:]]),
        CSV,
        JSON,
        400,
        "column 'age', row 1: '1_0' is not a number",
    ),
    "csv: no boolean": (
        as_csv([*ROW[:2], "perhaps", ""]),
        CSV,
        JSON,
        400,
        "column 'active', row 1",
    ),
    "csv: no UTF-8": (
        b"30,g\xe4ld,true,\n",
        CSV,
        JSON,
        400,
        "the body is not UTF-8: byte 0xe4 at 4",
    ),
    "csv: a quote that never ends": (
        b'30,"gold,true,\n',
        CSV,
        JSON,
        400,
        "the body is not valid CSV",
    ),
    "json: none": (b"{", JSON, JSON, 400, "the body is not valid JSON"),
    "json: no UTF-8": (b'["\xff"]', JSON, JSON, 400, "the body is not UTF-8: byte 0xff at 2"),
    "json: too deep": (b"[" * 100_000, JSON, JSON, 400, "the body is not valid JSON"),
    "json: no rows": (b"[]", JSON, JSON, 400, "the request has no rows"),
    "json: no instances": (b'{"instances": []}', JSON, JSON, 400, "the request has no rows"),
    "json: a number": (b"5", JSON, JSON, 400, "the body must be a list of records"),
    "json: a null": (b"null", JSON, JSON, 400, "the body must be a list of records"),
    "json: an empty array": (b"[[]]", JSON, JSON, 400, "row 1 has 0 values"),
    "json: an empty record": (
        b"[{}]",
        JSON,
        JSON,
        400,
        "row 1: these columns are missing: active, age, plan",
    ),
    "json: records and arrays": (b"[{}, []]", JSON, JSON, 400, "the rows must be all records"),
    "json: rows and numbers": (b"[[], 5]", JSON, JSON, 400, "the rows must be all records"),
    "json: a key missing": (
        json.dumps([RECORD, {"age": 3}]).encode(),
        JSON,
        JSON,
        400,
        "row 2: these columns are missing: active, plan",
    ),
    "json: a list for a number": (
        json.dumps([RECORD | {"age": [3]}]).encode(),
        JSON,
        JSON,
        400,
        "column 'age', row 1: ",
    ),
    "json: a record for a text": (
        json.dumps([RECORD | {"plan": {}}]).encode(),
        JSON,
        JSON,
        400,
        "column 'plan', row 1: '{}' is not a category",
    ),
    "json: true for a number": (
        json.dumps([RECORD | {"age": True}]).encode(),
        JSON,
        JSON,
        400,
        "column 'age', row 1: 'True' is not a number",
    ),
    "json: a number beyond all floats": (
        b'[{"age": 1' + b"0" * 400 + b', "plan": 0, "active": 0, "note": 0}]',
        JSON,
        JSON,
        400,
        "column 'age', row 1",
    ),
    "json: a number of too many digits": (
        b"[" + b"1" * 5000 + b"]",
        JSON,
        JSON,
        400,
        "row 1 has 1 values",
    ),
    "parquet: none": (
        b"PAR1, or so they say",
        PARQUET,
        JSON,
        400,
        "the body is not a Parquet file",
    ),
    "parquet: half": (
        as_parquet(FRAME)[:200],
        PARQUET,
        JSON,
        400,
        "the body is not a Parquet file",
    ),
    "parquet: no rows": (as_parquet(FRAME[:0]), PARQUET, JSON, 400, "the request has no rows"),
    "parquet: a column missing": (
        as_parquet(FRAME[NAMES[1:]]),
        PARQUET,
        JSON,
        400,
        "these columns are missing: age",
    ),
    "parquet: lists": (
        as_parquet(FRAME.assign(plan=[["x"]])),
        PARQUET,
        JSON,
        400,
        "column 'plan', row 1",
    ),
    "parquet: a date for a number": (
        as_parquet(FRAME.assign(age=pd.Timestamp("2026-01-01"))),
        PARQUET,
        JSON,
        400,
        "column 'age', row 1",
    ),
    "a body of more than 6 MB": (
        b"x" * (6 * 1024**2 + 1),
        CSV,
        JSON,
        413,
        "the request has 6291457",
    ),
    "an answer of more than 6 MB": (
        as_csv(ROW) * 110_000,
        CSV,
        JSON,
        413,
        "the response to 110000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_of_the_client_is_answered_as_one(model: Model, name: str) -> None:
    body, content_type, accept, status, message = REFUSED[name]
    with pytest.raises(BaseInferenceToolkitError) as caught:
        transform_fn(model, body, content_type, accept)
    assert caught.value.status_code == status
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message


def test_a_body_of_just_less_than_6_mb_is_answered(model: Model) -> None:
    body = as_csv(ROW) * (6 * 1024**2 // len(as_csv(ROW)))
    answer, _ = transform_fn(model, body, CSV, CSV)
    assert len(answer.splitlines()) == len(body.splitlines())


def test_the_training_image_needs_no_serving_toolkit(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sagemaker_inference", None)
    code = serving_code(Path(inference.__file__).parent)
    assert sys.modules["inference"] is inference
    with pytest.raises(code.BaseInferenceToolkitError) as caught:
        code.transform_fn(model, b"", CSV, JSON)
    assert caught.value.status_code == 400


# --- The toolkit -----------------------------------------------------------------------------


class Context:
    """What the model server hands to the toolkit with a request."""

    def __init__(self, content_type: str | None, accept: str | None) -> None:
        headers = {"Content-Type": content_type, "Accept": accept}
        self.headers = {name: value for name, value in headers.items() if value}
        self.system_properties = {"model_dir": "/nowhere"}
        # sagemaker-pytorch-inference 2.0.25 ships a sagemaker_inference/transformer.py of its own,
        # which logs this name; which of the two files is installed last is up to the installer.
        self.model_name = "model"
        self.request_processor = [self]
        self.status = 200

    def get_request_properties(self) -> dict[str, str]:
        return self.headers

    def set_response_status(self, code: int, phrase: str) -> None:
        assert phrase
        self.status = code

    def set_response_content_type(self, number: int, kind: str) -> None:
        self.answered = (number, kind)


@pytest.fixture
def served(model: Model, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The toolkit's transformer, with our functions and the model of a few lines."""
    monkeypatch.setattr(content_types, "UTF8_TYPES", content_types.UTF8_TYPES)
    handle_error = staticmethod(transformer.Transformer.handle_error)
    monkeypatch.setattr(transformer.Transformer, "handle_error", handle_error)
    monkeypatch.setattr(inference, "load", lambda _: model)
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference.py")
    return transformer.Transformer()


def test_the_toolkit_finds_our_functions(served: Any) -> None:
    context = Context("text/csv", "text/csv")
    [answer] = served.transform([{"body": bytearray(ROWS)}], context)
    assert (context.status, answer[:10]) == (200, "no,0.7,0.3")
    assert context.answered == (0, "text/csv")


@pytest.mark.parametrize("name", REFUSED)
def test_the_toolkit_answers_no_request_with_500(served: Any, name: str) -> None:
    body, content_type, accept, status, message = REFUSED[name]
    context = Context(content_type, accept)
    [answer] = served.transform([{"body": body}], context)
    assert context.status == status
    assert answer.startswith(message)
    assert (answer.count("\n"), context.answered) == (1, (0, "text/plain"))


def test_a_fault_of_ours_is_answered_with_its_traceback(served: Any, model: Model) -> None:
    model.predictor.predict_proba = None
    context = Context(CSV, JSON)
    [answer] = served.transform([{"body": ROWS}], context)
    assert context.status == 500
    assert "Traceback" in answer
