"""What else one would train on a table, with its defaults, on the same split.

Dates are given to AutoGluon as dates, and to the others as the parts that ours are made of.

Arguments: `train.parquet`, `test.parquet`, the label's column, its problem (`CLASSES` or
`REGRESSION`), seconds for AutoGluon.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from lightgbm import LGBMClassifier, LGBMRegressor  # type: ignore[import-not-found]
from sklearn import metrics
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.bench.inside import REGRESSION

Probabilities: TypeAlias = tuple[list[str], np.ndarray]
"""The classes, and a row of their probabilities for each row of the test data."""
Answer: TypeAlias = Probabilities | np.ndarray
"""Of a regression, a number for each row."""

_PARTS: Final = ("year", "month", "day", "weekday", "hour")
_DAY: Final = pd.Timedelta(days=1)


def main(train: str, test: str, label: str, problem: str, seconds: str) -> None:
    """Train each, and print its scores."""
    warnings.simplefilter("ignore")
    rows, unseen = (_plain(pd.read_parquet(path)) for path in (train, test))
    known, asked, regression = _parted(rows), _parted(unseen), problem == REGRESSION
    fits: dict[str, Callable[[], Answer]] = {
        "LightGBM": lambda: _lightgbm(known, asked, label, regression),
        "regression": lambda: _linear(known, asked, label, regression),
        "AutoGluon": lambda: _autogluon(rows, unseen, label, regression, float(seconds)),
    }
    print(json.dumps({name: _scores(fit, unseen[label]) for name, fit in fits.items()}))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with truth values as numbers, dates as such, None for what is missing in texts."""
    kinds = {name: set(map(type, table[name].dropna())) for name in table}
    truths = [name for name, kind in kinds.items() if kind == {bool}]
    dates = [name for name, kind in kinds.items() if kind == {date}]
    return table.astype(dict.fromkeys(truths, "float64") | dict.fromkeys(dates, "datetime64[us]"))


def _parted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers in place of dates: days since 1970-01-01 and parts of the calendar."""
    columns = {}
    for name, values in table.items():
        if pd.api.types.is_datetime64_any_dtype(values):
            columns[name] = (values - pd.Timestamp(0)) / _DAY
            for part in _PARTS:
                columns[f"{name} {part}"] = getattr(values.dt, part).astype("float64")
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def _lightgbm(train: pd.DataFrame, test: pd.DataFrame, label: str, regression: bool) -> Answer:
    texts = list(train.drop(columns=label).select_dtypes(exclude="number").columns)
    kinds = {name: pd.CategoricalDtype(train[name].dropna().unique()) for name in texts}
    kind = LGBMRegressor if regression else LGBMClassifier
    model = kind(random_state=0, verbosity=-1)
    model.fit(train.drop(columns=label).astype(kinds), train[label])
    return _answer(model, test.drop(columns=label).astype(kinds), regression)


def _linear(train: pd.DataFrame, test: pd.DataFrame, label: str, regression: bool) -> Answer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=""), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    model = make_pipeline(columns, Ridge() if regression else LogisticRegression(max_iter=1_000))
    model.fit(train.drop(columns=label), train[label])
    return _answer(model, test.drop(columns=label), regression)


def _answer(model: Any, features: pd.DataFrame, regression: bool) -> Answer:
    if regression:
        return np.asarray(model.predict(features))
    return list(model.classes_), model.predict_proba(features)


def _autogluon(
    train: pd.DataFrame, test: pd.DataFrame, label: str, regression: bool, seconds: float
) -> Answer:
    """Told that a label is a number: with few different ones it would make them classes."""
    with tempfile.TemporaryDirectory() as path:
        problem = "regression" if regression else None
        predictor = TabularPredictor(label, problem_type=problem, path=path, verbosity=0)
        predictor.fit(train, time_limit=seconds)
        features = test.drop(columns=label)
        if regression:
            return np.asarray(predictor.predict(features))
        found = predictor.predict_proba(features, as_multiclass=True)
    return [str(name) for name in found.columns], found.to_numpy()


def _scores(fit: Callable[[], Answer], truth: pd.Series) -> dict[str, float]:
    """The scores of what a model answers, and its processor seconds."""
    began = time.process_time()
    answer = fit()
    cpu = time.process_time() - began
    if isinstance(answer, tuple):
        classes, chance = answer
        found = _of_classes(classes, chance, truth)
    else:
        found = _of_numbers(answer, truth)
    return found | {"cpu": cpu}


def _of_classes(classes: list[str], chance: np.ndarray, truth: pd.Series) -> dict[str, float]:
    """Accuracy, and ROC AUC (of each class against the others, their mean)."""
    predicted = np.array(classes)[chance.argmax(axis=1)]
    areas = [
        metrics.roc_auc_score(truth == name, chance[:, place])
        for place, name in enumerate(classes)
        if 0 < (truth == name).sum() < len(truth)
    ]
    return {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "roc_auc": float(np.mean(areas)),
    }


def _of_numbers(predicted: np.ndarray, truth: pd.Series) -> dict[str, float]:
    return {
        "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
        "r2": float(metrics.r2_score(truth, predicted)),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
