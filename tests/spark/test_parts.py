"""Parts: which objects a URI names, and that a task may run anywhere and again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import preprocess
import preprocess_spark
import pytest
import split
from preprocess_spark import Decided, TablePart

from tests.scripts.tables import COLUMNS, csv_text, customers


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("raw/data.csv", ["raw/data.csv"]),
        ("raw/data", ["raw/data/1.csv", "raw/data/deep/2.csv"]),
        ("raw/data/", ["raw/data/1.csv", "raw/data/deep/2.csv"]),
        ("raw/dat", []),
    ],
)
def test_a_uri_names_one_object_or_one_folder(wanted: str, chosen: list[str]) -> None:
    keys = [
        "raw/data.csv",
        "raw/data.csv.bak",
        "raw/data/",
        "raw/data/1.csv",
        "raw/data/_SUCCESS",
        "raw/data/.hidden/3.csv",
        "raw/data/deep/2.csv",
    ]
    assert preprocess_spark.chosen_keys(keys, wanted) == chosen


@pytest.fixture
def decided(tmp_path: Path) -> tuple[Decided, TablePart]:
    """What is decided about a table of one part, which no task of this instance has read yet."""
    source = tmp_path / "data/data.csv"
    source.parent.mkdir()
    source.write_text(csv_text(COLUMNS, customers(200)), encoding="utf-8")
    places = [f"--{name}={tmp_path / name}" for name in ("data", "train", "test")]
    wanted = preprocess.settings([*places, "--label=label"])
    part = TablePart(0, "data.csv", str(source))
    seen = preprocess_spark.see(wanted, tmp_path / "elsewhere", part)
    surveyed, table = preprocess_spark.together([seen], wanted)
    schema, label = preprocess.decide_schema(surveyed, table, wanted)
    return Decided(wanted, tmp_path / "here", schema, label, {0: surveyed.rows}), part


def written(decided: Decided) -> dict[str, str]:
    folders = (decided.wanted.train, decided.wanted.test)
    found = [path for folder in folders for path in folder.iterdir()]
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def test_a_task_on_another_instance_reads_its_part_again(
    decided: tuple[Decided, TablePart],
) -> None:
    here, part = decided
    keys, _ = preprocess_spark.measure(replace(here, scratch=here.scratch / "first"), part)
    plans = {-1: split.by_hash(keys.hashes, keys.labels, 0.2, 1000)[0]}
    assert not here.scratch.joinpath("0.keys").exists()
    counts = preprocess_spark.write(here, plans, part)
    assert sum(int(rows.sum()) for rows in counts.values()) == 200


def test_a_task_that_runs_again_writes_the_same_files(decided: tuple[Decided, TablePart]) -> None:
    here, part = decided
    keys, _ = preprocess_spark.measure(here, part)
    plans = {-1: split.by_hash(keys.hashes, keys.labels, 0.2, 1000)[0]}
    preprocess_spark.write(here, plans, part)
    first = written(here)
    assert sorted(first) == ["test/part-00000.parquet", "train/part-00000.parquet"]
    preprocess_spark.write(here, plans, part)
    assert written(here) == first
