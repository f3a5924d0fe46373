"""Real tables, as preprocessing leaves them, through training, evaluation and inference."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cells
import columns
import evaluate
import inference
import number_quality
import numpy as np
import pandas as pd
import predict
import pyarrow as pa
import pytest
import scoring
import served
import train
from columns import Column, Schema
from pyarrow import parquet
from sagemaker_inference.errors import BaseInferenceToolkitError
from sklearn import datasets

from functions.seed_data.table import blocks
from tests.scripts.prepared import FAST, Run, finish, places, prepare


def shipped(name: str) -> pd.DataFrame:
    """One of scikit-learn's tables, with its classes' names, or its numbers, as column `kind`."""
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    names = getattr(bunch, "target_names", None)
    target = bunch.target if names is None else bunch.target.map(dict(enumerate(names)))
    table: pd.DataFrame = bunch.data.assign(kind=target)
    return table


def run(folder: Path, table: pd.DataFrame, label: str, metric: str, *arguments: str) -> Run:
    """Prepare the table, train on it and evaluate."""
    prepare(folder, table, label)
    return finish(folder, metric, *arguments)


@pytest.fixture(scope="module", autouse=True)
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the jobs of this module leave the reasons of their failures."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("opt")
        patch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two classes, numbers only."""
    return run(tmp_path_factory.mktemp("cancer") / "run", shipped("breast_cancer"), "kind", "auto")


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three classes."""
    return run(tmp_path_factory.mktemp("wine") / "run", shipped("wine"), "kind", "neg_log_loss")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The synthetic customers: numbers, categories, missing values; classes 0 and 1."""
    folder = tmp_path_factory.mktemp("seeded") / "run"
    table = pd.read_csv(io.BytesIO(b"".join(blocks(2_000, seed=5))))
    prepare(folder, table, "label", "0")
    return finish(folder, "f1")


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A regression."""
    return run(tmp_path_factory.mktemp("diabetes") / "run", shipped("diabetes"), "kind", "auto")


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("cancer", "roc_auc", 0.95),
        ("wine", "neg_log_loss", -0.5),
        ("seeded", "f1", 0.85),
        ("diabetes", "r2", 0.3),
    ],
)
def test_a_real_table_passes_a_sensible_gate(
    request: pytest.FixtureRequest, name: str, metric: str, least: float
) -> None:
    done: Run = request.getfixturevalue(name)
    report = done.report("evaluation.json")
    assert report["gate"] == {"metric": metric, "value": report["metrics"][metric]}
    assert report["gate"] == done.report("gate.json")
    assert report["gate"]["value"] > least
    assert report["gate"]["value"] > report["baseline"][metric]
    assert sum(map(sum, report["confusion_matrix"])) in {report["rows"], 0}


def test_a_metric_of_several_classes_is_above_chance(tmp_path: Path) -> None:
    done = run(tmp_path, shipped("iris"), "kind", "balanced_accuracy")
    report = done.report("evaluation.json")
    assert report["classes"] == ["setosa", "versicolor", "virginica"]
    assert report["positive_class"] is None
    assert report["metrics"]["balanced_accuracy"] > 0.8
    assert report["baseline"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert report["baseline"]["roc_auc"] == 0.5


def test_the_positive_class_is_the_schemas(seeded: Run, cancer: Run) -> None:
    assert seeded.report("evaluation.json")["positive_class"] == "0"
    assert cancer.report("evaluation.json")["positive_class"] == "malignant"


def test_the_model_holds_what_serving_needs_and_no_more(seeded: Run) -> None:
    model = seeded.folder / "model"
    assert sorted(path.name for path in model.iterdir()) == [
        "code",
        "manifest.json",
        "predictor",
        "reference.json",
        "report",
        "schema.json",
    ]
    for module in (inference, cells, columns):
        source = Path(str(module.__file__))
        assert (model / "code" / source.name).read_bytes() == source.read_bytes()
    assert (seeded.folder / "archive/model.tar.gz").stat().st_size < 2_000_000


def test_the_model_reads_requests_by_the_tables_schema(seeded: Run) -> None:
    assert seeded.schema == Schema.load(seeded.folder / "schema/schema.json")


@pytest.mark.parametrize("name", ["seeded", "wine", "diabetes"])
def test_the_served_answers_are_those_that_were_evaluated(
    request: pytest.FixtureRequest, name: str
) -> None:
    done: Run = request.getfixturevalue(name)
    rows = done.test_rows()
    body = json.dumps(rows.to_dict("records"))  # pandas rounds
    answer, _ = inference.transform_fn(done.model, body, "application/json", "text/csv")
    found = pd.read_csv(io.StringIO(answer), dtype={"label": str}).iloc[:, 0]
    label, metrics = rows[done.schema.label], done.report("evaluation.json")["metrics"]
    if name == "diabetes":
        assert (found - label).abs().mean() == pytest.approx(metrics["mae"])
    else:
        assert (found == label).mean() == pytest.approx(metrics["accuracy"])


@pytest.mark.parametrize("name", ["seeded", "wine", "diabetes"])
def test_the_smoke_test_is_a_request_that_the_endpoint_answers_so(
    request: pytest.FixtureRequest, name: str
) -> None:
    done: Run = request.getfixturevalue(name)
    smoke = done.smoke_test
    answer, kind = inference.transform_fn(
        done.model, smoke["body"].encode(), smoke["content_type"], smoke["accept"]
    )
    assert kind == smoke["accept"]
    assert json.loads(answer) == smoke["answer"]
    rows = json.loads(smoke["body"])
    assert len(rows) == len(smoke["answer"]["predictions"]) == 20
    labels = {one.get("label") for one in smoke["answer"]["predictions"]}
    assert len(labels) == max(1, len(done.schema.classes))
    assert any(None in row.values() for row in rows) == (name == "seeded")


@pytest.mark.parametrize("name", ["seeded", "wine", "cancer"])
def test_the_answers_are_autogluons_own(request: pytest.FixtureRequest, name: str) -> None:
    done: Run = request.getfixturevalue(name)
    model, rows = done.model, done.test_rows()
    arrays = {column: parquet.read_table(done.folder / "test")[column] for column in rows}
    frame = inference.frame(model.schema.features, arrays)
    answers = inference.predict(model, frame)
    assert answers.probabilities is not None
    assert answers.predicted.tolist() == model.predictor.predict(frame).tolist()
    expected = model.predictor.predict_proba(frame)
    assert np.array_equal(answers.probabilities, expected[sorted(expected)].to_numpy("float64"))


def test_what_autogluons_feature_generator_makes_is_known_beforehand(seeded: Run) -> None:
    model, rows = seeded.model, seeded.test_rows().head(20).drop(columns="label")
    rows.loc[rows.index[:3], ["plan", "age"]] = None
    rows.loc[rows.index[3:5], "region"] = "never seen"
    arrays = {
        column.name: cells.read(column, pa.array(rows[column.name], from_pandas=True))
        for column in model.schema.features
    }
    frame = inference.frame(model.schema.features, arrays)
    assert model.generated is not None
    for some in (frame, frame.head(1), frame.iloc[4:5]):
        expected = model.predictor.transform_features(some)
        pd.testing.assert_frame_equal(model.generated.of(some), expected, check_exact=True)


def test_formats_agree_on_a_real_model(seeded: Run) -> None:
    model, frame = seeded.model, seeded.test_rows().head(20).drop(columns="label")
    bodies = {
        "text/csv": frame[frame.columns[::-1]].to_csv(index=False).encode(),
        "text/csv; header=absent": frame.to_csv(index=False, header=False).encode(),
        "application/json": frame.to_json(orient="records").encode(),
        "application/x-parquet": frame.to_parquet(index=False),
    }
    answers = {inference.transform_fn(model, body, kind, None)[0] for kind, body in bodies.items()}
    assert len(answers) == 1


def test_a_category_that_training_never_saw_is_answered(seeded: Run) -> None:
    record = {column.name: None for column in seeded.schema.features} | {"region": "the moon"}
    answer, _ = inference.transform_fn(seeded.model, json.dumps(record), "application/json", None)
    [found] = json.loads(answer)["predictions"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_the_leaderboard_marks_the_model_that_serves(seeded: Run) -> None:
    board = seeded.report("training.json")["leaderboard"]
    [best] = [row for row in board if row["best"]]
    assert best["model"] == seeded.manifest["best_model"]
    assert {"LightGBM", "WeightedEnsemble_L2"} == {row["model"] for row in board}
    assert all(row["fit_time"] > 0 for row in board)


def test_of_equally_good_models_the_quickest_serves(seeded: Run) -> None:
    assert seeded.manifest["best_model"] == "LightGBM"
    times = {
        row["model"]: row["row_milliseconds"]
        for row in seeded.report("training.json")["leaderboard"]
    }
    assert times["LightGBM"] == seeded.manifest["row_milliseconds"]


def test_the_importance_of_columns_is_ranked(seeded: Run) -> None:
    found = seeded.report("training.json")["feature_importance"]
    importances = [row["importance"] for row in found]
    assert importances == sorted(importances, reverse=True)
    noise = next(row for row in found if row["column"] == "devices")
    assert importances[0] > noise["importance"]


def test_the_registrys_report_of_two_classes(cancer: Run) -> None:
    found = cancer.report("model_quality.json")["binary_classification_metrics"]
    report = cancer.report("evaluation.json")
    assert found["auc"] == {"value": report["metrics"]["roc_auc"], "standard_deviation": "NaN"}
    assert found["confusion_matrix"]["benign"] == dict(
        zip(report["classes"], report["confusion_matrix"][0], strict=True)
    )
    curve = found["receiver_operating_characteristic_curve"]
    assert curve["true_positive_rates"][-1] == 1


def test_the_registrys_report_of_three_classes(wine: Run) -> None:
    found = wine.report("model_quality.json")["multiclass_classification_metrics"]
    assert found["weighted_recall"] == found["accuracy"]
    assert list(found["confusion_matrix"]) == ["class_0", "class_1", "class_2"]


def test_curves_are_drawn_for_the_positive_class_or_for_each(cancer: Run, wine: Run) -> None:
    assert [curve["class"] for curve in cancer.report("curves.json")["curves"]] == ["malignant"]
    assert len(wine.report("curves.json")["curves"]) == 3


# --- Regression --------------------------------------------------------------------------------


def test_the_registrys_report_of_a_regression(diabetes: Run) -> None:
    found = diabetes.report("model_quality.json")["regression_metrics"]
    metrics = diabetes.report("evaluation.json")["metrics"]
    assert {name: value["value"] for name, value in found.items()} == {
        name: metrics[name] for name in ("mae", "mse", "rmse", "r2")
    }


def test_metrics_of_a_regression_have_a_negated_form_for_the_gate(diabetes: Run) -> None:
    for metrics in ("metrics", "baseline"):
        found = diabetes.report("evaluation.json")[metrics]
        assert found["neg_root_mean_squared_error"] == -found["rmse"]
        assert found["neg_mean_absolute_error"] == -found["mae"]
        assert found["mse"] == pytest.approx(found["rmse"] ** 2)


def test_the_baseline_of_a_regression_is_the_training_labels_mean_or_median() -> None:
    scores = number_quality.NumberScores(np.array([1.0, 5.0]), np.array([2.0, 2.0]), 3.0, 1.0)
    found = number_quality.baseline(scores)
    assert (found["rmse"], found["r2"], found["mae"]) == (2.0, 0.0, 2.0)


def test_a_regressions_drawings_hold_every_test_row_once(diabetes: Run) -> None:
    found = diabetes.report("curves.json")
    rows = diabetes.report("evaluation.json")["rows"]
    assert len(found["predicted_vs_true"]) == rows
    assert sum(part["rows"] for part in found["residuals"]) == rows
    assert sum(part["rows"] for part in found["error_by_quantile"]) == rows
    lows = [part["from"] for part in found["error_by_quantile"]]
    assert lows == sorted(lows)


def test_points_are_sampled_where_there_are_many() -> None:
    truth = np.arange(50_000.0)
    found = number_quality.drawings(number_quality.NumberScores(truth, truth + 1, 0, 0))
    assert len(found["predicted_vs_true"]) == number_quality.MOST_POINTS
    assert found["predicted_vs_true"][-1] == [49_999, 50_000]
    assert [part["bias"] for part in found["error_by_quantile"]] == [1.0] * 10


@pytest.mark.parametrize("metric", ["neg_root_mean_squared_error", "neg_mean_absolute_error"])
def test_a_regression_can_be_gated_by_its_errors(tmp_path: Path, metric: str) -> None:
    table = pd.DataFrame({"x": np.arange(100.0), "y": np.arange(100.0) * 2})
    gate = run(tmp_path, table, "y", metric).report("gate.json")
    assert gate["metric"] == metric
    assert -20 < gate["value"] < 0


# --- Tables that are hard for AutoGluon --------------------------------------------------------


def switch(rows: int = 200) -> tuple[np.ndarray, pd.Series]:
    """Random numbers, and a label that says which are above one half."""
    x = np.random.default_rng(1).random(rows)
    return x, pd.Series(np.where(x > 0.5, "a", "b"))


@pytest.mark.parametrize(
    "name", ["Age\n(years)", 'the "x"', "a,b[0]", "{'a': 1}", "label", "f0", "é 你", "a\tb:c", "%s"]
)
def test_any_name_of_a_column_can_be_trained_on(tmp_path: Path, name: str) -> None:
    x, y = switch()
    done = run(tmp_path, pd.DataFrame({name: x, "f1": 1 - x, "y": y}), "y", "auto")
    assert done.report("gate.json")["value"] > 0.9
    assert name in {row["column"] for row in done.report("training.json")["feature_importance"]}


@pytest.mark.parametrize("label", ["f0", "index", 'a "label"\n', "label"])
def test_any_name_of_a_label_and_of_its_classes_can_be_trained_on(
    tmp_path: Path, label: str
) -> None:
    x, y = switch()
    names = {"a": "yes\\no", "b": 'No "b",\n%s'}
    done = run(tmp_path, pd.DataFrame({"x": x, label: y.map(names)}), label, "auto")
    assert done.report("gate.json")["value"] > 0.9
    assert set(done.report("evaluation.json")["classes"]) == set(names.values())


def test_columns_that_say_nothing_do_no_harm(tmp_path: Path) -> None:
    x, y = switch()
    table = pd.DataFrame({"x": x, "same": 1.0, "none": np.nan, "twin": x, "y": y})
    table["one"] = pd.Categorical(["a"] * len(x))
    done = run(tmp_path, table, "y", "auto")
    assert done.report("gate.json")["value"] > 0.9
    found = {
        row["column"]: row["importance"]
        for row in done.report("training.json")["feature_importance"]
    }
    assert set(found) == {"x", "same", "none", "twin", "one"}
    assert found["same"] == found["none"] == found["one"] == 0


def test_a_number_of_two_values_is_a_number(tmp_path: Path) -> None:
    x, y = switch()
    done = run(tmp_path, pd.DataFrame({"x": np.where(x > 0.5, 10.1, 20.2), "y": y}), "y", "auto")
    cells = [10.1, 10.1000001, 9.0, 20.2, 20.1999999, 25.0]
    body = json.dumps([[cell] for cell in cells])
    answer, _ = inference.transform_fn(done.model, body, "application/json", None)
    assert [row["label"] for row in json.loads(answer)["predictions"]] == ["a"] * 3 + ["b"] * 3


def test_part_numbers_are_not_taken_for_dates_nor_dates_for_now(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    version = rng.choice(
        [f"{a}.{b}.20{c}" for a in range(1, 9) for b in (1, 2) for c in (10, 11)], 400
    )
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, 400), unit="h")
    label = np.where(pd.Series(version).str.startswith(("1", "2", "3", "4")), "old", "new")
    table = pd.DataFrame({"version": version, "when": when, "y": label})
    prepare(tmp_path, table, "y", when=Column("when", "datetime", format="%Y-%m-%d %H:%M:%S"))
    done = finish(tmp_path, "auto", "--families", "XGB")
    assert done.report("gate.json")["value"] > 0.95
    metadata = done.model.predictor.feature_metadata_in
    assert metadata.type_map_raw["f0"] == "category"
    assert set(metadata.type_map_raw.values()) == {"category", "float"}
    assert not metadata.type_group_map_special
    importance = done.report("training.json")["feature_importance"]
    assert [row["column"] for row in importance] == ["version", "when"]


def test_texts_are_read_for_their_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    words = ["good", "bad", "fine", "poor", "nice", "dull", "ship", "box", "late", "soon"]
    found = [" ".join(rng.choice(words, 6)) for _ in range(400)]
    label = ["up" if "good" in text.split() else "down" for text in found]
    table = pd.DataFrame({"review": found, "y": label})
    prepare(tmp_path, table, "y", review=Column("review", "text"))
    done = finish(tmp_path, "auto")
    assert done.report("gate.json")["value"] > 0.9
    body = json.dumps([{"review": "a good box"}, {"review": "a bad box"}, {"review": None}])
    answer, _ = inference.transform_fn(done.model, body, "application/json", None)
    assert [row["label"] for row in json.loads(answer)["predictions"]][:2] == ["up", "down"]


def test_hundreds_of_classes_go_through(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    kinds = np.arange(6_000) % 250
    table = pd.DataFrame(
        {"x": kinds + rng.random(6_000) * 0.4, "y": [f"class {at}" for at in kinds]}
    )
    done = run(tmp_path, table, "y", "accuracy", "--time-limit", "20")
    assert done.report("gate.json")["value"] > 0.5
    assert len(done.report("evaluation.json")["confusion_matrix"]) == 250
    assert (done.folder / "evaluation/gate.json").stat().st_size < 200


def test_many_files_are_one_table(seeded: Run, tmp_path: Path) -> None:
    for name in ("train", "test", "schema"):
        shutil.copytree(seeded.folder / name, tmp_path / name)
    for name in ("train", "test"):
        table = parquet.read_table(tmp_path / name)
        shutil.rmtree(tmp_path / name)
        (tmp_path / name / "deeper").mkdir(parents=True)
        parquet.write_table(table.slice(0, 100), tmp_path / name / "part-00000-x.c000.parquet")
        parquet.write_table(table.slice(100), tmp_path / name / "deeper/part-00001.parquet")
        (tmp_path / name / "_SUCCESS").touch()
    done = finish(tmp_path, "f1")
    assert done.report("evaluation.json")["rows"] == seeded.report("evaluation.json")["rows"]


# --- What training refuses ---------------------------------------------------------------------


def trained(folder: Path, *arguments: str) -> int:
    """The exit code of a training job of which nothing but the reason may be left."""
    model = folder / "model"
    code = train.main([*places(folder, "train", "schema", "model"), *FAST, *arguments])
    assert not model.exists() or list(model.iterdir()) == []
    return code


REFUSED = {
    "an unknown preset": (["--preset", "best"], "argument --preset: invalid choice: 'best'"),
    "a preset for GPUs": (["--preset", "extreme"], "argument --preset: invalid choice"),
    "an unknown family": (
        ["--families", "GBM, LGBM"],
        "argument --families: 'LGBM' of 'GBM, LGBM' is not one of GBM, CAT, XGB",
    ),
    "no family": (["--families", ""], "argument --families: '' of '' is not one of"),
    "no time": (["--time-limit", "0"], "argument --time-limit: '0' is not a whole number"),
    "half a second": (["--time-limit", "0.5"], "argument --time-limit: '0.5' is not a whole"),
    "an unknown metric": (["--metric", "auc"], "argument --metric: invalid choice: 'auc'"),
    "a latency of words": (["--latency-limit", "low"], "argument --latency-limit: 'low' is not a"),
    "a latency below 0": (["--latency-limit", "-1"], "argument --latency-limit: '-1' is not a"),
    "another problem's metric": (["--metric", "r2"], "metric: 'r2' cannot measure a binary model"),
    "no time for a row": (
        ["--latency-limit", "0.001"],
        "latency limit: no model predicts a row within 0.001 ms; the fastest, LightGBM",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_training_refuses_arguments_that_it_cannot_follow(
    tmp_path: Path, base: Path, name: str
) -> None:
    arguments, message = REFUSED[name]
    x, y = switch()
    prepare(tmp_path, pd.DataFrame({"x": x, "y": y}), "y")
    assert trained(tmp_path, *arguments) == 2
    assert (base / "output/failure").read_text().startswith(message)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


def damaged(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"PAR1, or so they say")


def with_label(values: list[str | None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        found = [values[at % len(values)] for at in range(len(values) if len(values) > 5 else 20)]
        table = pd.DataFrame({"x": np.arange(len(found), dtype=float), "y": found})
        table.to_parquet(folder / "train/train.parquet", index=False)

    return spoil


def of_kind(kind: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        schema = Schema.load(folder / "schema/schema.json")
        found = Schema(**{**vars(schema), "columns": (Column("x", kind),)})
        found.save(folder / "schema/schema.json")

    return spoil


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no schema": (without("schema"), "there is no schema.json in"),
    "a broken schema": (damaged("schema/schema.json"), "schema.json cannot be read: "),
    "no table": (without("train"), "there is no Parquet file in"),
    "a broken table": (damaged("train/train.parquet"), "train.parquet is not a Parquet file: "),
    "no feature": (of_kind("identifier"), "there is no column to learn from: 'x (identifier)'"),
    "no label in a row": (
        with_label(["a", "b", None, "b"]),
        "label column 'y' has no value that the schema knows in 5 rows",
    ),
    "another class": (
        with_label(["a", "b", "c", "b"]),
        "label column 'y' has no value that the schema knows in 5 rows",
    ),
    "one class": (with_label(["a"]), "label column 'y' has only one class: nothing to learn"),
    "too few rows": (
        with_label(["a", "b", "a", "b", "b", "a", "b"]),
        "7 rows for training are too few: at least 10 are needed",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_training_refuses_tables_that_it_cannot_learn_from(
    tmp_path: Path, base: Path, name: str
) -> None:
    spoil, message = SPOILT[name]
    x, y = switch()
    prepare(tmp_path, pd.DataFrame({"x": x, "y": y}), "y")
    spoil(tmp_path)
    assert trained(tmp_path) == 2
    assert (base / "output/failure").read_text().startswith(message)


def test_training_says_what_stopped_each_model(tmp_path: Path, base: Path) -> None:
    x, y = switch()
    prepare(tmp_path, pd.DataFrame({"x": x, "y": y}), "y")
    # FASTAI needs torch, which is in the image and not here.
    assert trained(tmp_path, "--families", "FASTAI") == 2
    reason = (base / "output/failure").read_text()
    assert reason.startswith("none of FASTAI could be trained: NeuralNetFastAI: ImportError: ")
    assert "time" not in reason.split("ImportError")[0]


def test_training_says_so_if_nothing_can_be_learned(tmp_path: Path, base: Path) -> None:
    _, y = switch()
    prepare(tmp_path, pd.DataFrame({"same": 1.0, "y": y}), "y")
    assert trained(tmp_path) == 2
    reason = (base / "output/failure").read_text()
    assert reason.startswith("none of GBM could be trained: LightGBM: NoValidFeatures: No valid")


class Untrained:
    """A predictor all of whose models failed."""

    def __init__(self, *failures: tuple[str, str, str]) -> None:
        self.failures = pd.DataFrame(failures, columns=["model", "exc_type", "exc_str"])

    def model_failures(self) -> pd.DataFrame:
        return self.failures


def test_training_asks_for_time_only_where_time_was_short() -> None:
    wanted = train.settings(["--families", "GBM,XGB", "--time-limit", "600"])
    late = ("XGBoost", "TimeLimitExceeded", "")
    broken = ("LightGBM", "LightGBMError", "Do not support special\ncharacters")

    def why(*failures: tuple[str, str, str]) -> str:
        predictor: Any = Untrained(*failures)
        return train.why_nothing(predictor, wanted, 0.5)

    assert why(late, late) == why() != why(late, broken)
    assert "give more time" in why(late)
    assert why(late, broken) == (
        "none of GBM, XGB could be trained: XGBoost: TimeLimitExceeded: ; LightGBM: LightGBMError: "
        "Do not support special characters"
    )


def test_a_latency_limit_that_can_be_met_changes_nothing(tmp_path: Path) -> None:
    x, y = switch()
    prepare(tmp_path, pd.DataFrame({"x": x, "y": y}), "y")
    done = finish(tmp_path, "auto", "--latency-limit", "1000")
    assert done.manifest["row_milliseconds"] < 1000


def test_a_fault_while_training_leaves_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(train, "feature_importance", fail)
    x, y = switch()
    prepare(tmp_path, pd.DataFrame({"x": x, "y": y}), "y")
    assert trained(tmp_path) == 1


# --- What evaluation refuses -------------------------------------------------------------------


@pytest.fixture
def copy(seeded: Run, tmp_path: Path) -> Run:
    """A run whose files a test may spoil."""
    shutil.copytree(seeded.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def evaluated(done: Run) -> int:
    """The exit code of an evaluation, of which nothing but the reason may be left."""
    names = {"model": "archive", "test": "test", "evaluation": "new"}
    folders = [
        text for name, folder in names.items() for text in (f"--{name}", str(done.folder / folder))
    ]
    code = evaluate.main([*folders, "--metric=f1"])
    new = done.folder / "new"
    assert not new.exists() or list(new.iterdir()) == []
    return code


def spoil_archive(done: Run, name: str) -> None:
    """Make the model's archive one that cannot serve."""
    path = done.folder / "archive/model.tar.gz"
    if name == "absent":
        path.unlink()
    elif name == "half":
        path.write_bytes(path.read_bytes()[:5000])
    elif name == "no archive":
        path.write_bytes(b"PK\x03\x04 a zip file")
    else:
        (done.folder / "model" / name).unlink()
        done.archive()


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ("absent", "there is no model.tar.gz in"),
        ("half", "model.tar.gz is broken: "),
        ("no archive", "model.tar.gz is broken: "),
        ("code/inference.py", "model.tar.gz is broken: it contains no code/inference.py"),
        ("schema.json", "model.tar.gz is broken: its model does not load: FileNotFoundError"),
        ("predictor/learner.pkl", "model.tar.gz is broken: its model does not load: FileNotFound"),
        ("predictor/models/LightGBM/model.pkl", "model.tar.gz is broken: its model does not load"),
    ],
)
def test_a_broken_archive_is_refused(copy: Run, base: Path, spoilt: str, message: str) -> None:
    spoil_archive(copy, spoilt)
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith(message)


def test_the_models_own_code_is_evaluated(copy: Run, base: Path) -> None:
    with (copy.folder / "model/code/cells.py").open("a", encoding="utf-8") as code:
        code.write("\nraise RuntimeError('the archive was read')\n")
    copy.archive()
    assert evaluated(copy) == 2
    assert "the archive was read" in (base / "output/message").read_text()


def test_batch_predictions_are_the_endpoints_answers(seeded: Run, tmp_path: Path) -> None:
    rows = pd.read_csv(io.BytesIO(b"".join(blocks(300, seed=6))), dtype=str, keep_default_na=False)
    (tmp_path / "table").mkdir()
    rows.to_csv(tmp_path / "table/rows.csv", index=False)
    names = ("table", "predictions", "drift")
    folders = ["--model", str(seeded.folder / "archive"), *places(tmp_path, *names)]
    assert predict.main(folders) == 0
    found = pd.read_csv(tmp_path / "predictions/rows.csv", dtype=str, keep_default_na=False)
    body = rows.drop(columns="label").to_csv(index=False)
    answer, _ = inference.transform_fn(seeded.model, body, "text/csv", "text/csv")
    expected = pd.read_csv(io.StringIO(answer), dtype=str)
    assert found[list(rows)].equals(rows)
    added = [name for name in found if name not in set(rows)]
    assert found[added].to_numpy().tolist() == expected.to_numpy().tolist()
    assert json.loads((tmp_path / "drift/drift.json").read_text())["drifted"] == []


def test_batch_predictions_tell_of_drift(seeded: Run, tmp_path: Path) -> None:
    rows = pd.read_csv(io.BytesIO(b"".join(blocks(300, seed=6))))
    (tmp_path / "table").mkdir()
    rows.assign(age=rows["age"] + 40).to_csv(tmp_path / "table/rows.csv", index=False)
    names = ("table", "predictions", "drift")
    assert predict.main(["--model", str(seeded.folder / "archive"), *places(tmp_path, *names)]) == 0
    assert json.loads((tmp_path / "drift/drift.json").read_text())["drifted"] == ["age"]


def test_an_archive_cannot_write_elsewhere(copy: Run, tmp_path: Path, base: Path) -> None:
    with tarfile.open(copy.folder / "archive/model.tar.gz", "w:gz") as tar:
        tar.add(copy.folder / "model/manifest.json", arcname="../../escaped.json")
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith("model.tar.gz is broken: ")
    assert not list(tmp_path.rglob("escaped.json"))


UNFIT: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no rows": (lambda rows: rows.head(0), "the test data has no rows: nothing to evaluate with"),
    "no label": (
        lambda rows: rows.drop(columns="label"),
        "label column 'label' is not in test.parquet: ",
    ),
    "another class": (
        lambda rows: rows.assign(label="2"),
        "the test data: the model does not know the class '2'",
    ),
    "one class": (
        lambda rows: rows[rows["label"] == "0"],
        "the test data has only rows of class '0'",
    ),
    "no column": (
        lambda rows: rows.drop(columns="age"),
        "the data does not fit the model: these columns are missing: age",
    ),
    "no number": (
        lambda rows: rows.assign(age="old"),
        "the data does not fit the model: column 'age', row 1: 'old' is not a number",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_test_data_that_does_not_fit_is_refused(copy: Run, base: Path, name: str) -> None:
    spoil, message = UNFIT[name]
    spoil(copy.test_rows()).to_parquet(copy.folder / "test/test.parquet", index=False)
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith(message)


def test_absent_or_broken_test_data_is_refused(copy: Run, base: Path) -> None:
    path = copy.folder / "test/test.parquet"
    path.write_bytes(path.read_bytes()[:500])
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith("test.parquet is not a Parquet file")
    path.unlink()
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith("there is no Parquet file in")


def test_an_unknown_metric_is_refused(base: Path) -> None:
    assert evaluate.main(["--metric", "auc"]) == 2
    assert (base / "output/message").read_text().startswith("argument --metric: invalid choice")


def test_another_problems_metric_is_refused(diabetes: Run, base: Path) -> None:
    arguments = ["--model", str(diabetes.folder / "archive"), *places(diabetes.folder, "test")]
    code = evaluate.main([*arguments, "--evaluation", str(base / "none"), "--metric", "f1"])
    assert code == 2
    reason = (base / "output/message").read_text()
    assert reason.startswith("metric: 'f1' cannot measure a regression model; use 'auto' or one")


class Endpoint:
    """Serving code that answers every row `a`, with limits of its own, and notes what it got."""

    BaseInferenceToolkitError = BaseInferenceToolkitError

    def __init__(self, most_rows: int) -> None:
        self.most_rows = most_rows
        self.sizes: list[int] = []
        self.rows = 0

    def transform_fn(self, model: Any, body: bytes, *_: str) -> tuple[str, str]:
        rows = parquet.read_table(io.BytesIO(body)).num_rows
        self.sizes.append(len(body))
        if rows > self.most_rows:
            inference.refuse(413, "too large")
        self.rows += rows
        row = {"label": "a", "probabilities": dict.fromkeys(model.schema.classes, 0.5)}
        return json.dumps({"predictions": [row] * rows}), "application/json"


def test_evaluation_splits_what_is_too_large_to_ask_or_to_answer(tmp_path: Path) -> None:
    schema = Schema("y", "binary", ("a", "b"), "b", Column("y", "category"), (), 0)
    rng = np.random.default_rng(0)
    texts = [rng.bytes(500_000).hex() for _ in range(20)]
    pd.DataFrame({"x": texts, "y": list("ab") * 10}).to_parquet(tmp_path / "test.parquet")
    endpoint: Any = Endpoint(most_rows=2)
    loaded = served.ServedModel(endpoint, inference.Model(None, schema))
    truth, predicted, _ = scoring.score(loaded, schema, tmp_path)
    assert truth.tolist() == [0, 1] * 10
    assert predicted.tolist() == [0] * 20
    assert endpoint.rows == 20
    assert max(endpoint.sizes) < inference.LARGEST_BODY
