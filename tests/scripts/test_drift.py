"""Drift: found where it was planted and nowhere else, in tables and in captured requests."""

from __future__ import annotations

import base64
import json
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cells
import columns
import drift
import inference
import numpy as np
import pandas as pd
import predict
import pyarrow as pa
import pytest
import reference
from columns import Column, Schema

PLANS = ("basic", "gold", "silver")
FEATURES = (
    Column("age", "number"),
    Column("visits", "integer"),
    Column("plan", "category", categories=PLANS),
    Column("active", "boolean"),
    Column("note", "text"),
    Column("since", "date", format="%Y-%m-%d"),
)
SCHEMA = Schema("label", "binary", ("0", "1"), "1", Column("label", "category"), FEATURES, 5_000)


def rows(count: int, seed: int) -> pd.DataFrame:
    """A table of texts as users write it; every seed gives the same distributions."""
    rng = np.random.default_rng(seed)
    first = np.datetime64("2024-01-01")
    table = pd.DataFrame(
        {
            "age": rng.normal(40, 10, count).round(3).astype(str),
            "visits": rng.poisson(3, count).astype(str),
            "plan": rng.choice(PLANS, count, p=[0.6, 0.3, 0.1]),
            "active": rng.choice(["true", "false"], count),
            "note": ["x" * size for size in rng.integers(1, 40, count)],
            "since": (first + rng.integers(0, 300, count)).astype(str),
        }
    )
    table.loc[rng.random(count) < 0.1, "age"] = ""
    return table


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `model.tar.gz`, whose predictor cannot be loaded."""
    folder = tmp_path_factory.mktemp("archive")
    model = folder / "model"
    (model / "code").mkdir(parents=True)
    for module in (inference, cells, columns):
        source = Path(str(module.__file__))
        (model / "code" / source.name).write_bytes(source.read_bytes())
    (model / "predictor").write_bytes(b"not a predictor")
    SCHEMA.save(model / columns.FILE)
    known = rows(5_000, seed=0)
    values = {item.name: cells.read(item, pa.array(known[item.name])) for item in FEATURES}
    looks = reference.describe(SCHEMA, values, len(known))
    (model / reference.FILE).write_text(json.dumps(looks))
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    return folder


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The job's folder."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    (tmp_path / "processing/input/table").mkdir(parents=True)
    return tmp_path


def report(archive: Path, base: Path, *arguments: str) -> dict[str, Any]:
    """What the job writes about the files in `table`."""
    assert drift.main(["--model", str(archive), *arguments]) == 0
    path = base / "processing/output/report/drift.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One column of a report."""
    return next(item for item in found["columns"] if item["name"] == name)


def give(base: Path, table: pd.DataFrame) -> None:
    """Put the table where the job reads it."""
    table.to_csv(base / "processing/input/table/new.csv", index=False)


@pytest.mark.parametrize("count", [30, 200, 3_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_data_of_the_same_kind_has_not_drifted(
    archive: Path, base: Path, count: int, seed: int
) -> None:
    give(base, rows(count, seed))
    assert report(archive, base)["drifted"] == []


def moved(table: pd.DataFrame) -> None:
    table["age"] = [str(float(cell) + 8) if cell else "" for cell in table["age"]]


def emptied(table: pd.DataFrame) -> None:
    table.loc[table.index % 3 == 0, "visits"] = ""


def misspelled(table: pd.DataFrame) -> None:
    table.loc[table.index % 5 == 0, "visits"] = "unknown"


def renamed(table: pd.DataFrame) -> None:
    table.loc[table.index % 20 == 0, "plan"] = "platinum"


def swapped(table: pd.DataFrame) -> None:
    table["plan"] = np.where(table.index % 2, "silver", "basic")


def switched(table: pd.DataFrame) -> None:
    table["active"] = np.where(table.index % 10, "true", "false")


def exceeded(table: pd.DataFrame) -> None:
    table.loc[table.index % 20 == 0, "age"] = "400"


def cut(table: pd.DataFrame) -> None:
    table["note"] = table["note"].str[:3]


PLANTED: dict[Callable[[pd.DataFrame], None], tuple[str, str]] = {
    moved: ("age", "psi"),
    emptied: ("visits", "missing"),
    misspelled: ("visits", "odd"),
    renamed: ("plan", "unseen"),
    swapped: ("plan", "psi"),
    switched: ("active", "psi"),
    exceeded: ("age", "outside"),
    cut: ("note", "psi"),
}


@pytest.mark.parametrize("change", PLANTED)
def test_planted_drift_is_found_in_its_column_alone(
    archive: Path, base: Path, change: Callable[[pd.DataFrame], None]
) -> None:
    table = rows(1_000, seed=4)
    change(table)
    give(base, table)
    name, measure = PLANTED[change]
    found = report(archive, base)
    assert found["drifted"] == [name]
    assert measure in of(found, name)["drifted"]
    assert found["columns"][0]["name"] == name


def test_examples_tell_what_is_new(archive: Path, base: Path) -> None:
    table = rows(1_000, seed=4)
    renamed(table)
    misspelled(table)
    give(base, table)
    found = report(archive, base)
    assert of(found, "plan")["unseen"] == {"share": 0.05, "examples": {"platinum": 50}}
    assert of(found, "visits")["odd"] == {"share": 0.2, "examples": {"unknown": 200}}


def test_dates_may_move_on(archive: Path, base: Path) -> None:
    table = rows(500, seed=5)
    table["since"] = "2026-05-01"
    give(base, table)
    found = report(archive, base)
    assert of(found, "since")["outside"]["share"] == 1
    assert found["drifted"] == []


def test_a_higher_limit_reports_less(archive: Path, base: Path) -> None:
    table = rows(1_000, seed=4)
    renamed(table)
    give(base, table)
    assert report(archive, base, "--unseen", "0.5", "--psi", "5")["drifted"] == []


def record(body: str | bytes, kind: str) -> str:
    """A line of data capture."""
    encoded = isinstance(body, bytes)
    data = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    sent = {
        "observedContentType": kind,
        "mode": "INPUT",
        "data": data,
        "encoding": "BASE64" if encoded else "CSV",
    }
    return json.dumps({"captureData": {"endpointInput": sent}, "eventVersion": "0"}) + "\n"


def test_captured_requests_are_read_as_the_endpoint_read_them(archive: Path, base: Path) -> None:
    table = rows(120, seed=6)
    renamed(table)
    folder = base / "processing/input/table/AllTraffic/2026/11/27/10"
    folder.mkdir(parents=True)
    named = table[:60].to_csv(index=False)
    records = table[60:].to_dict(orient="records")
    lines = [
        record(named, "text/csv"),
        record(json.dumps(records).encode(), "application/json"),
        record("plan\ngold\n", "text/csv"),
    ]
    (folder / "20-00-one.jsonl").write_text("".join(lines))
    found = report(archive, base, "--unseen", "0.001")
    assert (found["rows"], found["requests"], found["refused"]) == (120, 3, 1)
    assert of(found, "plan")["unseen"]["examples"] == {"platinum": 6}


def captured(base: Path, table: pd.DataFrame) -> None:
    """Give the job of predictions the requests of an hour, as data capture stores them."""
    folder = base / "processing/input/table/10"
    folder.mkdir(parents=True)
    (folder / "20-00-one.jsonl").write_text(record(table.to_csv(index=False), "text/csv"))


def test_the_pipeline_of_predictions_only_compares_captured_requests(
    archive: Path, base: Path
) -> None:
    table = rows(120, seed=6)
    moved(table)
    captured(base, table)
    assert predict.main(["--model", str(archive), "--input-uri", "s3://b/captured/e/10/"]) == 0
    found = json.loads((base / "processing/output/drift/drift.json").read_text())
    assert (found["drifted"], found["rows"], found["requests"]) == (["age"], 120, 1)
    assert not (base / "processing/output/predictions").exists()


def test_too_few_captured_requests_are_no_failure_of_predictions(archive: Path, base: Path) -> None:
    captured(base, rows(29, seed=6))
    assert predict.main(["--model", str(archive), "--input-uri", "s3://b/captured/e/10/"]) == 0
    found = json.loads((base / "processing/output/drift/drift.json").read_text())
    assert found == {
        "drifted": None,
        "reason": "29 rows are too few to compare: at least 30 are needed",
    }


def test_ever_new_texts_take_no_more_memory_and_are_all_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "_MOST_KEPT", 10)
    noted = reference.Noted()
    for at in range(100):
        noted.add(Counter({f"once {at}": 1, "often": 3}))
        assert len(noted.counts) <= 10
    assert noted.share_of(400)["share"] == 1
    assert noted.share_of(400)["examples"]["often"] == 300


def test_what_cannot_be_compared_is_refused(archive: Path, base: Path, tmp_path: Path) -> None:
    def reason(*arguments: str) -> str:
        assert drift.main(["--model", str(archive), *arguments]) == 2
        assert not (base / "processing/output/report/drift.json").exists()
        return (base / "output/message").read_text()

    give(base, rows(29, seed=1))
    assert reason() == "29 rows are too few to compare: at least 30 are needed"
    give(base, rows(50, seed=1).drop(columns=["age", "plan"]))
    assert reason() == "new.csv lacks columns of the model: 'age', 'plan'"
    assert reason("--psi", "0") == (
        "argument --psi: '0' is not a number greater than 0, such as 0.2"
    )
    old = tmp_path / "old"
    old.mkdir()
    SCHEMA.save(old / columns.FILE)
    with tarfile.open(old / "model.tar.gz", "w:gz") as tar:
        tar.add(old / columns.FILE, arcname=columns.FILE)
    assert reason("--model", str(old)).startswith("model.tar.gz has no reference.json: an older")
    (base / "processing/input/table/capture.jsonl").write_text('{"captureData": {}}\n')
    assert reason().startswith("capture.jsonl, line 1: not a record of data capture: ")
