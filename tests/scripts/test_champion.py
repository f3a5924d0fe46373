"""A new model beside the one that serves, on the same rows."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import champion
import evaluate
import numpy as np
import pandas as pd
import pytest
from champion import Champion, difference
from columns import Column, Schema
from sklearn import datasets

from functions.seed_data.table import blocks
from pipeline.definition import CHAMPION_ARCHIVE, CHAMPION_PLACEHOLDER, build
from pipeline.example import environment
from tabular_ml_vpc.local.execution import Host, new_execution, run
from tabular_ml_vpc.local.record import ExecutionRecord
from tabular_ml_vpc.local.service import Call
from tests.scripts.prepared import Run, finish, places, prepare

METRIC: Final = "roc_auc"


@pytest.fixture(scope="module", autouse=True)
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the jobs of this module leave the reasons of their failures."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("opt")
        patch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        yield folder


def customers() -> pd.DataFrame:
    """The synthetic customers; classes 0 and 1."""
    return pd.read_csv(io.BytesIO(b"".join(blocks(2_000, seed=5))))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A good model."""
    folder = tmp_path_factory.mktemp("good") / "run"
    prepare(folder, customers(), "label")
    return finish(folder, METRIC)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model of the same table that was trained with random labels, and is tested fairly."""
    folder = tmp_path_factory.mktemp("bad") / "run"
    prepare(folder, customers(), "label")
    path = folder / "train/train.parquet"
    rows = pd.read_parquet(path)
    rows["label"] = np.random.default_rng(0).permutation(rows["label"])
    rows.to_parquet(path, index=False)
    return finish(folder, METRIC)


@pytest.fixture
def copy(good: Run, tmp_path: Path) -> Run:
    """The good model, whose archive a test may change."""
    shutil.copytree(good.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def evaluated(challenger: Run, serving: Path, folder: Path) -> tuple[Any, Any]:
    """Evaluate beside the model in the folder `serving`; the gate, and the comparison."""
    arguments = ["--model", str(challenger.folder / "archive"), "--champion", str(serving)]
    arguments += [*places(challenger.folder, "test"), *places(folder, "evaluation")]
    assert evaluate.main([*arguments, "--metric", METRIC]) == 0
    gate, report = (
        json.loads((folder / "evaluation" / name).read_text(encoding="utf-8"))
        for name in ("gate.json", "evaluation.json")
    )
    assert report["gate"] == {"metric": METRIC, "value": gate["value"]}
    return gate, report["champion"]


def executed(gate: Any, margin: float) -> ExecutionRecord:
    """A local run of the pipeline whose jobs end well and whose evaluation wrote this gate."""

    def job(call: Call) -> Any:
        return call.request | {"ModelArtifacts": {"S3ModelArtifacts": "s3://local-data/model"}}

    definition = build(replace(environment(), on_approval=True, champion_margin=margin))
    kinds = ("Processing", "Training", "RegisterModel")
    host = Host(dict.fromkeys(kinds, job), lambda _: json.dumps(gate).encode(), lambda *_: None)
    return run(definition, new_execution(definition, {"QualityThreshold": 0.7}, "local"), host)


def last_step(execution: ExecutionRecord) -> str:
    return execution.steps[-1].name


# --- Models that can be compared -----------------------------------------------------------------


def test_a_model_has_no_lead_over_itself(good: Run, tmp_path: Path) -> None:
    gate, found = evaluated(good, good.folder / "archive", tmp_path)
    assert gate == {
        "metric": METRIC,
        "value": good.report("gate.json")["value"],
        "lead": 0.0,
        "champion": str(gate["value"]),
    }
    assert found == {
        "metric": METRIC,
        "value": gate["value"],
        "lead": 0.0,
        "comparable": True,
        "serves": True,
        "reason": "",
    }
    assert last_step(executed(gate, 0)) == "RegisterModel"


def test_a_better_model_is_registered(
    good: Run, bad: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gate, found = evaluated(good, bad.folder / "archive", tmp_path)
    assert gate["lead"] == pytest.approx(gate["value"] - found["value"])
    assert gate["lead"] > 0.2
    assert last_step(executed(gate, 0)) == "RegisterModel"
    told = capfd.readouterr().out
    assert (
        f"serving model: roc_auc {found['value']:.6g} on the same rows; lead of the new model: +"
        in told
    )


def test_a_model_that_is_worse_by_more_than_the_margin_is_refused(
    good: Run, bad: Run, tmp_path: Path
) -> None:
    gate, found = evaluated(bad, good.folder / "archive", tmp_path)
    assert found["value"] == good.report("gate.json")["value"]
    assert gate["lead"] == found["lead"] < -0.2
    gate["value"] = 0.75  # let the threshold pass it
    refused = executed(gate, 0.01)
    assert last_step(refused) == "RefuseModel"
    assert "roc_auc on the test data is 0.75; the run asked for at least 0.7" in (
        refused.failure_reason
    )
    told = f"that of the model that serves, on the same rows, is {found['value']}, and a new model"
    assert told in refused.failure_reason
    assert "may be worse by at most 0.01. All metrics: " in refused.failure_reason
    assert last_step(executed(gate, 1)) == "RegisterModel"


def test_a_regression_s_error_is_compared_the_right_way_around(tmp_path: Path) -> None:
    bunch = datasets.load_diabetes(as_frame=True)
    prepare(tmp_path / "run", bunch.data.assign(y=bunch.target), "y")
    metric = "neg_mean_absolute_error"
    done = finish(tmp_path / "run", metric)
    schema = done.schema
    value = champion.value(tmp_path / "run/archive", schema, tmp_path / "run/test", metric)
    assert value == done.report("gate.json")["value"]
    assert Champion(value - 5).lead(value) == 5
    assert Champion(value + 5).lead(value) == -5


# --- Models that cannot --------------------------------------------------------------------------


def passes_without_comparison(gate: Any, found: Any) -> bool:
    """Whether the results say that nothing was compared, and the gate lets the model pass."""
    assert (found["value"], found["lead"], found["comparable"]) == (None, None, False)
    assert gate["lead"] == champion.NO_LEAD
    assert gate["champion"] == f"unknown ({found['reason']})"
    return last_step(executed(gate, 0)) == "RegisterModel"


def test_without_a_serving_model_there_is_nothing_to_compare_with(
    good: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "champion").mkdir()
    (tmp_path / "champion/none.txt").write_text("no model serves", encoding="utf-8")
    gate, found = evaluated(good, tmp_path / "champion", tmp_path)
    assert passes_without_comparison(gate, found)
    assert (found["serves"], found["reason"]) == (False, "no model serves yet")
    assert "WARNING" not in capfd.readouterr().out


def test_without_the_input_nothing_is_said_of_a_serving_model(good: Run) -> None:
    assert good.report("gate.json").keys() == {"metric", "value"}
    assert "champion" not in good.report("evaluation.json")


def test_a_model_of_another_label_is_not_compared(
    good: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = customers().rename(columns={"label": "churned"})
    prepare(tmp_path / "run", table, "churned")
    other = finish(tmp_path / "run", METRIC)
    gate, found = evaluated(other, good.folder / "archive", tmp_path)
    assert passes_without_comparison(gate, found)
    assert found["reason"] == "it predicts the column 'label', not 'churned'"
    warning = "WARNING: the new model was not compared with the serving model: "
    assert f"{warning}{found['reason']}\n" in capfd.readouterr().out


def cut_short(run: Run) -> None:
    path = run.folder / "archive/model.tar.gz"
    path.write_bytes(path.read_bytes()[:5_000])


def without_code(run: Run) -> None:
    (run.folder / "model/code/inference.py").unlink()
    run.archive()


def with_code(text: str, module: str = "inference") -> Callable[[Run], None]:
    """Append code to a module of the archive."""

    def change(run: Run) -> None:
        with (run.folder / f"model/code/{module}.py").open("a", encoding="utf-8") as code:
            code.write(f"\n{text}\n")
        run.archive()

    return change


BROKEN: Final[dict[str, tuple[Callable[[Run], None], str]]] = {
    "half an archive": (cut_short, "model.tar.gz is broken: "),
    "no code": (without_code, "model.tar.gz is broken: it contains no code/inference.py"),
    "code that raises": (
        with_code("raise RuntimeError('older')", "cells"),
        "model.tar.gz is broken: its model does not load: RuntimeError: older",
    ),
    "code that ends its process": (
        with_code("import os; os._exit(3)"),
        "scoring it ended with exit status 3",
    ),
    "code that is killed": (
        with_code("import os; os.kill(os.getpid(), 9)"),
        "scoring it was ended by signal 9; 9 means that it ran out of memory",
    ),
    "code that rejects the rows": (
        with_code("def read(*_): refuse(400, 'no such rows')"),
        "the data does not fit the model: no such rows",
    ),
    "answers of another form": (
        with_code("def transform_fn(*_): return '{\"rows\": []}', JSON"),
        "KeyError: 'predictions'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_serving_model_is_not_compared(
    good: Run, copy: Run, tmp_path: Path, name: str
) -> None:
    spoil, reason = BROKEN[name]
    spoil(copy)
    gate, found = evaluated(good, copy.folder / "archive", tmp_path)
    assert passes_without_comparison(gate, found)
    assert found["serves"] is True
    assert found["reason"].startswith(reason)


def test_a_serving_model_that_takes_too_long_is_not_compared(
    good: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "SECONDS", 0.1)
    gate, found = evaluated(good, good.folder / "archive", tmp_path)
    assert passes_without_comparison(gate, found)
    assert found["reason"] == "scoring it took longer than 0.1 s"


def test_each_model_is_scored_by_its_own_version_of_the_code(
    good: Run, copy: Run, tmp_path: Path
) -> None:
    """The older version reads every number as missing, and its modules have the same names."""
    with_code(
        "numbers = _finite = lambda values, *_: pa.nulls(len(values), pa.float64())", "cells"
    )(copy)
    gate, found = evaluated(good, copy.folder / "archive", tmp_path)
    assert gate["value"] == good.report("gate.json")["value"]
    assert found["comparable"]
    assert gate["lead"] > 0.01
    back, found = evaluated(copy, good.folder / "archive", tmp_path / "back")
    assert back["lead"] == pytest.approx(-gate["lead"])


# --- What is comparable --------------------------------------------------------------------------

SCHEMA: Final = Schema(
    label="label",
    problem="binary",
    classes=("no", "yes"),
    positive_class="yes",
    label_column=Column("label", "category"),
    columns=(
        Column("id", "identifier"),
        Column("age", "number"),
        Column("plan", "category"),
        Column("born", "date"),
    ),
    rows=100,
)


def having(*columns: Column) -> Schema:
    """The schema with these columns, which replace those of the same names."""
    new = {column.name: column for column in (*SCHEMA.columns, *columns)}
    return replace(SCHEMA, columns=tuple(new.values()))


SPLIT = "the rows are split by other columns than before"
DIFFERENT: Final[dict[str, tuple[Schema, str]]] = {
    "label": (replace(SCHEMA, label="y"), "it predicts the column 'label', not 'y'"),
    "problem": (
        replace(SCHEMA, problem="regression", classes=()),
        "it solves a binary problem, not a regression problem",
    ),
    "classes": (
        replace(SCHEMA, classes=("no", "perhaps")),
        "its classes are 'no', 'yes'; now they are 'no', 'perhaps'",
    ),
    "a column is gone": (
        replace(SCHEMA, columns=SCHEMA.columns[:2]),
        "it needs the columns 'born', 'plan', which the new model does not use",
    ),
    "a column is excluded": (
        having(Column("age", "number", role="excluded")),
        "it needs the columns 'age', which the new model does not use",
    ),
    "a column's kind": (
        having(Column("plan", "boolean")),
        "the column 'plan' was read as category, and is now read as boolean",
    ),
    "a column more": (having(Column("new", "number")), SPLIT),
    "a time column": (having(Column("at", "datetime", role="time")), SPLIT),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_models_of_different_tables_are_not_compared(name: str) -> None:
    schema, reason = DIFFERENT[name]
    assert difference(SCHEMA, schema).startswith(reason)


ALIKE: Final[dict[str, Schema]] = {
    "the same": SCHEMA,
    "the order of classes": replace(SCHEMA, classes=("yes", "no")),
    "the positive class": replace(SCHEMA, positive_class="no"),
    "a number that is an integer now": having(Column("age", "integer")),
    "a category that is a text now": having(Column("plan", "text")),
    "another identifier": having(Column("key", "identifier")),
    "rows": replace(SCHEMA, rows=200),
}


@pytest.mark.parametrize("name", ALIKE)
def test_models_of_like_tables_are_compared(name: str) -> None:
    assert difference(SCHEMA, ALIKE[name]) == ""


def test_a_new_column_does_not_change_a_split_by_time_or_group() -> None:
    for role in ("time", "group"):
        by = Column("by", "datetime", role=role)
        assert difference(having(by), having(by, Column("new", "number"))) == ""
        assert difference(having(by), SCHEMA).startswith(SPLIT)


def test_scores_of_the_same_predictions_are_equal_whatever_was_added_first() -> None:
    assert Champion(-0.1 - 0.2).lead(-0.3) == 0.0
    assert Champion(0.0).lead(1e-17) == 0.0
    assert Champion(0.5).lead(0.4999) == pytest.approx(-0.0001)


def test_the_definition_names_what_is_in_the_champion_s_folder(tmp_path: Path) -> None:
    (tmp_path / CHAMPION_PLACEHOLDER).touch()
    assert champion.score(tmp_path, tmp_path, tmp_path, METRIC) is champion.NOBODY
    (tmp_path / CHAMPION_ARCHIVE).touch()
    assert champion.score(tmp_path, tmp_path, tmp_path, METRIC).serves
