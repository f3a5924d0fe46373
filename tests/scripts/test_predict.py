"""Batch predictions: what they write, beside what the endpoint answers for the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import inference
import numpy as np
import pandas as pd
import predict
import pyarrow as pa
import pytest
import served
from columns import Column, Schema
from inference import Model
from pyarrow import parquet

CLASSES = ("no", 'yes, "really"')


class Predictor:
    """Says `yes` with a chance of a hundredth of the age."""

    class_labels = (0, 1)
    problem_type = "binary"
    decision_threshold = 0.5

    def predict(self, frame: pd.DataFrame, *, as_pandas: bool) -> Any:
        assert not as_pandas
        return (frame["f0"] / 100).fillna(0.5).to_numpy()

    def predict_proba(self, frame: pd.DataFrame, *, as_multiclass: bool, as_pandas: bool) -> Any:
        assert as_multiclass
        chance = self.predict(frame, as_pandas=as_pandas)
        return np.stack([1 - chance, chance], axis=1)


def model_of(classes: tuple[str, ...]) -> Model:
    """A model of the columns `age` and `plan`."""
    schema = Schema(
        label="label",
        problem="binary" if classes else "regression",
        classes=classes,
        positive_class=classes[1] if classes else None,
        label_column=Column("label", "category" if classes else "number"),
        columns=(Column("age", "number", percent=True), Column("plan", "text")),
        rows=100,
    )
    return Model(Predictor(), schema)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of a job whose model has two classes."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    for name in ("model", "table"):
        (tmp_path / "processing/input" / name).mkdir(parents=True)
    serve(monkeypatch, model_of(CLASSES))
    return tmp_path


def serve(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """Have the job load `model` and not an archive."""

    @contextmanager
    def unpacked(folder: Path) -> Iterator[Path]:
        yield folder

    monkeypatch.setattr(served, "unpacked", unpacked)
    monkeypatch.setattr(served, "load", lambda _: served.ServedModel(inference, model))


def given(base: Path, name: str, content: bytes | str) -> None:
    """Put a file into the table."""
    path = base / "processing/input/table" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def written(base: Path, name: str) -> bytes:
    """A file that the job wrote."""
    return (base / "processing/output/predictions" / name).read_bytes()


def reason(base: Path, *arguments: str) -> str:
    """The sentence with which the job refused; it wrote nothing."""
    assert predict.main(arguments) == 2
    outputs = base / "processing/output/predictions"
    assert not outputs.exists() or not [path for path in outputs.rglob("*") if path.is_file()]
    return (base / "output/message").read_text()


TABLE = (
    'id;age;plan;label;note\n7;10 %;"a\nb";x;\n8;;plain;;"say ""hi"""\n9;90%;"with;semicolon";y;z\n'
)


def test_rows_keep_their_cells_and_get_the_endpoints_answers(base: Path) -> None:
    given(base, "mine.csv", TABLE)
    assert predict.main([]) == 0
    rows = list(csv.reader(io.StringIO(written(base, "mine.csv").decode()), delimiter=";"))
    before = list(csv.reader(io.StringIO(TABLE), delimiter=";"))
    assert [row[:5] for row in rows] == before
    body = "\n".join(["age,plan", "10 %,a", ",plain", "90%,with"])
    answer, _ = inference.transform_fn(model_of(CLASSES), body, "text/csv", "text/csv")
    expected = list(csv.reader(io.StringIO(answer)))
    assert [row[5:] for row in rows[1:]] == expected[1:]
    assert rows[0][5:] == ["prediction", *(f"probability_{name}" for name in CLASSES)]


def test_parquet_stays_parquet_with_its_types(base: Path) -> None:
    table = pa.table({"age": [10, None, 90], "plan": ["a", "b", None], "day": [1.5, 2.5, 3.5]})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    given(base, "part-0.parquet", sink.getvalue())
    given(base, "deep/part-1.parquet", sink.getvalue())
    assert predict.main([]) == 0
    for name in ("part-0.parquet", "deep/part-1.parquet"):
        found = parquet.read_table(io.BytesIO(written(base, name)))
        assert found.select(table.column_names).equals(table)
        assert found["prediction"].to_pylist() == ["no", "no", 'yes, "really"']
        assert found[f"probability_{CLASSES[1]}"].to_pylist() == [0.1, 0.5, 0.9]


def test_a_number_is_predicted_as_a_number(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, model_of(()))
    given(base, "mine.csv.gz", gzip.compress(b"plan,age\na,25\n"))
    assert predict.main([]) == 0
    assert gzip.decompress(written(base, "mine.csv.gz")) == b"plan,age,prediction\na,25,0.25\n"


def test_more_rows_than_a_request_holds_are_all_answered_in_order(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ages = [str(at % 100) for at in range(3 * served.REQUEST_ROWS + 7)]
    given(base, "mine.csv", "age,plan\n" + "".join(f"{age},p\n" for age in ages))
    assert predict.main([]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"rows": len(ages), "files": 1, "drifted": None}
    found = pd.read_csv(io.BytesIO(written(base, "mine.csv")), dtype=str)
    assert found["age"].tolist() == ages
    wanted = [float(age) / 100 for age in ages]
    assert found[f"probability_{CLASSES[1]}"].astype(float).tolist() == wanted


def test_one_object_is_predicted_without_its_neighbors(base: Path) -> None:
    given(base, "data.csv", "age,plan\n1,a\n")
    given(base, "data.csv.bak", "not a table")
    assert predict.main(["--input-uri", "s3://bucket/raw/data.csv"]) == 0
    names = [path.name for path in (base / "processing/output/predictions").iterdir()]
    assert names == ["data.csv"]


REFUSED = {
    "a missing column": (
        "plan\na\n",
        "mine.csv, rows 1 to 1, counted from 1: the data does not fit"
        " the model: these columns are missing: age",
    ),
    "no number": (
        "age,plan\n1,a\nold,b\n",
        "mine.csv, rows 1 to 2, counted from 1: the data does "
        "not fit the model: column 'age', row 2: 'old' is not a number (%)",
    ),
    "no rows": ("age,plan\n", "mine.csv has no rows: nothing to predict"),
    "predictions already": (
        "age,plan,prediction\n1,a,no\n",
        "the table already has 'prediction': rename or drop it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_predicted_is_refused_and_nothing_is_written(base: Path, name: str) -> None:
    text, sentence = REFUSED[name]
    given(base, "mine.csv", text)
    assert reason(base) == sentence
