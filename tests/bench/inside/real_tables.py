"""Real tables that come inside scikit-learn's package, as CSV files.

Four are those of its `load_...` functions. Three more are in the data of its own tests, whole, as
OpenML gave them: passengers of the Titanic (text, missing values; `boat` and `body`, which tell
the outcome, and the columns of names are left out), chess endgames (36 columns of text, none of
numbers), penguins (both, with missing values).

Argument: the folder to write to. The label's column is `LABEL` in each.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import sys
from pathlib import Path
from typing import Final

import pandas as pd
from sklearn import datasets
from sklearn.externals import _arff

from tests.bench.inside import LABEL

BUNCHES: Final = ("breast_cancer", "wine", "iris", "digits")
OPENML: Final = {
    "titanic": ("id_40945", "survived", ("name", "ticket", "boat", "body", "home.dest")),
    "chess": ("id_3", "class", ()),
    "penguins": ("id_42585", "species", ()),
}
"""Folder in scikit-learn's test data, label, and columns to leave out."""


def main(folder: str) -> None:
    """Write all tables, and print their names."""
    tables = {name: _bunch(name) for name in BUNCHES} | {name: _openml(name) for name in OPENML}
    for name, table in tables.items():
        table.to_csv(Path(folder) / f"{name}.csv", index=False)
    print(json.dumps(list(tables)))


def _bunch(name: str) -> pd.DataFrame:
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    names = dict(enumerate(str(name) for name in bunch.target_names))
    return bunch.data.assign(**{LABEL: bunch.target.map(names)})


def _openml(name: str) -> pd.DataFrame:
    place, label, dropped = OPENML[name]
    folder = importlib.resources.files("sklearn.datasets") / "tests/data/openml" / place
    packed = next(file for file in folder.iterdir() if file.name.endswith(".arff.gz"))
    found = _arff.loads(gzip.decompress(packed.read_bytes()).decode())
    table = pd.DataFrame(found["data"], columns=[column for column, _ in found["attributes"]])
    return table.drop(columns=list(dropped)).rename(columns={label: LABEL})


if __name__ == "__main__":
    main(*sys.argv[1:])
