"""Trains a classifier with AutoGluon and leaves a small model that can serve.

Reads `train.csv` of the channel `train`. Into the model folder, which becomes `model.tar.gz`, go

- `predictor/`: the best model and what it needs, nothing else that was tried,
- `manifest.json`: label, classes and columns, as `inference.py` reads them,
- `code/inference.py`: what the serving image runs,
- `report/leaderboard.json`, `report/feature_importance.json`: for the evaluation and for people.

All of it takes its place at the end, or none of it.

Runs in the AutoGluon training image, in its script mode: hyperparameters come as `--name value`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import inference
import jobs
import pandas as pd
from jobs import JobError, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autogluon.tabular import TabularPredictor

Json = dict[str, Any]

FAMILIES: Final = ("GBM", "CAT", "XGB", "RF", "XT", "KNN", "LR", "NN_TORCH", "FASTAI")
"""AutoGluon's families that train on a CPU and download nothing ("AutoGluon Tabular Models")."""

PRESETS: Final = ("medium_quality", "good_quality", "high_quality", "best_quality")
"""Presets that need no GPU ("AutoGluon Tabular - Essential Functionality")."""

METRICS: Final = {
    "accuracy": ("accuracy", "accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced_accuracy"),
    "f1": ("f1", "f1_macro"),
    "roc_auc": ("roc_auc", "log_loss"),
    "neg_log_loss": ("log_loss", "log_loss"),
}
"""What AutoGluon optimizes for each of the gate's metrics: with two classes, and with more.

Its `roc_auc_ovr` fails where the rows to validate with lack a class, as those of a rare one may.
"""

_BAGGING: Final = {
    "dynamic_stacking": False,
    "num_stack_levels": 0,
    "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"},
}
"""For the presets that bag: no ray, which would start servers in a container without network, and
no stacking, whose cure for overfitting needs ray and half the time. Small instances gain nothing
from either."""

_IMPORTANCE_ROWS: Final = 1_000
_IMPORTANCE_SECONDS: Final = 60
_LEADERBOARD: Final = ("model", "score_val", "fit_time", "pred_time_val", "stack_level")


@dataclass(frozen=True)
class Settings:
    """What the job is asked to do. `time_limit` is in seconds."""

    train: Path
    model: Path
    label: str
    positive_class: str
    preset: str
    families: tuple[str, ...]
    time_limit: int
    metric: str


def settings(argv: Sequence[str]) -> Settings:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    base = jobs.base_folder()
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=base / "input/data/train")
    parser.add_argument("--model", type=Path, default=base / "model")
    parser.add_argument("--label", type=_unquoted, required=True)
    parser.add_argument("--positive-class", type=_unquoted, default=jobs.AUTO)
    parser.add_argument("--preset", choices=PRESETS, default="medium_quality")
    parser.add_argument("--families", type=_families, default=("GBM", "CAT", "XGB"))
    parser.add_argument("--time-limit", type=_seconds, default=600)
    parser.add_argument("--metric", choices=METRICS, default="roc_auc")
    return Settings(**vars(parser.parse_pairs(argv)))


def _unquoted(text: str) -> str:
    """`text` without the quotes of the definition, where the toolkit could not take them off.

    The pipeline quotes names as JSON, so that a class `1.0` is not made a number of; a name with
    a quote in it is no JSON then, and comes as it is.
    """
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1] if quoted else text


def _families(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{listing(unknown)} of {text!r} is none of {', '.join(FAMILIES)}; give some of them, "
            "with commas between"
        )
    return names


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds, such as 600")
    return int(text)


# --- The table -------------------------------------------------------------------------------


def read_table(folder: Path, label: str) -> pd.DataFrame:
    """The training data; numbers as pandas finds them, the label as text.

    Raises:
        JobError: there is no such table, or not with this label.
    """
    path = folder / "train.csv"
    try:
        table = pd.read_csv(
            path, dtype={label: str}, low_memory=False, float_precision="round_trip"
        )
    except FileNotFoundError as error:
        raise JobError(f"there is no train.csv in {folder}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise JobError(f"{path.name} is no table in CSV: {error}") from error
    if label not in table.columns:
        columns = listing(list(table.columns))
        raise JobError(f"label column {label!r} is not in {path.name}: it has {columns}")
    if table[label].isna().any():
        raise JobError(f"label column {label!r} has no value in {table[label].isna().sum()} rows")
    if table[label].nunique() < 2:  # noqa: PLR2004
        raise JobError(f"label column {label!r} has less than two classes: nothing to learn")
    jobs.check_training_rows(len(table))
    return table


def find_features(table: pd.DataFrame, label: str) -> tuple[inference.Feature, ...]:
    """The columns to learn from, each with the kind that its values show.

    Raises:
        JobError: there is none.
    """
    names = [name for name in table.columns if name != label]
    if not names:
        raise JobError(f"the table has no column but the label {label!r}")
    return tuple(inference.Feature(name, _kind(table[name])) for name in names)


def _kind(column: pd.Series) -> str:
    values = column.dropna()
    if values.empty:
        return "empty"
    if {str(value).lower() for value in values.unique()[:3]} <= {"true", "false"}:
        return "boolean" if values.nunique() < 3 else "text"  # noqa: PLR2004
    return "number" if pd.api.types.is_numeric_dtype(column) else "text"


# --- Training --------------------------------------------------------------------------------


def fit(table: pd.DataFrame, wanted: Settings, path: Path) -> TabularPredictor:
    """Train within the time limit; the predictor with all its models lies in `path`.

    Raises:
        JobError: not one model could be trained.
    """
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415 - takes seconds to import

    classes = table[wanted.label].unique()
    binary = len(classes) == 2  # noqa: PLR2004
    predictor = TabularPredictor(
        label=wanted.label,
        problem_type="binary" if binary else "multiclass",
        eval_metric=METRICS[wanted.metric][0 if binary else 1],
        positive_class=jobs.positive_class(classes, wanted.positive_class),
        path=str(path),
        learner_kwargs={"label_count_threshold": 1},  # a rare class is not dropped
    )
    try:
        return predictor.fit(
            table,
            presets=wanted.preset,
            hyperparameters={family: {} for family in wanted.families},
            time_limit=wanted.time_limit,
            num_gpus=0,
            **_BAGGING,
        )
    except RuntimeError as error:
        if "No models were trained" not in str(error):
            raise
        raise JobError(
            f"none of {', '.join(wanted.families)} could be trained within the time limit of "
            f"{wanted.time_limit} seconds: give more time, or see the log"
        ) from error


def leaderboard(predictor: TabularPredictor) -> list[Json]:
    """Every model that was trained, the best first; times in seconds, scores the metric's."""
    metric = predictor.eval_metric.name
    rows = predictor.leaderboard(silent=True)[list(_LEADERBOARD)].to_dict("records")
    best = predictor.model_best
    return [{**_finite(row), "metric": metric, "best": row["model"] == best} for row in rows]


def feature_importance(predictor: TabularPredictor, table: pd.DataFrame) -> list[Json]:
    """How much the metric loses when a column is shuffled, the most important column first.

    Measured on rows that the models were not fitted to, where the preset leaves any aside.
    """
    rows = table
    if predictor.has_val:
        validation, _ = predictor.load_data_internal("val", return_y=False)
        rows = table.loc[table.index.intersection(validation.index)]
    found = predictor.feature_importance(
        rows,
        subsample_size=_IMPORTANCE_ROWS,
        time_limit=_IMPORTANCE_SECONDS,
        num_shuffle_sets=3,
        silent=True,
    )
    records = found[["importance", "stddev"]].reset_index(names="column").to_dict("records")
    return [_finite(record) for record in records]


def _finite(record: Json) -> Json:
    """`record` with None for what JSON has no number for."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


# --- The model -------------------------------------------------------------------------------


@contextmanager
def model_folder(model: Path) -> Iterator[Path]:
    """A draft of the model's folder, whose contents move to `model` if the block ends well."""
    model.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=model))
    try:
        yield draft
        for item in draft.iterdir():
            item.rename(model / item.name)
    finally:
        shutil.rmtree(draft)


def write_model(
    draft: Path,
    predictor: TabularPredictor,
    features: Sequence[inference.Feature],
    reports: Json,
) -> None:
    """Put into `draft` what serving and evaluation need, and nothing else."""
    predictor.clone_for_deployment(str(draft / inference.PREDICTOR))
    (draft / "code").mkdir()
    shutil.copyfile(Path(inference.__file__), draft / "code/inference.py")
    (draft / "report").mkdir()
    for name, report in reports.items():
        _write_json(draft / f"report/{name}.json", report)
    manifest = {
        "label": predictor.label,
        "classes": jobs.in_order(predictor.class_labels),
        "positive_class": predictor.positive_class if predictor.problem_type == "binary" else None,
        "metric": predictor.eval_metric.name,
        "best_model": predictor.model_best,
        "features": [asdict(feature) for feature in features],
    }
    _write_json(draft / inference.MANIFEST, manifest)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


def train(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument or the table is not usable.
    """
    wanted = settings(argv)
    table = read_table(wanted.train, wanted.label)
    features = find_features(table, wanted.label)
    data = inference.typed({item.name: table[item.name] for item in features}, features)
    data[wanted.label] = table[wanted.label]
    del table
    with tempfile.TemporaryDirectory() as scratch, model_folder(wanted.model) as draft:
        predictor = fit(data, wanted, Path(scratch) / "all")
        reports = {
            "leaderboard": leaderboard(predictor),
            "feature_importance": feature_importance(predictor, data),
        }
        write_model(draft, predictor, features, reports)


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(train, argv, jobs.base_folder() / "output/failure")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
