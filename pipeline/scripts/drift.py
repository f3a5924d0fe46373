"""Compares a table, or the requests that an endpoint received, with a model's training data.

The model archive says what its columns mean (`schema.json`) and what they looked like
(`reference.json`); only these two and the archive's code are read, not the predictor. The data is a
table of CSV or Parquet, or the files of SageMaker's data capture (JSON lines, "Capture data from a
real-time endpoint"), whose requests the archive's own `inference.py` reads.

It writes `drift.json`: for each column its population stability index, missing values, cells that
cannot be read, unseen categories and values outside the training data's range, and what of that
exceeds its limit. Found drift is a result and no error: the job succeeds.

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import captured
import cells
import jobs
import reference
import served
import tables
from columns import FILE, Json, Schema, match_names
from jobs import JobError, listing
from reference import Limits, Observed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from captured import Rows

LEAST_ROWS: Final = 30
"""With fewer, nothing can be told from chance."""


@dataclass(frozen=True)
class DriftOptions:
    """The job's settings; `input_uri` names the table in the folder `table`."""

    model: Path
    table: Path
    report: Path
    input_uri: str
    limits: Limits


class UnknownDriftError(JobError):
    """Nothing can be said about drift, for a reason that is nobody's mistake."""


def settings(argv: Sequence[str]) -> DriftOptions:
    """Read the command line.

    Raises:
        JobError: an argument is unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=processing / "input/model")
    parser.add_argument("--table", type=Path, default=processing / "input/table")
    parser.add_argument("--report", type=Path, default=processing / "output/report")
    parser.add_argument("--input-uri", default="")
    names = [item.name for item in fields(Limits)]
    for item in fields(Limits):
        parser.add_argument(f"--{item.name}", type=_limit, default=item.default)
    found = vars(parser.parse_pairs(argv))
    limits = Limits(**{name: found.pop(name) for name in names})
    return DriftOptions(**found, limits=limits)


def _limit(text: str) -> float:
    found = jobs.number(text)
    if found is None or not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0, such as 0.2")
    return found


# --- The model -----------------------------------------------------------------------------------


def read_model(folder: Path) -> tuple[ModuleType, Schema, Json]:
    """The archive's serving code, its schema, and what its training data looked like.

    Raises:
        JobError: the archive is broken.
        UnknownDriftError: it is from before there were references.
    """
    with served.unpacked(folder, _is_about_data) as model:
        before = read_reference(model)
        if before is None:
            raise UnknownDriftError(
                f"model.tar.gz has no {reference.FILE}: an older version trained it; train it again"
            )
        return *_code_and_schema(model), before


def read_code(folder: Path) -> tuple[ModuleType, Schema]:
    """The archive's serving code and its schema.

    Raises:
        JobError: the archive is broken.
    """
    with served.unpacked(folder, _is_about_data) as model:
        return _code_and_schema(model)


def _code_and_schema(model: Path) -> tuple[ModuleType, Schema]:
    try:
        schema = Schema.load(model / FILE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"model.tar.gz is broken: {error}") from error
    return served.serving_code(model / "code"), schema


def read_reference(model: Path) -> Json | None:
    """What the training data of an unpacked model looked like; None if it is from before that.

    Raises:
        JobError: the file is broken.
    """
    path = model / reference.FILE
    if not path.is_file():
        return None
    try:
        found: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JobError(f"model.tar.gz is broken: {path.name}: {error}") from error
    return found


def _is_about_data(member: tarfile.TarInfo) -> bool:
    """Whether a member of the archive is code, the schema or the reference."""
    path = Path(member.name)
    return path.name in {FILE, reference.FILE} or "code" in path.parts


# --- The data ------------------------------------------------------------------------------------


def of_table(table: tables.Table, schema: Schema) -> Iterator[Rows]:
    """The rows of a table, some thousand at a time.

    Raises:
        JobError: it lacks columns of the model, or cannot be read.
    """
    places = match_names(table.columns, [column.name for column in schema.features])
    absent = [column.name for column in schema.features if column.name not in places]
    if absent:
        raise JobError(f"{table.files[0].name} lacks columns of the model: {listing(absent)}")
    names = {name: table.columns[at] for name, at in places.items()}
    for _, batch in table.batches(sorted(set(names.values()))):
        values, odd = {}, {}
        for column in schema.features:
            found = cells.read_counting(column, batch.column(names[column.name]))
            values[column.name], odd[column.name] = found
        yield values, odd


# --- The report ----------------------------------------------------------------------------------


def compare(rows: Iterator[Rows], seen: Mapping[str, Observed], limits: Limits) -> Json:
    """What the rows say of each column.

    Raises:
        UnknownDriftError: there are too few rows to say anything.
    """
    count = 0
    for values, odd in rows:
        for name, observed in seen.items():
            observed.add(values[name], odd.get(name, Counter()))
        count += len(next(iter(values.values())))
    if count < LEAST_ROWS:
        raise UnknownDriftError(
            f"{count} rows are too few to compare: at least {LEAST_ROWS} are needed"
        )
    columns = [observed.compared(limits) for observed in seen.values()]
    columns.sort(key=lambda item: (not item["drifted"], -item["psi"]))
    return {
        "rows": count,
        "drifted": [item["name"] for item in columns if item["drifted"]],
        "limits": {item.name: getattr(limits, item.name) for item in fields(limits)},
        "columns": columns,
    }


def drift(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument, the model or the data is not usable.
    """
    wanted = settings(argv)
    code, schema, before = read_model(wanted.model)
    seen = reference.observed(schema, before)
    files = captured.files_in(wanted.table)
    received = captured.Captured(files, code, schema)
    rows = received.rows() if files else of_table(_table(wanted), schema)
    found: dict[str, Any] = compare(rows, seen, wanted.limits)
    if files:
        found |= {"requests": received.requests, "refused": received.refused}
    path = wanted.report / "drift.json"
    with jobs.whole(path) as (draft,):
        draft.write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps({"rows": found["rows"], "drifted": found["drifted"]}))


def _table(wanted: DriftOptions) -> tables.Table:
    return tables.find(wanted.table, wanted.input_uri)


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(drift, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
