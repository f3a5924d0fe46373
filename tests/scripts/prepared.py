"""Tables as preprocessing leaves them, for tests of what comes after it: training, evaluation."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cells
import evaluate
import inference
import numpy as np
import pandas as pd
import pyarrow as pa
import train
from columns import Column, Schema
from jobs import in_order
from pyarrow import parquet

FAST = ["--families", "GBM", "--time-limit", "60"]


def column(name: str, values: pd.Series, kind: str | None = None, **more: Any) -> Column:
    """The schema's entry for a column whose pandas type says what it is, or of that `kind`."""
    found = kind or _kind(values)
    if found == "category" and "categories" not in more:
        more["categories"] = tuple(sorted(map(str, values.dropna().unique())))
    return Column(name, found, **more)


def _kind(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    return "number" if pd.api.types.is_numeric_dtype(values) else "category"


def schema_of(
    table: pd.DataFrame, label: str, columns: Mapping[str, Column], positive: str | None = None
) -> Schema:
    """The schema of a table: regression if the label has numbers."""
    numbers = pd.api.types.is_float_dtype(table[label])
    classes = () if numbers else tuple(in_order(map(str, table[label].unique())))
    problem = "regression" if numbers else "binary" if len(classes) == 2 else "multiclass"
    return Schema(
        label=label,
        problem=problem,
        classes=classes,
        positive_class=(positive or classes[1]) if problem == "binary" else None,
        label_column=Column(label, "number" if numbers else "category"),
        columns=tuple(
            columns.get(str(name)) or column(str(name), table[name])
            for name in table.columns
            if name != label
        ),
        rows=len(table),
    )


def typed(table: pd.DataFrame, schema: Schema) -> pa.Table:
    """The trained columns with their storage types, and the label."""
    found = {
        item.name: cells.read(item, pa.array(table[item.name], from_pandas=True))
        for item in schema.features
    }
    label = table[schema.label]
    kind = pa.string() if schema.classes else pa.float64()
    return pa.table(
        {**found, schema.label: pa.array(label.astype(str) if schema.classes else label, kind)}
    )


def prepare(
    folder: Path, table: pd.DataFrame, label: str, positive: str | None = None, **columns: Column
) -> Schema:
    """Write `train`, `test` and `schema` as preprocessing does; a quarter of the rows is the test.

    A column that pandas' type does not describe is given by its name.
    """
    by_name = {item.name: item for item in columns.values()}
    schema = schema_of(table, label, by_name, positive)
    order = np.random.default_rng(0).permutation(len(table))
    sides = {"test": order[: len(table) // 4], "train": order[len(table) // 4 :]}
    for name, places in sides.items():
        (folder / name).mkdir(parents=True)
        rows = typed(table.iloc[np.sort(places)], schema)
        parquet.write_table(rows, folder / name / f"{name}.parquet")
    (folder / "schema").mkdir()
    schema.save(folder / "schema/schema.json")
    return schema


@dataclass(frozen=True)
class Run:
    """The folders of one run through training and evaluation."""

    folder: Path

    def report(self, name: str) -> Any:
        """One of the files that evaluation wrote."""
        return json.loads((self.folder / "evaluation" / name).read_text(encoding="utf-8"))

    @property
    def smoke_test(self) -> Any:
        """The request that evaluation kept, and its answer."""
        return json.loads((self.folder / "smoke/smoke.json").read_text(encoding="utf-8"))

    @property
    def manifest(self) -> Any:
        """What the model says of itself."""
        return json.loads((self.folder / "model/manifest.json").read_text(encoding="utf-8"))

    @property
    def schema(self) -> Schema:
        """The schema that the model has."""
        return Schema.load(self.folder / "model/schema.json")

    @property
    def model(self) -> inference.Model:
        """The model, loaded as the endpoint loads it."""
        return inference.model_fn(str(self.folder / "model"))

    def test_rows(self) -> pd.DataFrame:
        """The test data."""
        return pd.read_parquet(self.folder / "test")

    def archive(self) -> None:
        """Pack the model as SageMaker does."""
        path = self.folder / "archive/model.tar.gz"
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            tar.add(self.folder / "model", arcname=".")


def places(folder: Path, *names: str) -> list[str]:
    """Arguments that name folders within `folder`."""
    return [text for name in names for text in (f"--{name}", str(folder / name))]


def finish(folder: Path, metric: str, *arguments: str) -> Run:
    """Train and evaluate on what `prepare` wrote, both of which must end well."""
    arguments = (*FAST, "--metric", metric, *arguments)
    assert train.main([*places(folder, "train", "schema", "model"), *arguments]) == 0
    done = Run(folder)
    done.archive()
    archive = ["--model", str(folder / "archive")]
    wanted = [*archive, *places(folder, "test", "evaluation", "smoke"), "--metric", metric]
    assert evaluate.main(wanted) == 0
    return done
