"""Requests and answers, through the toolkit that serves them, with a model of a few lines."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import evaluate
import inference
import pandas as pd
import pytest
from inference import CellError, Feature, Model, transform_fn
from sagemaker_inference import content_types, transformer
from sagemaker_inference.errors import BaseInferenceToolkitError

FEATURES = (
    Feature("age", "number"),
    Feature("plan", "text"),
    Feature("active", "boolean"),
    Feature("note", "empty"),
)
NAMES = ["age", "plan", "active", "note"]
ROW = ["30", "gold", "true", ""]
RECORD = {"age": 30, "plan": "gold", "active": True, "note": None}

CSV, JSON, PARQUET = "text/csv", "application/json", "application/x-parquet"


class Predictor:
    """Says `yes` with a chance of a hundredth of the age, and keeps what it was asked."""

    asked: pd.DataFrame

    def predict_proba(self, frame: pd.DataFrame, *, as_multiclass: bool) -> pd.DataFrame:
        assert as_multiclass
        self.asked = frame
        chance = (frame["age"] / 100).fillna(0.5)
        return pd.DataFrame({"yes": chance, "no": 1 - chance})

    def predict_from_proba(self, probabilities: pd.DataFrame) -> pd.Series:
        return probabilities.idxmax(axis=1)


@pytest.fixture
def model() -> Model:
    """A model of two classes."""
    return Model(Predictor(), "label", ("no", "yes"), "yes", FEATURES)


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
    "a record": (json.dumps(RECORD).encode(), JSON),
    "records": (json.dumps([RECORD]).encode(), JSON),
    "records in another order": (json.dumps([dict(reversed(RECORD.items()))]).encode(), JSON),
    "records with other keys": (json.dumps([RECORD | {"id": [7]}]).encode(), JSON),
    "an array": (json.dumps(list(RECORD.values())).encode(), JSON),
    "arrays": (json.dumps([list(RECORD.values())]).encode(), JSON),
    "arrays of texts": (json.dumps([ROW]).encode(), JSON),
    "instances": (json.dumps({"instances": [RECORD]}).encode(), JSON),
    "parquet": (as_parquet(FRAME), PARQUET),
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
    assert asked(model) == [[30.0, "gold", 1.0, None]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (as_csv(["", "NA", "", "null"]), CSV),
        (as_csv(["NaN", " ", "None", "x"]), CSV),
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
    assert asked(model) == [[None, None, None, None]]


@pytest.mark.parametrize("cell", ["-1.5e3", " 7 ", "0", "0.1"])
def test_numbers_are_read_as_pandas_reads_them_in_training(model: Model, cell: str) -> None:
    transform_fn(model, as_csv([cell, "x", "", ""]), CSV, JSON)
    expected = pd.read_csv(io.StringIO(f"x\n{cell}"))["x"][0]
    assert asked(model)[0][0] == expected


def test_numbers_in_a_column_of_texts_are_texts(model: Model) -> None:
    transform_fn(model, b'[[1, 12345, true, null], [1, true, "FALSE", null]]', JSON, JSON)
    assert [row[1:3] for row in asked(model)] == [["12345", 1.0], ["True", 0.0]]


def test_a_row_of_data_is_not_taken_for_a_header(model: Model) -> None:
    answer, _ = transform_fn(model, as_csv(["30", "plan", "", ""]), CSV, JSON)
    assert len(json.loads(answer)["predictions"]) == 1


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
    ],
)
def test_the_answer_has_the_type_that_the_client_accepts(
    model: Model, accept: str | None, kind: str
) -> None:
    assert transform_fn(model, ROWS, CSV, accept)[1] == kind


# --- What is refused -------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes | None, str | None, str | None, int, str]] = {
    "an unknown content type": (ROWS, "text/html", JSON, 415, "content type 'text/html' is none"),
    "no content type": (ROWS, None, JSON, 415, "content type None is none of text/csv"),
    "an unknown accept": (ROWS, CSV, "text/html", 406, "accept 'text/html': the answer can be"),
    "no body": (None, CSV, JSON, 400, "the request's body is empty"),
    "an empty body": (b"", CSV, JSON, 400, "the request's body is empty"),
    "a blank body": (b"\n \n", JSON, JSON, 400, "the request's body is empty"),
    "csv: blank lines": (b'\n""\n', CSV, JSON, 400, "row 1 has 1 values"),
    "csv: a header only": (as_csv(NAMES), CSV, JSON, 400, "the request has no rows"),
    "csv: a column too few": (
        as_csv(ROW[1:]),
        CSV,
        JSON,
        400,
        "row 1 has 3 values, and there are 4",
    ),
    "csv: a column too many": (as_csv([*ROW, "no"]), CSV, JSON, 400, "row 1 has 5 values"),
    "csv: a ragged row": (as_csv(NAMES, ROW, ROW[1:]), CSV, JSON, 400, "row 2 has 3 values, and"),
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
        "column 'age', row 2: 'old' is no number",
    ),
    "csv: a number with underscores": (
        as_csv(["1_0", *ROW[1:]]),
        CSV,
        JSON,
        400,
        "column 'age', row 1: '1_0' is no number",
    ),
    "csv: no boolean": (as_csv([*ROW[:2], "yes", ""]), CSV, JSON, 400, "column 'active', row 1"),
    "csv: no UTF-8": (
        b"30,g\xe4ld,true,\n",
        CSV,
        JSON,
        400,
        "the body is not UTF-8: byte 0xe4 at 4",
    ),
    "csv: a quote that never ends": (b'30,"gold,true,\n', CSV, JSON, 400, "the body is no CSV"),
    "json: none": (b"{", JSON, JSON, 400, "the body is no JSON"),
    "json: no UTF-8": (b'["\xff"]', JSON, JSON, 400, "the body is not UTF-8: byte 0xff at 2"),
    "json: too deep": (b"[" * 100_000, JSON, JSON, 400, "the body is no JSON"),
    "json: no rows": (b"[]", JSON, JSON, 400, "the request has no rows"),
    "json: no instances": (b'{"instances": []}', JSON, JSON, 400, "the request has no rows"),
    "json: a number": (b"5", JSON, JSON, 400, "the body must be a list of records"),
    "json: a null": (b"null", JSON, JSON, 400, "the body must be a list of records"),
    "json: an empty array": (b"[[]]", JSON, JSON, 400, "row 1 has 0 values"),
    "json: an empty record": (b"[{}]", JSON, JSON, 400, "row 1: these columns are missing: active"),
    "json: records and arrays": (b"[{}, []]", JSON, JSON, 400, "the rows must be all records"),
    "json: rows and numbers": (b"[[], 5]", JSON, JSON, 400, "the rows must be all records"),
    "json: a key missing": (
        json.dumps([RECORD, {"age": 3}]).encode(),
        JSON,
        JSON,
        400,
        "row 2: these columns are missing: active, note, plan",
    ),
    "json: a list for a number": (
        json.dumps([RECORD | {"age": [3]}]).encode(),
        JSON,
        JSON,
        400,
        "column 'age', row 1: [3] is no number",
    ),
    "json: a record for a text": (
        json.dumps([RECORD | {"plan": {}}]).encode(),
        JSON,
        JSON,
        400,
        "column 'plan', row 1: {} is no text",
    ),
    "json: true for a number": (
        json.dumps([RECORD | {"age": True}]).encode(),
        JSON,
        JSON,
        400,
        "column 'age', row 1: True is no number",
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
        "the body is",
    ),
    "parquet: none": (b"PAR1, or so they say", PARQUET, JSON, 400, "the body is no Parquet file"),
    "parquet: half": (as_parquet(FRAME)[:200], PARQUET, JSON, 400, "the body is no Parquet file"),
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
    "an answer of more than 6 MB": (as_csv(ROW) * 110_000, CSV, JSON, 413, "the answer to 110000"),
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


def test_a_bad_cell_is_named_in_training_too() -> None:
    with pytest.raises(CellError, match=r"column 'age', row 2: 'x' is no number"):
        inference.typed({"age": ["1", "x"]}, FEATURES[:1])


def test_the_training_image_needs_no_serving_toolkit(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sagemaker_inference", None)
    monkeypatch.setitem(sys.modules, "inference", inference)  # and back again at the end
    code = evaluate.serving_code(Path(inference.__file__).parents[1], "scripts/inference.py")
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
