"""Code that the three jobs share: arguments, failures with one clear sentence, atomic results.

A job is a function of its arguments. `run` calls it and returns the process's exit code. If the job
fails, `run` writes the reason to the file that SageMaker shows as the job's failure reason.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

REASON_CHARACTERS: Final = 1000
"""SageMaker shows the first kilobyte of a job's reason ("API_DescribeProcessingJob")."""

MISSING: Final = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What means "no value" in a cell: the list of `pandas.read_csv`, which training reads with."""

AUTO: Final = "auto"

CLASS_METRICS: Final = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "neg_log_loss")
NUMBER_METRICS: Final = ("r2", "neg_root_mean_squared_error", "neg_mean_absolute_error")
METRICS: Final = (AUTO, *CLASS_METRICS, *NUMBER_METRICS)
"""The metrics of the quality gate. Higher is always better."""

LEAST_ROWS: Final = 10
"""Minimum rows for training: with fewer, AutoGluon cannot set any aside for validation (tested)."""


class JobError(Exception):
    """An error that the user who started the job can fix; the message is one sentence."""


class ArgumentParser(argparse.ArgumentParser):
    """A parser of `--name value` or `--name=value` that raises `JobError` instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise `JobError` with argparse's message."""
        raise JobError(message)

    def parse_pairs(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse `argv`; a value may begin with a dash, such as a class named -1 or a column -x."""
        joined, rest = [], iter(argv)
        for item in rest:
            value = None if "=" in item else next(rest, None)
            joined.append(item if value is None else f"{item}={value}")
        return self.parse_args(joined)


def base_folder() -> Path:
    """`/opt/ml`, or the folder that the environment sets for it, as in SageMaker's toolkits."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def run(job: Callable[[Sequence[str]], None], argv: Sequence[str], reason: Path) -> int:
    """Run `job` and return the exit code: 0, 2 for a `JobError`, 1 for an unexpected error.

    Unless it is 0, the file `reason` contains the sentence that explains it.
    """
    try:
        job(argv)
    except JobError as error:
        return _fail(reason, str(error), 2)
    except Exception as error:  # noqa: BLE001 - whatever happened must reach the reason file
        traceback.print_exc()
        return _fail(reason, f"{type(error).__name__}: {error}", 1)
    return 0


def _fail(reason: Path, sentence: str, code: int) -> int:
    text = " ".join(sentence.split())
    sys.stdout.flush()
    print(f"error: {text}", file=sys.stderr)
    reason.parent.mkdir(parents=True, exist_ok=True)
    reason.write_text(text[:REASON_CHARACTERS], encoding="utf-8")
    return code


@contextmanager
def whole(*paths: Path) -> Iterator[list[Path]]:
    """Yield a temporary path for each of `paths`; at the end all are renamed, or none is.

    If the block raises, its files are removed, so that no reader finds a partial file.
    """
    drafts = [path.with_name(f".{path.name}.draft") for path in paths]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield drafts
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def number(text: str) -> float | None:
    """The number in `text`, as pandas reads it, or None; it can be infinite or NaN."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def in_order(classes: Iterable[str]) -> list[str]:
    """`classes` by value if all are numbers, by their text otherwise."""
    found = sorted(classes)
    values = {name: number(name) for name in found}
    if any(value is None or value != value for value in values.values()):  # noqa: PLR0124 - NaN
        return found
    return sorted(found, key=lambda name: (values[name], name))


def positive_class(classes: Iterable[str], wanted: str) -> str | None:
    """The class that counts as positive: `wanted`, or by rule if that is `AUTO`.

    The rule is scikit-learn's: of two classes, the later one in order (1 and not 0, yes and not
    no, true and not false). With three classes or more there is none.

    Raises:
        JobError: `wanted` is not a class, or there are more than two.
    """
    found = in_order(classes)
    two = len(found) == 2  # noqa: PLR2004
    if wanted == AUTO:
        return found[1] if two else None
    if wanted not in found:
        raise JobError(
            f"positive class: {wanted!r} does not occur; the classes are {listing(found)}"
        )
    if not two:
        raise JobError(
            f"positive class: {wanted!r} was given, but the label has {len(found)} classes and "
            f"only one of two can be the positive one; use {AUTO!r}"
        )
    return wanted


def metric(problem: str, wanted: str) -> str:
    """The gate's metric for a `problem` of the schema; `AUTO` is `roc_auc` or `r2`.

    Raises:
        JobError: `wanted` does not measure such a problem.
    """
    fitting = NUMBER_METRICS if problem == "regression" else CLASS_METRICS
    if wanted == AUTO:
        return "r2" if problem == "regression" else "roc_auc"
    if wanted not in fitting:
        raise JobError(
            f"metric: {wanted!r} cannot measure a {problem} model; use {AUTO!r} or one of "
            f"{', '.join(fitting)}"
        )
    return wanted


def check_training_rows(rows: int) -> None:
    """Reject a table that is too small for training.

    Raises:
        JobError: there are less than `LEAST_ROWS` rows.
    """
    if rows < LEAST_ROWS:
        raise JobError(f"{rows} rows for training are too few: at least {LEAST_ROWS} are needed")


def listing(names: Sequence[str], most: int = 20) -> str:
    """The first of `names` for an error message, and how many more there are."""
    shown = ", ".join(repr(name[:60]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
