"""What must come of tables that people really have: each case is one example of a kind.

This is the behavior's specification, from the user's CSV to the answer of the endpoint; each case
is one that went wrong. Fitted models are shared: a case is trained once.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inference
import pyarrow as pa
import pytest
import time_machine
from pyarrow import parquet

from tests.scripts.cases import CASES, TITANIC
from tests.scripts.jobs_run import CSV, JSON, PARQUET, Jobs
from tests.scripts.tables import csv_text

Get = Callable[[str], Jobs]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Get:
    """A case after preprocessing, whatever came of it; each is prepared once."""
    done: dict[str, Jobs] = {}

    def get(name: str) -> Jobs:
        if name not in done:
            done[name] = Jobs(tmp_path_factory.mktemp(name), CASES[name]()).prepare()
        return done[name]

    return get


@pytest.fixture(scope="module")
def fitted(prepared: Get) -> Get:
    """A case with its model."""
    return lambda name: prepared(name).fit()


def as_parquet(columns: dict[str, pa.Array]) -> bytes:
    """A body in Parquet."""
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


# --- Kinds of columns ------------------------------------------------------------------------


def test_a_time_of_day_is_learned_as_one(fitted: Get) -> None:
    jobs = fitted("times")
    assert jobs.column("call_time").kind == "time"
    assert jobs.metrics["roc_auc"] > 0.95
    assert jobs.labels("09:15,3\n21:45,3\n") == ["early", "late"]


def test_a_time_of_day_means_the_same_on_every_day(fitted: Get) -> None:
    jobs = fitted("times")
    body = csv_text(["call_time", "n"], [[f"{hour:02}:30", 4] for hour in range(24)])
    answers = []
    for year in (2020, 2026, 2041):
        with time_machine.travel(datetime(year, 5, 17, 23, 59, tzinfo=UTC), tick=False):
            answers.append(jobs.predictions(body))
    assert answers[0] == answers[1] == answers[2]


def test_versions_are_no_dates(fitted: Get) -> None:
    jobs = fitted("firmware")
    assert jobs.column("version").kind == "category"
    assert jobs.metrics["roc_auc"] > 0.9
    assert jobs.labels("4.1.2,0.5\n1.1.2,0.5\n") == ["patched", "open"]


@pytest.mark.parametrize("name", ["missing-blank", "missing-question"])
def test_marks_for_missing_leave_a_column_of_numbers_one(fitted: Get, name: str) -> None:
    jobs = fitted(name)
    column = jobs.column("TotalCharges")
    assert column.kind in {"number", "integer"}
    assert column.missing == 6
    assert jobs.metrics["roc_auc"] > 0.9


def test_marks_for_missing_are_told(prepared: Get) -> None:
    assert "?" in prepared("missing-question").column("TotalCharges").marks


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("decimal-comma", ["99,50;3;a", "6050,25;3;a"]),
        ("thousands", ['"99.50",3,a', '"6,050.25",3,a']),
    ],
)
def test_numbers_are_numbers_however_they_are_written(
    fitted: Get, name: str, cells: list[str]
) -> None:
    jobs = fitted(name)
    assert jobs.column("TotalCharges").kind == "number"
    assert jobs.metrics["roc_auc"] > 0.9
    rows = [next(csv.reader([line], delimiter=";" if ";" in line else ",")) for line in cells]
    body = csv_text(["TotalCharges", "tenure", "contract"], rows)
    assert jobs.labels(body) == ["yes", "no"]
    numbers = json.dumps(
        [{"TotalCharges": value, "tenure": 3, "contract": "a"} for value in (99.5, 6050.25)]
    )
    assert jobs.predictions(numbers, JSON) == jobs.predictions(body)


def test_an_odd_cell_has_the_same_end_wherever_it_is(prepared: Get) -> None:
    one, other = prepared("odd-cell"), prepared("odd-cell-elsewhere")
    assert one.code == other.code == 0
    assert one.column("x") == other.column("x")
    assert one.column("x").kind in {"number", "integer"}
    assert one.column("x").missing == 1


def test_a_model_comes_of_a_table_with_an_odd_cell_in_its_test_part(fitted: Get) -> None:
    for name in ("odd-cell", "odd-cell-elsewhere"):
        assert fitted(name).metrics["roc_auc"] > 0.9


# --- Labels ----------------------------------------------------------------------------------


def test_numeric_twins_are_one_class(fitted: Get) -> None:
    jobs = fitted("twins")
    assert jobs.schema.problem == "binary"
    assert len(jobs.schema.classes) == 2
    assert [float(name) for name in jobs.schema.classes] == [0, 1]
    assert jobs.metrics["roc_auc"] > 0.95


def test_hundreds_of_classes_work_from_end_to_end(fitted: Get) -> None:
    jobs = fitted("classes-250")
    assert jobs.schema.problem == "multiclass"
    assert len(jobs.schema.classes) == 250
    assert jobs.metrics["accuracy"] > 10 * jobs.report("evaluation.json")["baseline"]["accuracy"]
    assert (jobs.folder / "evaluation/gate.json").stat().st_size < 200


def test_a_thousand_classes_are_prepared(prepared: Get) -> None:
    jobs = prepared("classes-1000")
    assert (jobs.code, jobs.reason) == (0, "")
    assert len(jobs.schema.classes) == 1000


def test_backslashes_and_quotes_survive_in_label_and_classes(fitted: Get) -> None:
    jobs = fitted("backslash")
    assert jobs.schema.label == "pass\\fail"
    assert jobs.schema.positive_class == "yes\\no"
    assert jobs.report("evaluation.json")["positive_class"] == "yes\\no"
    assert jobs.labels("0.9\n0.1\n") == ["yes\\no", 'may"be']
    (answer,) = jobs.predictions("0.9\n")
    assert set(answer["probabilities"]) == {"yes\\no", 'may"be'}


def test_a_class_called_none_is_told(prepared: Get) -> None:
    jobs = prepared("none-class")
    if jobs.code:
        assert "None" in jobs.reason
        assert "MissingMarks" in jobs.reason
    else:
        assert jobs.schema.classes == ("Apnea", "Insomnia", "None")
        assert "None" in jobs.warnings + str(jobs.schema.label_column)


def test_a_label_that_is_a_quantity_is_a_regression(fitted: Get) -> None:
    jobs = fitted("abalone-like")
    assert jobs.schema.problem == "regression"
    assert jobs.profile["problem"]["type"] == "regression"
    assert jobs.profile["problem"]["reason"]
    assert jobs.metrics["r2"] > 0.7
    found = jobs.report("evaluation.json")
    assert found["metrics"]["rmse"] < found["baseline"]["rmse"]
    assert found["gate"]["metric"] == "r2"
    answers = jobs.predictions("0.15,0.12,M\n0.75,0.6,M\n")
    assert answers[0]["prediction"] < 10
    assert answers[1]["prediction"] > 14


def test_a_regression_leaves_what_the_report_draws(fitted: Get) -> None:
    """These are the names that `tabular_ml_vpc/reports/run_report/regression.py` reads."""
    curves = fitted("abalone-like").report("curves.json")
    assert all(len(pair) == 2 for pair in curves["predicted_vs_true"])
    assert all(set(item) == {"from", "to", "rows"} for item in curves["residuals"])
    for item in curves["error_by_quantile"]:
        assert set(item) == {"from", "to", "rows", "mae", "bias"}
    rows = len(fitted("abalone-like").side("test"))
    assert sum(item["rows"] for item in curves["residuals"]) == rows
    assert sum(item["rows"] for item in curves["error_by_quantile"]) == rows


def test_a_quantity_can_be_trained_as_classes_if_asked_for(tmp_path: Path) -> None:
    case = CASES["abalone-like"]()
    jobs = Jobs(tmp_path, type(case)(case.files, case.label, ("--problem=multiclass",)))
    assert jobs.prepare().code == 0, jobs.reason
    assert jobs.schema.problem == "multiclass"
    assert len(jobs.schema.classes) > 10


# --- The split -------------------------------------------------------------------------------


def test_a_table_of_few_distinct_rows_is_split_in_proportion(fitted: Get) -> None:
    jobs = fitted("titanic")
    assert jobs.profile["split"]["way"] == "proportion"
    assert jobs.metrics["roc_auc"] > 0.7
    assert jobs.metrics["accuracy"] > 0.7
    test = Counter(tuple(row.values()) for row in jobs.side("test"))
    assert test.total() == pytest.approx(sum(map(sum, TITANIC.values())) / 5, rel=0.05)
    big = {
        (*person, fate): count
        for person, fates in TITANIC.items()
        for fate, count in zip(("No", "Yes"), fates, strict=True)
        if count >= 50
    }
    for row, count in big.items():
        assert test[row] == pytest.approx(count / 5, abs=0.25 * count / 5 + 2)


def test_equal_features_are_on_one_side_otherwise(prepared: Get) -> None:
    jobs = prepared("missing-question")
    assert jobs.profile["split"]["way"] == "features"
    label = jobs.schema.label
    sides = [
        {tuple(value for name, value in row.items() if name != label) for row in jobs.side(side)}
        for side in ("train", "test")
    ]
    assert not sides[0] & sides[1]


# --- Input -----------------------------------------------------------------------------------


def test_what_the_parameter_names_is_read_and_nothing_beside_it(prepared: Get) -> None:
    jobs = prepared("prefix")
    if jobs.code:
        assert "data.csv.bak" in jobs.reason
    else:
        assert jobs.schema.rows == 300
        assert jobs.schema.classes == ("a", "b")


def test_a_newline_in_a_header_cell_does_no_harm(fitted: Get) -> None:
    jobs = fitted("header-newline")
    assert jobs.metrics["roc_auc"] > 0.95
    assert jobs.labels("20.5\n70.5\n") == ["b", "a"]


def test_commas_in_a_quoted_header_are_no_delimiters(fitted: Get) -> None:
    jobs = fitted("quoted-commas")
    assert [column.name for column in jobs.schema.columns] == ["age", "x, in km, west", "c, d"]
    assert jobs.metrics["roc_auc"] > 0.95


# --- Requests --------------------------------------------------------------------------------


def test_a_row_that_can_be_data_is_data(fitted: Get) -> None:
    jobs = fitted("numeric-names")
    assert jobs.labels("2,0,1\n7,0,1\n7,3,3\n") == ["cold", "hot", "hot"]


def test_the_caller_can_say_that_there_is_a_header(fitted: Get) -> None:
    jobs = fitted("numeric-names")
    swapped = "2,0,1\n7,0,1\n1,8,1\n"  # the column 0 is in the middle
    assert jobs.labels(swapped, f"{CSV}; header=present") == ["cold", "hot"]
    assert jobs.labels(swapped, f"{CSV}; header=absent") == ["cold", "hot", "cold"]


def requests_for(values: list[Any]) -> dict[str, tuple[bytes, str]]:
    """The same rows with `member` and `x`, in many forms; None is missing, the rest true or not."""
    texts = ["" if value is None else str(value).lower() for value in values]
    xs = [0.25] * len(values)
    records = [{"member": value, "x": 0.25} for value in values]
    written = [{"member": value, "x": 0.25} for value in texts]
    plain, x = pa.array(texts), pa.array(xs)
    bodies: dict[str, tuple[bytes, str]] = {
        "csv": (csv_text(["member", "x"], zip(texts, xs, strict=True)).encode(), CSV),
        "json": (json.dumps(records).encode(), JSON),
        "json of texts": (json.dumps(written).encode(), JSON),
        "parquet of texts": (as_parquet({"member": plain, "x": x}), PARQUET),
        "parquet of bytes": (as_parquet({"member": plain.cast(pa.binary()), "x": x}), PARQUET),
        "parquet of a dictionary": (
            as_parquet({"member": plain.dictionary_encode(), "x": x}),
            PARQUET,
        ),
    }
    if all(isinstance(value, bool | None) for value in values):
        bodies["parquet of booleans"] = (as_parquet({"member": pa.array(values), "x": x}), PARQUET)
    return bodies


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("flags", [True, False, "unknown"]),
        ("flags", [True, False, True]),
        ("booleans", [True, False, None]),
    ],
)
def test_a_value_gets_one_answer_in_every_format(fitted: Get, name: str, values: list[Any]) -> None:
    jobs = fitted(name)
    answers = {
        form: jobs.predictions(body, kind) for form, (body, kind) in requests_for(values).items()
    }
    first = answers["csv"]
    assert first[0]["label"] == "buys"
    assert first[1]["label"] == "leaves"
    assert {form: answer == first for form, answer in answers.items()} == dict.fromkeys(
        answers, True
    )


def test_a_header_in_another_case_is_a_header(fitted: Get) -> None:
    jobs = fitted("flags")
    rows = "true,0.25\nfalse,0.25\n"
    assert jobs.predictions(f"Member, X\n{rows}") == jobs.predictions(f"member,x\n{rows}")
    assert jobs.labels("X,MEMBER\n0.25,true\n0.25,false\n") == ["buys", "leaves"]


def test_five_is_five_point_zero_for_a_column_of_texts(fitted: Get) -> None:
    jobs = fitted("codes")
    assert jobs.column("code").kind == "category"
    bodies = [f'[{{"code": {cell}, "x": 0.5}}]' for cell in ("5", "5.0", '"5"')]
    first, *others = [jobs.predictions(body, JSON) for body in bodies]
    assert first[0]["label"] == "odd"
    assert others == [first, first]
    whole = as_parquet({"code": pa.array([5]), "x": pa.array([0.5])})
    assert jobs.predictions(whole, PARQUET) == jobs.predictions("5,0.5\n") == first


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json;q=0, text/csv", CSV),
        ("text/csv;q=0.4, application/json;q=0.9", JSON),
        ("application/json;q=0.4, text/*;q=0.9", CSV),
        ("*/*", JSON),
    ],
)
def test_the_client_chooses_the_answer_s_format(fitted: Get, accept: str, kind: str) -> None:
    model = fitted("flags").model
    assert inference.transform_fn(model, b"true,0.25\n", CSV, accept)[1] == kind


def test_a_feature_may_be_called_as_the_envelope_is(fitted: Get) -> None:
    jobs = fitted("instances")
    assert jobs.labels('{"instances": 90}', JSON) == ["many"]
    assert jobs.labels('[{"instances": 90}, {"instances": 10}]', JSON) == ["many", "few"]
    assert jobs.labels('{"instances": [{"instances": 90}, {"instances": 10}]}', JSON) == [
        "many",
        "few",
    ]


@pytest.mark.parametrize("body", ["90\n\n10\n", "instances\n90\n\n10\n", '90\n""\n10\n'])
def test_of_one_feature_a_blank_line_is_a_row(fitted: Get, body: str) -> None:
    labels = fitted("instances").labels(body)
    assert len(labels) == 3
    assert (labels[0], labels[2]) == ("many", "few")


def test_texts_without_a_header_get_an_answer_each(fitted: Get) -> None:
    jobs = fitted("only-texts")
    rows = [["blue", "oak"], ["red", "elm"], ["gray", "pine"]] * 400
    with_header = csv_text(["color", "wood"], rows)
    without = with_header.partition("\n")[2]
    assert len(jobs.labels(without)) == len(jobs.labels(with_header)) == 1200
    assert jobs.labels(without)[:3] == ["dark", "bright", "dark"]


# --- All of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_case_is_prepared_or_refused_with_one_sentence(prepared: Get, name: str) -> None:
    jobs = prepared(name)
    assert jobs.code in {0, 2}, jobs.reason
    assert bool(jobs.code) == bool(jobs.reason)
    assert "\n" not in jobs.reason


@pytest.mark.parametrize("name", ["flags", "titanic", "missing-blank", "times", "abalone-like"])
def test_the_same_rows_in_another_order_and_other_files_mean_the_same(
    prepared: Get, tmp_path: Path, name: str
) -> None:
    jobs = prepared(name)
    header, *rows = jobs.lines
    parts = {"b.csv": rows[::-2], "a.csv": rows[-2::-2]}
    files = {part: "\n".join([header, *lines]) + "\n" for part, lines in parts.items()}
    turned = Jobs(tmp_path, type(jobs.case)(files, jobs.case.label)).prepare()
    assert turned.schema == jobs.schema
    for side in ("train", "test"):
        one, other = (sorted(map(repr, each.side(side))) for each in (jobs, turned))
        assert one == other


@pytest.mark.parametrize("name", ["flags", "missing-blank", "abalone-like"])
def test_alone_in_a_batch_and_shuffled_a_row_gets_the_same_answer(fitted: Get, name: str) -> None:
    jobs = fitted(name)
    header, *rows = jobs.lines[:31]
    without = [line.rpartition(",")[0] for line in [header, *rows]]
    batch = jobs.predictions("\n".join(without))
    turned = jobs.predictions("\n".join([without[0], *without[:0:-1]]))
    alone = [jobs.predictions(f"{without[0]}\n{row}\n")[0] for row in without[1:6]]
    assert turned == batch[::-1]
    assert alone == batch[:5]
