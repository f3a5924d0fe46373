"""What else one would train on a table, with its defaults, on the same split.

Arguments: `train.parquet`, `test.parquet`, the label's column, seconds for AutoGluon.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from lightgbm import LGBMClassifier  # type: ignore[import-not-found]
from sklearn import metrics
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

Probabilities = tuple[list[str], np.ndarray]
"""The classes, and a row of their probabilities for each row of the test data."""


def main(train: str, test: str, label: str, seconds: str) -> None:
    """Train each, and print its scores."""
    warnings.simplefilter("ignore")
    rows, unseen = (_plain(pd.read_parquet(path)) for path in (train, test))
    fits: dict[str, Callable[[], Probabilities]] = {
        "LightGBM": lambda: _lightgbm(rows, unseen, label),
        "logistic regression": lambda: _logistic(rows, unseen, label),
        "AutoGluon": lambda: _autogluon(rows, unseen, label, float(seconds)),
    }
    print(json.dumps({name: _scores(fit, unseen[label]) for name, fit in fits.items()}))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with truth values as numbers, and None for what is missing in texts."""
    truths = [name for name in table if set(map(type, table[name].dropna())) == {bool}]
    return table.astype(dict.fromkeys(truths, "float64"))


def _lightgbm(train: pd.DataFrame, test: pd.DataFrame, label: str) -> Probabilities:
    texts = list(train.drop(columns=label).select_dtypes(exclude="number").columns)
    kinds = {name: pd.CategoricalDtype(train[name].dropna().unique()) for name in texts}
    model = LGBMClassifier(random_state=0, verbosity=-1)
    model.fit(train.drop(columns=label).astype(kinds), train[label])
    return list(model.classes_), model.predict_proba(test.drop(columns=label).astype(kinds))


def _logistic(train: pd.DataFrame, test: pd.DataFrame, label: str) -> Probabilities:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=""), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1_000))
    model.fit(train.drop(columns=label), train[label])
    return list(model.classes_), model.predict_proba(test.drop(columns=label))


def _autogluon(
    train: pd.DataFrame, test: pd.DataFrame, label: str, seconds: float
) -> Probabilities:
    with tempfile.TemporaryDirectory() as path:
        predictor = TabularPredictor(label, path=path, verbosity=0)
        predictor.fit(train, time_limit=seconds)
        found = predictor.predict_proba(test.drop(columns=label), as_multiclass=True)
    return [str(name) for name in found.columns], found.to_numpy()


def _scores(fit: Callable[[], Probabilities], truth: pd.Series) -> dict[str, Any]:
    """Accuracy, ROC AUC (of each class against the others, their mean), and processor seconds."""
    began = time.process_time()
    classes, chance = fit()
    seconds = time.process_time() - began
    predicted = np.array(classes)[chance.argmax(axis=1)]
    areas = [
        metrics.roc_auc_score(truth == name, chance[:, place])
        for place, name in enumerate(classes)
        if 0 < (truth == name).sum() < len(truth)
    ]
    return {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "roc_auc": float(np.mean(areas)),
        "cpu": seconds,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
