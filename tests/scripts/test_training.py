"""Real tables through preprocess, train, evaluate and inference, as in the pipeline."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluate
import inference
import pandas as pd
import preprocess
import pytest
import train
from sklearn import datasets

from functions.seed_data.table import blocks
from tests.scripts.tables import csv_text, customers, read_csv

COMMON = ["--families", "GBM", "--time-limit", "60"]


@dataclass(frozen=True)
class Run:
    """The folders of one run through all jobs."""

    folder: Path

    def report(self, name: str) -> Any:
        """One of the files that evaluation wrote."""
        return json.loads((self.folder / "evaluation" / name).read_text(encoding="utf-8"))

    @property
    def model(self) -> inference.Model:
        """The model, loaded as the endpoint loads it."""
        return inference.model_fn(str(self.folder / "model"))

    def archive(self) -> None:
        """Pack the model as SageMaker does."""
        path = self.folder / "archive/model.tar.gz"
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            tar.add(self.folder / "model", arcname=".")


def run(folder: Path, table: bytes, label: str, metric: str, *arguments: str) -> Run:
    """Run all jobs on `table`, each of which must end well."""

    def places(*names: str) -> list[str]:
        return [text for name in names for text in (f"--{name}", str(folder / name))]

    (folder / "data").mkdir(parents=True)
    (folder / "data/data.csv").write_bytes(table)
    wanted = ["--label", label]
    assert preprocess.main([*places("data", "train", "test", "profile"), *wanted]) == 0
    arguments = (*COMMON, "--metric", metric, *arguments)
    assert train.main([*places("train", "model"), *wanted, *arguments]) == 0
    done = Run(folder)
    done.archive()
    archive = ["--model", str(folder / "archive")]
    assert evaluate.main([*archive, *places("test", "evaluation"), "--metric", metric]) == 0
    return done


def shipped(name: str) -> bytes:
    """One of scikit-learn's tables, with its classes' names as the column `kind`."""
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.data.assign(kind=bunch.target.map(dict(enumerate(bunch.target_names))))
    text: str = frame.to_csv(index=False)
    return text.encode()


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
    return run(tmp_path_factory.mktemp("cancer"), shipped("breast_cancer"), "kind", "roc_auc")


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three classes."""
    return run(tmp_path_factory.mktemp("wine"), shipped("wine"), "kind", "neg_log_loss")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The synthetic customers: numbers, categories, missing values; classes 0 and 1."""
    table = b"".join(blocks(2_000, seed=5))
    return run(tmp_path_factory.mktemp("seeded"), table, "label", "f1", "--positive-class", "0")


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("cancer", "roc_auc", 0.95),
        ("wine", "neg_log_loss", -0.5),
        ("seeded", "f1", 0.85),
    ],
)
def test_a_real_table_passes_a_sensible_gate(
    request: pytest.FixtureRequest, name: str, metric: str, least: float
) -> None:
    done: Run = request.getfixturevalue(name)
    report = done.report("evaluation.json")
    assert report["gate"] == {"metric": metric, "value": report["metrics"][metric]}
    assert report["gate"]["value"] > least
    assert report["gate"]["value"] > report["baseline"][metric]
    assert sum(map(sum, report["confusion_matrix"])) == report["rows"]


def test_a_metric_of_several_classes_is_above_chance(tmp_path: Path) -> None:
    report = run(tmp_path, shipped("iris"), "kind", "balanced_accuracy").report("evaluation.json")
    assert report["classes"] == ["setosa", "versicolor", "virginica"]
    assert report["positive_class"] is None
    assert report["metrics"]["balanced_accuracy"] > 0.8
    assert report["baseline"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert report["baseline"]["roc_auc"] == 0.5


def test_the_positive_class_is_the_one_asked_for(seeded: Run, cancer: Run) -> None:
    assert seeded.report("evaluation.json")["positive_class"] == "0"
    assert cancer.report("evaluation.json")["positive_class"] == "malignant"


def test_the_model_holds_what_serving_needs_and_no_more(seeded: Run) -> None:
    model = seeded.folder / "model"
    assert sorted(path.name for path in model.iterdir()) == [
        "code",
        "manifest.json",
        "predictor",
        "report",
    ]
    assert (model / "code/inference.py").read_bytes() == Path(inference.__file__).read_bytes()
    assert (seeded.folder / "archive/model.tar.gz").stat().st_size < 2_000_000


def test_the_model_knows_the_kinds_of_its_columns(seeded: Run) -> None:
    features = json.loads((seeded.folder / "model/manifest.json").read_text())["features"]
    texts = [feature["name"] for feature in features if feature["kind"] == "text"]
    assert texts == ["plan", "region", "payment_method"]


def test_the_served_answers_are_those_that_were_evaluated(seeded: Run) -> None:
    header, rows = read_csv(seeded.folder / "test/test.csv")
    records = [dict(zip(header, row, strict=True)) for row in rows]
    answer, _ = inference.transform_fn(
        seeded.model, json.dumps(records), "application/json", "application/json"
    )
    right = sum(
        found["label"] == record["label"]
        for found, record in zip(json.loads(answer)["predictions"], records, strict=True)
    )
    assert right / len(rows) == seeded.report("evaluation.json")["metrics"]["accuracy"]


def test_formats_agree_on_a_real_model(seeded: Run) -> None:
    model = seeded.model
    header, rows = read_csv(seeded.folder / "test/test.csv")
    rows = [row[:-1] for row in rows[:20]]
    frame = pd.read_csv(seeded.folder / "test/test.csv", nrows=20)
    bodies = {
        "text/csv": csv_text(header[-2::-1], [row[::-1] for row in rows]).encode(),
        "text/csv; header=absent": csv_text(rows[0], rows[1:]).encode(),
        "application/json": frame.to_json(orient="records").encode(),
        "application/x-parquet": frame.to_parquet(index=False),
    }
    answers = {inference.transform_fn(model, body, kind, None)[0] for kind, body in bodies.items()}
    assert len(answers) == 1


def test_a_category_that_training_never_saw_is_answered(seeded: Run) -> None:
    record = {feature.name: None for feature in seeded.model.features} | {"region": "the moon"}
    answer, _ = inference.transform_fn(seeded.model, json.dumps(record), "application/json", None)
    [found] = json.loads(answer)["predictions"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_the_leaderboard_marks_the_model_that_serves(seeded: Run) -> None:
    board = seeded.report("training.json")["leaderboard"]
    assert sum(row["best"] for row in board) == 1
    assert {"LightGBM", "WeightedEnsemble_L2"} == {row["model"] for row in board}
    assert all(row["fit_time"] > 0 for row in board)


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


# --- What training refuses -------------------------------------------------------------------


def trained(folder: Path, *arguments: str, table: str | None = None) -> int:
    """The exit code of a training job of which nothing but the reason may be left."""
    (folder / "train").mkdir()
    if table is not None:
        (folder / "train/train.csv").write_text(table)
    model = folder / "model"
    places = ["--train", str(folder / "train"), "--model", str(model)]
    code = train.main([*places, *COMMON, *arguments])
    assert not model.exists() or list(model.iterdir()) == []
    return code


REFUSED = {
    "no table": (None, [], "there is no train.csv in"),
    "an empty table": ("", [], "train.csv is no table in CSV"),
    "no label": ("x,y\n1,2\n", [], "label column 'label' is not in train.csv: it has 'x', 'y'"),
    "one class": ("x,label\n1,a\n2,a\n", [], "label column 'label' has less than two classes"),
    "no label in a row": ("x,label\n1,a\n2,\n3,b\n", [], "label column 'label' has no value in 1"),
    "too few rows": ("x,label\n1,a\n2,b\n", [], "2 rows to train with are too few: at least 10"),
    "a label only": ("label\n" + "a\nb\n" * 5, [], "the table has no column but the label"),
    "no positive class": (
        "x,label\n" + "1,a\n2,b\n" * 5,
        ["--positive-class", "c"],
        "positive class: 'c' does not occur; there are 'a', 'b'",
    ),
    "an unknown preset": ("", ["--preset", "best"], "argument --preset: invalid choice: 'best'"),
    "a preset for GPUs": ("", ["--preset", "extreme"], "argument --preset: invalid choice"),
    "an unknown family": (
        "",
        ["--families", "GBM, LGBM"],
        "argument --families: 'LGBM' of 'GBM, LGBM' is none of GBM, CAT, XGB",
    ),
    "no family": ("", ["--families", ""], "argument --families: '' of '' is none of"),
    "no time": ("", ["--time-limit", "0"], "argument --time-limit: '0' is no whole number"),
    "half a second": ("", ["--time-limit", "0.5"], "argument --time-limit: '0.5' is no whole"),
    "an unknown metric": ("", ["--metric", "auc"], "argument --metric: invalid choice: 'auc'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_training_refuses_what_it_cannot_do(tmp_path: Path, base: Path, name: str) -> None:
    table, arguments, message = REFUSED[name]
    assert trained(tmp_path, "--label", "label", *arguments, table=table) == 2
    assert (base / "output/failure").read_text().startswith(message)


def test_training_says_so_if_no_model_could_be_trained(tmp_path: Path, base: Path) -> None:
    table = csv_text(["age", "plan", "label"], customers(60))
    # FASTAI needs torch, which is in the image and not here.
    assert trained(tmp_path, "--label", "label", "--families", "FASTAI", table=table) == 2
    reason = (base / "output/failure").read_text()
    assert reason.startswith("none of FASTAI could be trained within the time limit of 60 seconds")


def test_a_fault_while_training_leaves_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(train, "feature_importance", fail)
    table = csv_text(["age", "plan", "label"], customers(60))
    assert trained(tmp_path, "--label", "label", table=table) == 1


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, 2, 3], "number"),
        ([1.5, None, 3], "number"),
        (["a", None, "b"], "text"),
        ([True, False, True], "boolean"),
        (["true", None, "FALSE"], "boolean"),
        (["true", "false", "perhaps"], "text"),
        ([None, None, None], "empty"),
        ([math.nan, math.nan, math.nan], "empty"),
    ],
)
def test_columns_have_the_kind_that_their_values_show(cells: list[Any], kind: str) -> None:
    frame = pd.read_csv(io.StringIO(pd.DataFrame({"x": cells, "y": [1, 2, 3]}).to_csv()))
    assert train.find_features(frame[["x", "y"]], "y") == (inference.Feature("x", kind),)


# --- What evaluation refuses -----------------------------------------------------------------


@pytest.fixture
def copy(seeded: Run, tmp_path: Path) -> Run:
    """A run whose files a test may spoil."""
    shutil.copytree(seeded.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def evaluated(done: Run) -> int:
    """The exit code of an evaluation, of which nothing but the reason may be left."""
    names = {"model": "archive", "test": "test", "evaluation": "new"}
    places = [
        text for name, folder in names.items() for text in (f"--{name}", str(done.folder / folder))
    ]
    code = evaluate.main([*places, "--metric", "f1"])
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
        ("code/inference.py", "model.tar.gz is broken: it holds no code/inference.py"),
        ("manifest.json", "model.tar.gz is broken: its model does not load: FileNotFoundError"),
        ("predictor/learner.pkl", "model.tar.gz is broken: its model does not load: FileNotFound"),
        ("predictor/models/LightGBM/model.pkl", "model.tar.gz is broken: its model does not load"),
    ],
)
def test_a_broken_archive_is_refused(copy: Run, base: Path, spoilt: str, message: str) -> None:
    spoil_archive(copy, spoilt)
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith(message)


def test_an_archive_cannot_write_elsewhere(copy: Run, tmp_path: Path, base: Path) -> None:
    with tarfile.open(copy.folder / "archive/model.tar.gz", "w:gz") as tar:
        tar.add(copy.folder / "model/manifest.json", arcname="../../escaped.json")
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith("model.tar.gz is broken: ")
    assert not list(tmp_path.rglob("escaped.json"))


def spoilt_test_data(done: Run) -> dict[str, tuple[str | None, str]]:
    """Test data that a model cannot be evaluated with, and what is said of it."""
    header, rows = read_csv(done.folder / "test/test.csv")
    one_class = [row for row in rows if row[-1] == "0"]
    return {
        "absent": (None, "there is no test.csv in"),
        "empty": ("", "label column 'label' is not in test.csv"),
        "no rows": (csv_text(header, []), "test.csv has no rows"),
        "no label": (csv_text(header[:-1], []), "label column 'label' is not in test.csv"),
        "another class": (
            csv_text(header, [*rows, [*rows[0][:-1], "2"]]),
            "test.csv: the model does not know the class '2'",
        ),
        "one class": (csv_text(header, one_class), "the test data holds only rows of class '0'"),
        "no column": (
            csv_text(header[1:], [row[1:] for row in rows]),
            "the test data does not fit the model: these columns are missing: age",
        ),
        "no number": (
            csv_text(header, [["old", *row[1:]] for row in rows]),
            "the test data does not fit the model: column 'age', row 1: 'old' is no number",
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "absent",
        "empty",
        "no rows",
        "no label",
        "another class",
        "one class",
        "no column",
        "no number",
    ],
)
def test_test_data_that_does_not_fit_is_refused(copy: Run, base: Path, name: str) -> None:
    table, message = spoilt_test_data(copy)[name]
    path = copy.folder / "test/test.csv"
    path.unlink()
    if table is not None:
        path.write_text(table)
    assert evaluated(copy) == 2
    assert (base / "output/message").read_text().startswith(message)


def test_a_request_of_evaluation_is_never_larger_than_the_endpoint_takes() -> None:
    rows = [["x" * 1_000_000] for _ in range(10)]
    bodies = list(evaluate.bodies(["text"], ["a"] * 10, rows))
    assert all(len(body) < inference.LARGEST_BODY for _, body in bodies)
    found = [row for _, body in bodies for row in list(csv.reader(io.StringIO(body.decode())))[1:]]
    assert found == rows
    assert sum(len(labels) for labels, _ in bodies) == 10


def test_unknown_metrics_are_refused(base: Path) -> None:
    assert evaluate.main(["--metric", "auc"]) == 2
    assert (base / "output/message").read_text().startswith("argument --metric: invalid choice")
