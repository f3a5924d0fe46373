"""Trains a classifier or a regressor with AutoGluon and writes a small, deployable model.

Reads the typed Parquet of the channel `train` and the `schema.json` of the channel `schema`, which
gives each column's kind, so that AutoGluon does not infer any. The model folder, which becomes
`model.tar.gz`, contains

- `predictor/`: the model that serves and what it needs, nothing else that was tried,
- `schema.json`: what the table means, as `inference.py` reads requests by it,
- `manifest.json`: for people: metric, model, time for a row, the label's mean and median,
- `code/`: `inference.py`, which the serving image runs, and its neighbors,
- `report/leaderboard.json`, `report/feature_importance.json`: for the evaluation and for people.

Either all of it is written, or nothing.

Runs in the AutoGluon training image, in its script mode: hyperparameters come as `--name value`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cells
import columns
import inference
import jobs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import reference
import serving_choice
from columns import Json, Schema
from jobs import JobError, listing
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from autogluon.common.features.feature_metadata import FeatureMetadata
    from autogluon.tabular import TabularPredictor
    from serving_choice import Choice
FAMILIES: Final = ("GBM", "CAT", "XGB", "RF", "XT", "KNN", "LR", "NN_TORCH", "FASTAI")
"""AutoGluon's families that train on a CPU and download nothing ("AutoGluon Tabular Models")."""

PRESETS: Final = ("medium_quality", "good_quality", "high_quality", "best_quality")
"""Presets that need no GPU ("AutoGluon Tabular - Essential Functionality")."""

OPTIMIZED: Final = {
    "accuracy": ("accuracy", "accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced_accuracy"),
    "f1": ("f1", "f1_macro"),
    "roc_auc": ("roc_auc", "log_loss"),
    "neg_log_loss": ("log_loss", "log_loss"),
    "r2": ("root_mean_squared_error", "root_mean_squared_error"),
    "neg_root_mean_squared_error": ("root_mean_squared_error", "root_mean_squared_error"),
    "neg_mean_absolute_error": ("mean_absolute_error", "mean_absolute_error"),
}
"""What AutoGluon optimizes for each of the gate's metrics: with two classes, and otherwise.

Its `roc_auc_ovr` fails where the rows to validate with lack a class, as those of a rare one may.
R2 ranks models as their RMSE does.
"""

LABEL: Final = "label"
"""The label's name within AutoGluon: the other columns are called `f0`, `f1` and so on."""

_BAGGING: Final = {
    "dynamic_stacking": False,
    "num_stack_levels": 0,
    "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"},
}
"""For the presets that bag: no ray, which would start servers in a container without network, and
no stacking, whose cure for overfitting needs ray and half the time. Small instances gain nothing
from either."""

_RAW_TYPES: Final = {"float": "float", "category": "category", "text": "object"}
_IMPORTANCE_ROWS: Final = 1_000
_IMPORTANCE_SECONDS: Final = 60
_LEADERBOARD: Final = ("model", "score_val", "fit_time", "pred_time_val", "stack_level")


@dataclass(frozen=True)
class TrainingOptions:
    """The job's settings.

    `time_limit` is in seconds; `latency_limit` in milliseconds for one row, 0 for no limit.
    """

    train: Path
    schema: Path
    model: Path
    preset: str
    families: tuple[str, ...]
    time_limit: int
    metric: str
    latency_limit: float


def settings(argv: Sequence[str]) -> TrainingOptions:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    base = jobs.base_folder()
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--train", type=Path, default=base / "input/data/train")
    parser.add_argument("--schema", type=Path, default=base / "input/data/schema")
    parser.add_argument("--model", type=Path, default=base / "model")
    parser.add_argument("--preset", choices=PRESETS, default="medium_quality")
    parser.add_argument("--families", type=_families, default=("GBM", "CAT", "XGB"))
    parser.add_argument("--time-limit", type=_seconds, default=600)
    parser.add_argument("--metric", choices=jobs.METRICS, default=jobs.AUTO)
    parser.add_argument("--latency-limit", type=_milliseconds, default=0.0)
    return TrainingOptions(**vars(parser.parse_pairs(argv)))


def _families(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{listing(unknown)} of {text!r} is not one of {', '.join(FAMILIES)}; "
            "separate several with commas"
        )
    return names


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds, such as 600")
    return int(text)


def _milliseconds(text: str) -> float:
    found = jobs.number(text)
    if found is None or not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of milliseconds, such as 10; 0 means no limit"
        )
    return found


# --- The table ---------------------------------------------------------------------------------


def read_schema(folder: Path) -> Schema:
    """What preprocessing decided.

    Raises:
        JobError: it is not there, cannot be read, or leaves no column to learn from.
    """
    try:
        schema = Schema.load(folder / columns.FILE)
    except FileNotFoundError as error:
        raise JobError(f"there is no {columns.FILE} in {folder}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError(f"{columns.FILE} cannot be read: {error}") from error
    if not schema.features:
        left = listing([f"{column.name} ({_why_not(column)})" for column in schema.columns])
        raise JobError(f"there is no column to learn from: {left or 'the label is the only one'}")
    return schema


def _why_not(column: columns.Column) -> str:
    return column.kind if column.role == "feature" else column.role


def read_table(folder: Path, schema: Schema) -> tuple[pd.DataFrame, Json]:
    """The training data as AutoGluon gets it, and what it looks like (`reference.describe`).

    A class is its place in the schema's classes.

    Raises:
        JobError: there is no such table, or it does not fit the schema.
    """
    table = _read_parquet(folder, schema)
    jobs.check_training_rows(table.num_rows)
    label = _label(table.column(schema.label).combine_chunks(), schema)
    values = {column.name: _typed(table, column) for column in schema.features}
    frame = inference.frame(schema.features, values)
    frame[LABEL] = label
    return frame, reference.describe(schema, values, len(frame))


def _read_parquet(folder: Path, schema: Schema) -> pa.Table:
    """All Parquet files of the folder as one table: Spark writes many."""
    wanted = [*(column.name for column in schema.features), schema.label]
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise JobError(f"there is no Parquet file in {folder}")
    parts = []
    for path in files:
        try:
            file = parquet.ParquetFile(path)
            absent = [name for name in wanted if name not in file.schema_arrow.names]
            if absent:
                raise JobError(f"{path.name} does not fit the schema: it has no {listing(absent)}")
            parts.append(file.read(columns=wanted))
        except pa.ArrowException as error:
            raise JobError(f"{path.name} is not a Parquet file: {error}") from error
    return pa.concat_tables(parts, promote_options="permissive")


def _typed(table: pa.Table, column: columns.Column) -> pa.Array:
    values = table.column(column.name)
    if values.type == cells.storage(column):
        return values.combine_chunks()
    return cells.read(column, values)


def _label(values: pa.Array, schema: Schema) -> np.ndarray:
    """Numbers, or the places of classes.

    Raises:
        JobError: a row has none, or there is nothing to tell apart.
    """
    known = values
    if schema.classes:
        known = pc.index_in(values, value_set=pa.array(schema.classes, values.type))
    if known.null_count:
        raise JobError(
            f"label column {schema.label!r} has no value that the schema knows in "
            f"{known.null_count} rows"
        )
    if pc.count_distinct(known).as_py() < 2:  # noqa: PLR2004
        what = "class" if schema.classes else "value"
        raise JobError(f"label column {schema.label!r} has only one {what}: nothing to learn")
    return known.to_numpy(zero_copy_only=False).astype("int64" if schema.classes else "float64")


def metadata(schema: Schema) -> FeatureMetadata:
    """Each column's kind for AutoGluon, which then does not infer any."""
    from autogluon.common.features.feature_metadata import FeatureMetadata  # noqa: PLC0415 - slow

    kinds = [*cells.frame_kinds(schema.features).values()]
    names = [f"f{at}" for at in range(len(kinds))]
    texts = [name for name, kind in zip(names, kinds, strict=True) if kind == "text"]
    return FeatureMetadata(
        type_map_raw={name: _RAW_TYPES[kind] for name, kind in zip(names, kinds, strict=True)},
        type_group_map_special={"text": texts} if texts else {},
    )


# --- Training ----------------------------------------------------------------------------------


def fit(
    table: pd.DataFrame, schema: Schema, wanted: TrainingOptions, path: Path
) -> TabularPredictor:
    """Train within the time limit; the predictor and all its models are in `path`.

    Raises:
        JobError: no model could be trained.
    """
    from autogluon.features.generators import AutoMLPipelineFeatureGenerator  # noqa: PLC0415 - slow
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415 - takes seconds to import

    problem = _problem(table, schema)
    asked = jobs.metric(schema.problem, wanted.metric)
    predictor = TabularPredictor(
        label=LABEL,
        problem_type=problem,
        eval_metric=OPTIMIZED[asked][0 if problem == "binary" else 1],
        positive_class=_positive(schema) if problem == "binary" else None,
        path=str(path),
        learner_kwargs={"label_count_threshold": 1},  # a rare class is not dropped
    )
    limit = {"infer_limit": wanted.latency_limit / 1000, "infer_limit_batch_size": 1}
    began = time.monotonic()
    predictor.fit(
        table,
        presets=wanted.preset,
        hyperparameters={family: {} for family in wanted.families},
        time_limit=wanted.time_limit,
        num_gpus=0,
        feature_metadata=metadata(schema),
        # Our table has the same types always; and enforcing them, AutoGluon takes a number that had
        # two values in training for "the one or anything else", so that 0.1 is not 0.10000001.
        feature_generator=AutoMLPipelineFeatureGenerator(pre_enforce_types=False),
        raise_on_no_models_fitted=False,
        **(limit if wanted.latency_limit else {}),
        **_BAGGING,
    )
    if not predictor.model_names():
        raise JobError(why_nothing(predictor, wanted, time.monotonic() - began))
    return predictor


def _problem(table: pd.DataFrame, schema: Schema) -> str:
    """The problem of the rows to train with, which may lack a class of the table."""
    if schema.problem == "regression":
        return "regression"
    return "binary" if table[LABEL].nunique() == 2 else "multiclass"  # noqa: PLR2004


def _positive(schema: Schema) -> int | None:
    name = schema.positive_class
    return None if name is None else schema.classes.index(name)


def why_nothing(predictor: TabularPredictor, wanted: TrainingOptions, seconds: float) -> str:
    """Why there is no model: each model's exception, or that time ran out."""
    failures = predictor.model_failures()
    records = failures.to_dict("records")
    late = [item for item in records if item["exc_type"] in {"TimeLimitExceeded", "TimeLimit"}]
    families = ", ".join(wanted.families)
    if len(late) == len(records):
        return (
            f"none of {families} could be trained within the time limit of {wanted.time_limit} "
            f"seconds ({seconds:.0f} were used): give more time, a smaller table or other families"
        )
    reasons = "; ".join(
        f"{item['model']}: {item['exc_type']}: {' '.join(str(item['exc_str']).split())[:200]}"
        for item in records
    )
    return f"none of {families} could be trained: {reasons}"


# --- Reports -----------------------------------------------------------------------------------


def leaderboard(predictor: TabularPredictor, choice: Choice) -> list[Json]:
    """All trained models, the best first; `best` marks the one to deploy.

    Times are in seconds, but `row_milliseconds`: what one row takes, where that was measured.
    Scores are the metric's.
    """
    metric = predictor.eval_metric.name
    rows = predictor.leaderboard(silent=True)[list(_LEADERBOARD)].to_dict("records")
    return [
        {
            **_finite(row),
            "metric": metric,
            "row_milliseconds": choice.milliseconds.get(row["model"]),
            "best": row["model"] == choice.model,
        }
        for row in rows
    ]


def feature_importance(
    predictor: TabularPredictor, table: pd.DataFrame, schema: Schema, model: str
) -> list[Json]:
    """How much the metric loses when a column is shuffled, the most important column first.

    A date is one column, whatever is derived from it. Measured on rows that the models were not
    fitted to, where the preset leaves any aside. A column that AutoGluon left out has 0.
    """
    groups = _groups(predictor, schema)
    rows = table
    if predictor.has_val:
        validation, _ = predictor.load_data_internal("val", return_y=False)
        rows = table.loc[table.index.intersection(validation.index)]
    found: dict[str, Json] = {}
    if groups:
        measured = predictor.feature_importance(
            rows,
            model=model,
            features=list(groups.items()),
            subsample_size=_IMPORTANCE_ROWS,
            time_limit=_IMPORTANCE_SECONDS,
            num_shuffle_sets=3,
            silent=True,
        )
        found = measured[["importance", "stddev"]].to_dict("index")
    records = [
        {"column": column.name, **_finite(found.get(f"column {at}", _UNUSED))}
        for at, column in enumerate(schema.features)
    ]
    return sorted(records, key=lambda record: -(record["importance"] or 0.0))


_UNUSED: Final = {"importance": 0.0, "stddev": 0.0}


def _groups(predictor: TabularPredictor, schema: Schema) -> dict[str, list[str]]:
    """The columns within AutoGluon of each feature, as far as any model uses them."""
    used = set(predictor.features())
    names = iter(range(sum(map(len, cells.sources(schema.features).values()))))
    groups = {
        f"column {at}": [f"f{next(names)}" for _ in sources]
        for at, sources in enumerate(cells.sources(schema.features).values())
    }
    kept = {group: [name for name in found if name in used] for group, found in groups.items()}
    return {group: found for group, found in kept.items() if found}


def _finite(record: Json) -> Json:
    """`record` with None for what JSON has no number for."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


# --- The model ---------------------------------------------------------------------------------


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
    draft: Path, predictor: TabularPredictor, schema: Schema, manifest: Json, reports: Json
) -> None:
    """Write to `draft` only what serving and evaluation need."""
    predictor.clone_for_deployment(str(draft / inference.PREDICTOR), model=manifest["best_model"])
    (draft / "code").mkdir()
    for module in (inference, cells, columns):
        source = Path(str(module.__file__))
        shutil.copyfile(source, draft / "code" / source.name)
    (draft / "report").mkdir()
    for name, report in reports.items():
        _write_json(draft / f"report/{name}.json", report)
    schema.save(draft / columns.FILE)
    _write_json(draft / "manifest.json", manifest)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


def manifest(
    predictor: TabularPredictor, table: pd.DataFrame, schema: Schema, choice: Choice
) -> Json:
    """The model's description for people and for the evaluation."""
    label = table[LABEL]
    numbers = (
        {} if schema.classes else {"mean": float(label.mean()), "median": float(label.median())}
    )
    return {
        "label": schema.label,
        "problem": schema.problem,
        "rows": len(table),
        "metric": predictor.eval_metric.name,
        "best_model": choice.model,
        "best_score": choice.score,
        "row_milliseconds": choice.milliseconds[choice.model],
        "training_label": numbers,
    }


def train(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument or the table is not usable.
    """
    wanted = settings(argv)
    schema = read_schema(wanted.schema)
    jobs.metric(schema.problem, wanted.metric)
    table, looks = read_table(wanted.train, schema)
    with tempfile.TemporaryDirectory() as scratch, model_folder(wanted.model) as draft:
        predictor = fit(table, schema, wanted, Path(scratch) / "all")
        features = table.drop(columns=LABEL)
        choice = serving_choice.choose(predictor, features.head(1), wanted.latency_limit)
        print(choice.sentence)
        reports = {
            "leaderboard": leaderboard(predictor, choice),
            "feature_importance": feature_importance(predictor, table, schema, choice.model),
        }
        write_model(draft, predictor, schema, manifest(predictor, table, schema, choice), reports)
        _write_json(draft / reference.FILE, looks)


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(train, argv, jobs.base_folder() / "output/failure")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
