"""Captured answers, joined with labels that came later: measured as the evaluation does, or not."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cells
import columns
import inference
import numpy as np
import pandas as pd
import predict
import pyarrow as pa
import pytest
import scoring
from columns import Column, Schema
from inference import Model
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable

CSV, JSON, PARQUET = inference.CSV, inference.JSON, inference.PARQUET
KINDS = [(kind, accept) for kind in (CSV, JSON, PARQUET) for accept in (JSON, CSV)]
COLUMNS = (Column("order", "identifier"), Column("age", "number"), Column("plan", "text"))
BINARY = Schema("churned", "binary", ("0", "1"), "1", Column("churned", "category"), COLUMNS, 100)
PRICE = Column("price", "number", role="label", decimal=",", marks=("n/a",))
REGRESSION = Schema("price", "regression", (), None, PRICE, COLUMNS, 100)
LABEL_URI = "s3://b/raw/_labels/"


class Predictor:
    """Says 1 with a chance of a hundredth of the age, or answers the age."""

    class_labels = (0, 1)
    problem_type = "binary"
    decision_threshold = 0.5

    def predict(self, frame: pd.DataFrame, **_: object) -> Any:
        return frame["f0"].to_numpy()

    def predict_proba(self, frame: pd.DataFrame, **_: object) -> Any:
        chance = self.predict(frame) / 100
        return np.stack([1 - chance, chance], axis=1)


def rows(count: int = 60, first: int = 0) -> pd.DataFrame:
    """Requests' rows in the table's order, each with an identifier of its own."""
    ages = (np.arange(count) * 37) % 100
    names = [f"00{number}" for number in range(first, first + count)]
    return pd.DataFrame({"order": names, "age": ages, "plan": "gold"})


def truth(table: pd.DataFrame) -> pd.Series:
    """Labels that the model mostly gets right."""
    return ((table["age"] + table.index % 7 * 9) > 60).astype(int)


class Job:
    """A quality check: what the endpoint got and answered, and what is known by now."""

    def __init__(self, base: Path, schema: Schema = BINARY) -> None:
        self.base, self.schema = base, schema
        self.lines: list[str] = []
        model = base / "archive"
        (model / "code").mkdir(parents=True)
        for module in (inference, cells, columns):
            source = Path(str(module.__file__))
            (model / "code" / source.name).write_bytes(source.read_bytes())
        schema.save(model / columns.FILE)
        for name in ("model", "table", "labels"):
            (base / "processing/input" / name).mkdir(parents=True)
        with tarfile.open(base / "processing/input/model/model.tar.gz", "w:gz") as tar:
            tar.add(model, arcname=".")

    def ask(self, body: bytes, kind: str = CSV, accept: str = JSON) -> None:
        """Capture a request with the endpoint's answer."""
        answer, media = inference.transform_fn(Model(Predictor(), self.schema), body, kind, accept)
        self.capture(body, kind, answer.encode(), media)

    def capture(self, body: bytes, kind: str, answer: bytes | None, media: str = JSON) -> None:
        """Store a line as data capture does: CSV as it is, anything else possibly encoded."""
        found = {"endpointInput": message(body, kind, "INPUT")}
        if answer is not None:
            found["endpointOutput"] = message(answer, media, "OUTPUT")
        self.lines.append(json.dumps({"captureData": found, "eventMetadata": {"eventId": "e"}}))

    def label(self, table: pd.DataFrame, name: str = "labels.csv") -> None:
        """Put labels where people put them."""
        path = self.base / "processing/input/labels" / name
        if path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)

    def run(self, *arguments: str, labels: str = LABEL_URI) -> int:
        """Run the job as the pipeline does."""
        folder = self.base / "processing/input/table/10"
        folder.mkdir(exist_ok=True)
        (folder / "00-00-1.jsonl").write_text("\n".join(self.lines))
        return predict.main(["--input-uri=s3://b/captured/", f"--label-uri={labels}", *arguments])

    def report(self, *arguments: str) -> dict[str, Any]:
        assert self.run(*arguments) == 0, self.reason
        path = self.base / "processing/output/quality/quality.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @property
    def reason(self) -> str:
        return (self.base / "output/message").read_text(encoding="utf-8")


def message(body: bytes, kind: str, mode: str) -> dict[str, str]:
    plain = kind.startswith(CSV)
    data = body.decode() if plain else base64.b64encode(body).decode()
    encoding = "CSV" if plain else "BASE64"
    return {"observedContentType": kind, "mode": mode, "data": data, "encoding": encoding}


def body(table: pd.DataFrame, kind: str) -> bytes:
    """A request with named columns."""
    if kind == CSV:
        return str(table.to_csv(index=False)).encode()
    if kind == JSON:
        return str(table.to_json(orient="records")).encode()
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pandas(table, preserve_index=False), sink)
    return sink.getvalue()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The job's folder."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def job(base: Path) -> Job:
    """A check of a classifier that was asked nothing yet."""
    return Job(base)


def labeled(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"order": table["order"], "churned": truth(table)})


@pytest.mark.parametrize(("kind", "accept"), KINDS)
def test_answers_in_every_form_are_measured_as_the_evaluation_does(
    job: Job, kind: str, accept: str
) -> None:
    table = rows()
    for part in (table[:1], table[1:25], table[25:]):
        job.ask(body(part, kind), kind, accept)
    job.label(labeled(table.sample(frac=1, random_state=1)))
    found = job.report("--metric=f1")
    ages = table["age"].to_numpy()
    scored = (
        truth(table).to_numpy(),
        (ages / 100 > 0.5).astype(int),
        np.stack([1 - ages / 100, ages / 100], axis=1),
    )
    assert found["metrics"] == pytest.approx(scoring.measure(BINARY, scored))
    assert (found["metric"], found["value"]) == ("f1", found["metrics"]["f1"])
    assert (found["requests"], found["refused"]) == (3, 0)
    assert (found["rows"], found["labeled"], found["labels"], found["unmatched"]) == (60, 60, 60, 0)
    assert found["identifier"] == "order"


def test_by_default_the_metric_is_the_evaluations(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    job.label(labeled(table))
    found = job.report()
    assert found["metric"] == "roc_auc"
    assert 0.5 < found["value"] < 1


def test_planted_errors_make_the_metric_worse(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    wrong = labeled(table)
    wrong["churned"] = 1 - wrong["churned"]
    job.label(wrong)
    assert job.report()["value"] < 0.5


@pytest.mark.parametrize("accept", [JSON, CSV])
def test_a_quantity_is_read_as_in_training(base: Path, accept: str) -> None:
    job = Job(base, REGRESSION)
    table = rows(40)
    job.ask(body(table, CSV), accept=accept)
    prices = [f"{age},5" for age in table["age"]]
    prices[:2] = ["n/a", "much"]
    job.label(pd.DataFrame({"order": table["order"], "price": prices}))
    found = job.report()
    assert (found["metric"], found["labeled"]) == ("r2", 38)
    assert found["metrics"]["mae"] == pytest.approx(0.5)
    assert (found["blank"], found["unknown"]) == (1, {"labels": 1, "examples": {"much": 1}})


def test_equal_numbers_are_one_class_and_an_unknown_one_is_told(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    found = labeled(table).astype(str)
    found.loc[found.index % 2 == 0, "churned"] += ".0"
    found.loc[0, "churned"] = "2"
    found.loc[1, "churned"] = "yes"
    found.loc[2, "churned"] = ""
    job.label(found)
    report = job.report()
    assert report["labeled"] == 57
    assert report["unknown"] == {"labels": 2, "examples": {"2": 1, "yes": 1}}
    assert (report["blank"], report["conflicting"]) == (1, 0)


def test_different_labels_of_one_identifier_are_left_out_and_counted(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    once = labeled(table)
    job.label(once)
    again = once[:5].copy()  # the first two are the same, three are not
    again.loc[2:, "churned"] = 1 - again.loc[2:, "churned"]
    job.label(again, "later.csv")
    report = job.report()
    assert (report["conflicting"], report["labeled"], report["labels"]) == (3, 57, 65)


def test_a_known_label_beside_an_unknown_one_is_not_chosen(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    job.label(labeled(table))
    job.label(pd.DataFrame({"order": ["000"], "churned": ["maybe"]}), "later.csv")
    assert job.report()["labeled"] == 59


def test_labels_of_other_rows_and_rows_without_labels_are_counted(job: Job) -> None:
    table = rows(60)
    job.ask(body(table, CSV))
    job.label(labeled(rows(60, first=20)))
    report = job.report()
    assert (report["rows"], report["labeled"], report["unmatched"]) == (60, 40, 20)


def test_an_identifier_that_was_asked_for_twice_counts_twice_and_is_told(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    job.ask(body(table[:10], JSON), JSON)
    job.label(labeled(table))
    report = job.report()
    assert (report["labeled"], report["repeated"]) == (70, 10)


def test_identifiers_are_compared_as_text_also_from_parquet(job: Job) -> None:
    table = rows()
    table["order"] = range(1000, 1060)
    job.ask(body(table[:30], JSON), JSON)
    job.ask(body(table[30:], PARQUET), PARQUET)
    job.label(labeled(table), "labels.parquet")
    assert job.report()["labeled"] == 60


LARGE = [10**17 + 4 * number for number in range(60)]


def with_orders(table: pd.DataFrame, orders: pa.Array) -> bytes:
    """A request, or labels, in Parquet with identifiers of a certain type."""
    other = pa.Table.from_pandas(table.drop(columns="order"), preserve_index=False)
    sink = io.BytesIO()
    parquet.write_table(other.append_column("order", orders), sink)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [pa.decimal128(38), pa.decimal128(18), pa.decimal256(60)])
def test_decimals_without_a_fraction_identify_rows_exactly(job: Job, kind: pa.DataType) -> None:
    table = rows().assign(order=LARGE)
    orders = pa.array(map(Decimal, LARGE), kind)
    job.ask(with_orders(table[:30], orders[:30]), PARQUET)
    job.ask(body(table[30:], CSV))
    labels = with_orders(labeled(table), orders)
    (job.base / "processing/input/labels/labels.parquet").write_bytes(labels)
    report = job.report()
    assert (report["labeled"], report["repeated"], report["conflicting"]) == (60, 0, 0)


ROUNDED = [
    (pa.float64(), 2**53),
    (pa.float32(), 2**24),
    (pa.float16(), 2**11),
    (pa.decimal128(30, 2), 2**53),
]


@pytest.mark.parametrize(("kind", "least"), ROUNDED)
def test_numbers_that_may_be_rounded_identify_no_captured_row(
    job: Job, kind: pa.DataType, least: int
) -> None:
    table = rows()
    numbers = [*range(1, 58), least - 1, least, -least]
    number = Decimal if pa.types.is_decimal(kind) else float
    orders = pa.array(list(map(number, numbers))).cast(kind)
    job.ask(with_orders(table, orders), PARQUET)
    table["order"] = numbers
    job.label(labeled(table))
    report = job.report()
    assert (report["rows"], report["unidentified"]) == (60, 2)
    assert report["labeled"] >= 57  # of floats, the text of a large one has an exponent


@pytest.mark.parametrize(("kind", "least"), ROUNDED)
def test_labels_whose_identifiers_may_be_rounded_are_refused(
    job: Job, kind: pa.DataType, least: int
) -> None:
    table = rows()
    job.ask(body(table, CSV))
    number = Decimal if pa.types.is_decimal(kind) else float
    orders = pa.array([number(least)] * 60)
    labels = with_orders(labeled(table), orders.cast(kind))
    (job.base / "processing/input/labels/labels.parquet").write_bytes(labels)
    assert job.run() == 2
    assert job.reason == (
        f"labels: labels.parquet: column 'order' has numbers of type {kind} that may be rounded: "
        "store identifiers as text or integers"
    )


def test_any_column_beside_the_models_can_identify_rows(job: Job) -> None:
    table = rows().drop(columns="order").assign(token=[f"t{number}" for number in range(60)])
    job.ask(body(table, CSV))
    job.label(pd.DataFrame({"churned": truth(table), " Token": table["token"]}))
    assert job.report()["labeled"] == 60


@pytest.mark.parametrize("kind", [CSV, JSON])
def test_unnamed_rows_have_identifiers_if_they_have_all_columns(job: Job, kind: str) -> None:
    table = rows()
    lists = {
        CSV: lambda part: part.to_csv(index=False, header=False).encode(),
        JSON: lambda part: part.to_json(orient="values").encode(),
    }
    job.ask(lists[kind](table[:40]), kind, CSV)
    job.ask(lists[kind](table[40:].drop(columns="order")), kind, CSV)
    job.label(labeled(table))
    report = job.report()
    assert (report["rows"], report["labeled"], report["unidentified"]) == (60, 40, 20)


def test_the_only_column_of_a_model_is_no_identifier(base: Path) -> None:
    """Unnamed rows of one column: those of the model, whatever the labels call theirs."""
    schema = Schema(**{**vars(BINARY), "columns": COLUMNS[:2]})
    job = Job(base, schema)
    job.ask("\n".join(map(str, rows()["age"])).encode())
    job.label(pd.DataFrame({"order": rows()["age"], "churned": truth(rows())}))
    report = job.report()
    assert (report["value"], report["unidentified"]) == (None, 60)
    assert report["reason"] == "no captured row has an identifier in the column 'order'"


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("order"),
        lambda record: record.update(order=None),
        lambda record: record.update(order=[1]),
        lambda record: record.update(order=float("nan")),
        lambda record: record.update(order="\ud800"),
    ],
)
def test_a_record_without_an_identifier_hides_no_other_one(
    job: Job, change: Callable[[dict[str, Any]], object], *, wrapped: bool
) -> None:
    table = rows()
    records = table.to_dict(orient="records")
    change(records[7])
    records[8] = {" Order": records[8].pop("order"), **records[8]}
    job.ask(json.dumps({"instances": records} if wrapped else records).encode(), JSON)
    job.label(labeled(table))
    report = job.report()
    assert (report["rows"], report["unidentified"], report["labeled"]) == (60, 1, 59)


def test_identifiers_in_json_are_text_as_it_is_written(job: Job) -> None:
    table = rows()
    names = [f"1.{number}0" for number in range(58)] + [str(10**17 + 1), "true"]
    for name, age in zip(names, table["age"], strict=True):
        job.ask(f'{{"order": {name}, "age": {age}, "plan": ""}}'.encode(), JSON)
    job.label(pd.DataFrame({"order": names, "churned": truth(table)}))
    assert job.report()["labeled"] == 60


def test_what_is_no_answer_of_this_model_is_not_measured(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    request = body(rows(1), CSV)
    chances = {"0": 0.1, "1": 0.2, "2": 0.7}
    other = {"predictions": [{"label": "0", "probabilities": chances}]}
    for answer, media in (
        (None, JSON),
        (b"the model is loading", "text/plain"),
        (b"[]", JSON),
        (b'{"predictions": [{"prediction": 1.5}]}', JSON),
        (json.dumps(other).encode(), JSON),
        (b'{"predictions": []}', JSON),
        (b"label,probability_1,probability_0\n1,1,0\n", CSV),
        (b"", CSV),
    ):
        job.capture(request, CSV, answer, media)
    job.capture(b"nothing,fits\n1,2\n", CSV, b'{"predictions": []}')
    job.label(labeled(table))
    report = job.report()
    assert (report["requests"], report["refused"], report["rows"]) == (10, 9, 60)


@pytest.mark.parametrize(
    ("answer", "media"),
    [
        (b'{"predictions": [{"prediction": NaN}]}', JSON),
        (b'{"predictions": [{"prediction": -Infinity}]}', JSON),
        (b'{"predictions": [{"prediction": 1e200}]}', JSON),
        (b'{"predictions": [{"prediction": 1' + b"0" * 400 + b"}]}", JSON),
        (b"[" * 100_000, JSON),
        (b"prediction\nnan\n", CSV),
        (b"prediction\ninf\n", CSV),
    ],
)
def test_an_answer_that_is_no_finite_number_is_not_measured(
    base: Path, answer: bytes, media: str
) -> None:
    job = Job(base, REGRESSION)
    table = rows(40)
    job.ask(body(table, CSV))
    job.capture(body(table[:1], CSV), CSV, answer, media)
    job.label(pd.DataFrame({"order": table["order"], "price": table["age"]}))
    report = job.report()
    assert (report["requests"], report["refused"], report["rows"]) == (2, 1, 40)
    assert report["value"] == 1


def test_probabilities_that_are_no_numbers_are_not_measured(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    for chance in ("NaN", "null", '"much"'):
        chances = f'{{"0": 0, "1": {chance}}}'
        answer = f'{{"predictions": [{{"label": "1", "probabilities": {chances}}}]}}'
        job.capture(body(table[:1], CSV), CSV, answer.encode())
    job.label(labeled(table))
    assert job.report()["refused"] == 3


UNREADABLE: list[Any] = [
    {},
    "",
    "text",
    {"data": None, "encoding": "JSON", "observedContentType": JSON},
    {"data": "%", "encoding": "BASE64", "observedContentType": JSON},
    {"data": "{}", "encoding": "JSON", "observedContentType": None},
]


def test_an_answer_that_cannot_be_read_is_none(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    for output in UNREADABLE:
        request = message(body(table[:1], CSV), CSV, "INPUT")
        found = {"endpointInput": request, "endpointOutput": output}
        job.lines.append(json.dumps({"captureData": found}))
    job.label(labeled(table))
    report = job.report()
    assert (report["requests"], report["refused"], report["rows"]) == (7, 6, 60)


def test_few_labels_give_no_number(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    job.label(labeled(table[:29]))
    report = job.report()
    assert (report["value"], report["labeled"]) == (None, 29)
    reason = "29 identifiers of 60 captured rows have a label: at least 30 are needed"
    assert report["reason"] == reason
    assert "metrics" not in report


def test_the_same_identifier_often_is_one_of_those_that_are_needed(job: Job) -> None:
    table = rows(29)
    for _ in range(3):
        job.ask(body(table, CSV))
    job.label(labeled(table))
    report = job.report()
    assert (report["value"], report["labeled"], report["repeated"]) == (None, 87, 58)
    assert report["reason"].startswith("29 identifiers of 87 captured rows have a label: ")


def test_labels_of_one_class_give_no_number(job: Job) -> None:
    table = rows()
    job.ask(body(table, CSV))
    job.label(labeled(table).assign(churned=1))
    report = job.report()
    assert (report["value"], report["reason"]) == (None, "all 60 labels are '1'")


@pytest.mark.parametrize(
    ("metric", "value"), [("r2", None), ("neg_mean_absolute_error", pytest.approx(-25.2))]
)
def test_labels_that_are_all_equal_have_errors_and_no_r2(
    base: Path, metric: str, value: object
) -> None:
    job = Job(base, REGRESSION)
    table = rows(40)
    job.ask(body(table, CSV))
    job.label(pd.DataFrame({"order": table["order"], "price": "50"}))
    report = job.report(f"--metric={metric}")
    assert report["value"] == value
    reason = "all 40 labels are the same number, of which r2 says nothing"
    assert report.get("reason") == (reason if value is None else None)


def test_requests_that_were_all_refused_give_no_number(job: Job) -> None:
    job.capture(b"nothing,fits\n1,2\n", CSV, None)
    job.label(labeled(rows()))
    report = job.report()
    assert (report["value"], report["rows"], report["refused"]) == (None, 0, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "labels.csv is empty: it must begin with a header line of column names"),
        ("order,label\n1,2\n", "labels: labels.csv has no column 'churned', the model's label: "),
        ("churned\n1\n", "labels: labels.csv must have two columns, 'churned' and an identifier: "),
        ("order,churned,at\n1,1,2\n", "labels: labels.csv must have two columns, 'churned' and an"),
        ("order,churned\n1\n", "labels.csv, line 2: "),
        ('{"groundTruthData": 1}\n', "labels: labels.csv has no column 'churned', the model's"),
    ],
)
def test_labels_that_cannot_be_read_are_one_clear_line(job: Job, content: str, reason: str) -> None:
    job.ask(body(rows(), CSV))
    (job.base / "processing/input/labels/labels.csv").write_text(content)
    assert job.run() == 2
    assert job.reason.startswith(reason)
    assert "\n" not in job.reason
    assert not (job.base / "processing/output/quality/quality.json").exists()


@pytest.mark.parametrize("name", ["README.md", "z.md"])
def test_a_file_that_has_no_labels_is_named(job: Job, name: str) -> None:
    job.ask(body(rows(), CSV))
    job.label(labeled(rows()))
    (job.base / "processing/input/labels" / name).write_text("# What is known\n")
    assert job.run() == 2
    assert job.reason == (
        f"labels: {name} has no column 'churned', the model's label: '# What is known'"
    )


def test_label_files_have_the_same_columns(job: Job) -> None:
    job.ask(body(rows(), CSV))
    job.label(labeled(rows()))
    job.label(labeled(rows()).rename(columns={"order": "number"}), "later.csv")
    assert job.run() == 2
    assert job.reason.startswith("later.csv has different columns from labels.csv: ")


def test_what_is_missing_is_one_clear_line(job: Job) -> None:
    job.ask(body(rows(), CSV))
    assert job.run() == 2
    assert job.reason == f"there is no CSV or Parquet file in {LABEL_URI}: nothing to read"
    job.label(labeled(rows()))
    assert job.run("--metric=r2") == 2
    assert job.reason.startswith("metric: 'r2' cannot measure a binary model")
    job.lines = ['{"captureData": {}}']
    assert job.run() == 2
    assert job.reason.startswith("00-00-1.jsonl, line 1: not a record of data capture: ")


def test_labels_measure_captured_requests_alone(job: Job) -> None:
    """Of a table, they would be ignored."""
    rows().to_csv(job.base / "processing/input/table/table.csv")
    job.label(labeled(rows()))
    assert predict.main(["--input-uri=s3://b/raw/t/", f"--label-uri={LABEL_URI}"]) == 2
    assert job.reason == "LabelData: there are no captured requests in s3://b/raw/t/"


def test_the_default_of_the_parameter_means_that_there_are_no_labels(job: Job) -> None:
    job.ask(body(rows(), CSV))
    assert job.run(labels="s3://b/code/0123/predict.py") == 0
    assert (job.base / "processing/output/drift/drift.json").exists()
    assert not (job.base / "processing/output/quality").exists()
