"""Compares a new model, the challenger, with the one that serves, the champion.

Both are scored on the same rows, the test data of the challenger, each with the code in its own
archive. The champion gets a process of its own: its code can be of another version, with modules
of the same names; its memory is free again before the challenger is loaded; and whatever happens
in there, even a crash, only means that there is no comparison.

Where there is none, the challenger passes, and the job's log and its results say why. There is
none if the champion predicts something else (another label, problem or other classes), or from
other columns or other kinds of columns, or if its archive is broken or rejects the rows. Nor is
there one if the rows were split into training and test data by other columns than the champion's:
most of the rows would then be among those that it was trained with.

The folder of the champion holds its `model.tar.gz`, or nothing but a placeholder if no model
serves, because SageMaker refuses an input without any object.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cells
import jobs
import scoring
import served
from columns import FILE, Json, Schema
from jobs import JobError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_LEAD: Final = 1e9
"""The lead of a challenger that is compared with nothing: no margin refuses it."""

SECONDS: Final = 30 * 60
"""Seconds that the champion has, a quarter of the job's."""

_EQUAL: Final = 1e-9
_NOTHING: Final = 1e-12
"""By how much two scores of the same predictions can differ: the part of a value, and the rest."""
_REASON_CHARACTERS: Final = 300


@dataclass(frozen=True)
class Champion:
    """The serving model's value of the gate's metric on the test data, or why there is none."""

    value: float | None = None
    reason: str = ""
    serves: bool = True
    """Whether there is a serving model."""

    def lead(self, value: float) -> float | None:
        """By how much a challenger with this `value` is better; None if it cannot be compared."""
        if self.value is None:
            return None
        alike = math.isclose(value, self.value, rel_tol=_EQUAL, abs_tol=_NOTHING)
        return 0.0 if alike else value - self.value

    def of_gate(self, value: float) -> Json:
        """What `gate.json` says: a number that a condition can compare, and a text for people."""
        lead = self.lead(value)
        shown = f"unknown ({self.reason})" if self.value is None else json.dumps(self.value)
        return {"lead": NO_LEAD if lead is None else lead, "champion": shown}

    def as_json(self, metric: str, value: float) -> Json:
        """What `evaluation.json` says; `lead` is null where the two cannot be compared."""
        return {
            "metric": metric,
            "value": self.value,
            "lead": self.lead(value),
            "comparable": self.value is not None,
            "serves": self.serves,
            "reason": self.reason,
        }

    def told(self, metric: str, value: float) -> str:
        """One line for the log."""
        if self.value is not None:
            lead = f"lead of the new model: {self.lead(value):+.6g}"
            return f"serving model: {metric} {self.value:.6g} on the same rows; {lead}"
        if not self.serves:
            return f"the new model is compared with none: {self.reason}"
        return f"WARNING: the new model was not compared with the serving model: {self.reason}"


NOBODY: Final = Champion(reason="no model serves yet", serves=False)


def score(folder: Path, challenger: Path, test: Path, metric: str) -> Champion:
    """Score the champion in `folder` on `test`, in a process of its own.

    `challenger` is the unpacked new model, whose schema says what the test data means; `metric` is
    the gate's as the job's argument has it.
    """
    if not (folder / "model.tar.gz").is_file():
        return NOBODY
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        places = {
            "champion": folder,
            "schema": challenger / FILE,
            "test": test,
            "metric": metric,
            "result": result,
        }
        command = [sys.executable, __file__, *(f"--{name}={at}" for name, at in places.items())]
        try:
            ended = subprocess.run(  # noqa: S603 - our own script
                command, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return Champion(reason=f"scoring it took longer than {SECONDS} s")
        if not result.is_file():
            return Champion(reason=_death(ended.returncode))
        found = json.loads(result.read_text(encoding="utf-8"))
    return Champion(found["value"], " ".join(found["reason"].split())[:_REASON_CHARACTERS])


def _death(code: int) -> str:
    if code < 0:
        return f"scoring it was ended by signal {-code}; 9 means that it ran out of memory"
    return f"scoring it ended with exit status {code}"


# --- In the process of its own -------------------------------------------------------------------


def value(folder: Path, schema: Schema, test: Path, metric: str) -> float:
    """The value of `metric` of the model in `folder` on the test data.

    Raises:
        JobError: it cannot be compared with a model of the table that `schema` describes.
    """
    with served.unpacked(folder) as model:
        loaded = served.load(model)
        problem = difference(loaded.model.schema, schema)
        if problem:
            raise JobError(problem)
        found = scoring.measure(schema, scoring.score(loaded, schema, test))[metric]
    if not math.isfinite(found):
        raise JobError(f"its {metric} is {found}")
    return found


def difference(before: Any, now: Schema) -> str:
    """Why the champion, whose schema is `before`, cannot be compared on rows of `now`; or empty."""
    if before.label != now.label:
        return f"it predicts the column {before.label!r}, not {now.label!r}"
    if before.problem != now.problem:
        return f"it solves a {before.problem} problem, not a {now.problem} problem"
    if set(before.classes) != set(now.classes):
        return f"its classes are {listing(before.classes)}; now they are {listing(now.classes)}"
    return _other_columns(before, now) or _other_split(before, now)


def _other_columns(before: Any, now: Schema) -> str:
    """Rows are typed as the new schema has them, from which the old cells cannot be had back."""
    known = {column.name: column for column in now.features}
    missing = sorted({column.name for column in before.features} - known.keys())
    if missing:
        return f"it needs the columns {listing(missing)}, which the new model does not use"
    for column in before.features:
        new = known[column.name]
        if column.kind != new.kind and cells.storage(column) != cells.storage(new):
            return (
                f"the column {new.name!r} was read as {column.kind}, and is now read as {new.kind}"
            )
    return ""


def _other_split(before: Any, now: Schema) -> str:
    if _split_by(before) == _split_by(now):
        return ""
    return (
        "the rows are split by other columns than before, so that most of the test data may be "
        "among the rows that it was trained with"
    )


def _split_by(schema: Any) -> dict[str, str]:
    """The columns on whose cells a row's side depends (`split.py`), and their roles.

    A row of a group that is missing, which is split by its features, is not considered.
    """
    named = {item.name: item.role for item in schema.columns if item.role in {"time", "group"}}
    return named or {item.name: item.role for item in schema.features}


def settings(argv: Sequence[str]) -> Any:
    """Read the command line that `score` writes."""
    parser = jobs.ArgumentParser(allow_abbrev=False)
    for name in ("champion", "schema", "test", "result"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--metric", choices=jobs.METRICS)
    return parser.parse_pairs(argv)


def main(argv: Sequence[str]) -> int:
    """Write the champion's value, or the reason why there is none, to a file."""
    wanted = settings(argv)
    found: Json = {"value": None, "reason": ""}
    try:
        schema = Schema.load(wanted.schema)
        metric = jobs.metric(schema.problem, wanted.metric)
        found["value"] = value(wanted.champion, schema, wanted.test, metric)
    except JobError as error:
        found["reason"] = str(error)
    except Exception as error:  # noqa: BLE001 - the code of another version can do anything
        traceback.print_exc()
        found["reason"] = f"{type(error).__name__}: {error}"
    wanted.result.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
